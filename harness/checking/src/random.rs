//! Trying schedules at random, by Shuttle: half of them uniformly, half by PCT.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use kernel_model::race::{Counts, Race, Work};
use shuttle::scheduler::{
    PctScheduler, RandomScheduler, Schedule, Scheduler, Task as Thread, TaskId,
};
use shuttle::{Config, FailurePersistence, Runner};

use super::execute;
use super::gathered::Gathered;

/// Points at which PCT changes priorities: it finds what takes so many orderings less one.
const PCT_DEPTH: usize = 4;

/// Tries `schedules` schedules of a race.
///
/// # Panics
/// If the code under test does, or with Shuttle's words where it doesn't end.
pub(super) fn explore(
    set_up: impl Fn() -> Race + Send + Sync + 'static,
    schedules: u32,
    seed: u64,
    gathered: &Arc<Gathered>,
) {
    let at_random = schedules.div_ceil(2) as usize;
    let by_pct = schedules as usize - at_random;
    let set_up = Arc::new(set_up);
    let random = RandomScheduler::new_from_seed(seed, at_random);
    run_all(&set_up, Box::new(random), gathered);
    if gathered.ended().is_none() && by_pct > 0 {
        let pct = PctScheduler::new_from_seed(seed, PCT_DEPTH, by_pct);
        run_all(&set_up, Box::new(pct), gathered);
    }
}

fn run_all(
    set_up: &Arc<impl Fn() -> Race + Send + Sync + 'static>,
    scheduler: Box<dyn Scheduler + Send>,
    gathered: &Arc<Gathered>,
) {
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::None;
    config.silence_warnings = true;
    let until = Arc::clone(gathered);
    let (set_up, watch) = (Arc::clone(set_up), Arc::clone(gathered));
    let runner = Runner::new(Until(ManuallyDrop::new(scheduler), until), config);
    runner.run(move || {
        let shown = execute(&*set_up, &watch, run);
        watch.shown(&shown);
    });
}

fn run(cpus: Vec<Work>) -> Vec<Counts> {
    let threads: Vec<_> = cpus
        .into_iter()
        .enumerate()
        .map(|(cpu, work)| {
            let builder = shuttle::thread::Builder::new().name(cpu.to_string());
            builder.spawn(work).expect("a thread of Shuttle")
        })
        .collect();
    threads
        .into_iter()
        .map(|thread| thread.join().expect("a panic ends all of an execution"))
        .collect()
}

/// A scheduler that makes no more executions once one was the last.
///
/// Never dropped: a scheduler that is dropped before its end prints a seed to standard error.
struct Until(ManuallyDrop<Box<dyn Scheduler + Send>>, Arc<Gathered>);

impl Scheduler for Until {
    fn new_execution(&mut self) -> Option<Schedule> {
        match self.1.ended() {
            None => self.0.new_execution(),
            Some(_) => None,
        }
    }

    fn next_task(
        &mut self,
        runnable: &[&Thread],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        self.0.next_task(runnable, current, is_yielding)
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}
