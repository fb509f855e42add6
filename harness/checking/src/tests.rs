//! Stages on which something goes wrong that no scheme of the registry does.

use std::sync::Mutex;

use super::*;
use kernel_model::Violation;
use kernel_model::folio::Pfn;
use kernel_model::platform::Shuttle;

/// What becomes of a stage whose second CPU does `work` instead of its own.
fn planted<P: Platform>(
    work: fn(&System<P>),
    clauses: &'static [Seen],
    explore: impl FnOnce(Box<dyn Fn() -> Stage<P> + Send + Sync>, &Arc<Gathered>),
) -> Exploration {
    let watch = Arc::new(Gathered::new(clauses, None, Cancel::default()));
    let stage = stage::<P>("page-locked", "fault-vs-fault");
    let planted = Box::new(move || {
        let mut stage = stage();
        let system = Arc::clone(&stage.system);
        stage.cpus[1] = Box::new(move || {
            work(&system);
            Task::default()
        });
        stage
    });
    let ended = watch.conclude(&Mutation::NONE, || explore(planted, &watch));
    watch.exploration(Explored::Exhaustively { bound: None }, ended)
}

fn by_loom(work: fn(&System<Loom>)) -> Ended {
    let explore = |stage, watch: &_| exhaustive::explore(stage, Some(1), watch, |_| ());
    planted(work, &[], explore).ended
}

fn report<P: Platform>(system: &System<P>) {
    system.violations.report(Violation {
        invariant: Invariant::RightOffset,
        index: 0,
        pfn: Pfn(0),
        incarnation: 0,
        detail: "planted".to_owned(),
    });
}

#[track_caller]
fn assert_panicked(ended: &Ended, message: &str) {
    let Ended::Panicked(panic) = ended else {
        panic!("{ended:?}");
    };
    assert_eq!(panic.message, message);
    assert!(panic.place.contains("checking/src/tests.rs:"), "{panic}");
}

#[test]
fn a_panic_is_a_verdict_that_names_its_message_and_place() {
    let ended = by_loom(|_| panic!("planted,\n in two lines"));
    assert_panicked(&ended, "planted, in two lines");
    // The next exploration on the same thread knows nothing of it.
    assert_eq!(by_loom(|_| ()), Ended::Exhausted);
    let work = |_: &System<Shuttle>| panic!("planted");
    let exploration = planted(work, &[], |stage, watch| {
        random::explore(stage, 9, 1, watch)
    });
    assert_panicked(&exploration.ended, "planted");
    assert_eq!(exploration.executions, 1, "it was the last");
    assert!(!exploration.is_declared(&[]) && !exploration.is_declared(&Invariant::ALL));
}

#[test]
fn what_goes_wrong_first_counts() {
    let hang = |_: &System<Loom>| loop {
        Loom::cpu_relax();
    };
    let violated = |ended: Ended| match ended {
        Ended::Violated(found) => found.invariant,
        ended => panic!("{ended:?}"),
    };
    assert_eq!(violated(by_loom(hang)), Invariant::Progress);
    let report_and_hang = |system: &System<Loom>| {
        report(system);
        loop {
            Loom::cpu_relax();
        }
    };
    assert_eq!(violated(by_loom(report_and_hang)), Invariant::RightOffset);
    let report_and_panic = |system: &System<Loom>| {
        report(system);
        panic!("planted");
    };
    assert_eq!(violated(by_loom(report_and_panic)), Invariant::RightOffset);
}

#[test]
fn what_is_never_seen_makes_a_verdict_vacuous() {
    let with = |clauses| {
        let explore = |stage, watch: &_| exhaustive::explore(stage, Some(1), watch, |_| ());
        planted::<Loom>(|_| (), clauses, explore)
    };
    // One CPU faults, and none removes anything.
    let seen = with(&[Seen::FaultMapped]);
    assert_eq!(seen.ended, Ended::Exhausted);
    assert!(seen.seen[0].1 > 0 && seen.is_declared(&[]), "{seen:?}");
    let vacuous = with(&[Seen::FaultMapped, Seen::Removed]);
    assert_eq!(vacuous.ended, Ended::Vacuous);
    assert!(!vacuous.is_declared(&[]));
    assert_eq!(vacuous.unseen().collect::<Vec<_>>(), [Seen::Removed]);
}

/// A file and the VMAs that map it hold each other, and an exploration makes millions of both.
#[test]
fn executions_leave_nothing_behind() {
    let watch = Arc::new(Gathered::new(&[], None, Cancel::default()));
    let files = Arc::new(Mutex::new(Vec::new()));
    let (stage, noted) = (
        stage::<Loom>("page-locked", "fault-vs-fault"),
        Arc::clone(&files),
    );
    let noting = move || {
        let stage = stage();
        noted.lock().unwrap().push(Arc::downgrade(&stage.file));
        stage
    };
    exhaustive::explore(noting, Some(1), &watch, |_| ());
    let files = files.lock().unwrap();
    assert!(files.len() > 1 && files.iter().all(|file| file.strong_count() == 0));
}
