//! The family as data.

use super::{BOUNDED_REMOVAL, FaultCounts, NO_USE_AFTER_RETURN, PunchCounts, Scenarios, Schemes};
use crate::platform::{Native, Platform};
use crate::race::{Family, Graded, LOCK_ORDER, PROGRESS, SetUp, Tag};
use crate::{stack, wait_queue};

/// A fault meets a punch, and may find what the puncher has on its stack.
pub(super) const MEETS: Tag = Tag {
    name: "meets-punch",
    says: "a page is faulted in while its hole is punched",
};

/// The same page is touched more often than there are processes.
pub(super) const TOUCHED: Tag = Tag {
    name: "touched-again",
    says: "a process touches the same page of the hole again and again",
};

/// A fault that waits is woken by something else than the punch.
pub(super) const WOKEN: Tag = Tag {
    name: "woken",
    says: "something else wakes a fault that waits for a punch",
};

/// A fault that waits is killed.
pub(super) const KILLED: Tag = Tag {
    name: "killed",
    says: "a fault that waits for a punch gets a fatal signal",
};

/// A fault waits for a punch that began after it had begun to wait.
pub(super) const OVERTAKEN_FAULT: Graded = Graded {
    name: "overtaken-fault",
    says: "a fault waits for a punch that began after the fault had begun to wait",
    counter: FaultCounts::OVERTAKEN,
};

/// A page is in the hole when the passes over it are done.
pub(super) const HOLE_NOT_EMPTY: Graded = Graded {
    name: "hole-not-empty",
    says: "a page of the range is in the cache when a punch has gone over it",
    counter: PunchCounts::NOT_EMPTY,
};

/// Faults against a hole that is being punched.
pub static FAMILY: Family = Family {
    name: "shmem-punch",
    question: "who waits for whom when pages are faulted into a hole that is being punched in a \
               tmpfs file, for how long, and on what?",
    source: "Dickins, 15 Jul 2014",
    schemes: || Schemes::<Native>::ALL.iter().map(|it| it.about()).collect(),
    scenarios: || {
        Scenarios::<Native>::ALL
            .iter()
            .map(|it| it.about())
            .collect()
    },
    tags: &[MEETS, TOUCHED, WOKEN, KILLED],
    invariants: &[NO_USE_AFTER_RETURN, BOUNDED_REMOVAL, LOCK_ORDER, PROGRESS],
    graded: &[OVERTAKEN_FAULT, HOLE_NOT_EMPTY],
    scheme_checks: &[],
    model_checks: Vec::new,
    model_sites: || [stack::site::ALL, wait_queue::site::ALL].concat(),
    facts: |_| Vec::new(),
    #[cfg(feature = "check")]
    checked: crate::race::Checked {
        loom: set_up::<crate::platform::Loom>,
        shuttle: set_up::<crate::platform::Shuttle>,
    },
};

/// The set-up of a scheme in a scenario.
fn set_up<P: Platform>(scheme: &str, scenario: &str) -> SetUp {
    let scheme = Schemes::<P>::named(scheme).expect("a scheme of the registry");
    let scenario = Scenarios::<P>::named(scenario).expect("a scenario of the registry");
    Box::new(|| scenario.stage(scheme).into())
}
