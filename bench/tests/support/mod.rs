//! What tests of the command share. Each of them has a copy, and uses some of it.
#![allow(dead_code)]

pub(crate) mod processes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use reporting::record::Run;

use processes::{Running, wait_for};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_faultaround");

/// The command with the words of a line. It reads nothing, and what it writes is kept.
pub(crate) fn faultaround(line: &str) -> Command {
    kept(Command::new(PROGRAM)).with(line)
}

fn kept(mut command: Command) -> Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The same command under a limit, as `ulimit` takes it.
pub(crate) fn limited(command: &Command, limit: &str) -> Command {
    let mut shell = kept(Command::new("sh"));
    shell.args(["-c", &format!("ulimit {limit}; exec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args());
    shell
}

pub(crate) trait More {
    /// With the words of a line besides.
    fn with(self, line: &str) -> Command;
    /// Runs to its end.
    fn told(self) -> Told;
}

impl More for Command {
    fn with(mut self, line: &str) -> Command {
        self.args(line.split_whitespace());
        self
    }

    fn told(mut self) -> Told {
        Told::of(self.output().expect("the command starts"))
    }
}

/// Runs the command with the words of a line.
pub(crate) fn run(line: &str) -> Told {
    faultaround(line).told()
}

/// What a command printed, what it said on standard error, and how it ended: `None` by a signal.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) said: String,
    pub(crate) status: Option<i32>,
}

impl Told {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            text: String::from_utf8(output.stdout).expect("output is text"),
            said: String::from_utf8(output.stderr).expect("messages are text"),
            status: output.status.code(),
        }
    }

    /// What it printed, having ended well.
    #[track_caller]
    pub(crate) fn text(self) -> String {
        assert_eq!(self.status, Some(0), "{}{}", self.text, self.said);
        self.text
    }

    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.text()).expect("JSON")
    }

    /// The lines in which it says what went wrong; others tell how far it has come.
    pub(crate) fn complaints(&self) -> Vec<&str> {
        let wrong = |line: &&str| line.starts_with("faultaround: ") || line.contains("panicked");
        self.said.lines().filter(wrong).collect()
    }

    /// It ended with one complaint that has these parts, and status 2.
    #[track_caller]
    pub(crate) fn failed(&self, parts: &[&str]) {
        assert_eq!(self.status, Some(2), "{self:?}");
        assert_eq!(self.complaints().len(), 1, "{self:?}");
        for part in parts {
            assert!(self.complaints()[0].contains(part), "no {part}: {self:?}");
        }
    }

    /// It did nothing but say so, in one line.
    #[track_caller]
    pub(crate) fn refused(&self, parts: &[&str]) {
        self.failed(parts);
        assert_eq!(self.said.lines().count(), 1, "{}", self.said);
        assert_eq!(self.text, "");
    }
}

/// Each of these is refused: a command, and behind bars what the message has to have.
#[track_caller]
pub(crate) fn all_refused(lines: &[&str]) {
    for line in lines {
        eprintln!("{line}");
        let mut parts = line.split(" | ");
        let words = parts.next().unwrap_or_default().split(' ');
        let mut command = Command::new(PROGRAM);
        command.args(words);
        let told = command.told();
        told.refused(&parts.collect::<Vec<_>>());
        assert!(!told.said.contains("Usage"), "{told:?}");
    }
}

/// A storm of two schemes without removers on the first CPU, with its results in `out`.
pub(crate) fn storm(out: &Path, rounds: u32) -> Command {
    let command =
        faultaround("storm --cpus 0 --storm none --threads 1 --duration 10ms --pages 256");
    let mut command = command.with("--scheme page-locked,mapcount-recheck --rounds");
    command.arg(rounds.to_string()).arg("--out").arg(out);
    command
}

/// Options that put all threads on one CPU.
pub(crate) const SHARED_CPU: &str = " --cpus 0 --oversubscribe";

/// A short run of the running kernel with its results in `out`.
pub(crate) fn host(out: &Path, more: &str) -> Command {
    let mut command = faultaround("host --out");
    command.arg(out);
    let quick = [
        "--duration 20ms",
        "--rounds 2",
        "--watch 0s",
        "--pages 256",
        "--seed 1",
    ];
    let given = |option: &&str| {
        let name = option.split(' ').next();
        !more.split_whitespace().any(|word| Some(word) == name)
    };
    let quick = quick.into_iter().filter(given).fold(command, More::with);
    quick.with(more)
}

/// The workers of a run of the kernel, by what they were started as.
pub(crate) fn workers_of(parent: u32) -> Vec<u32> {
    processes::children_called("host-worker", parent)
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

/// The names of what is in a directory, sorted.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    paths(directory).iter().map(name).collect()
}

/// Nothing was left in a directory.
#[track_caller]
pub(crate) fn assert_empty(directory: &Path) {
    assert_eq!(names(directory), [""; 0]);
}

/// The only directory in `out`.
#[track_caller]
pub(crate) fn only(out: &Path) -> PathBuf {
    labelled(out, "")
}

/// The only directory in `out` whose name ends like this.
#[track_caller]
pub(crate) fn labelled(out: &Path, label: &str) -> PathBuf {
    let mut found = paths(out);
    found.retain(|path| path.is_dir() && path.to_string_lossy().ends_with(label));
    assert_eq!(found.len(), 1, "one *{label}: {found:?}");
    found.remove(0)
}

/// Whether this is the directory of a run that isn't whole.
pub(crate) fn is_partial(run: &Path) -> bool {
    run.extension().is_some_and(|it| it == "partial")
}

/// Whether some run in `out` has more than these cells on the disk.
pub(crate) fn has_rounds(out: &Path, more_than: usize) -> bool {
    let mut runs = paths(out).into_iter();
    runs.any(|run| Run::read(&run).is_ok_and(|run| run.rounds.len() > more_than))
}

/// Starts a run and waits until there are rounds on the disk.
#[track_caller]
pub(crate) fn started(command: Command, out: &Path) -> Running {
    let child = Running::of(command);
    let written = wait_for(|| (has_rounds(out, 3) || child.ended()).then_some(()));
    assert!(written.is_some() && !child.ended(), "nothing is written");
    child
}

/// The only run in `out`, which was stopped on its way with something measured.
#[track_caller]
pub(crate) fn partial_run(out: &Path) -> (PathBuf, Run) {
    let directory = only(out);
    assert!(is_partial(&directory), "{directory:?}");
    let run = Run::read(&directory).unwrap();
    assert!(!run.complete && run.rounds.len() > 3);
    (directory, run)
}

/// Plain text in lines of at most so many columns.
#[track_caller]
pub(crate) fn assert_fits(text: &str, columns: usize) {
    assert!(text.is_ascii(), "{text}");
    for line in text.lines() {
        assert!(line.len() <= columns && !line.ends_with(' '), "{line:?}");
    }
}

/// It has all of these.
#[track_caller]
pub(crate) fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part} in {text}");
    }
}

/// The lines of a table, in its fields; all have as many.
#[track_caller]
pub(crate) fn table(tsv: &str) -> Vec<Vec<&str>> {
    let lines: Vec<Vec<_>> = tsv.lines().map(|line| line.split('\t').collect()).collect();
    assert!(lines.iter().all(|it| it.len() == lines[0].len()), "{tsv}");
    lines
}

/// The text with each run of blanks and line ends as one blank.
pub(crate) fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
