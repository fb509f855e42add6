//! Small runs of the running kernel, and who takes part in them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::processes::children_called;
use super::storms::{complaints, paths};

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

/// The workers of a command, by what they were started as.
pub(crate) fn workers_of(parent: u32) -> Vec<u32> {
    children_called("host-worker", parent)
}
