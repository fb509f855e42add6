//! `faultaround host` and its workers, when some of them are killed or called off.

mod support;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use support::processes::{Running, all_end, signal, wait_for};
use support::{
    SHARED_CPU, Told, assert_empty, assert_has, host, partial_run, paths, started, workers_of,
};

/// A long run that is under way, with something measured, and its workers at some moment.
fn under_way(out: &Path) -> (Running, Vec<u32>) {
    let mut command = host(out, &format!("--threads 2 --rounds 10000 {SHARED_CPU}"));
    // A group of its own, as a shell has it.
    command.process_group(0);
    let child = started(command, out);
    let workers = two_workers(&child);
    (child, workers)
}

fn two_workers(child: &Running) -> Vec<u32> {
    let workers = wait_for(|| {
        let workers = workers_of(child.id());
        (workers.len() == 2).then_some(workers)
    });
    workers.expect("two workers at once")
}

/// What was measured is in the only, partial, run.
#[track_caller]
fn assert_kept(out: &Path, told: &Told) {
    partial_run(out);
    assert!(told.text.starts_with("INCOMPLETE"), "{told:?}");
    assert_has(&told.text, &["The running kernel, "]);
}

#[test]
fn workers_end_with_the_command_however_it_is_killed() {
    let (out, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Nothing ends by itself before the test's patience does.
    let more = "--storm none --threads 2 --duration 600s --dir";
    let more = format!("{more} {} {SHARED_CPU}", dir.path().display());
    for moment in [0, 20, 200] {
        let child = Running::of(host(out.path(), &more));
        let workers = two_workers(&child);
        sleep(Duration::from_millis(moment));
        drop(child);
        assert!(all_end(&workers), "{workers:?}");
        assert_empty(dir.path());
    }
}

#[test]
fn ctrl_c_goes_to_the_whole_group_and_what_was_measured_is_kept() {
    for name in ["-INT", "-TERM", "-HUP"] {
        let out = tempfile::tempdir().unwrap();
        let (child, workers) = under_way(out.path());
        signal(name, -i64::from(child.id()));
        let told = child.told();
        assert_eq!(told.status, Some(130), "{name}: {told:?}");
        assert_eq!(told.complaints(), [""; 0], "{name}");
        assert_kept(out.path(), &told);
        assert!(all_end(&workers), "{name}");
    }
}

#[test]
fn a_worker_that_is_stopped_keeps_nobody_waiting_who_presses_ctrl_c() {
    // Before it is ready, or hardly so; in the measured time; and when that is over and the worker
    // is waited for. With its fault thread under way it has a third that listens.
    for (duration, later, tasks) in [("600s", 0, 1), ("600s", 0, 3), ("1s", 2, 3)] {
        let out = tempfile::tempdir().unwrap();
        let more = format!("--threads 1 --storm none --duration {duration} {SHARED_CPU}");
        let child = Running::of(host(out.path(), &more));
        let worker = wait_for(|| {
            let worker = *workers_of(child.id()).first()?;
            (paths(Path::new(&format!("/proc/{worker}/task"))).len() >= tasks).then_some(worker)
        });
        let worker = i64::from(worker.expect("a worker"));
        signal("-STOP", worker);
        sleep(Duration::from_secs(later));
        child.signal("-INT");
        let told = child.told();
        assert_eq!(told.status, Some(130), "{duration}: {told:?}");
        let before = ["faultaround: stopped before anything was measured"];
        assert_eq!(told.complaints(), before, "{duration}");
        assert_empty(out.path());
    }
}

#[test]
fn a_worker_that_is_killed_ends_the_run_in_one_line_and_not_what_was_measured() {
    let out = tempfile::tempdir().unwrap();
    let (child, workers) = under_way(out.path());
    // One that has just come to its end is not missed: until the command says so.
    let ended = wait_for(|| {
        if child.ended() {
            return Some(());
        }
        let worker = *workers_of(child.id()).first()?;
        let mut kill = Command::new("kill");
        kill.args(["-KILL", &worker.to_string()]).output().unwrap();
        sleep(Duration::from_millis(300));
        None
    });
    assert!(ended.is_some());
    let told = child.told();
    told.failed(&["a worker: it ended with signal: 9"]);
    assert_kept(out.path(), &told);
    assert!(all_end(&workers));
}
