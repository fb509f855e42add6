//! Disks that are full, and places that can't be written to: one line, status 2, and the table of
//! what was measured.

mod storms;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use reporting::record::Run;
use storms::{complaints, is_partial, paths, storm};

/// A file system in memory that the whole process sees, if one can be had, gone at the end.
struct Memory(tempfile::TempDir);

impl Memory {
    fn mount(options: &str) -> Option<Self> {
        let at = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(at.path());
        match mount.output() {
            Ok(output) if output.status.success() => Some(Self(at)),
            _ => {
                eprintln!("skipped: no file system can be mounted");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

/// One line, with these parts, and status 2.
#[track_caller]
fn assert_refused(output: &Output, parts: &[&str]) {
    let said = complaints(output);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(said.len(), 1, "{said:?}");
    for part in parts {
        assert!(said[0].contains(part), "{} lacks {part}", said[0]);
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_disk_that_is_full_from_the_start_is_told_before_anything_is_measured() {
    let Some(disk) = Memory::mount("size=64k") else {
        return;
    };
    let output = storm(disk.path(), 3).output().unwrap();
    assert_refused(&output, &[disk.path().to_str().unwrap(), "No space left"]);
    assert_eq!(stdout(&output), "");
    assert_eq!(paths(disk.path()), [""; 0].map(PathBuf::from));
}

/// Fills what is left of a disk.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}

/// Starts a run and waits until there are rounds on the disk.
fn started(mut command: Command, out: &Path) -> std::process::Child {
    let mut child = command.spawn().unwrap();
    let start = Instant::now();
    loop {
        let runs = paths(out);
        if runs
            .iter()
            .any(|run| Run::read(run).is_ok_and(|run| run.rounds.len() > 3))
        {
            return child;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "nothing is written"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The partial run that is left is one that the reader takes, histograms and all.
fn check_kept(out: &Path) {
    let runs = paths(out);
    let [partial] = &runs.iter().filter(|path| path.is_dir()).collect::<Vec<_>>()[..] else {
        panic!("one run: {runs:?}");
    };
    assert!(is_partial(partial), "{partial:?}");
    let run = Run::read(partial).unwrap();
    assert!(!run.complete && run.rounds.len() > 3);
    for group in &run.summary {
        for row in &group.rows {
            let side = reporting::record::Side::Faults;
            let read = Run::read_latencies(partial, group, row, side).unwrap();
            assert!(read.is_some_and(|histogram| !histogram.is_empty()));
        }
    }
}

#[test]
fn a_disk_that_gets_full_ends_the_run_and_not_what_was_measured() {
    let Some(disk) = Memory::mount("size=64m") else {
        return;
    };
    let child = started(storm(disk.path(), 400), disk.path());
    fill(&disk.path().join("others"));
    let output = child.wait_with_output().unwrap();
    assert_refused(&output, &[disk.path().to_str().unwrap(), "No space left"]);
    let table = stdout(&output);
    assert!(table.starts_with("INCOMPLETE"), "{table}");
    assert!(table.contains("\nmapcount-recheck "), "{table}");
    check_kept(disk.path());
}

/// The command under a limit to the size of files, in blocks of 512 bytes.
fn limited(mut command: Command, blocks: u32) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args());
    shell
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command = shell;
    command
}

#[test]
fn a_limit_to_the_size_of_files_is_an_error_like_any_other() {
    let out = tempfile::tempdir().unwrap();
    let output = limited(storm(out.path(), 3), 8).output().unwrap();
    assert_refused(&output, &[out.path().to_str().unwrap(), "File too large"]);
    assert_eq!(stdout(&output), "");
    assert_eq!(paths(out.path()), [""; 0].map(PathBuf::from));
}

#[test]
fn a_directory_that_is_read_only_is_told_before_anything_is_measured() {
    let Some(disk) = Memory::mount("ro") else {
        return;
    };
    for out in [disk.path().to_owned(), disk.path().join("new")] {
        let output = storm(&out, 3).output().unwrap();
        assert_refused(&output, &[out.to_str().unwrap(), "Read-only file system"]);
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn a_directory_that_becomes_read_only_ends_the_run_and_not_what_was_measured() {
    let Some(disk) = Memory::mount("size=64m") else {
        return;
    };
    let child = started(storm(disk.path(), 400), disk.path());
    let remount = || {
        let mut mount = Command::new("mount");
        mount
            .args(["-o", "remount,ro"])
            .arg(disk.path())
            .output()
            .unwrap()
    };
    // Not while a file is open for writing.
    while !remount().status.success() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    assert_refused(&output, &[disk.path().to_str().unwrap(), "Read-only"]);
    assert!(stdout(&output).starts_with("INCOMPLETE"), "{output:?}");
    check_kept(disk.path());
}

#[test]
fn a_directory_without_permission_is_told_before_anything_is_measured() {
    let out = tempfile::tempdir().unwrap();
    let mut mode = fs::metadata(out.path()).unwrap().permissions();
    mode.set_readonly(true);
    fs::set_permissions(out.path(), mode).unwrap();
    if fs::write(out.path().join("probe"), "").is_ok() {
        eprintln!("skipped: root may write anywhere");
        return;
    }
    let output = storm(out.path(), 3).output().unwrap();
    assert_refused(
        &output,
        &[out.path().to_str().unwrap(), "Permission denied"],
    );
    assert_eq!(stdout(&output), "");
}

#[test]
fn standard_output_that_is_full_is_told_and_the_run_is_kept() {
    for format in ["text", "tsv", "json"] {
        let out = tempfile::tempdir().unwrap();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = storm(out.path(), 1);
        let output = command
            .args(["--format", format])
            .stdout(full)
            .output()
            .unwrap();
        assert_refused(&output, &["standard output", "No space left"]);
        let [run] = &paths(out.path())[..] else {
            panic!("one run: {:?}", paths(out.path()));
        };
        assert!(Run::read(run).unwrap().complete && !is_partial(run));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains(run.to_str().unwrap()),
            "it is nowhere named: {said}"
        );
    }
}
