//! Stages on which something goes wrong that no scheme of the registry does.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::*;
use kernel_model::invariants::{self, RIGHT_OFFSET};
use kernel_model::platform::{Loom, Platform, SpinLock};
use kernel_model::race::{LOCK_ORDER, PROGRESS, Violation, Violations};
use kernel_model::scenario::seen;

/// The cell whose second CPU does something else.
fn cell() -> Cell {
    let mut all = Cell::all().into_iter();
    all.find(|it| (it.scheme.name, it.scenario.name) == ("page-locked", "fault-vs-fault"))
        .expect("a cell of the core family")
}

/// What becomes of a race whose second CPU does `work` instead of its own.
fn planted(
    work: fn(&dyn World),
    clauses: &'static [Seen],
    explore: impl FnOnce(Box<dyn Fn(Race) -> Race + Send + Sync>, &Arc<Gathered>),
) -> Exploration {
    let watch = Arc::new(Gathered::with(cell(), clauses, None, Cancel::default()));
    let planted = Box::new(move |mut race: Race| {
        let world = Arc::clone(&race.world);
        race.cpus[1] = Box::new(move || {
            work(&*world);
            Counts::default()
        });
        race
    });
    let ended = watch.conclude(&Mutation::NONE, || explore(planted, &watch));
    watch.exploration(Explored::Exhaustively { bound: None }, ended)
}

fn loom_with(work: fn(&dyn World), clauses: &'static [Seen]) -> Exploration {
    planted(work, clauses, |planted, watch| {
        let race = cell().set_up_for_loom();
        let set_up = move || planted(race());
        exhaustive::explore(set_up, Some(1), watch, |_| ());
    })
}

fn by_loom(work: fn(&dyn World)) -> Ended {
    loom_with(work, &[]).ended
}

fn report(world: &dyn World) {
    world.violations().report(Violation {
        invariant: RIGHT_OFFSET,
        place: None,
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
    let work = |_: &dyn World| panic!("planted");
    let exploration = planted(work, &[], |planted, watch| {
        let race = cell().set_up_for_shuttle();
        let set_up = move || planted(race());
        random::explore(set_up, 9, 1, watch);
    });
    assert_panicked(&exploration.ended, "planted");
    assert_eq!(exploration.executions, 1, "it was the last");
    assert!(!exploration.is_declared(&[]) && !exploration.is_declared(invariants::ALL));
}

#[test]
fn what_goes_wrong_first_counts() {
    let hang = |_: &dyn World| loop {
        Loom::cpu_relax();
    };
    let violated = |ended: Ended| match ended {
        Ended::Violated(found) => found.invariant,
        ended => panic!("{ended:?}"),
    };
    assert_eq!(violated(by_loom(hang)), PROGRESS);
    let report_and_hang = |world: &dyn World| {
        report(world);
        loop {
            Loom::cpu_relax();
        }
    };
    assert_eq!(violated(by_loom(report_and_hang)), RIGHT_OFFSET);
    let report_and_panic = |world: &dyn World| {
        report(world);
        panic!("planted");
    };
    assert_eq!(violated(by_loom(report_and_panic)), RIGHT_OFFSET);
}

/// No execution comes to a deadlock: one CPU does both, one after the other.
#[test]
fn an_order_of_locks_that_has_a_circle_is_a_verdict() {
    let orders = |_: &dyn World| {
        let lock = |class| <Loom as Platform>::SpinLock::new(class, ());
        let (a, b) = (lock("a"), lock("b"));
        for (first, second) in [(&a, &b), (&b, &a)] {
            let _held = first.lock();
            drop(second.lock());
        }
    };
    match by_loom(orders) {
        Ended::Violated(found) => assert_eq!(found.invariant, LOCK_ORDER, "{found}"),
        ended => panic!("{ended:?}"),
    }
}

#[test]
fn what_is_never_seen_makes_a_verdict_vacuous() {
    let with = |clauses| loom_with(|_| (), clauses);
    // One CPU faults, and none removes anything.
    let seen = with(&[seen::FAULT_MAPPED]);
    assert_eq!(seen.ended, Ended::Exhausted);
    assert!(seen.seen[0] > 0 && seen.is_declared(&[]), "{seen:?}");
    let vacuous = with(&[seen::FAULT_MAPPED, seen::REMOVED]);
    assert_eq!(vacuous.ended, Ended::Vacuous);
    assert!(!vacuous.is_declared(&[]));
    assert!(vacuous.seen[0] > 0 && vacuous.seen[1] == 0, "{vacuous:?}");
}

/// A machine that counts how often one is taken apart.
struct Counted(Arc<dyn World>, Arc<AtomicU64>);

impl World for Counted {
    fn violations(&self) -> &Violations {
        self.0.violations()
    }

    fn audit_at_rest(&self) {
        self.0.audit_at_rest();
    }

    fn take_apart(&self) {
        self.1.fetch_add(1, Relaxed);
        self.0.take_apart();
    }
}

/// A file and the VMAs that map it hold each other, and an exploration makes millions of both.
#[test]
fn each_execution_s_machine_is_taken_apart() {
    let watch = Arc::new(Gathered::with(cell(), &[], None, Cancel::default()));
    let (made, apart) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let counts = [Arc::clone(&made), Arc::clone(&apart)];
    let set_up = cell().set_up_for_loom();
    let noting = move || {
        let mut race = set_up();
        counts[0].fetch_add(1, Relaxed);
        race.world = Arc::new(Counted(race.world, Arc::clone(&counts[1])));
        race
    };
    exhaustive::explore(noting, Some(1), &watch, |_| ());
    let made = made.load(Relaxed);
    assert!(made > 1 && made == apart.load(Relaxed), "{made}");
}
