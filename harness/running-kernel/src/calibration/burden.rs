//! What the kernel does beyond the model, as work that the model carries: found in a closed loop,
//! since a CPU does part of a loop beside what is around it.

use std::collections::BTreeMap;

use kernel_model::platform::{Burden, TURN, Work};
use serde::{Deserialize, Serialize};

use super::fit::{Fit, Part};
use super::flush::Flush;
use super::median;
use super::removal::{CASES, Case, PUNCH_HOLE, Removals};

/// The work that the model carries when it is calibrated.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    /// By the name of its kind: what the kernel takes longer than the bare model, in nanoseconds;
    /// nothing where that is less than nothing.
    pub remaining_ns: BTreeMap<String, f64>,
    /// The same as the length of the loops that stand for it, in turns on the machine that was
    /// calibrated.
    pub turns: BTreeMap<String, f64>,
}

/// The name of a kind of work.
pub fn name_of(work: Work) -> &'static str {
    match work {
        Work::Fault => "fault",
        Work::Range => "range",
        Work::Page => "page",
        Work::Slow => "slow",
        Work::Removal => "removal",
        Work::RemovedFolio => "removed-folio",
        Work::ZappedPage => "zapped-page",
        Work::Flush => "flush",
        Work::Flushed => "flushed",
    }
}

impl Carried {
    /// As the platform takes it.
    pub fn burden(&self) -> Burden {
        let mut burden = Burden::default();
        for work in Work::ALL {
            let turns = self.turns.get(name_of(work)).copied().unwrap_or(0.0);
            burden[work] = (turns * f64::from(TURN))
                .round()
                .clamp(0.0, f64::from(u32::MAX)) as u32;
        }
        burden
    }

    /// What some work has to take, in nanoseconds.
    pub(super) fn want(&mut self, work: Work, ns: f64) {
        let ns = if ns.is_finite() { ns.max(0.0) } else { 0.0 };
        self.remaining_ns.insert(name_of(work).to_owned(), ns);
    }

    /// Loops as long as what is wanted, if a turn takes so long.
    pub(super) fn guess(&mut self, ns_per_turn: f64) {
        let turns = |(name, ns): (&String, &f64)| (name.clone(), ns / ns_per_turn);
        self.turns = self.remaining_ns.iter().map(turns).collect();
    }

    /// Corrects some work's loop by what is missing of it, in nanoseconds.
    pub(super) fn correct(&mut self, work: Work, missing_ns: f64, ns_per_turn: f64) {
        let wanted = self.remaining_ns.get(name_of(work)).copied().unwrap_or(0.0);
        let turns = self.turns.entry(name_of(work).to_owned()).or_default();
        if missing_ns.is_finite() && wanted > 0.0 {
            *turns = (*turns + missing_ns / ns_per_turn).max(0.0);
        }
    }
}

/// What was measured of one side: the kernel, or a model.
#[derive(Debug, Clone, Default)]
pub(super) struct Measured {
    /// Faults on folios of one page.
    pub(super) small: Option<Fit>,
    /// Faults on large folios.
    pub(super) large: Option<Fit>,
    /// Removals.
    pub(super) removals: Option<Removals>,
}

/// What the kinds of work amount to on one side, each a figure that grows by a nanosecond with a
/// nanosecond of its kind.
impl Measured {
    /// The median fault of the largest window.
    pub(super) fn fault_ns(&self) -> f64 {
        let last = self.small.as_ref().and_then(|fit| fit.points.last());
        last.map_or(f64::NAN, |point| point.1)
    }

    /// What a kind of work amounts to in each round.
    pub(super) fn by_round(&self, work: Work) -> Vec<f64> {
        let part = |fit: &Option<Fit>, part| fit.as_ref().map(|fit| fit.by_round(part));
        let hole = |mapped, wanted| {
            let call = PUNCH_HOLE;
            let at = CASES.iter().position(|case| *case == Case { call, mapped });
            let removals = self.removals.as_ref();
            at.zip(removals)
                .and_then(|(at, removals)| part(&removals.fits[at], wanted))
        };
        // What it takes longer if pages are mapped.
        let mapped = |wanted| {
            let both = hole(true, wanted).zip(hole(false, wanted));
            both.map(|(mapped, not)| {
                let pairs = mapped.into_iter().zip(not);
                pairs.map(|(mapped, not)| mapped - not).collect()
            })
        };
        let figures = match work {
            Work::Fault => part(&self.small, Part::Intercept),
            Work::Range => part(&self.small, Part::Slope),
            Work::Page => part(&self.large, Part::Slope),
            Work::Removal => hole(false, Part::Intercept),
            Work::RemovedFolio => hole(false, Part::Slope),
            Work::ZappedPage => mapped(Part::Slope),
            Work::Flush => mapped(Part::Intercept),
            Work::Slow => self.removals.as_ref().map(|it| it.slow_ns.clone()),
            Work::Flushed => None,
        };
        figures.unwrap_or_default()
    }

    fn figure(&self, work: Work) -> f64 {
        median(self.by_round(work))
    }

    /// What another lacks of this. The difference is taken within rounds: a machine that changes
    /// its speed between them changes it for both.
    fn lacking_in(&self, other: &Self, work: Work) -> f64 {
        let pairs = self.by_round(work).into_iter().zip(other.by_round(work));
        median(pairs.map(|(own, other)| own - other))
    }
}

/// The kinds that are brought to their length in a loop, and of which each is seen in a figure of
/// its own once those before it are right.
const TUNED: [Work; 8] = [
    Work::Fault,
    Work::Slow,
    Work::Page,
    Work::Range,
    Work::Removal,
    Work::RemovedFolio,
    Work::ZappedPage,
    Work::Flush,
];

/// What the kernel does beyond the bare model.
pub(super) fn remaining(kernel: &Measured, bare: &Measured, flush: Option<&Flush>) -> Carried {
    let mut carried = Carried::default();
    for work in TUNED {
        carried.want(work, kernel.figure(work) - bare.figure(work));
    }
    // A fault that finds nothing is a fault first.
    let fault = carried.remaining_ns[name_of(Work::Fault)];
    let slow = kernel.figure(Work::Slow) - bare.figure(Work::Slow) - fault;
    carried.want(Work::Slow, slow);
    // A page of a folio of its own is a range, too: what it costs is both.
    let page = carried.remaining_ns[name_of(Work::Page)];
    let range = kernel.figure(Work::Range) - bare.figure(Work::Range) - page;
    carried.want(Work::Range, range);
    // In storms the mm runs on another CPU, which is interrupted.
    let own = carried.remaining_ns[name_of(Work::Flush)];
    carried.want(Work::Flush, own + wait_ns(flush));
    // No interrupts are added where none were measured.
    if let Some(flush) = flush {
        carried.want(Work::Flushed, flush.interrupted_ns.median);
    }
    carried
}

/// What a remover waits for another CPU's flush.
fn wait_ns(flush: Option<&Flush>) -> f64 {
    flush.map_or(0.0, |flush| flush.remover_ns.median.max(0.0))
}

/// The loops that a look at kernel and model asked for.
#[derive(Debug, Clone)]
pub(super) struct Need {
    /// How long a fault of the kernel's and one of the model's took together, then.
    pub(super) time_ns: f64,
    /// The loops, by the name of their kind.
    pub(super) turns: BTreeMap<String, f64>,
}

/// The means of what several looks asked for.
pub(super) fn mean(needs: &[Need]) -> BTreeMap<String, f64> {
    let mut turns: BTreeMap<String, f64> = BTreeMap::new();
    for (name, needed) in needs.iter().flat_map(|need| &need.turns) {
        *turns.entry(name.clone()).or_default() += needed / needs.len() as f64;
    }
    turns
}

/// The means of the third of looks in which the machine was fastest, that is, had least else to do;
/// the first, whose loops were guessed, is none of them. What else it does slows the kernel and the
/// loops by different factors, so that loops of a disturbed time would be of no other.
pub(super) fn undisturbed(mut needs: Vec<Need>) -> BTreeMap<String, f64> {
    if needs.len() > 1 {
        needs.remove(0);
    }
    needs.sort_by(|left, right| left.time_ns.total_cmp(&right.time_ns));
    needs.truncate(needs.len().div_ceil(3));
    mean(&needs)
}

/// Corrects loops by what the burdened model still lacks of the kernel.
pub(super) fn correct(
    carried: &mut Carried,
    kernel: &Measured,
    burdened: &Measured,
    flush: Option<&Flush>,
    ns_per_turn: f64,
) {
    for work in TUNED {
        let mut missing = kernel.lacking_in(burdened, work);
        if work == Work::Flush {
            // The bare kernel of the fits flushes its own CPU alone.
            missing += wait_ns(flush);
        }
        if work == Work::Slow {
            missing -= kernel.lacking_in(burdened, Work::Fault);
        }
        if work == Work::Range && kernel.large.is_some() {
            missing -= kernel.lacking_in(burdened, Work::Page);
        }
        carried.correct(work, missing, ns_per_turn);
    }
}
