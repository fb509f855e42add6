//! Small runs of the running kernel, and who takes part in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::storms::{complaints, paths};

/// How long anything may take that a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What keeps a run short, where nothing else is asked for.
pub(crate) const QUICK: [[&str; 2]; 5] = [
    ["--duration", "20ms"],
    ["--rounds", "2"],
    ["--watch", "0s"],
    ["--pages", "256"],
    ["--seed", "1"],
];

/// A short run with its results in `out`; CPUs as they are.
pub(crate) fn host(out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultaround"));
    command.arg("host").arg("--out").arg(out).args(more);
    let quick = QUICK.iter().filter(|[option, _]| !more.contains(option));
    command
        .args(quick.flatten())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// On one CPU, which all threads share.
pub(crate) const SHARED_CPU: [&str; 3] = ["--cpus", "0", "--oversubscribe"];

/// The only run in a directory.
#[track_caller]
pub(crate) fn only(out: &Path) -> PathBuf {
    let runs = paths(out);
    let [run] = &runs[..] else {
        panic!("one run: {runs:?}");
    };
    run.clone()
}

/// One line, with these parts, and status 2.
#[track_caller]
pub(crate) fn assert_refused(output: &Output, parts: &[&str]) {
    let said = complaints(output);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(said.len(), 1, "{said:?}");
    for part in parts {
        assert!(said[0].contains(part), "{} lacks {part}", said[0]);
    }
}

/// Waits for something.
pub(crate) fn wait_for<T>(mut what: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = what();
        if found.is_some() || start.elapsed() > PATIENCE {
            return found;
        }
        sleep(Duration::from_millis(2));
    }
}

/// A process's state and parent, if there is one of this number.
pub(crate) fn state_and_parent(id: &str) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

pub(crate) fn processes() -> Vec<String> {
    let names = fs::read_dir("/proc").unwrap().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| name.bytes().all(|it| it.is_ascii_digit()))
        .collect()
}

/// The workers of a command, by what they were started as.
pub(crate) fn workers_of(parent: u32) -> Vec<u32> {
    let mut workers = processes();
    workers.retain(|id| {
        let words = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        words.ends_with(b"\0host-worker\0")
            && state_and_parent(id).is_some_and(|(state, its)| its == parent && state != 'Z')
    });
    workers.iter().filter_map(|id| id.parse().ok()).collect()
}

/// A run that doesn't outlive its test.
pub(crate) struct Running(pub(crate) Option<Child>);

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    pub(crate) fn output(mut self) -> Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// Whether they all have come to their end; zombies have.
pub(crate) fn all_ended(processes: &[u32]) -> bool {
    let mut states = processes.iter().map(|id| state_and_parent(&id.to_string()));
    states.all(|it| it.is_none_or(|(state, _)| state == 'Z'))
}

/// Whether they all come to it.
pub(crate) fn all_end(processes: &[u32]) -> bool {
    wait_for(|| all_ended(processes).then_some(())).is_some()
}
