//! Where the time of one fault goes: each step of a scheme made cheap in turn, and what that saves.
//!
//! One pinned thread faults on a file that is all in the page cache, with all PTE tables installed;
//! the zaps between passes aren't timed. On a platform of its own, the scheme's steps are counted
//! first. Then one at a time is made cheap, everything else as it is: a read-modify-write becomes a
//! plain load and store, a spinlock a plain store, a barrier or a check goes. The step's cost is
//! the time that a fault saves by it. Which step it is stands in a word that every access compares
//! with its own number; the baseline is the same binary with the same compares and no step that
//! matches.
//!
//! A CPU does several things at once: what hides behind something else costs nothing here, and
//! what two steps wait for together is gone only with both. So the costs don't add up to the whole.

mod platform;
mod steps;
mod subject;
#[cfg(test)]
mod tests;

use std::thread;

use kernel_model::Orders;
use kernel_model::fault_around::FaultAround;
use kernel_model::platform::Native;
use machine_facts::cancel::Cancel;
use machine_facts::clock::Clock;
use machine_facts::progress::Progress;
use machine_facts::statistics::{COVERAGE, Interval};
use machine_facts::topology::{TopologyError, pin_current_thread};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;
use serde::Serialize;
use thiserror::Error;

use crate::machine::order_name;
use subject::{Subject, Variant};

pub use steps::{Kind, Step};

/// A probe that costs a larger share of the fault than this is the layout of its code, mostly.
pub const PROBE_SHARE: f64 = 0.25;

/// How much is timed in a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Visit {
    /// So many passes.
    Passes(u32),
    /// Passes for so many nanoseconds, and at least one.
    Ns(u64),
}

/// What is the same for all schemes of a breakdown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setup {
    /// Pages of the file, a multiple of the window.
    pub pages: u32,
    /// Pages that a fault maps.
    pub window_pages: u32,
    /// Of which orders folios are.
    #[serde(serialize_with = "order_name")]
    pub orders: Orders,
    /// Turns, each of them everything once.
    pub turns: u32,
    /// What each scheme and step gets in a turn.
    pub visit: Visit,
    /// The CPU that the thread is pinned to.
    pub cpu: u32,
    /// Where the order of a turn comes from.
    pub seed: u64,
}

/// A step with what it costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepCost {
    /// The step.
    #[serde(flatten)]
    pub step: Step,
    /// Nanoseconds that a fault saves when it is made cheap, turn by turn; `None` if it is needed.
    pub ns: Option<Interval>,
    /// Whether that is told apart from nothing, and from the noise.
    pub told_apart: bool,
}

/// One scheme's breakdown. All times are nanoseconds per fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Breakdown {
    /// The scheme.
    pub scheme: &'static str,
    /// Whether it is declared broken.
    pub broken: bool,
    /// The whole fault, probed; what the steps are shares of.
    pub total: Interval,
    /// The whole fault on [`Native`].
    pub native: Interval,
    /// What the probe itself costs: `total` less `native`, turn by turn.
    pub probe: Interval,
    /// `total` less the same again: the noise.
    pub again: Interval,
    /// The steps in the order in which a fault first comes to them.
    pub steps: Vec<StepCost>,
    /// The medians of the steps' costs together.
    pub sum_ns: f64,
    /// What is left of the median of the whole: what isn't a step, and what overlaps. May be
    /// below 0.
    pub rest_ns: f64,
}

/// What came out.
#[derive(Debug)]
pub struct Measured {
    /// One for each scheme; none without a turn.
    pub breakdowns: Vec<Breakdown>,
    /// Turns that came to their end: fewer than were asked for if somebody asked to stop.
    pub turns: u32,
}

/// Why nothing came out.
#[derive(Debug, Error)]
pub enum BreakdownError {
    /// The thread could not be put where it belongs.
    #[error(transparent)]
    Pin(#[from] TopologyError),
    /// The system gave no thread.
    #[error("cannot start a thread: {0}")]
    Spawn(std::io::Error),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A pass did something else than the others: its time means nothing.
    #[error("{scheme}{without} mapped {what}")]
    Differs {
        /// The scheme.
        scheme: &'static str,
        /// Without which step.
        without: String,
        /// What it did.
        what: String,
    },
    /// A step that was made cheap left something behind.
    #[error("{scheme} is not as it was after its steps were made cheap: {violation}")]
    Violated {
        /// The scheme.
        scheme: &'static str,
        /// What the audit at rest found first.
        violation: String,
    },
    /// The thread panicked.
    #[error("the measuring thread panicked; its message is above")]
    Panicked,
}

/// Breaks the faults of `schemes` down, on a thread of its own.
///
/// # Errors
/// See [`BreakdownError`]; a request to stop is none, it leaves fewer turns.
pub fn run(
    schemes: &[&'static dyn FaultAround<Native>],
    setup: &Setup,
    clock: &Clock,
    cancel: &Cancel,
    progress: &mut Progress,
) -> Result<Measured, BreakdownError> {
    thread::scope(|scope| {
        let measure = move || {
            pin_current_thread(setup.cpu)?;
            measure(schemes, setup, clock, cancel, progress)
        };
        let builder = thread::Builder::new().name("breakdown".to_owned());
        let thread = builder.spawn_scoped(scope, measure);
        let thread = thread.map_err(BreakdownError::Spawn)?;
        thread.join().map_err(|_| BreakdownError::Panicked)?
    })
}

fn measure(
    schemes: &[&'static dyn FaultAround<Native>],
    setup: &Setup,
    clock: &Clock,
    cancel: &Cancel,
    progress: &mut Progress,
) -> Result<Measured, BreakdownError> {
    let subjects = schemes
        .iter()
        .map(|scheme| Subject::new(*scheme, setup, clock));
    let mut subjects: Vec<Subject> = subjects.collect::<Result<_, _>>()?;
    let mut random = Pcg64Mcg::seed_from_u64(setup.seed);
    let mut turns = 0;
    for turn in 0..setup.turns {
        progress.step_begins(&format!("turn {} of {}", turn + 1, setup.turns));
        match take_turn(&mut subjects, setup, clock, cancel, &mut random) {
            Ok(()) => turns += 1,
            Err(BreakdownError::Interrupted) => break,
            Err(error) => return Err(error),
        }
        progress.step_ended();
    }
    for subject in &subjects {
        subject.audit()?;
    }
    let breakdowns = match turns {
        0 => Vec::new(),
        turns => subjects
            .iter()
            .map(|subject| breakdown(subject, turns as usize))
            .collect(),
    };
    Ok(Measured { breakdowns, turns })
}

/// Everything once. What is compared, the variants of a scheme, comes one right after the other,
/// so that the machine's moods are the same for all of them; the order of the schemes and that of
/// each one's variants are drawn anew.
fn take_turn(
    subjects: &mut [Subject],
    setup: &Setup,
    clock: &Clock,
    cancel: &Cancel,
    random: &mut Pcg64Mcg,
) -> Result<(), BreakdownError> {
    let mut schemes: Vec<usize> = (0..subjects.len()).collect();
    schemes.shuffle(random);
    for scheme in schemes {
        let subject = &mut subjects[scheme];
        let mut order: Vec<_> = subject.variants().into_iter().enumerate().collect();
        order.shuffle(random);
        for (number, variant) in order {
            let ns = subject.visit(variant, setup, clock, cancel)?;
            subject.ns[number].push(ns);
        }
    }
    Ok(())
}

fn breakdown(subject: &Subject, turns: usize) -> Breakdown {
    // A turn that was cut short doesn't count.
    let ns = |wanted: Variant| -> &[f64] {
        let place = subject.variants().iter().position(|it| *it == wanted);
        let times = &subject.ns[place.expect("a variant of this scheme")];
        &times[..turns]
    };
    let interval = |values: &[f64]| Interval::sign_test(values.iter().copied());
    let saved = |by: Variant| {
        let pairs = ns(Variant::Baseline).iter().zip(ns(by));
        Interval::sign_test(pairs.map(|(baseline, other)| baseline - other))
            .expect("there are turns")
    };
    let again = saved(Variant::Again);
    let steps = subject.steps.iter().enumerate().map(|(number, step)| {
        let is_needed = step.kind == Kind::Needed;
        let ns = (!is_needed).then(|| saved(Variant::Without(number)));
        StepCost {
            step: step.clone(),
            told_apart: ns.is_some_and(|ns| is_told_apart(&ns, &again)),
            ns,
        }
    });
    let steps: Vec<StepCost> = steps.collect();
    let costs = steps.iter().filter_map(|step| step.ns.as_ref());
    let sum_ns = costs.map(|cost| cost.median).sum();
    let total = interval(ns(Variant::Baseline)).expect("there are turns");
    Breakdown {
        scheme: subject.about.name,
        broken: !subject.about.verdict.is_sound(),
        native: interval(ns(Variant::Native)).expect("there are turns"),
        probe: saved(Variant::Native),
        again,
        steps,
        sum_ns,
        rest_ns: total.median - sum_ns,
        total,
    }
}

/// Whether a difference says anything: its interval covers 95 %, which takes six turns, excludes 0,
/// and lies wholly outside that of the baseline's second run.
fn is_told_apart(cost: &Interval, noise: &Interval) -> bool {
    let outside_noise = cost.lo > noise.hi || cost.hi < noise.lo;
    cost.coverage >= COVERAGE && cost.excludes(0.0) && outside_noise
}
