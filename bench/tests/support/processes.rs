//! Processes that tests start, wait for and signal, and the workers of those.

use std::fs;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Told;

/// How long anything may take that a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

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

/// The children of a process that were started as `word` and nothing else.
pub(crate) fn children_called(word: &str, parent: u32) -> Vec<u32> {
    let ending = format!("\0{word}\0");
    let mut children = processes();
    children.retain(|id| {
        let words = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        words.ends_with(ending.as_bytes())
            && state_and_parent(id).is_some_and(|(state, its)| its == parent && state != 'Z')
    });
    children.iter().filter_map(|id| id.parse().ok()).collect()
}

/// Sends a signal to a process, or to a group by its number below 0.
pub(crate) fn signal(signal: &str, process: i64) {
    let mut kill = Command::new("kill");
    let sent = kill.args([signal, "--", &process.to_string()]).status();
    assert!(sent.unwrap().success());
}

/// A run that doesn't outlive its test.
pub(crate) struct Running(Option<Child>);

impl Running {
    /// Starts a command.
    pub(crate) fn of(mut command: Command) -> Self {
        Self(Some(command.spawn().expect("the command starts")))
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        signal(name, self.id().into());
    }

    /// Whether it has come to its end.
    pub(crate) fn ended(&self) -> bool {
        all_ended(&[self.id()])
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    /// Waits for its end.
    pub(crate) fn told(mut self) -> Told {
        Told::of(self.0.take().unwrap().wait_with_output().unwrap())
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
