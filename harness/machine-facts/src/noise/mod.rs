//! The noise floor: what a CPU takes from a thread that does nothing but read the clock.
//!
//! A thread pinned to each CPU reads the clock back to back. Two reads are some nanoseconds apart;
//! where they are further apart, the CPU was away: in an interrupt, with another task, or with
//! another guest. No scheme can be blamed for that, and none can do better.
//!
//! What follows from it is a model, and a plain one. Gaps of more than [`LONG_NS`] are taken to
//! come at the rate seen in the watch, and independently of what is measured. An operation is hit
//! by one if the gap begins while it runs, so that of operations of a length `L` a share of `1 -
//! exp(-rate * L)` is hit: [`Floor::hit_share`]. Beyond the percentile that is left,
//! [`Floor::blameless_percentile`], the machine alone explains the tail.

mod floor;
mod gaps;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use thiserror::Error;

pub use floor::{Floor, GapsOver, LONG_NS, least_comparable_ns, lines, worst};
pub use floor::{percent, time};

use crate::cancel::Cancel;
use crate::clock::Clock;
use crate::gate::Gate;
use crate::topology::{TopologyError, pin_current_thread};
use gaps::Gaps;

/// How long a watch lasts unless somebody says otherwise: some hundred ticks of the kernel.
pub const WATCH: Duration = Duration::from_millis(500);

/// What a watch has seen, in the order of the CPUs that were given.
#[derive(Debug, Clone, Default)]
pub struct Noise {
    /// The floor of each CPU.
    pub floors: Vec<Floor>,
    /// All gaps of each CPU in nanoseconds, also the usual ones between two reads.
    pub histograms: Vec<Histogram<u64>>,
}

impl Noise {
    /// Each histogram with the name of the file it goes to, as a percentile table.
    pub fn files(&self) -> impl Iterator<Item = (String, &Histogram<u64>)> {
        let floors = self.floors.iter().zip(&self.histograms);
        floors.map(|(floor, histogram)| (format!("noise-cpu{}.hgrm", floor.cpu), histogram))
    }
}

/// Why CPUs could not be watched, in one line.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NoiseError {
    /// A CPU that a thread can't be pinned to.
    #[error(transparent)]
    Pin(#[from] TopologyError),
    /// The system gives no more threads.
    #[error("cannot start a thread to watch CPU {cpu}: {source}")]
    Spawn {
        /// The CPU.
        cpu: u32,
        /// What the system said.
        source: io::Error,
    },
    /// A thread could not come, so that the others were sent home.
    #[error("the CPUs could not be watched together")]
    CalledOff,
}

/// Watches these CPUs, all at the same time. A request to stop ends it early, with what was seen
/// until then.
///
/// # Errors
/// A CPU that can't be pinned to, and threads that can't be started.
pub fn watch(
    cpus: &[u32],
    clock: &Clock,
    duration: Duration,
    cancel: &Cancel,
) -> Result<Noise, NoiseError> {
    let (gate, stop) = (Gate::new(), AtomicBool::new(false));
    let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let length = clock.ticks(ns);
    let one = |cpu: u32| -> Result<Gaps, NoiseError> {
        if let Err(error) = pin_current_thread(cpu) {
            gate.call_off();
            return Err(error.into());
        }
        // Before the start: its memory is touched here.
        let mut gaps = Gaps::new();
        let (start, _) = gate.wait(clock).ok_or(NoiseError::CalledOff)?;
        gaps.watch(start, || clock.now(), start.saturating_add(length), &stop);
        Ok(gaps)
    };
    let watched = thread::scope(|scope| {
        let mut threads = Vec::with_capacity(cpus.len());
        for &cpu in cpus {
            let thread = thread::Builder::new().name(format!("watch-{cpu}"));
            match thread.spawn_scoped(scope, move || one(cpu)) {
                Ok(thread) => threads.push(thread),
                Err(source) => {
                    gate.call_off();
                    return Err(NoiseError::Spawn { cpu, source });
                }
            }
        }
        // A sleeper alone is beside the watchers. They know by themselves when to end.
        if gate.open(cpus.len() as u32, clock).is_some() && cancel.sleep(duration) {
            // Relaxed: nothing hangs on it but the end of the watching.
            stop.store(true, Ordering::Relaxed);
        }
        let joined = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        Ok(joined.collect::<Vec<_>>())
    })?;
    told_apart(cpus, watched, clock)
}

/// What was seen on each CPU; or, of several errors, the one that made the others be sent home.
fn told_apart(
    cpus: &[u32],
    watched: Vec<Result<Gaps, NoiseError>>,
    clock: &Clock,
) -> Result<Noise, NoiseError> {
    let (mut floors, mut histograms) = (Vec::new(), Vec::new());
    let mut error = None;
    for (&cpu, watched) in cpus.iter().zip(watched) {
        match watched {
            Ok(gaps) => {
                let (floor, histogram) = Floor::of(cpu, &gaps, clock);
                floors.push(floor);
                histograms.push(histogram);
            }
            Err(NoiseError::CalledOff) => {
                error.get_or_insert(NoiseError::CalledOff);
            }
            Err(cause) => error = Some(cause),
        }
    }
    match error {
        Some(error) => Err(error),
        None => Ok(Noise { floors, histograms }),
    }
}
