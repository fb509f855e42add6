//! What a TLB flush costs where the mm runs on another CPU: the remover, which waits for the
//! interrupt to be answered, and the CPU that is interrupted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use machine_facts::clock::{Clock, Ticks};
use machine_facts::statistics::Interval;
use machine_facts::topology::pin_current_thread;
use measuring::cell::CellError;
use serde::{Deserialize, Serialize};

use super::removal::{Case, OnKernel, PUNCH_HOLE, Removable, SIZES};
use crate::host::FileKind;

/// What an interrupt for a flush costs, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Flush {
    /// What a removal takes longer where the mm also runs elsewhere.
    pub remover_ns: Interval,
    /// What the other CPU loses each time.
    pub interrupted_ns: Interval,
}

/// Operations of one measurement.
const OPERATIONS: u64 = 32;
/// A longer time between two reads of the clock is an interruption.
const GAP_NS: u64 = 400;

/// The other CPU's thread: it does nothing but notice that it is interrupted.
#[derive(Default)]
struct Spinner {
    asleep: AtomicBool,
    is_asleep: AtomicBool,
    lost: AtomicU64,
    over: AtomicBool,
}

impl Spinner {
    fn spin(&self, clock: &Clock) {
        let gap: Ticks = clock.ticks(GAP_NS);
        let mut last = clock.now();
        while !self.over.load(Relaxed) {
            let now = clock.now();
            if now - last > gap {
                self.lost.fetch_add(now - last, Relaxed);
            }
            last = now;
            while self.asleep.load(Relaxed) && !self.over.load(Relaxed) {
                self.is_asleep.store(true, Relaxed);
                thread::sleep(Duration::from_millis(1));
                last = clock.now();
            }
            self.is_asleep.store(false, Relaxed);
        }
    }

    /// Until it sleeps, or spins.
    fn set_asleep(&self, asleep: bool) {
        self.asleep.store(asleep, Relaxed);
        while self.is_asleep.load(Relaxed) != asleep && !self.over.load(Relaxed) {
            thread::sleep(Duration::from_micros(200));
        }
    }
}

/// Measures it with a thread on `other`; the calling thread is pinned elsewhere.
pub(super) fn measure(
    kind: &FileKind,
    other: u32,
    rounds: u32,
    clock: &Clock,
) -> Result<Option<Flush>, CellError> {
    let mut removals = OnKernel::new(kind)?;
    let spinner = Spinner::default();
    let (mut waits, mut losses) = (Vec::new(), Vec::new());
    thread::scope(|scope| -> Result<(), CellError> {
        let spinning = thread::Builder::new().name("flushed".to_owned());
        let spin = || {
            let pinned = pin_current_thread(other);
            if pinned.is_ok() {
                spinner.spin(clock);
            }
            spinner.over.store(true, Relaxed);
            pinned
        };
        let spinning = spinning
            .spawn_scoped(scope, spin)
            .map_err(CellError::Spawn)?;
        let mut measured = || -> Result<(), CellError> {
            for _ in 0..rounds {
                let mut run = |mapped, asleep| {
                    spinner.set_asleep(asleep);
                    batch(&mut removals, &spinner, mapped, clock)
                };
                let (alone, _) = run(true, true)?;
                let (beside, lost) = run(true, false)?;
                // What it loses to other things while nothing is flushed.
                let (_, lost_anyway) = run(false, false)?;
                waits.push(beside - alone);
                losses.push(lost - lost_anyway);
            }
            Ok(())
        };
        let measured = measured();
        spinner.over.store(true, Relaxed);
        spinning.join().map_err(|_| CellError::Panicked)??;
        measured
    })?;
    let interval = |values: Vec<f64>| Interval::bootstrap(values);
    Ok(interval(waits)
        .zip(interval(losses))
        .map(|(remover_ns, interrupted_ns)| Flush {
            remover_ns,
            interrupted_ns,
        }))
}

/// The median time of an operation, and what the spinner lost in each; both in nanoseconds.
fn batch(
    removals: &mut OnKernel,
    spinner: &Spinner,
    mapped: bool,
    clock: &Clock,
) -> Result<(f64, f64), CellError> {
    let case = Case {
        call: PUNCH_HOLE,
        mapped,
    };
    let mut times = Vec::new();
    let mut lost = 0;
    for _ in 0..OPERATIONS {
        // What setting the operation up flushes is not counted: it is over when this reads.
        let before = spinner.lost.load(Relaxed);
        times.push(removals.once(case, SIZES[0], clock)? as f64);
        lost += spinner.lost.load(Relaxed) - before;
    }
    times.sort_by(f64::total_cmp);
    Ok((
        times[times.len() / 2],
        clock.ns(lost) as f64 / OPERATIONS as f64,
    ))
}
