//! Runs that are killed at any moment: what has its final name is whole, what hasn't is of one
//! piece as far as it goes, and the next run doesn't mind.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use reporting::record::{Run, Side};
use reporting::results::read_hlog;
use support::processes::{Running, wait_for};
use support::{
    More, assert_empty, assert_has, has_rounds, is_partial, names, partial_run, paths, started,
    storm,
};

/// All that is wrong with a run's histograms, as the reader tells it.
fn unread(directory: &Path, run: &Run) -> Vec<String> {
    let mut lines = Vec::new();
    for group in &run.summary {
        for row in &group.rows {
            for side in [Side::Faults, Side::Remover] {
                if let Err(error) = Run::read_latencies(directory, group, row, side) {
                    lines.push(error.to_string());
                }
            }
        }
    }
    lines
}

fn check_whole(directory: &Path) {
    let run = Run::read(directory).unwrap();
    assert!(run.complete, "{directory:?}");
    assert!(!run.rounds.is_empty(), "{directory:?}");
    assert_eq!(unread(directory, &run), [""; 0], "{directory:?}");
    let mut names = names(directory);
    names.retain(|name| name.starts_with('.') || name.ends_with(".tmp"));
    assert_eq!(names, [""; 0], "left over in {directory:?}");
    check_files(directory);
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// No file under a name that is for good is cut off.
fn check_files(directory: &Path) {
    for path in paths(directory) {
        let name = name(&path);
        if name.starts_with('.') {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with('\n'), "{path:?} is cut off");
        match path.extension().unwrap().to_str().unwrap() {
            "json" => assert!(Run::read(directory).is_ok(), "{path:?}"),
            "hgrm" => assert!(
                text.lines().last().unwrap().starts_with("#[Buckets"),
                "{path:?} is cut off"
            ),
            "hlog" => assert!(!read_hlog(text.as_bytes()).unwrap().is_empty(), "{path:?}"),
            "tsv" => {
                let columns = |line: &str| line.split('\t').count();
                let first = columns(text.lines().next().unwrap());
                assert!(text.lines().all(|line| columns(line) == first), "{path:?}");
            }
            "txt" => assert!(text.is_ascii(), "{path:?}"),
            _ => panic!("what is {path:?}?"),
        }
    }
}

/// A run that didn't get to its end; `torn` counts those between whose files the kill came.
fn check_partial(directory: &Path, torn: &mut u32) {
    check_files(directory);
    match Run::read(directory) {
        // A kill between the last write and the new name finds everything done.
        Ok(run) => {
            let lines = unread(directory, &run);
            *torn += u32::from(!lines.is_empty());
            for line in lines {
                assert_eq!(line.lines().count(), 1, "{line}");
                assert!(line.contains(directory.to_str().unwrap()), "{line}");
            }
        }
        Err(error) => {
            let line = error.to_string();
            assert_eq!(line.lines().count(), 1, "{line}");
            assert!(line.contains("there is no run.json in it"), "{line}");
        }
    }
}

fn check_all(out: &Path, torn: &mut u32) {
    for run in paths(out) {
        match is_partial(&run) {
            true => check_partial(&run, torn),
            false => check_whole(&run),
        }
    }
}

type Contents = BTreeMap<PathBuf, Vec<u8>>;

/// Every file of every run.
fn contents(out: &Path) -> Contents {
    let files = paths(out).into_iter().flat_map(|run| paths(&run));
    files
        .map(|file| (file.clone(), fs::read(&file).unwrap()))
        .collect()
}

fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Kills a run as soon as what is in `out` has changed so often, or lets it come to its end.
fn kill_after_changes(out: &Path, rounds: u32, changes: u32) {
    let listing = || -> Vec<_> {
        paths(out)
            .iter()
            .map(|run| (run.clone(), paths(run)))
            .collect()
    };
    let mut child = storm(out, rounds).spawn().unwrap();
    let (mut seen, mut left) = (listing(), changes);
    while child.try_wait().unwrap().is_none() {
        let now = listing();
        if now != seen {
            (seen, left) = (now, left - 1);
            if left == 0 {
                return kill(&mut child);
            }
        }
    }
}

/// Xorshift; a seed of its own each time, which is printed.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = std::time::SystemTime::now();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
        let seed = since.as_nanos() as u64 | 1;
        eprintln!("seed {seed}");
        Self(seed)
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Runs to its end; returns how long that took.
fn whole_run(out: &Path, rounds: u32) -> Duration {
    let before = contents(out);
    let start = Instant::now();
    let told = storm(out, rounds).told();
    let taken = start.elapsed();
    let printed = told.text();
    let mut after = contents(out);
    let whole: Vec<_> = paths(out)
        .into_iter()
        .filter(|run| !is_partial(run))
        .collect();
    let (_, run) = printed
        .trim()
        .rsplit_once("run directory: ")
        .expect(&printed);
    assert!(whole.contains(&PathBuf::from(run)), "{run}, {whole:?}");
    assert!(!before.keys().any(|path| path.starts_with(run)));
    after.retain(|path, _| !path.starts_with(run));
    assert!(after == before, "others' files were touched");
    taken
}

#[test]
fn a_run_that_is_killed_leaves_nothing_half_written_under_a_final_name() {
    let out = tempfile::tempdir().unwrap();
    let mut random = Random::new();
    let (mut torn, mut ended) = (0, 0);
    let life = whole_run(out.path(), 3);
    for _ in 0..16 {
        let mut child = storm(out.path(), 3).spawn().unwrap();
        std::thread::sleep(life.mul_f64(random.share() * 1.1));
        ended += u32::from(child.try_wait().unwrap().is_some());
        kill(&mut child);
        check_all(out.path(), &mut 0);
    }
    eprintln!("{ended} came to their end");
    // Half the runs' life is without any file; these are killed while some are written.
    for _ in 0..24 {
        let changes = 1 + (random.share() * 40.0) as u32;
        kill_after_changes(out.path(), 3, changes);
        check_all(out.path(), &mut 0);
    }
    // And one in any case in the midst of its rounds.
    let mut child = storm(out.path(), 400).spawn().unwrap();
    while !has_rounds(out.path(), 3) {
        std::thread::sleep(Duration::from_millis(5));
    }
    kill(&mut child);
    whole_run(out.path(), 1);
    check_all(out.path(), &mut torn);
    let partial = paths(out.path())
        .iter()
        .filter(|run| is_partial(run))
        .count();
    eprintln!("{partial} partial, {torn} of them between two renames");
    assert!(partial > 0);
}

/// Ends a run by a signal once its first rounds are on the disk.
#[track_caller]
fn stopped_by(signal: &str) {
    let out = tempfile::tempdir().unwrap();
    let child = started(storm(out.path(), 400), out.path());
    child.signal(signal);
    let told = child.told();
    assert_eq!(told.status, Some(130), "{signal}: {told:?}");
    assert_eq!(told.complaints(), [""; 0]);
    let (partial, run) = partial_run(out.path());
    assert!(told.text.starts_with("INCOMPLETE"), "{told:?}");
    assert_has(&told.text, &[partial.to_str().unwrap()]);
    assert_eq!(unread(&partial, &run), [""; 0]);
    check_files(&partial);
}

#[test]
fn what_was_measured_before_an_interrupt_is_kept_whole() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        stopped_by(signal);
    }
}

#[test]
fn an_interrupt_before_anything_was_measured_leaves_nothing() {
    let out = tempfile::tempdir().unwrap();
    let child = Running::of(storm(out.path(), 3).with("--watch 60s"));
    assert!(wait_for(|| (!paths(out.path()).is_empty()).then_some(())).is_some());
    child.signal("-INT");
    let told = child.told();
    assert_eq!(told.status, Some(130), "{told:?}");
    let said = told.complaints();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_has(said[0], &["before anything was measured"]);
    assert_empty(out.path());
}
