//! What an exploration gathers over its executions, and when it has to stop.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kernel_model::platform::checked::{Mutation, begin_exploration, mutate};
use kernel_model::race::{Explored, Seen};
use machine_facts::cancel::Cancel;

use super::panics::quietly;
use super::{Cell, Ended, Exploration, Found, Shown};

/// See the module. Shared by the threads of a checker, which take turns.
pub(super) struct Gathered {
    started: Instant,
    deadline: Option<Instant>,
    cancel: Cancel,
    /// For a trace: executions tell their steps, and a violating one isn't the last.
    pub(super) for_trace: bool,
    cell: Cell,
    /// What must be seen in some execution.
    clauses: &'static [Seen],
    so_far: Mutex<SoFar>,
    /// Asks the machine of the execution in progress for its first violation.
    witness: Mutex<Option<Witness>>,
}

type Witness = Box<dyn Fn() -> Option<Found> + Send>;

#[derive(Default)]
struct SoFar {
    executions: u64,
    /// Of each graded outcome, executions that showed it.
    graded: Vec<u64>,
    /// Of each clause, executions in which it held.
    seen: Vec<u64>,
    longest_history: u32,
    ended: Option<Ended>,
}

impl Gathered {
    pub(super) fn new(cell: Cell, limit: Option<Duration>, cancel: Cancel) -> Self {
        Self::with(cell, cell.scenario.seen, limit, cancel)
    }

    /// The same with other clauses than the scenario's.
    pub(super) fn with(
        cell: Cell,
        clauses: &'static [Seen],
        limit: Option<Duration>,
        cancel: Cancel,
    ) -> Self {
        let so_far = SoFar {
            graded: vec![0; cell.family.graded.len()],
            seen: vec![0; clauses.len()],
            ..SoFar::default()
        };
        Self {
            started: Instant::now(),
            // A limit that no clock reaches is none.
            deadline: limit.and_then(|limit| Instant::now().checked_add(limit)),
            cancel,
            for_trace: false,
            cell,
            clauses,
            so_far: Mutex::new(so_far),
            witness: Mutex::default(),
        }
    }

    /// For a search of at most `limit` among the executions.
    pub(super) fn for_trace(cell: Cell, limit: Duration, cancel: Cancel) -> Self {
        Self {
            for_trace: true,
            ..Self::with(cell, &[], Some(limit), cancel)
        }
    }

    fn so_far(&self) -> MutexGuard<'_, SoFar> {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an execution that has begun; `witness` can be asked for its first violation.
    pub(super) fn begins(&self, witness: impl Fn() -> Option<Found> + Send + 'static) {
        self.so_far().executions += 1;
        *self.witness() = Some(Box::new(witness));
    }

    /// The execution has come to its end, and is about to be asked itself.
    pub(super) fn came_to_its_end(&self) {
        *self.witness() = None;
    }

    fn witness(&self) -> MutexGuard<'_, Option<Witness>> {
        self.witness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what an execution showed. Returns whether that is the end.
    pub(super) fn shown(&self, shown: &Shown) -> bool {
        let mut so_far = self.so_far();
        for (executions, graded) in so_far.graded.iter_mut().zip(self.cell.family.graded) {
            *executions += u64::from(graded.shows_in(&shown.cpus));
        }
        for (executions, clause) in so_far.seen.iter_mut().zip(self.clauses) {
            *executions += u64::from(clause.holds_in(&shown.cpus));
        }
        so_far.longest_history = so_far.longest_history.max(shown.longest_history);
        so_far.ended = match &shown.found {
            Some(found) if !self.for_trace => Some(Ended::Violated(found.clone())),
            _ if self.cancel.is_requested() => Some(Ended::Interrupted),
            _ => {
                let late = self.deadline.is_some_and(|end| Instant::now() >= end);
                late.then_some(Ended::OutOfTime)
            }
        };
        so_far.ended.is_some()
    }

    /// Why an execution was the last one, if one was.
    pub(super) fn ended(&self) -> Option<Ended> {
        self.so_far().ended.clone()
    }

    /// Runs a checker over code that is changed as `mutation` says; returns how it ended. What goes
    /// wrong first counts: an execution that panics or gets stuck after a violation violates.
    pub(super) fn conclude(&self, mutation: &Mutation, run: impl FnOnce()) -> Ended {
        mutate(mutation.clone());
        begin_exploration();
        let result = quietly(run);
        mutate(Mutation::NONE);
        let ended = self.ended();
        let Err(panic) = result else {
            let seen_all = !self.so_far().seen.contains(&0);
            return ended.unwrap_or(match seen_all {
                true => Ended::Exhausted,
                false => Ended::Vacuous,
            });
        };
        let witness = self.witness().take();
        let violated = witness.as_ref().and_then(|witness| witness());
        // It holds objects of a checker that is gone; to drop them would panic.
        std::mem::forget(witness);
        match (ended, violated.or_else(|| panic.stuck())) {
            (Some(ended), _) => ended,
            (None, Some(found)) => Ended::Violated(found),
            (None, None) => Ended::Panicked(panic),
        }
    }

    pub(super) fn exploration(&self, explored: Explored, ended: Ended) -> Exploration {
        let so_far = self.so_far();
        Exploration {
            explored,
            executions: so_far.executions,
            ended,
            graded: so_far.graded.clone(),
            seen: so_far.seen.clone(),
            longest_history: so_far.longest_history,
            not_exhausted: None,
            elapsed: self.started.elapsed(),
        }
    }
}
