//! Model checking of the code that is measured: scenarios of `kernel-model` run by Loom and
//! Shuttle.
//!
//! A cell is one scheme in one scenario. [`explore`] goes through its executions and stops at the
//! first one in which an audit finds an invariant violated, or in which the CPUs wait for each
//! other for ever. What it found is held against what the scheme's own file declares.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kernel_model::platform::checked::{self, Mutation};
use kernel_model::platform::{Site, Step};
use kernel_model::race::{
    self, Counts, Explored, Family, Graded, Invariant, Race, Scenario, Scheme, Seen, SetUp, Work,
    World,
};
use serde::{Deserialize, Serialize};

use machine_facts::cancel::Cancel;

mod exhaustive;
mod flags;
mod gathered;
mod panics;
mod processes;
mod random;
#[cfg(test)]
mod tests;
pub mod trace;
pub mod weaken;
mod words;
pub mod worker;
mod workers;

use gathered::Gathered;
pub use panics::Panic;
pub use processes::{NoProcess, Processes};
pub use workers::{NoThread, explore_all};

/// A scheme in a scenario.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    /// The family of both.
    pub family: &'static Family,
    /// What the scheme says of itself.
    pub scheme: &'static Scheme,
    /// What the scenario says of itself.
    pub scenario: &'static Scenario,
}

impl Cell {
    /// Every scheme of every family in every scenario of that: scheme by scheme, in the order of
    /// the registries.
    pub fn all() -> Vec<Self> {
        race::families().flat_map(Self::of).collect()
    }

    /// Those of one family.
    pub fn of(family: &'static Family) -> Vec<Self> {
        let scenarios = (family.scenarios)();
        let of = |scheme| {
            let cell = |&scenario| Self {
                family,
                scheme,
                scenario,
            };
            scenarios.iter().map(cell).collect::<Vec<_>>()
        };
        (family.schemes)().into_iter().flat_map(of).collect()
    }

    /// The checks that can be left out of it to see that it is noticed.
    pub fn checks(&self) -> Vec<&'static Site> {
        let mut checks = (self.family.model_checks)();
        checks.splice(0..0, self.family.checks_of(self.scheme));
        checks
    }

    /// The invariants of which one must be found violated; none if nothing must be found.
    pub fn declared(&self) -> Vec<Invariant> {
        self.scheme.verdict.violates(self.scenario.tags)
    }
}

/// How far executions are gone through.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Extent {
    /// Preemptions at most, instead of the scenario's own bound.
    pub bound: Option<Bound>,
    /// Random schedules, instead of the scenario's own number.
    pub schedules: Option<u32>,
    /// When to give up.
    pub limit: Option<Duration>,
    /// Where random schedules come from.
    pub seed: u64,
}

impl Extent {
    /// How a scenario is explored to it.
    fn explored(&self, scenario: &Scenario) -> Explored {
        match (scenario.explored, self.bound, self.schedules) {
            (Explored::Exhaustively { .. }, Some(Bound::None), _) => {
                Explored::Exhaustively { bound: None }
            }
            (Explored::Exhaustively { .. }, Some(Bound::Preemptions(bound)), _) => {
                Explored::Exhaustively { bound: Some(bound) }
            }
            (Explored::AtRandom { .. }, _, Some(schedules)) => Explored::AtRandom { schedules },
            (own, ..) => own,
        }
    }
}

/// How many times a CPU may be stopped for another while it could have gone on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bound {
    /// So many times in an execution.
    Preemptions(u8),
    /// As often as there are ways to: all executions.
    None,
}

/// How an exploration ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// All executions were gone through that there are within the bound.
    Exhausted,
    /// The same, and what the scenario is about was never seen: nothing is known by that.
    Vacuous,
    /// The last of them violated an invariant.
    Violated(Found),
    /// The last of them panicked, and had violated nothing before.
    Panicked(Panic),
    /// The time was up before all had been gone through.
    OutOfTime,
    /// The caller asked to stop.
    Interrupted,
}

/// The verdict of an exploration that panicked.
pub const PANICKED: &str = "panicked";

impl Ended {
    /// The verdict in a word: `ok`, the invariant that was violated, or why there is none.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Exhausted => "ok",
            Self::Vacuous => "vacuous",
            Self::Violated(found) => found.invariant.name,
            Self::Panicked(_) => PANICKED,
            Self::OutOfTime => "out-of-time",
            Self::Interrupted => "interrupted",
        }
    }

    /// What was seen, where something went wrong.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Violated(found) => Some(found.detail.clone()),
            Self::Panicked(panic) => Some(panic.to_string()),
            Self::Exhausted | Self::Vacuous | Self::OutOfTime | Self::Interrupted => None,
        }
    }
}

/// A violation that an exploration has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Which invariant.
    pub invariant: Invariant,
    /// Where, and what was seen.
    pub detail: String,
}

impl fmt::Display for Found {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.invariant, self.detail)
    }
}

/// What an exploration came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Exploration {
    /// How it was done, after all.
    pub explored: Explored,
    /// Executions gone through, the violating one included.
    pub executions: u64,
    /// How it ended.
    pub ended: Ended,
    /// Executions that showed each graded outcome, in their order.
    pub graded: Vec<u64>,
    /// Executions in which each clause of the scenario was seen to hold, in their order.
    pub seen: Vec<u64>,
    /// The most values that had been stored to one word in a race when it was loaded.
    pub longest_history: u32,
    /// Executions that were gone through without a bound until the time was up, before this
    /// exploration was made with one.
    pub not_exhausted: Option<u64>,
    /// The time that it took.
    pub elapsed: Duration,
}

impl Exploration {
    /// One of which nothing is known but how it ended.
    fn unknown(cell: Cell, extent: &Extent, ended: Ended) -> Self {
        Self {
            explored: extent.explored(cell.scenario),
            executions: 0,
            ended,
            graded: vec![0; cell.family.graded.len()],
            seen: vec![0; cell.scenario.seen.len()],
            longest_history: 0,
            not_exhausted: None,
            elapsed: Duration::ZERO,
        }
    }

    /// The invariant that was violated.
    pub fn violated(&self) -> Option<Invariant> {
        match &self.ended {
            Ended::Violated(found) => Some(found.invariant),
            _ => None,
        }
    }

    /// Executions of a cell that showed a graded outcome; none where its family has no such.
    pub fn showed(&self, cell: &Cell, graded: Graded) -> u64 {
        let mut all = cell.family.graded.iter().zip(&self.graded);
        all.find_map(|(it, executions)| (*it == graded).then_some(*executions))
            .unwrap_or_default()
    }

    /// What must be seen in a cell, and in how many executions it was.
    pub fn seen_of(&self, cell: &Cell) -> impl Iterator<Item = (Seen, u64)> {
        let clauses = cell.scenario.seen.iter().copied();
        clauses.zip(self.seen.iter().copied())
    }

    /// What must be seen in a cell and wasn't.
    pub fn unseen(&self, cell: &Cell) -> impl Iterator<Item = Seen> {
        let unseen = self
            .seen_of(cell)
            .filter(|(_, executions)| *executions == 0);
        unseen.map(|(clause, _)| clause)
    }

    /// Whether it panicked.
    pub fn panicked(&self) -> bool {
        matches!(self.ended, Ended::Panicked(_))
    }

    /// Whether this is what was declared. What wasn't gone through to its end is no verdict, and so
    /// not the declared one.
    pub fn is_declared(&self, declared: &[Invariant]) -> bool {
        match &self.ended {
            Ended::Exhausted => declared.is_empty(),
            Ended::Violated(found) => declared.contains(&found.invariant),
            Ended::Vacuous | Ended::Panicked(_) | Ended::OutOfTime | Ended::Interrupted => false,
        }
    }

    /// Whether Loom may have left out executions because it had forgotten old values.
    pub fn forgot_values(&self) -> bool {
        matches!(self.explored, Explored::Exhaustively { .. })
            && self.longest_history >= LOOM_REMEMBERS
    }
}

/// Values of a word that Loom 0.7 keeps, the newest included (`MAX_ATOMIC_HISTORY`).
pub const LOOM_REMEMBERS: u32 = 7;

/// Goes through the executions of a cell, with the code changed as `mutation` says. Where they
/// can't all be gone through in time, the scenario's own bound is taken instead.
pub fn explore(cell: Cell, mutation: &Mutation, extent: &Extent, cancel: &Cancel) -> Exploration {
    let all = explore_once(cell, mutation, extent, cancel);
    let unbounded = Explored::Exhaustively { bound: None };
    let given_up = all.explored == unbounded && all.ended == Ended::OutOfTime;
    if !given_up || cell.scenario.explored == unbounded {
        return all;
    }
    let own = Extent::default();
    Exploration {
        not_exhausted: Some(all.executions),
        ..explore_once(cell, mutation, &own, cancel)
    }
}

fn explore_once(cell: Cell, mutation: &Mutation, extent: &Extent, cancel: &Cancel) -> Exploration {
    let explored = extent.explored(cell.scenario);
    let watch = Arc::new(Gathered::new(cell, extent.limit, cancel.clone()));
    let ended = watch.conclude(mutation, || match explored {
        Explored::Exhaustively { bound } => {
            exhaustive::explore(cell.set_up_for_loom(), bound, &watch, |_| ());
        }
        Explored::AtRandom { schedules } => {
            random::explore(cell.set_up_for_shuttle(), schedules, extent.seed, &watch);
        }
    });
    watch.exploration(explored, ended)
}

impl Cell {
    fn set_up_for_loom(&self) -> SetUp {
        (self.family.checked.loom)(self.scheme.name, self.scenario.name)
    }

    fn set_up_for_shuttle(&self) -> SetUp {
        (self.family.checked.shuttle)(self.scheme.name, self.scenario.name)
    }
}

/// What an execution showed.
struct Shown {
    found: Option<Found>,
    /// What the CPUs have counted.
    cpus: Vec<Counts>,
    longest_history: u32,
    steps: Vec<Step>,
}

/// Sets a race up, lets `run` run its CPUs, and audits what is left.
fn execute(
    set_up: impl FnOnce() -> Race,
    gathered: &Gathered,
    run: impl FnOnce(Vec<Work>) -> Vec<Counts>,
) -> Shown {
    checked::begin_execution(gathered.for_trace);
    let Race { world, cpus } = set_up();
    let witness = Arc::clone(&world);
    gathered.begins(move || first_violation(&*witness));
    checked::begin_race();
    let cpus = run(cpus);
    let steps = checked::take_steps();
    let longest_history = checked::take_longest_history();
    world.audit_at_rest();
    gathered.came_to_its_end();
    world.take_apart();
    Shown {
        found: first_violation(&*world).or_else(wrong_lock_order),
        cpus,
        longest_history,
        steps,
    }
}

/// What lockdep has found in the executions so far.
fn wrong_lock_order() -> Option<Found> {
    checked::lock_order().map(|cycle| Found {
        invariant: race::LOCK_ORDER,
        detail: cycle.to_string(),
    })
}

/// The first violation that a machine has reported.
fn first_violation(world: &dyn World) -> Option<Found> {
    let first = world.violations().kept().into_iter().next();
    first.map(|violation| Found {
        invariant: violation.invariant,
        detail: violation.told(),
    })
}
