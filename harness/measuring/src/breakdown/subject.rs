//! One scheme over machines of its own, mapped and zapped again by one thread.

use std::hint::black_box;

use kernel_model::fault_around::{About, FaultAround, Schemes};
use kernel_model::platform::{Native, Platform};
use kernel_model::{FaultCounters, Task};
use machine_facts::cancel::Cancel;
use machine_facts::clock::{Clock, Ticks};
use machine_facts::statistics::Spread;
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use super::platform::{Ablated, Counted, ablating, counting};
use super::steps::{Kind, Step};
use super::{BreakdownError, Setup, Visit};
use crate::machine::{Machine, MmKind, Sizes};
use crate::order::{Access, Touches};

/// What is measured in a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    /// The scheme on [`Native`].
    Native,
    /// On [`Ablated`], with no step made cheap.
    Baseline,
    /// The same again.
    Again,
    /// With this one of its steps made cheap.
    Without(usize),
}

/// A file that is all in the page cache, mapped by one thread.
pub(super) struct Bed<P: Platform> {
    pub(super) machine: Machine<P>,
    pgoffs: Vec<u64>,
    task: Task,
}

impl<P: Platform> Bed<P> {
    pub(super) fn new(scheme: &str, setup: &Setup, clock: &Clock) -> Self {
        let scheme = Schemes::<P>::named(scheme).expect("a scheme is registered on every platform");
        let (pages, window) = (u64::from(setup.pages), u64::from(setup.window_pages));
        let sizes = Sizes {
            pages: setup.pages,
            neighbour: false,
            refill: false,
            orders: setup.orders,
            window_pages: setup.window_pages,
            readahead_pages: setup.window_pages,
            hole_pages: setup.window_pages,
            fill_ns_per_page: 0,
        };
        let mut touches = Touches::new(Access::Sequential, pages, window, 0, 1);
        let mut bed = Self {
            machine: Machine::new(scheme, &sizes, MmKind::Private, 1, 1, clock),
            // A sequential pass draws nothing.
            pgoffs: touches.next_pass(&mut Pcg64Mcg::seed_from_u64(0)).to_vec(),
            task: Task::new(0),
        };
        // Installs the PTE tables.
        bed.pass();
        bed
    }

    fn faults(&self) -> u64 {
        self.pgoffs.len() as u64
    }

    /// Takes all PTEs away, and forgets what was counted.
    fn zap(&mut self) {
        let vma = &*self.machine.vmas[0];
        let vpns = vma.vpns_of(&vma.pgoffs());
        self.machine.system.zap_range(vma, vpns, &mut self.task);
        self.task.faults = FaultCounters::default();
    }

    /// Maps each window by fault-around. What that can't map is missed by the counts: the slow path
    /// would map it, or wait for a reference that a step made cheap has not taken.
    #[inline(never)]
    fn pass(&mut self) {
        let Machine { system, vmas, .. } = &self.machine;
        let vma = &*vmas[0];
        for &pgoff in &self.pgoffs {
            black_box(system.do_fault_around(vma, pgoff, &mut self.task));
        }
    }

    /// What a pass counts, and how long it takes, with one step made cheap.
    pub(super) fn timed_pass(
        &mut self,
        cheap: Option<u32>,
        clock: &Clock,
    ) -> (FaultCounters, Ticks) {
        self.zap();
        let taken = ablating(cheap, || {
            let start = clock.now();
            self.pass();
            clock.now() - start
        });
        (self.task.faults, taken)
    }
}

/// A scheme, its machines, its steps, and the times that were measured.
pub(super) struct Subject {
    pub(super) about: &'static About,
    pub(super) steps: Vec<Step>,
    /// Nanoseconds per fault, turn by turn, for each variant in the order of
    /// [`Subject::variants`].
    pub(super) ns: Vec<Vec<f64>>,
    native: Bed<Native>,
    pub(super) ablated: Bed<Ablated>,
    /// What every pass must count.
    pub(super) expected: FaultCounters,
}

/// A scheme's steps, and what a pass of it counts.
pub(super) fn count(scheme: &str, setup: &Setup, clock: &Clock) -> (Vec<Step>, FaultCounters) {
    let mut bed = Bed::<Counted>::new(scheme, setup, clock);
    bed.zap();
    let tally = counting(|| bed.pass());
    (tally.steps(bed.faults()), bed.task.faults)
}

impl Subject {
    pub(super) fn new(
        scheme: &'static dyn FaultAround<Native>,
        setup: &Setup,
        clock: &Clock,
    ) -> Result<Self, BreakdownError> {
        let about = scheme.about();
        let (steps, expected) = count(about.name, setup, clock);
        let mut subject = Self {
            about,
            steps,
            ns: Vec::new(),
            native: Bed::new(about.name, setup, clock),
            ablated: Bed::new(about.name, setup, clock),
            expected,
        };
        subject.ns = vec![Vec::new(); subject.variants().len()];
        if expected.mapped != u64::from(setup.pages) {
            let all = FaultCounters {
                mapped: u64::from(setup.pages),
                ..expected
            };
            return Err(differs(about, None, &expected, &all));
        }
        Ok(subject)
    }

    /// What there is to measure.
    pub(super) fn variants(&self) -> Vec<Variant> {
        let cheap = |&step: &usize| self.steps[step].kind != Kind::Needed;
        let without = (0..self.steps.len()).filter(cheap).map(Variant::Without);
        [Variant::Native, Variant::Baseline, Variant::Again]
            .into_iter()
            .chain(without)
            .collect()
    }

    /// Measures a variant for a while: the median pass's nanoseconds per fault. The first pass
    /// warms up caches and branch predictors.
    pub(super) fn visit(
        &mut self,
        variant: Variant,
        setup: &Setup,
        clock: &Clock,
        cancel: &Cancel,
    ) -> Result<f64, BreakdownError> {
        let mut passes = Vec::new();
        let (mut taken_ns, mut warm) = (0, false);
        loop {
            let enough = match setup.visit {
                Visit::Passes(wanted) => passes.len() >= wanted as usize,
                Visit::Ns(wanted) => taken_ns >= wanted,
            };
            if enough && !passes.is_empty() {
                return Ok(Spread::of(passes).expect("there is a pass").median);
            }
            if cancel.is_requested() {
                return Err(BreakdownError::Interrupted);
            }
            let (counted, ticks) = match variant {
                Variant::Native => self.native.timed_pass(None, clock),
                Variant::Baseline | Variant::Again => self.ablated.timed_pass(None, clock),
                Variant::Without(step) => {
                    let number = self.steps[step].number;
                    self.ablated.timed_pass(Some(number), clock)
                }
            };
            if counted != self.expected {
                let without = match variant {
                    Variant::Without(step) => Some(self.steps[step].name),
                    _ => None,
                };
                return Err(differs(self.about, without, &counted, &self.expected));
            }
            if warm {
                let ns = clock.ns(ticks);
                taken_ns += ns;
                passes.push(ns as f64 / self.ablated.faults() as f64);
            }
            warm = true;
        }
    }

    /// Looks at the machine on which steps were made cheap: nothing that they did may show.
    pub(super) fn audit(&self) -> Result<(), BreakdownError> {
        let Machine {
            system, mapping, ..
        } = &self.ablated.machine;
        system.audit_at_rest(mapping);
        match system.violations.kept().into_iter().next() {
            None => Ok(()),
            Some(violation) => Err(BreakdownError::Violated {
                scheme: self.about.name,
                violation: violation.to_string(),
            }),
        }
    }
}

fn differs(
    about: &About,
    without: Option<&'static str>,
    counted: &FaultCounters,
    expected: &FaultCounters,
) -> BreakdownError {
    let what = match counted.mapped == expected.mapped {
        false => format!("{} pages, not {}", counted.mapped, expected.mapped),
        true => format!("the same pages, but {counted:?} and not {expected:?}"),
    };
    let without = without.map_or_else(String::new, |step| format!(" with {step} made cheap"));
    BreakdownError::Differs {
        scheme: about.name,
        without,
        what,
    }
}
