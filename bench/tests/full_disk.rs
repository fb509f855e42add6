//! Disks that are full, and places that can't be written to: one line, status 2, and the table of
//! what was measured.

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reporting::record::Run;
use support::{
    More, Told, assert_empty, assert_has, is_partial, limited, only, partial_run, started, storm,
};

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

#[test]
fn a_disk_that_is_full_from_the_start_is_told_before_anything_is_measured() {
    let Some(disk) = Memory::mount("size=64k") else {
        return;
    };
    let told = storm(disk.path(), 3).told();
    told.failed(&[disk.path().to_str().unwrap(), "No space left"]);
    assert_eq!(told.text, "");
    assert_empty(disk.path());
}

/// Fills what is left of a disk.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}

/// The partial run that is left is one that the reader takes, histograms and all.
fn check_kept(out: &Path, told: &Told) {
    assert!(told.text.starts_with("INCOMPLETE"), "{told:?}");
    let (partial, run) = partial_run(out);
    for group in &run.summary {
        for row in &group.rows {
            let side = reporting::record::Side::Faults;
            let read = Run::read_latencies(&partial, group, row, side).unwrap();
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
    let told = child.told();
    told.failed(&[disk.path().to_str().unwrap(), "No space left"]);
    assert_has(&told.text, &["\nmapcount-recheck "]);
    check_kept(disk.path(), &told);
}

#[test]
fn a_limit_to_the_size_of_files_is_an_error_like_any_other() {
    let out = tempfile::tempdir().unwrap();
    // In blocks of 512 bytes.
    let told = limited(&storm(out.path(), 3), "-f 8").told();
    told.failed(&[out.path().to_str().unwrap(), "File too large"]);
    assert_eq!(told.text, "");
    assert_empty(out.path());
}

#[test]
fn a_directory_that_is_read_only_is_told_before_anything_is_measured() {
    let Some(disk) = Memory::mount("ro") else {
        return;
    };
    for out in [disk.path().to_owned(), disk.path().join("new")] {
        let told = storm(&out, 3).told();
        told.failed(&[out.to_str().unwrap(), "Read-only file system"]);
        assert_eq!(told.text, "");
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
        mount.args(["-o", "remount,ro"]).arg(disk.path());
        mount.output().unwrap()
    };
    // Not while a file is open for writing.
    while !remount().status.success() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let told = child.told();
    told.failed(&[disk.path().to_str().unwrap(), "Read-only"]);
    check_kept(disk.path(), &told);
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
    let told = storm(out.path(), 3).told();
    told.failed(&[out.path().to_str().unwrap(), "Permission denied"]);
    assert_eq!(told.text, "");
}

#[test]
fn standard_output_that_is_full_is_told_and_the_run_is_kept() {
    for format in ["text", "tsv", "json"] {
        let out = tempfile::tempdir().unwrap();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = storm(out.path(), 1).with(&format!("--format {format}"));
        let told = Told::of(command.stdout(full).output().unwrap());
        told.failed(&["standard output", "No space left"]);
        let run = only(out.path());
        assert!(Run::read(&run).unwrap().complete && !is_partial(&run));
        // It is named somewhere.
        assert_has(&told.said, &[run.to_str().unwrap()]);
    }
}
