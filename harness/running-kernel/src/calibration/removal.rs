//! What a removal costs by the pages that it removes, on the kernel and on the model, by turns.

use std::hint::black_box;
use std::ops::Range;

use kernel_model::fault_around::Schemes;
use kernel_model::platform::Platform;
use kernel_model::removal::{Remover, Removers};
use kernel_model::{Orders, Task};
use machine_facts::cancel::Cancel;
use machine_facts::clock::Clock;
use measuring::cell::CellError;
use measuring::machine::{Machine, MmKind, Sizes};
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use super::fit::Fit;
use super::median;
use crate::host::{FileKind, HostFile, Layout, Mapping, WINDOW_PAGES};

/// Pages of the file.
const PAGES: u64 = 1024;
/// Pages that operations remove.
pub(super) const SIZES: [u32; 3] = [16, 64, 256];
/// Operations of which each measurement is the median.
const OPERATIONS: usize = 3;

/// Calls, as removers are named.
pub(super) const PUNCH_HOLE: &str = "punch-hole";
const TRUNCATE: &str = "truncate";

/// An operation that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Case {
    /// As removers are called.
    pub(super) call: &'static str,
    /// Whether the pages are mapped, by the process that removes them.
    pub(super) mapped: bool,
}

/// All of them.
pub(super) const CASES: [Case; 4] = [
    Case::of(PUNCH_HOLE, false),
    Case::of(PUNCH_HOLE, true),
    Case::of(TRUNCATE, false),
    Case::of(TRUNCATE, true),
];

impl Case {
    const fn of(call: &'static str, mapped: bool) -> Self {
        Self { call, mapped }
    }

    /// The range of an operation: the end of the file for a truncation.
    fn range(self, pages: u32) -> Range<u64> {
        let pages = u64::from(pages);
        match self.call {
            TRUNCATE => PAGES - pages..PAGES,
            _ => PAGES / 2..PAGES / 2 + pages,
        }
    }
}

/// Something that pages are removed from. What is timed is the same for each kind of it.
pub(super) trait Removable {
    /// Takes away what is mapped.
    fn zap(&mut self) -> Result<(), CellError>;

    /// Faults once in each window of a range.
    fn touch(&mut self, range: Range<u64>);

    /// Removes a range, to the end of the file for a truncation.
    fn remove(&mut self, call: &str, range: Range<u64>) -> Result<(), CellError>;

    /// Brings back what such a call removed.
    fn bring_back(&mut self, call: &str, range: Range<u64>) -> Result<(), CellError>;

    /// The time of one operation, in nanoseconds; the pages are brought back after it.
    fn once(&mut self, case: Case, pages: u32, clock: &Clock) -> Result<u64, CellError> {
        let range = case.range(pages);
        self.zap()?;
        if case.mapped {
            self.touch(range.clone());
        }
        let start = clock.now();
        self.remove(case.call, range.clone())?;
        let ns = clock.ns(clock.now() - start);
        self.bring_back(case.call, range)?;
        Ok(ns)
    }

    /// The time of one fault on a page that isn't in the page cache, nor those around it.
    fn slow_fault_ns(&mut self, clock: &Clock) -> Result<f64, CellError> {
        self.zap()?;
        self.remove(PUNCH_HOLE, HOLE)?;
        let start = clock.now();
        self.touch(HOLE);
        let ns = clock.ns(clock.now() - start);
        self.bring_back(PUNCH_HOLE, HOLE)?;
        Ok(ns as f64 / windows(HOLE).count() as f64)
    }

    /// The median of a few.
    fn slow_ns(&mut self, clock: &Clock) -> Result<f64, CellError> {
        let times = (0..OPERATIONS).map(|_| self.slow_fault_ns(clock));
        Ok(median(times.collect::<Result<Vec<_>, _>>()?))
    }

    /// The median of a few.
    fn removal_ns(&mut self, case: Case, pages: u32, clock: &Clock) -> Result<f64, CellError> {
        let times = (0..OPERATIONS).map(|_| self.once(case, pages, clock).map(|ns| ns as f64));
        Ok(median(times.collect::<Result<Vec<_>, _>>()?))
    }
}

/// A file of the running kernel, mapped here.
pub(super) struct OnKernel {
    file: HostFile,
    mapping: Mapping,
}

impl OnKernel {
    pub(super) fn new(kind: &FileKind) -> Result<Self, CellError> {
        let file = kind.create(PAGES)?;
        let mapping = Mapping::new(&file, PAGES, Layout::Whole)?;
        Ok(Self { file, mapping })
    }
}

fn windows(range: Range<u64>) -> impl Iterator<Item = u64> {
    range.step_by(WINDOW_PAGES as usize)
}

impl Removable for OnKernel {
    fn zap(&mut self) -> Result<(), CellError> {
        Ok(self.mapping.zap()?)
    }

    fn touch(&mut self, range: Range<u64>) {
        windows(range).for_each(|start| {
            black_box(self.mapping.touch(start));
        });
    }

    fn remove(&mut self, call: &str, range: Range<u64>) -> Result<(), CellError> {
        let removed = match call {
            TRUNCATE => self.file.truncate(range.start),
            _ => self.file.punch_hole(range),
        };
        Ok(removed?)
    }

    fn bring_back(&mut self, call: &str, range: Range<u64>) -> Result<(), CellError> {
        if call == TRUNCATE {
            self.file.truncate(PAGES)?;
        }
        Ok(self.file.refill(range)?)
    }
}

/// The model on a platform.
pub(super) struct OnModel<P: Platform> {
    machine: Machine<P>,
    task: Task,
    // Looked up before anything is timed.
    punch_hole: &'static dyn Remover<P>,
    truncate: &'static dyn Remover<P>,
}

impl<P: Platform> OnModel<P> {
    pub(super) fn new(scheme: &str, clock: &Clock) -> Self {
        let scheme =
            Schemes::named(scheme).expect("the kernel's scheme is one of those that there are");
        let sizes = Sizes {
            pages: PAGES as u32,
            neighbour: false,
            refill: true,
            orders: Orders::All(0),
            window_pages: WINDOW_PAGES as u32,
            // tmpfs brings in the page that is touched, and no other.
            readahead_pages: 1,
            hole_pages: WINDOW_PAGES as u32,
            fill_ns_per_page: 0,
        };
        Self {
            machine: Machine::new(scheme, &sizes, MmKind::Private, 1, 1, clock),
            task: Task::new(0),
            punch_hole: remover(PUNCH_HOLE),
            truncate: remover(TRUNCATE),
        }
    }
}

impl<P: Platform> Removable for OnModel<P> {
    fn zap(&mut self) -> Result<(), CellError> {
        let Machine { system, vmas, .. } = &self.machine;
        let vma = &*vmas[0];
        system.zap_range(vma, vma.vpns_of(&vma.pgoffs()), &mut self.task);
        Ok(())
    }

    fn touch(&mut self, range: Range<u64>) {
        let Machine { system, vmas, .. } = &self.machine;
        windows(range).for_each(|start| {
            black_box(system.handle_mm_fault(&vmas[0], start, &mut self.task));
        });
    }

    fn remove(&mut self, call: &str, range: Range<u64>) -> Result<(), CellError> {
        let Machine {
            system, mapping, ..
        } = &self.machine;
        let remover = match call {
            TRUNCATE => self.truncate,
            _ => self.punch_hole,
        };
        remover.remove(system, mapping, range, &mut self.task);
        Ok(())
    }

    fn bring_back(&mut self, _call: &str, range: Range<u64>) -> Result<(), CellError> {
        let Machine {
            system, mapping, ..
        } = &self.machine;
        if mapping.i_size_pages() < PAGES {
            mapping.extend(PAGES);
        }
        system.read_ahead(mapping, range, &mut self.task);
        Ok(())
    }
}

fn remover<P: Platform>(call: &str) -> &'static dyn Remover<P> {
    Removers::named(call).expect("calls are named as removers are")
}

/// What is punched for faults on what isn't there.
const HOLE: Range<u64> = 512..768;

/// What one subject's removals, and faults on what they removed, cost.
#[derive(Debug, Clone)]
pub(super) struct Removals {
    /// Case by case.
    pub(super) fits: Vec<Option<Fit>>,
    /// A fault on a page that isn't there, round by round.
    pub(super) slow_ns: Vec<f64>,
}

/// Measures several by turns, each round in another order.
pub(super) fn by_turns(
    subjects: &mut [Box<dyn Removable + '_>],
    rounds: u32,
    clock: &Clock,
    random: &mut Pcg64Mcg,
    cancel: &Cancel,
) -> Result<Vec<Removals>, CellError> {
    // The last is the fault.
    let cells = CASES.len() * SIZES.len() + 1;
    let mut slow_ns = vec![Vec::new(); subjects.len()];
    let mut all = vec![vec![Vec::new(); CASES.len()]; subjects.len()];
    let mut order: Vec<usize> = (0..subjects.len() * cells).collect();
    for _ in 0..rounds {
        if cancel.is_requested() {
            return Err(CellError::Interrupted);
        }
        order.shuffle(random);
        let mut round = vec![vec![vec![(0, f64::NAN); SIZES.len()]; CASES.len()]; subjects.len()];
        for &cell in &order {
            let (subject, cell) = (cell / cells, cell % cells);
            if cell == cells - 1 {
                slow_ns[subject].push(subjects[subject].slow_ns(clock)?);
                continue;
            }
            let (case, size) = (cell / SIZES.len(), cell % SIZES.len());
            let ns = subjects[subject].removal_ns(CASES[case], SIZES[size], clock)?;
            round[subject][case][size] = (SIZES[size], ns);
        }
        for (all, round) in all.iter_mut().zip(round) {
            for (all, round) in all.iter_mut().zip(round) {
                all.push(round);
            }
        }
    }
    let both = all.iter().zip(slow_ns).map(|(cases, slow_ns)| Removals {
        fits: cases.iter().map(|rounds| Fit::of(rounds)).collect(),
        slow_ns,
    });
    Ok(both.collect())
}
