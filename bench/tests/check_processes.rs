//! The processes in which `faultaround check` explores: what they find, and what becomes of them.
#![cfg(feature = "check")]

mod support;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use checking::worker::WORKER;
use checking::{Bound, Cell, Extent, Processes, explore};
use kernel_model::platform::checked::Mutation;
use machine_facts::cancel::Cancel;
use std::sync::atomic::Ordering::Relaxed;
use support::processes::{Running, all_end, children_called, signal, wait_for};
use support::{More, PROGRAM, Told, faultaround, table};

/// What of an exploration is the same whenever it is made.
fn found(mut exploration: checking::Exploration) -> String {
    exploration.elapsed = Duration::ZERO;
    format!("{exploration:?}")
}

/// Of a scheme and a scenario.
fn cell_of(names: &str) -> Cell {
    let mut all = Cell::all().into_iter();
    let cell = all.find(|it| format!("{} {}", it.scheme.name, it.scenario.name) == names);
    cell.expect(names)
}

fn preemptions(most: u8) -> Extent {
    Extent {
        bound: Some(Bound::Preemptions(most)),
        ..Extent::default()
    }
}

#[test]
fn a_process_finds_what_is_found_here() {
    let cancel = Cancel::default();
    let processes = Processes::of(PROGRAM, &cancel);
    let bound = &preemptions(2);
    let at_random = &Extent {
        schedules: Some(20),
        seed: 7,
        ..Extent::default()
    };
    // Over after an execution, and done again with the scenario's own bound.
    let no_time = &Extent {
        bound: Some(Bound::None),
        limit: Some(Duration::ZERO),
        ..Extent::default()
    };
    let without = |check| Mutation {
        left_out: vec![check],
        ..Mutation::NONE
    };
    let (recheck, lock) = (&without("recheck_mapping"), &without("fault_lock"));
    let weaker = &Mutation {
        weakened: vec![("remover_lock_mb", Relaxed)],
        ..Mutation::NONE
    };
    let none = &Mutation::NONE;
    for (cell, mutation, extent, ending) in [
        ("sketch fault-vs-punch", none, bound, "Violated"),
        ("sketch fault-vs-punch", none, &preemptions(0), "Exhausted"),
        ("sketch crowd", none, at_random, "AtRandom"),
        ("invalidate-only fault-vs-fault", none, no_time, "Some(1)"),
        (
            "mapcount-recheck fault-vs-punch",
            recheck,
            bound,
            "Violated",
        ),
        ("mapcount-recheck fault-vs-punch", weaker, bound, "Violated"),
        ("page-locked slow-vs-punch", lock, bound, "Violated"),
    ] {
        let cell = cell_of(cell);
        let there = found(processes.explore(cell, mutation, extent).unwrap());
        assert_eq!(there, found(explore(cell, mutation, extent, &cancel)));
        assert!(there.contains(ending), "{there}");
    }
}

/// Two verdicts: one that comes at once, and one that never does.
const ENDLESS: &str = "check --scheme mapcount-recheck --bound 100 --format tsv --scenario \
                       fault-vs-truncate,two-faults-vs-punch";

/// A check of these, its workers, and which of them has the one that never comes; the other verdict
/// is there.
fn under_way() -> (Running, Vec<u32>, u32) {
    let child = Running::of(faultaround(ENDLESS));
    let under_way = wait_for(|| {
        let workers = children_called(WORKER, child.id());
        // They begin by saying that they are ready; an answer is longer by far.
        let said: Vec<u64> = workers.iter().map(|id| bytes_said(*id)).collect();
        let answered = said.iter().position(|bytes| *bytes > 20)?;
        // On one CPU there is one worker for both.
        let alone = std::thread::available_parallelism().is_ok_and(|it| it.get() == 1);
        let exploring = match (&workers[..], alone) {
            (&[only], true) => only,
            (&[one, other], false) => [other, one][answered],
            _ => return None,
        };
        said.iter()
            .all(|bytes| *bytes > 0)
            .then_some((workers, exploring))
    });
    let (workers, exploring) = under_way.expect("a verdict and a worker without one");
    (child, workers, exploring)
}

/// What a process has written so far.
fn bytes_said(process: u32) -> u64 {
    let counts = fs::read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
    let mut counts = counts.lines();
    let said = counts.find_map(|line| line.strip_prefix("wchar: "));
    said.map_or(0, |bytes| bytes.parse().expect("a number"))
}

/// The rows' scenarios, verdicts and executions.
fn rows(told: &Told) -> Vec<[String; 3]> {
    let rows = table(&told.text).into_iter().skip(1);
    rows.map(|it| [it[2], it[4], it[6]].map(str::to_owned))
        .collect()
}

#[test]
fn a_worker_that_is_killed_costs_one_verdict_which_says_so() {
    let (child, workers, exploring) = under_way();
    signal("-KILL", exploring.into());
    let told = child.told();
    assert_eq!(told.status, Some(1), "{told:?}");
    let rows = rows(&told);
    let [first, second] = &rows[..] else {
        panic!("two verdicts: {rows:?}");
    };
    assert_eq!(first[..2], ["fault-vs-truncate", "ok"]);
    assert_eq!(second[..], ["two-faults-vs-punch", "panicked", "0"]);
    assert!(all_end(&workers), "{workers:?}");
}

#[test]
fn what_became_of_a_worker_is_told_and_another_one_is_started() {
    // Killed by itself, each time that it is asked for something.
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("dies-once");
    let mark = directory.path().join("died");
    let script = format!(
        "#!/bin/sh\n[ -e {mark:?} ] && exec {PROGRAM:?} \"$@\"\necho ready\nread order\n>{mark:?}\nkill -ABRT $$\n"
    );
    executable(&program, &script);
    let processes = Processes::of(&program, &Cancel::default());
    let explore = |scenario| {
        let cell = cell_of(&format!("mapcount-recheck {scenario}"));
        let explored = processes.explore(cell, &Mutation::NONE, &preemptions(1));
        explored.unwrap()
    };
    let died = explore("fault-vs-punch");
    let detail = died.ended.detail().unwrap_or_default();
    let ended = "the process that was to explore it ended with signal: 6 (SIGABRT)";
    assert!(died.panicked() && detail.starts_with(ended), "{detail}");
    assert_eq!(died.executions, 0);
    assert_eq!(explore("fault-vs-fault").ended.name(), "ok");
}

/// Written by another process: one that this one starts meanwhile would hold it open.
fn executable(path: &std::path::Path, script: &str) {
    let mut install = Command::new("install");
    let install = install.args(["-m", "755", "/dev/stdin"]).arg(path);
    let mut child = install.stdin(Stdio::piped()).spawn().expect("install");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(script.as_bytes()).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn ctrl_c_keeps_the_verdicts_that_were_reached() {
    let (child, workers, _) = under_way();
    child.signal("-INT");
    let told = child.told();
    assert_eq!(told.status, Some(130), "{told:?}");
    let rows = rows(&told);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0][..2], ["fault-vs-truncate", "ok"]);
    let said = "interrupted: 1 of 2 verdicts were reached";
    assert!(told.said.contains(said), "{told:?}");
    assert!(all_end(&workers), "{workers:?}");
}

#[test]
fn workers_end_with_the_command_however_it_is_killed() {
    let (child, workers, _) = under_way();
    drop(child);
    assert!(all_end(&workers), "{workers:?}");
}

#[test]
fn no_process_and_no_order_are_told_in_one_line() {
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script, PROGRAM]);
        let told = command.told();
        (told.status, told.said)
    };
    // From too few descriptors for anything up to enough, however many this test was given.
    let check = "exec \"$0\" check --scheme page-locked --scenario fault-vs-fault --bound 1";
    let limited = |descriptors| shell(&format!("ulimit -n {descriptors}; {check}"));
    let mut refused = Vec::new();
    let enough = (3..1024).any(|descriptors| match limited(descriptors) {
        (Some(0), _) => true,
        // The libraries were not found, and the program never began.
        (Some(127), _) => false,
        (status, said) => {
            let line = said.starts_with("faultaround: cannot ") && said.lines().count() == 1;
            assert!(line && said.contains("Too many open files"), "{said}");
            assert_eq!(status, Some(2), "{descriptors}: {said}");
            refused.push(said);
            false
        }
    });
    let cannot = "faultaround: cannot start a process to explore in: Too many open files";
    let for_want_of_a_process = refused.iter().any(|said| said.starts_with(cannot));
    assert!(enough && for_want_of_a_process, "{enough}: {refused:?}");

    let (status, said) = shell("echo explore | \"$0\" check-worker >/dev/null");
    assert!(
        said.starts_with("faultaround: check-worker is what"),
        "{said}"
    );
    assert_eq!((status, said.lines().count()), (Some(2), 1), "{said}");
}
