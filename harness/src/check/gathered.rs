//! What an exploration gathers over its executions, and when it has to stop.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kernel_model::Task;
use kernel_model::platform::checked::{Mutation, mutate};
use kernel_model::scenario::Explored;

use super::panics::quietly;
use super::{Ended, Exploration, Found, Shown};
use crate::cancel::Cancel;

/// See the module. Shared by the threads of a checker, which take turns.
pub(super) struct Gathered {
    started: Instant,
    deadline: Option<Instant>,
    cancel: Cancel,
    /// For a trace: executions tell their steps, and a violating one isn't the last.
    pub(super) for_trace: bool,
    so_far: Mutex<SoFar>,
    /// Asks the machine of the execution in progress for its first violation.
    witness: Mutex<Option<Witness>>,
}

type Witness = Box<dyn Fn() -> Option<Found> + Send>;

#[derive(Default)]
struct SoFar {
    executions: u64,
    transient_mapcount: u64,
    longest_history: u32,
    ended: Option<Ended>,
}

impl Gathered {
    pub(super) fn new(limit: Option<Duration>, cancel: Cancel) -> Self {
        Self {
            started: Instant::now(),
            // A limit that no clock reaches is none.
            deadline: limit.and_then(|limit| Instant::now().checked_add(limit)),
            cancel,
            for_trace: false,
            so_far: Mutex::default(),
            witness: Mutex::default(),
        }
    }

    /// For a search of at most `limit` among the violating executions.
    pub(super) fn for_trace(limit: Duration, cancel: Cancel) -> Self {
        Self {
            for_trace: true,
            ..Self::new(Some(limit), cancel)
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
        let transient = |task: &Task| task.removals.transient_mapcount > 0;
        so_far.transient_mapcount += u64::from(shown.tasks.iter().any(transient));
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
        let result = quietly(run);
        mutate(Mutation::NONE);
        let ended = self.ended();
        let Err(panic) = result else {
            return ended.unwrap_or(Ended::Exhausted);
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
            transient_mapcount: so_far.transient_mapcount,
            longest_history: so_far.longest_history,
            not_exhausted: None,
            elapsed: self.started.elapsed(),
        }
    }
}
