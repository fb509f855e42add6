//! Scenarios: a file of one page or two with an empty cache, and what two or three CPUs do with it
//! at once. The CPU is first that has to begin first, which costs a checker no preemption then.

use super::family::{KILLED, MEETS, TOUCHED, WOKEN};
use super::{FaultCounts, PunchCounts, ShmemPunch, Stage};
use crate::platform::Platform;
use crate::race::{Explored, Scenario, Seen};

/// The code of a scenario.
pub struct SetStage<P: Platform> {
    about: &'static Scenario,
    stage: fn(&'static dyn ShmemPunch<P>) -> Stage<P>,
}

impl<P: Platform> SetStage<P> {
    /// What it says of itself.
    pub fn about(&self) -> &'static Scenario {
        self.about
    }

    /// Sets the machine up.
    pub fn stage(&self, scheme: &'static dyn ShmemPunch<P>) -> Stage<P> {
        (self.stage)(scheme)
    }
}

const MAPPED: Seen = Seen {
    says: "a fault mapped a page",
    counter: FaultCounts::MAPPED,
};

const REMOVED: Seen = Seen {
    says: "a punch took a page out of the cache",
    counter: PunchCounts::REMOVED,
};

const SEEN: &[Seen] = &[MAPPED, REMOVED];

/// Every scenario.
pub struct Scenarios<P>(std::marker::PhantomData<P>);

impl<P: Platform> Scenarios<P> {
    /// In the order of tables.
    pub const ALL: &'static [SetStage<P>] = &[
        SetStage {
            about: &Scenario {
                name: "create-vs-punch",
                summary: "a fault of a page that isn't there against a hole punched over it",
                cpus: &["fault", "punch"],
                seen: SEEN,
                tags: &[MEETS],
                explored: Explored::Exhaustively { bound: Some(3) },
            },
            stage: |scheme| {
                let mut stage = Stage::new(scheme, 1, 1);
                stage.touches(1);
                stage.punches(&[0]);
                stage
            },
        },
        SetStage {
            about: &Scenario {
                name: "touches-vs-punch",
                summary: "three touches of a page against a hole punched over it",
                cpus: &["punch", "three touches"],
                seen: SEEN,
                tags: &[MEETS, TOUCHED],
                explored: Explored::Exhaustively { bound: Some(3) },
            },
            stage: |scheme| {
                let mut stage = Stage::new(scheme, 1, 1);
                stage.punches(&[0]);
                stage.touches(3);
                stage
            },
        },
        SetStage {
            about: &Scenario {
                name: "fault-vs-punches",
                summary: "a fault against three holes punched one after the other",
                cpus: &["three punches", "fault"],
                seen: SEEN,
                tags: &[MEETS],
                explored: Explored::Exhaustively { bound: Some(2) },
            },
            stage: |scheme| {
                let mut stage = Stage::new(scheme, 1, 1);
                stage.punches(&[0, 0, 0]);
                stage.touches(1);
                stage
            },
        },
        SetStage {
            about: &Scenario {
                name: "peek-vs-return",
                summary: "a fault against two punches in the same frame, the second elsewhere",
                cpus: &["punch, punch elsewhere", "fault"],
                seen: SEEN,
                tags: &[MEETS],
                explored: Explored::Exhaustively { bound: Some(3) },
            },
            stage: |scheme| {
                let mut stage = Stage::new(scheme, 2, 1);
                stage.punches(&[0, 1]);
                stage.touches(1);
                stage
            },
        },
        SetStage {
            about: &Scenario {
                name: "woken-fault-vs-punch",
                summary: "a fault against a punch, with somebody else who wakes the fault",
                cpus: &["punch", "fault", "another waker"],
                seen: SEEN,
                tags: &[MEETS, WOKEN],
                explored: Explored::Exhaustively { bound: Some(3) },
            },
            stage: |scheme| {
                let mut stage = Stage::new(scheme, 1, 1);
                stage.punches(&[0]);
                let fault = stage.touches(1);
                stage.cpu(move |_, _| {
                    fault.wake_up_process();
                });
                stage
            },
        },
        SetStage {
            about: &Scenario {
                name: "killed-fault-vs-punch",
                summary: "a fault against a punch, with a fatal signal to the fault",
                cpus: &["punch", "fault", "fatal signal"],
                seen: SEEN,
                tags: &[MEETS, KILLED],
                explored: Explored::Exhaustively { bound: Some(3) },
            },
            stage: |scheme| {
                let mut stage = Stage::new(scheme, 1, 1);
                stage.punches(&[0]);
                let fault = stage.touches(1);
                stage.cpu(move |_, _| {
                    fault.kill();
                });
                stage
            },
        },
    ];

    /// The one of a name.
    pub fn named(name: &str) -> Option<&'static SetStage<P>> {
        Self::ALL.iter().find(|it| it.about.name == name)
    }
}
