//! `faultaround host` and its workers, when some of them are killed or called off.

// Not all of either is for these tests.
#[allow(dead_code)]
mod hosts;
#[allow(dead_code)]
mod processes;
#[allow(dead_code)]
mod storms;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::Duration;

use hosts::{SHARED_CPU, assert_refused, host, only, workers_of};
use processes::{Running, all_end, all_ended, signal, wait_for};
use reporting::record::Run;
use storms::{complaints, is_partial, paths};

/// A long run that is under way, with something measured, and its workers at some moment.
fn under_way(out: &Path, more: &[&str]) -> (Running, Vec<u32>) {
    let more = [
        &["--threads", "2", "--rounds", "10000"],
        &SHARED_CPU[..],
        more,
    ]
    .concat();
    // A group of its own, as a shell has it.
    let child = Running(Some(host(out, &more).process_group(0).spawn().unwrap()));
    let measured = || {
        let runs = paths(out);
        let is = |run: &PathBuf| Run::read(run).is_ok_and(|run| run.rounds.len() > 3);
        runs.iter().any(is).then_some(())
    };
    let measured = wait_for(|| measured().or(all_ended(&[child.id()]).then_some(())));
    assert!(
        measured.is_some() && !all_ended(&[child.id()]),
        "nothing is written"
    );
    let workers = wait_for(|| {
        let workers = workers_of(child.id());
        (workers.len() == 2).then_some(workers)
    });
    (child, workers.expect("two workers at once"))
}

/// What was measured is in the only, partial, run.
#[track_caller]
fn assert_kept(out: &Path, output: &Output) {
    let directory = only(out);
    assert!(is_partial(&directory), "{directory:?}");
    let run = Run::read(&directory).unwrap();
    assert!(!run.complete && run.rounds.len() > 3);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.starts_with("INCOMPLETE"), "{printed}");
    assert!(printed.contains("The running kernel, "), "{printed}");
}

#[test]
fn workers_end_with_the_command_however_it_is_killed() {
    let (out, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Nothing ends by itself before the test's patience does.
    let dir_word = dir.path().to_str().unwrap();
    let more = [
        "--dir",
        dir_word,
        "--storm",
        "none",
        "--threads",
        "2",
        "--duration",
        "600s",
    ];
    for moment in [0, 20, 200] {
        let child = host(out.path(), &[&more[..], &SHARED_CPU].concat()).spawn();
        let child = Running(Some(child.unwrap()));
        let workers = wait_for(|| {
            let workers = workers_of(child.id());
            (workers.len() == 2).then_some(workers)
        });
        let workers = workers.expect("two workers");
        sleep(Duration::from_millis(moment));
        drop(child);
        assert!(all_end(&workers), "{workers:?}");
        assert_eq!(paths(dir.path()), [""; 0].map(PathBuf::from));
    }
}

#[test]
fn ctrl_c_goes_to_the_whole_group_and_what_was_measured_is_kept() {
    for name in ["-INT", "-TERM", "-HUP"] {
        let out = tempfile::tempdir().unwrap();
        let (child, workers) = under_way(out.path(), &[]);
        signal(name, -i64::from(child.id()));
        let output = child.output();
        assert_eq!(output.status.code(), Some(130), "{name}: {output:?}");
        assert_eq!(complaints(&output), [""; 0], "{name}");
        assert_kept(out.path(), &output);
        assert!(all_end(&workers), "{name}");
    }
}

#[test]
fn a_worker_that_is_stopped_keeps_nobody_waiting_who_presses_ctrl_c() {
    // Before it is ready, or hardly so; in the measured time; and when that is over and the worker
    // is waited for. With its fault thread under way it has a third that listens.
    for (duration, later, tasks) in [("600s", 0, 1), ("600s", 0, 3), ("1s", 2, 3)] {
        let out = tempfile::tempdir().unwrap();
        let more = ["--threads", "1", "--storm", "none", "--duration", duration];
        let child = host(out.path(), &[&more[..], &SHARED_CPU].concat()).spawn();
        let child = Running(Some(child.unwrap()));
        let worker = wait_for(|| {
            let worker = *workers_of(child.id()).first()?;
            (paths(Path::new(&format!("/proc/{worker}/task"))).len() >= tasks).then_some(worker)
        });
        let worker = i64::from(worker.expect("a worker"));
        signal("-STOP", worker);
        sleep(Duration::from_secs(later));
        signal("-INT", i64::from(child.id()));
        let output = child.output();
        assert_eq!(output.status.code(), Some(130), "{duration}: {output:?}");
        let said = complaints(&output);
        let before = ["faultaround: stopped before anything was measured"];
        assert_eq!(said, before, "{duration}");
        assert_eq!(paths(out.path()), [""; 0].map(PathBuf::from));
    }
}

#[test]
fn a_worker_that_is_killed_ends_the_run_in_one_line_and_not_what_was_measured() {
    let out = tempfile::tempdir().unwrap();
    let (child, workers) = under_way(out.path(), &[]);
    // One that has just come to its end is not missed: until the command says so.
    let ended = wait_for(|| {
        if all_ended(&[child.id()]) {
            return Some(());
        }
        let worker = *workers_of(child.id()).first()?;
        let mut kill = Command::new("kill");
        kill.args(["-KILL", &worker.to_string()]).output().unwrap();
        sleep(Duration::from_millis(300));
        None
    });
    assert!(ended.is_some());
    let output = child.output();
    assert_refused(&output, &["a worker: it ended with signal: 9"]);
    assert_kept(out.path(), &output);
    assert!(all_end(&workers));
}
