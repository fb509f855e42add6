//! What an exploration gathers over its executions, and when it has to stop.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kernel_model::scenario::Explored;

use super::{Ended, Exploration, Shown, stuck};
use crate::cancel::Cancel;

/// See the module. Shared by the threads of a checker, which take turns.
pub(super) struct Gathered {
    started: Instant,
    deadline: Option<Instant>,
    cancel: Cancel,
    /// For a trace: executions tell their steps, and a violating one isn't the last.
    pub(super) for_trace: bool,
    so_far: Mutex<SoFar>,
}

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

    /// Counts an execution that has begun.
    pub(super) fn begins(&self) {
        self.so_far().executions += 1;
    }

    /// Takes in what an execution showed. Returns whether that is the end.
    pub(super) fn shown(&self, shown: &Shown) -> bool {
        let mut so_far = self.so_far();
        so_far.transient_mapcount += u64::from(shown.transient_mapcount);
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

    /// How it all ended: a checker came to its end, or it panicked and said why.
    ///
    /// # Panics
    /// With a checker's own words where these say nothing of the code under test.
    pub(super) fn conclude(&self, result: Result<(), String>) -> Ended {
        match (self.ended(), result) {
            (Some(ended), _) => ended,
            (None, Ok(())) => Ended::Exhausted,
            (None, Err(said)) => match stuck(&said) {
                Some(found) => Ended::Violated(found),
                None => panic!("the checker gave up: {said}"),
            },
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
