//! The running kernel as yardstick: what its faults and removals cost, what the model lacks of that,
//! how far the model that carries it is from the kernel, and what a patch would bring.

mod burden;
mod cost;
mod drift;
mod fidelity;
mod file;
mod fit;
mod flush;
mod projection;
mod removal;
mod report;
#[cfg(test)]
mod tests;

use std::thread;

use kernel_model::platform::{Burden, Burdened, Native, TURN, Work};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use crate::cell::{CellError, Setup};
use crate::clock::Clock;
use crate::host::FileKind;
use crate::statistics::Interval;
use crate::subject::Subject;
use crate::topology::pin_current_thread;

pub use burden::{Carried, name_of};
pub use fidelity::{Compared, Fidelity};
pub use file::{CalibrationError, FILE, Recorded, SCHEMA_VERSION};
pub use fit::Fit;
pub use flush::Flush;
pub use projection::Projected;
pub(crate) use report::add_fidelity_of;
pub use report::{markdown, text};

use burden::Measured;
use cost::Measurable;
use fit::Part;
use removal::{CASES, Removable, Removals};

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
    /// The order of the folios, as far as the writes say: the model's are of that order for certain.
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
    /// The scheme of the model that stands for what this kernel does.
    pub scheme: String,
    /// Faults.
    pub faults: Vec<FaultCost>,
    /// Removals, on a memfd and on the models.
    pub removals: Vec<RemovalCost>,
    /// Interrupts for TLB flushes; `None` with one CPU.
    pub flush: Option<Flush>,
    /// What the calibrated model carries.
    pub carried: Carried,
    /// How far the calibrated model is from the kernel.
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

/// Who follows a calibration.
pub trait Watcher {
    /// A part of it begins, of so many rounds.
    fn part_begins(&mut self, what: &str, rounds: u32);
    /// One of them is over.
    fn round_over(&mut self);
}

/// Windows that are measured.
const WINDOWS: [u32; 5] = [1, 2, 4, 8, 16];
/// Rounds for tuning loops, at most, and how often that is repeated.
const TUNING_ROUNDS: u32 = 15;
const TUNINGS: u32 = 7;
/// Turns of the loop by which a turn is timed.
const TIMED_TURNS: u32 = 2000;

/// Calibrates.
///
/// # Errors
/// See [`CellError`].
pub fn calibrate(
    request: &Request,
    clock: &Clock,
    cancel: &Cancel,
    watcher: &mut (dyn Watcher + Send),
) -> Result<Calibration, CellError> {
    let mut random = Pcg64Mcg::seed_from_u64(request.seed);
    let tuned = thread::scope(|scope| {
        // On a thread of its own, so that what is started later isn't bound to its CPU.
        let work = || {
            pin_current_thread(request.setup.cpus[0])?;
            tune(request, clock, cancel, watcher, &mut random)
        };
        let thread = thread::Builder::new().name("calibrate".to_owned());
        let thread = thread.spawn_scoped(scope, work).map_err(CellError::Spawn)?;
        thread.join().map_err(|_| CellError::Panicked)?
    })?;
    let Tuned {
        found,
        carried,
        flush,
    } = tuned;
    let mut stage = Stage {
        scheme: request.scheme.clone(),
        seed: request.seed,
        clock,
        cancel,
        watcher,
    };
    let Request {
        subject,
        setup,
        storm_rounds,
        ..
    } = request;
    let mut fidelity = fidelity::run(&mut stage, subject, setup, *storm_rounds, &mut random)?;
    if let Some(fidelity) = &mut fidelity {
        fidelity.rows.splice(0..0, found.compared());
    }
    let mut projected = Vec::new();
    // What a page of a large folio takes isn't known where none was measured.
    let orders = [0, LARGE].into_iter();
    let is_known = |order: &u8| *order == 0 || found.kernel.large.is_some();
    for order in orders.filter(is_known) {
        projected.extend(projection::run(&mut stage, setup, order, *storm_rounds)?);
    }
    Ok(Calibration {
        scheme: request.scheme.clone(),
        faults: found.faults,
        removals: found.removals,
        flush,
        carried,
        fidelity,
        projected,
    })
}

/// What the fits came to.
struct Tuned {
    found: Found,
    carried: Carried,
    flush: Option<Flush>,
}

/// Measures what faults and removals cost, and brings the loops that the calibrated model carries to
/// their lengths.
fn tune(
    request: &Request,
    clock: &Clock,
    cancel: &Cancel,
    watcher: &mut (dyn Watcher + Send),
    random: &mut Pcg64Mcg,
) -> Result<Tuned, CellError> {
    Burdened::carry(Burden::default());
    watcher.part_begins("what faults and removals cost", TUNINGS + 1);
    let rounds = request.rounds.min(TUNING_ROUNDS);
    let mut bench = Bench::new(request, clock)?;
    let flush = match request.setup.cpus.get(1) {
        Some(other) => flush::measure(&request.files[0], *other, rounds, clock)?,
        None => None,
    };
    let ns_per_turn = bench.ns_per_turn(clock)?;
    let mut carried = Carried::default();
    for step in 0..TUNINGS {
        let found = bench.measure(rounds, clock, random, cancel)?;
        if step == 0 {
            carried = burden::remaining(&found.kernel, &found.bare, flush.as_ref());
            carried.guess(ns_per_turn);
        } else {
            let burdened = &found.calibrated;
            burden::correct(
                &mut carried,
                &found.kernel,
                burdened,
                flush.as_ref(),
                ns_per_turn,
                1.0 / f64::from(step),
            );
        }
        Burdened::carry(carried.burden());
        watcher.round_over();
    }
    let found = bench.measure(request.rounds, clock, random, cancel)?;
    // What is said to remain is what these rounds found, and no others.
    let remaining = burden::remaining(&found.kernel, &found.bare, flush.as_ref());
    carried.remaining_ns = remaining.remaining_ns;
    watcher.round_over();
    Ok(Tuned {
        found,
        carried,
        flush,
    })
}

/// The order of large folios that schemes are compared on: a window is one of them.
const LARGE: u8 = 4;

/// All that is measured by turns.
struct Bench<'a> {
    faults: Vec<Box<dyn Measurable + 'a>>,
    named: Vec<(String, Side, u8)>,
    removals: Vec<Box<dyn Removable + 'a>>,
    windows: Vec<u32>,
}

/// What a number of rounds found.
struct Found {
    faults: Vec<FaultCost>,
    removals: Vec<RemovalCost>,
    kernel: Measured,
    bare: Measured,
    calibrated: Measured,
}

impl<'a> Bench<'a> {
    fn new(request: &Request, clock: &Clock) -> Result<Self, CellError> {
        let window = request.setup.sizes.window_pages;
        let windows: Vec<_> = WINDOWS.into_iter().filter(|it| *it <= window).collect();
        let mut faults: Vec<Box<dyn Measurable>> = Vec::new();
        let mut named = Vec::new();
        let mut orders = vec![0];
        for kind in &request.files {
            let order = kind.write_pages.ilog2() as u8;
            orders.push(order);
            faults.push(Box::new(cost::OnKernel::new(kind, &windows)?));
            named.push((kind.name.clone(), Side::Kernel, order));
        }
        orders.sort_unstable();
        orders.dedup();
        let scheme = &request.scheme;
        for order in orders {
            let bare = cost::OnModel::<Native>::new(scheme, order, &windows, clock);
            let burdened = cost::OnModel::<Burdened>::new(scheme, order, &windows, clock);
            faults.push(Box::new(bare));
            named.push((scheme.clone(), Side::Bare, order));
            faults.push(Box::new(burdened));
            named.push((scheme.clone(), Side::Calibrated, order));
        }
        let removals: Vec<Box<dyn Removable>> = vec![
            Box::new(removal::OnKernel::new(&request.files[0])?),
            Box::new(removal::OnModel::<Native>::new(scheme, clock)),
            Box::new(removal::OnModel::<Burdened>::new(scheme, clock)),
        ];
        Ok(Self {
            faults,
            named,
            removals,
            windows,
        })
    }

    /// How long a turn takes, by how much longer it makes a fault.
    fn ns_per_turn(&mut self, clock: &Clock) -> Result<f64, CellError> {
        let burdened =
            |(_, side, order): &(String, Side, u8)| (*side, *order) == (Side::Calibrated, 0);
        let at = self.named.iter().position(burdened).unwrap_or(0);
        let mut burden = Burden::default();
        let without = self.faults[at].fault_ns(1, clock)?;
        burden[Work::Fault] = TIMED_TURNS * TURN;
        Burdened::carry(burden);
        let with = self.faults[at].fault_ns(1, clock)?;
        Burdened::carry(Burden::default());
        Ok((with - without) / f64::from(TIMED_TURNS))
    }

    fn measure(
        &mut self,
        rounds: u32,
        clock: &Clock,
        random: &mut Pcg64Mcg,
        cancel: &Cancel,
    ) -> Result<Found, CellError> {
        let windows = &self.windows;
        let faults = cost::by_turns(&mut self.faults, windows, rounds, clock, random, cancel)?;
        let removals = removal::by_turns(&mut self.removals, rounds, clock, random, cancel)?;
        let side = |wanted: Side, removals: &Removals| {
            let fit = |is: &dyn Fn(u8) -> bool| {
                let mut found = self.named.iter().zip(&faults);
                let found = found.find(|((_, side, order), _)| *side == wanted && is(*order));
                found.and_then(|(_, fit)| fit.clone())
            };
            Measured {
                small: fit(&|order| order == 0),
                large: fit(&|order| order == LARGE),
                removals: Some(removals.clone()),
            }
        };
        let kernel = side(Side::Kernel, &removals[0]);
        let bare = side(Side::Bare, &removals[1]);
        let calibrated = side(Side::Calibrated, &removals[2]);
        let costs = self
            .named
            .iter()
            .zip(&faults)
            .filter_map(|((of, side, order), fit)| {
                Some(FaultCost {
                    of: of.clone(),
                    side: *side,
                    order: *order,
                    fit: fit.clone()?,
                })
            });
        let sides = [Side::Kernel, Side::Bare, Side::Calibrated]
            .into_iter()
            .zip(&removals);
        let removal_costs = sides.flat_map(|(side, removals)| {
            CASES
                .iter()
                .zip(&removals.fits)
                .filter_map(move |(case, fit)| {
                    Some(RemovalCost {
                        call: case.call.to_owned(),
                        mapped: case.mapped,
                        side,
                        fit: fit.clone()?,
                    })
                })
        });
        Ok(Found {
            faults: costs.collect(),
            removals: removal_costs.collect(),
            kernel,
            bare,
            calibrated,
        })
    }
}

/// The goal for slopes.
const SLOPE_GOAL: f64 = 0.10;

impl Found {
    fn ratio(&self, of: fn(&Measured) -> &Option<Fit>, part: Part) -> Option<Interval> {
        of(&self.calibrated)
            .as_ref()?
            .ratio_to(of(&self.kernel).as_ref()?, part)
    }

    /// The rows of the fidelity table that are fits.
    fn compared(&self) -> Vec<Compared> {
        type Of = fn(&Measured) -> &Option<Fit>;
        let fits: [(&str, Of); 2] = [("order 0", |it| &it.small), ("order 4", |it| &it.large)];
        let parts = [
            ("a page", Part::Slope, Some(SLOPE_GOAL)),
            ("a fault", Part::Intercept, None),
        ];
        let rows = fits.into_iter().flat_map(|(folios, of)| {
            parts.into_iter().filter_map(move |(what, part, goal)| {
                let figure = |side: &Measured| {
                    let fit = of(side).as_ref();
                    fit.map(|fit| match part {
                        Part::Slope => fit.page_ns,
                        Part::Intercept => fit.intercept_ns,
                    })
                };
                Some(Compared {
                    what: format!("{what}, {folios}"),
                    unit: "ns".to_owned(),
                    kernel: figure(&self.kernel)?,
                    calibrated: figure(&self.calibrated)?,
                    bare: figure(&self.bare)?,
                    ratio: self.ratio(of, part)?,
                    goal,
                })
            })
        });
        rows.chain(self.slow()).collect()
    }

    /// The row of faults on what isn't in the page cache.
    fn slow(&self) -> Option<Compared> {
        let sides = [&self.kernel, &self.calibrated, &self.bare];
        let [kernel, calibrated, bare] = sides.map(|side| side.removals.as_ref());
        let (kernel, calibrated) = (&kernel?.slow_ns, &calibrated?.slow_ns);
        let ratio = calibrated
            .iter()
            .zip(kernel)
            .map(|(model, kernel)| model / kernel);
        Some(Compared {
            what: "a missing page".to_owned(),
            unit: "ns".to_owned(),
            kernel: Interval::bootstrap(kernel.iter().copied())?,
            calibrated: Interval::bootstrap(calibrated.iter().copied())?,
            bare: Interval::bootstrap(bare?.slow_ns.iter().copied())?,
            ratio: Interval::bootstrap(ratio)?,
            goal: None,
        })
    }
}
