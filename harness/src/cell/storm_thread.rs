//! A storm thread: one operation after the other, flat out or at a rate.

use std::time::Duration;

use hdrhistogram::Histogram;
use kernel_model::{RemovalCounters, Task};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use super::{CellError, Phases, Shared, thread_seed};
use crate::clock::Ticks;
use crate::recorder::Recorder;
use crate::storms::Operation;

/// What a storm thread brings home.
#[derive(Debug)]
pub struct StormThread {
    /// The CPU that it was pinned to.
    pub cpu: u32,
    /// Its operations' latencies in nanoseconds: from the intended start where there is a rate.
    pub histogram: Histogram<u64>,
    /// Latencies beyond the histogram's range.
    pub beyond: u64,
    /// What its operations counted.
    pub counters: RemovalCounters,
    /// When it started.
    pub(super) started: Ticks,
}

/// Operations between two drains of the recorder.
const BATCH: u64 = 1024;

/// Longer waits than this are slept through, up to this much before their end.
const SLEEP_BEYOND_NS: u64 = 2_000_000;

/// When operations are meant to start.
struct Schedule {
    next: f64,
    /// Between two operations; `None`: each starts when the one before has ended.
    interval: Option<f64>,
}

impl Schedule {
    /// Storm threads take turns, so that together they keep the rate evenly.
    fn new(shared: &Shared, number: u32, start: Ticks) -> Self {
        let threads = f64::from(shared.setup.storm_threads);
        let second = shared.clock.ticks(1_000_000_000) as f64;
        let interval = shared.setup.rate_per_s.map(|rate| second / rate * threads);
        let turn = interval.map_or(0.0, |interval| interval * f64::from(number) / threads);
        Self {
            next: start as f64 + turn,
            interval,
        }
    }

    /// Waits for the next start, and returns the intended one; `None` if that is not before `end`.
    fn wait(&mut self, shared: &Shared, end: Ticks) -> Option<Ticks> {
        let clock = &shared.clock;
        let Some(interval) = self.interval else {
            return Some(clock.now());
        };
        let intended = self.next as Ticks;
        self.next += interval;
        if intended >= end {
            return None;
        }
        let slack = clock.ticks(SLEEP_BEYOND_NS);
        loop {
            let left = intended.saturating_sub(clock.now());
            if left <= slack || shared.is_called_off() {
                break;
            }
            // In slices, so that a slow storm can be interrupted.
            let sleep = Duration::from_nanos(clock.ns(left - slack));
            std::thread::sleep(sleep.min(Duration::from_millis(50)));
        }
        if !shared.is_called_off() {
            clock.spin_until(intended);
        }
        Some(intended)
    }
}

pub(super) fn run(shared: &Shared, number: u32) -> Result<StormThread, CellError> {
    let thread = shared.cell.fault_threads + number;
    let sizes = &shared.setup.sizes;
    let target = sizes.target();
    let mut random = Pcg64Mcg::seed_from_u64(thread_seed(shared.seed, u64::from(thread)));
    let mut task = Task::new(thread);
    let mut recorder = Recorder::new(BATCH as usize);
    let (
        cpu,
        Phases {
            started,
            measured,
            end,
        },
    ) = shared.begin(thread)?;

    let storm = shared.cell.storm;
    let (machine, clock) = (&shared.machine, &shared.clock);
    let mut schedule = Schedule::new(shared, number, started);
    let mut warming_up = true;
    let mut operations = 0;
    while let Some(intended) = schedule.wait(shared, end) {
        if warming_up && intended >= measured {
            warming_up = false;
            task.removals = RemovalCounters::default();
            recorder.discard();
            operations = 0;
        }
        let Operation { remover, range } = storm.next(&target, &mut random);
        let start = schedule.interval.map_or_else(|| clock.now(), |_| intended);
        remover.remove(&machine.system, &machine.mapping, range.clone(), &mut task);
        let done = clock.now();
        recorder.push(done - start);
        operations += 1;
        target.mend(&machine.system, &machine.mapping, range, &mut task);
        if operations % BATCH == 0 {
            if warming_up {
                recorder.discard();
            } else {
                recorder.drain(clock);
            }
        }
        if done >= end || shared.is_called_off() {
            break;
        }
    }
    if warming_up {
        // Not a single operation began in the measured time.
        task.removals = RemovalCounters::default();
        recorder.discard();
    }
    recorder.drain(clock);
    Ok(StormThread {
        cpu,
        histogram: recorder.histogram,
        beyond: recorder.beyond,
        counters: task.removals,
        started,
    })
}
