//! The running kernel as yardstick: what its faults and removals cost, what the model lacks of
//! that, how far the model that carries it is from the kernel, and what a patch would bring.

mod bench;
mod burden;
mod cost;
mod drift;
mod fidelity;
mod file;
mod fit;
#[cfg(any(test, feature = "fixture"))]
pub mod fixture;
mod flush;
mod projection;
mod removal;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::thread;

use kernel_model::platform::{Burden, Burdened};
use machine_facts::cancel::Cancel;
use machine_facts::clock::Clock;
use machine_facts::statistics::Spread;
use machine_facts::topology::pin_current_thread;
use measuring::cell::{CellError, Setup, Subject};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

use crate::host::FileKind;

pub use burden::{Carried, name_of};
pub use fidelity::{Compared, Fidelity, Met};
pub use file::{CalibrationError, FILE, Recorded, SCHEMA_VERSION};
pub use fit::Fit;
pub use flush::Flush;
pub use projection::Projected;

use bench::{Bench, Found};
use burden::Need;

/// Whose cost something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The running kernel's.
    Kernel,
    /// The model's own.
    Bare,
    /// That of the model with the kernel's remaining work.
    Calibrated,
}

/// What faults of one kind cost by the pages that they map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultCost {
    /// The kernel's file, or the model's scheme.
    pub of: String,
    /// Whose it is.
    pub side: Side,
    /// The order of the folios, as far as the writes say: the model's are of that order for
    /// certain.
    pub order: u8,
    /// What windows of several sizes cost.
    pub fit: Fit,
}

/// What an operation costs by the pages that it removes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemovalCost {
    /// As removers are called.
    pub call: String,
    /// Whether the pages were mapped.
    pub mapped: bool,
    /// Whose it is.
    pub side: Side,
    /// What ranges of several sizes cost.
    pub fit: Fit,
}

/// All that a calibration found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Whether it came to its end.
    pub complete: bool,
    /// The scheme of the model that stands for what this kernel does.
    pub scheme: String,
    /// Rounds that the fits rest on.
    pub fit_rounds: u32,
    /// Faults.
    pub faults: Vec<FaultCost>,
    /// Removals, on a memfd and on the models.
    pub removals: Vec<RemovalCost>,
    /// Interrupts for TLB flushes; `None` with one CPU.
    pub flush: Option<Flush>,
    /// What the calibrated model carries.
    pub carried: Carried,
    /// How far the calibrated model is from the kernel; `None` if it wasn't come to that.
    pub fidelity: Option<Fidelity>,
    /// What the schemes would make of the kernel's faults.
    pub projected: Vec<Projected>,
}

/// What is calibrated, and how long.
#[derive(Clone)]
pub struct Request {
    /// The kernel's files: a memfd first, with folios of one page.
    pub files: Vec<FileKind>,
    /// The memfd again, with who faults on it.
    pub subject: Subject,
    /// The model's scheme.
    pub scheme: String,
    /// What storms are like.
    pub setup: Setup,
    /// Rounds of fits.
    pub rounds: u32,
    /// Rounds of storms.
    pub storm_rounds: u32,
    /// Where random choices come from.
    pub seed: u64,
}

/// What all parts of a calibration share.
pub(crate) struct Stage<'a> {
    scheme: String,
    seed: u64,
    clock: &'a Clock,
    cancel: &'a Cancel,
    watcher: &'a mut (dyn Watcher + Send),
}

/// What follows a calibration.
pub trait Watcher {
    /// A part of it begins, of so many rounds.
    fn part_begins(&mut self, what: &str, rounds: u32);
    /// One of them is over.
    fn round_over(&mut self);
}

/// Rounds for tuning loops, at most, and how often that is repeated.
const TUNING_ROUNDS: u32 = 40;
const TUNINGS: u32 = 13;

/// A calibration that did not come to its end.
#[derive(Debug)]
pub struct Stopped {
    /// Why.
    pub error: CellError,
    /// What had been found by then.
    pub kept: Option<Box<Calibration>>,
}

/// Calibrates.
///
/// # Errors
/// See [`CellError`]; what was found before is kept.
pub fn calibrate(
    request: &Request,
    clock: &Clock,
    cancel: &Cancel,
    watcher: &mut (dyn Watcher + Send),
) -> Result<Calibration, Stopped> {
    let mut kept = None;
    run(request, clock, cancel, watcher, &mut kept).map_err(|error| Stopped {
        error,
        kept: kept.map(Box::new),
    })
}

/// Does so part by part; what is whole of it is kept, where it doesn't come to its end.
fn run(
    request: &Request,
    clock: &Clock,
    cancel: &Cancel,
    watcher: &mut (dyn Watcher + Send),
    kept: &mut Option<Calibration>,
) -> Result<Calibration, CellError> {
    let mut random = Pcg64Mcg::seed_from_u64(request.seed);
    let (found, tuned) = on_cpu(request.setup.cpus[0], || {
        tune(request, clock, cancel, watcher, &mut random, kept)
    })?;
    let kept = kept.insert(tuned);
    let mut stage = Stage {
        scheme: request.scheme.clone(),
        seed: request.seed,
        clock,
        cancel,
        watcher,
    };
    let (setup, rounds) = (&request.setup, request.storm_rounds);
    let (mut fidelity, ended) =
        fidelity::run(&mut stage, &request.subject, setup, rounds, &mut random);
    fidelity.rows.splice(0..0, found.compared());
    kept.fidelity = Some(fidelity);
    ended?;
    // What a page of a large folio takes isn't known where none was measured.
    let orders = [0, LARGE].into_iter();
    let is_known = |order: &u8| *order == 0 || found.kernel.large.is_some();
    for order in orders.filter(is_known) {
        let (projected, ended) = projection::run(&mut stage, setup, order, rounds);
        kept.projected.extend(projected);
        ended?;
    }
    Ok(Calibration {
        complete: true,
        ..kept.clone()
    })
}

/// Works on a CPU, on a thread of its own, so that what is started later isn't bound to it.
fn on_cpu<T: Send>(
    cpu: u32,
    work: impl FnOnce() -> Result<T, CellError> + Send,
) -> Result<T, CellError> {
    thread::scope(|scope| {
        let pinned = || {
            pin_current_thread(cpu)?;
            work()
        };
        let thread = thread::Builder::new().name("calibrate".to_owned());
        let thread = thread
            .spawn_scoped(scope, pinned)
            .map_err(CellError::Spawn)?;
        thread.join().map_err(|_| CellError::Panicked)?
    })
}

/// The median of what was measured; not a number if that is nothing.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    Spread::of(values).map_or(f64::NAN, |spread| spread.median)
}

/// Measures what faults and removals cost, and brings the loops that the calibrated model carries
/// to their lengths.
fn tune(
    request: &Request,
    clock: &Clock,
    cancel: &Cancel,
    watcher: &mut (dyn Watcher + Send),
    random: &mut Pcg64Mcg,
    kept: &mut Option<Calibration>,
) -> Result<(Found, Calibration), CellError> {
    Burdened::carry(Burden::default());
    watcher.part_begins("what faults and removals cost", TUNINGS + 1);
    let rounds = request.rounds.min(TUNING_ROUNDS);
    let mut bench = Bench::new(request, clock)?;
    let flush = match request.setup.cpus.get(1) {
        Some(other) => flush::measure(&request.files[0], *other, rounds, clock)?,
        None => None,
    };
    let calibration = |found: &Found, fit_rounds, turns| {
        // What is said to remain is what these rounds found, and no others.
        let remaining = burden::remaining(&found.kernel, &found.bare, flush.as_ref()).remaining_ns;
        Calibration {
            complete: false,
            scheme: request.scheme.clone(),
            fit_rounds,
            faults: found.faults.clone(),
            removals: found.removals.clone(),
            flush,
            carried: Carried {
                remaining_ns: remaining,
                turns,
            },
            fidelity: None,
            projected: Vec::new(),
        }
    };
    let ns_per_turn = bench.ns_per_turn(clock)?;
    let mut carried = Carried::default();
    let mut needs = Vec::new();
    for step in 0..TUNINGS {
        let found = bench.measure(rounds, clock, random, cancel)?;
        if step == 0 {
            carried = burden::remaining(&found.kernel, &found.bare, flush.as_ref());
            carried.guess(ns_per_turn);
        } else {
            let (kernel, burdened) = (&found.kernel, &found.calibrated);
            let mut needed = carried.clone();
            burden::correct(&mut needed, kernel, burdened, flush.as_ref(), ns_per_turn);
            needs.push(Need {
                time_ns: kernel.fault_ns() + burdened.fault_ns(),
                turns: needed.turns,
            });
            // All of them so far, so that the noise of each look is averaged.
            carried.turns = burden::mean(&needs);
        }
        // Loops that aren't at their length yet are kept by none.
        let mut so_far = calibration(&found, rounds, BTreeMap::new());
        so_far.faults.retain(|cost| cost.side != Side::Calibrated);
        so_far.removals.retain(|cost| cost.side != Side::Calibrated);
        *kept = Some(so_far);
        Burdened::carry(carried.burden());
        watcher.round_over();
    }
    carried.turns = burden::undisturbed(needs);
    Burdened::carry(carried.burden());
    let found = bench.measure(request.rounds, clock, random, cancel)?;
    let tuned = calibration(&found, request.rounds, carried.turns);
    watcher.round_over();
    Ok((found, tuned))
}

/// The order of large folios that schemes are compared on: a window is one of them.
pub const LARGE: u8 = 4;
