//! Small runs of the command, for tests of what goes wrong with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A storm of two schemes without removers on the first CPU, with its results in `out`.
pub(crate) fn storm(out: &Path, rounds: u32) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultaround"));
    command
        .args(["storm", "--cpus", "0", "--storm", "none", "--threads", "1"])
        .args(["--scheme", "page-locked,mapcount-recheck"])
        .args(["--duration", "10ms", "--pages", "256", "--rounds"])
        .arg(rounds.to_string())
        .arg("--out")
        .arg(out)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What is in a directory, sorted; nothing if there is none.
pub(crate) fn paths(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Whether this is the directory of a run that isn't whole.
pub(crate) fn is_partial(run: &Path) -> bool {
    run.extension().is_some_and(|it| it == "partial")
}

/// The lines in which the command says what went wrong.
pub(crate) fn complaints(output: &Output) -> Vec<String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines = stderr.lines().filter(|line| {
        // The others tell how far it has come.
        line.starts_with("faultaround: ") || line.contains("panicked")
    });
    lines.map(str::to_owned).collect()
}
