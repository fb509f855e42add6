//! What all threads of a cell go by: when it starts, when it is measured, when it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use machine_facts::clock::{Clock, Ticks};
use machine_facts::gate::Gate;
use machine_facts::topology::pin_current_thread;

use super::{CellError, Setup};
use crate::control::Control;

/// Longer waits than this are slept through, up to this much before their end.
const SLEEP_BEYOND_NS: u64 = 2_000_000;

/// What all threads of a cell see, whatever they fault on.
pub struct Course {
    /// What is the same for all cells of the run.
    pub setup: Setup,
    /// The number of fault threads.
    pub fault_threads: u32,
    /// What is done to it so that its result is known beforehand.
    pub control: Option<Control>,
    /// Where its random choices come from.
    pub seed: u64,
    /// What it is timed by.
    pub clock: Clock,
    /// What its threads start through.
    pub gate: Gate,
    called_off: AtomicBool,
}

/// When a thread began, and what is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phases {
    pub(super) started: Ticks,
    pub(super) measured: Ticks,
    pub(super) end: Ticks,
}

impl Course {
    /// A course that has not begun.
    pub fn new(
        setup: &Setup,
        fault_threads: u32,
        control: Option<Control>,
        seed: u64,
        clock: &Clock,
    ) -> Self {
        Self {
            setup: setup.clone(),
            fault_threads,
            control,
            seed,
            clock: clock.clone(),
            gate: Gate::new(),
            called_off: AtomicBool::new(false),
        }
    }

    /// Pins the calling thread as number `thread` of the cell and waits for the start.
    pub(super) fn begin(&self, thread: u32) -> Result<(u32, Phases), CellError> {
        let cpu = self.setup.cpus[thread as usize % self.setup.cpus.len()];
        if let Err(error) = pin_current_thread(cpu) {
            self.gate.call_off();
            return Err(error.into());
        }
        let (set, started) = self.gate.wait(&self.clock).ok_or(CellError::Interrupted)?;
        let measured = set + self.clock.ticks(self.setup.warm_up_ns);
        let end = measured + self.clock.ticks(self.setup.duration_ns);
        Ok((
            cpu,
            Phases {
                started,
                measured,
                end,
            },
        ))
    }

    /// Waits for a moment, or until the cell is called off; sleeps through what is long.
    pub(super) fn wait_until(&self, moment: Ticks) {
        let slack = self.clock.ticks(SLEEP_BEYOND_NS);
        loop {
            let left = moment.saturating_sub(self.clock.now());
            if left <= slack || self.is_called_off() {
                break;
            }
            // In slices, so that a slow cell can be interrupted.
            let sleep = Duration::from_nanos(self.clock.ns(left - slack));
            thread::sleep(sleep.min(Duration::from_millis(50)));
        }
        if !self.is_called_off() {
            self.clock.spin_until(moment);
        }
    }

    /// Makes every thread of the cell come to its end.
    pub fn call_off(&self) {
        // Relaxed: nothing hangs on it but the end of the work.
        self.called_off.store(true, Ordering::Relaxed);
    }

    /// Whether that has been done.
    pub fn is_called_off(&self) -> bool {
        self.called_off.load(Ordering::Relaxed)
    }
}
