//! What a fault costs by the pages that it maps, on the kernel and on the model, by turns.
//!
//! The kernel's window can't be set without root, but the kernel clips it to the VMA: a VMA of n
//! pages at a place aligned to the window gives windows of n pages. The model has a window of n
//! pages and is touched at the same places.

use std::hint::black_box;

use kernel_model::fault_around::{FaultAround, Schemes};
use kernel_model::platform::Platform;
use kernel_model::{Orders, Task};
use machine_facts::cancel::Cancel;
use machine_facts::clock::Clock;
use measuring::cell::CellError;
use measuring::machine::{Machine, MmKind, Sizes};
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use super::fit::Fit;
use super::median;
use crate::host::{
    FileKind, HostError, HostFile, Layout, Mapping, Touched, WINDOW_PAGES, minor_faults,
};

/// Pages of a file.
pub(super) const PAGES: u32 = 4096;
/// Passes of which each measurement is the median.
const PASSES: usize = 3;
/// Passes of which one must map all that its windows are clipped to.
const CLIPPED_WITHIN: usize = 5;

/// Something that is measured at several sizes of windows.
pub(super) trait Measurable {
    /// The time of one fault of `pages`, in nanoseconds.
    fn fault_ns(&mut self, pages: u32, clock: &Clock) -> Result<f64, CellError>;
}

/// A file of the running kernel.
pub(super) struct OnKernel {
    mappings: Vec<(u32, Mapping)>,
    _file: HostFile,
}

impl OnKernel {
    /// A file, mapped in VMAs of each of these numbers of pages. That a touch of them is one fault
    /// and maps as many pages is looked at.
    pub(super) fn new(kind: &FileKind, sizes: &[u32]) -> Result<Self, CellError> {
        let file = kind.create(u64::from(PAGES))?;
        let mut mappings = Vec::new();
        for &pages in sizes {
            let layout = Layout::Tiles { pages };
            let mapping = Mapping::new(&file, u64::from(PAGES), layout)?;
            is_clipped(&mapping, kind, pages)?;
            mappings.push((pages, mapping));
        }
        Ok(Self {
            mappings,
            _file: file,
        })
    }
}

/// Refuses a mapping of which a touch isn't one fault that maps `pages`. The first faults on a
/// large folio that was just written may find it locked and leave pages out, so several passes may
/// try.
fn is_clipped(mapping: &Mapping, kind: &FileKind, pages: u32) -> Result<(), HostError> {
    let touches = u64::from(PAGES) / WINDOW_PAGES;
    let mut last = (0, 0);
    for _ in 0..CLIPPED_WITHIN {
        mapping.zap()?;
        let before = minor_faults();
        touch_all(mapping);
        let faults = minor_faults() - before;
        let present: Result<u64, HostError> = starts()
            .map(|start| mapping.present(start..start + u64::from(pages)))
            .sum();
        last = (faults, present?);
        // A handful may come from elsewhere in the process.
        if faults <= touches + touches / 16 && last.1 == touches * u64::from(pages) {
            return Ok(());
        }
    }
    Err(HostError::NotClipped {
        file: kind.name.clone(),
        pages,
        touches,
        faults: last.0,
        present: last.1,
    })
}

/// The first page of each window.
fn starts() -> impl Iterator<Item = u64> {
    (0..u64::from(PAGES)).step_by(WINDOW_PAGES as usize)
}

fn touch_all(mapping: &Mapping) {
    for start in starts() {
        let touched = mapping.touch(start);
        debug_assert!(matches!(touched, Touched::Word(_)));
        black_box(touched);
    }
}

/// The median of a few passes' time per fault.
fn per_fault(mut pass: impl FnMut() -> Result<u64, CellError>) -> Result<f64, CellError> {
    let windows = f64::from(PAGES) / WINDOW_PAGES as f64;
    let times = (0..PASSES).map(|_| pass().map(|ns| ns as f64 / windows));
    let times = times.collect::<Result<Vec<_>, _>>()?;
    Ok(median(times))
}

impl Measurable for OnKernel {
    fn fault_ns(&mut self, pages: u32, clock: &Clock) -> Result<f64, CellError> {
        let mut mappings = self.mappings.iter();
        let found = mappings.find(|(size, _)| *size == pages);
        let (_, mapping) = found.expect("only sizes that were set up are measured");
        per_fault(|| {
            mapping.zap()?;
            let start = clock.now();
            touch_all(mapping);
            Ok(clock.ns(clock.now() - start))
        })
    }
}

/// The model on a platform.
pub(super) struct OnModel<P: Platform> {
    machines: Vec<(u32, Machine<P>)>,
}

impl<P: Platform> OnModel<P> {
    /// A machine for each size of windows, with folios of one order.
    pub(super) fn new(scheme: &str, order: u8, sizes: &[u32], clock: &Clock) -> Self {
        let scheme: &'static dyn FaultAround<P> =
            Schemes::named(scheme).expect("the kernel's scheme is one of those that there are");
        let machine = |pages: &u32| {
            let sizes = Sizes {
                pages: PAGES,
                neighbour: false,
                refill: false,
                orders: Orders::All(order),
                window_pages: *pages,
                readahead_pages: *pages,
                hole_pages: WINDOW_PAGES as u32,
                fill_ns_per_page: 0,
            };
            (
                *pages,
                Machine::new(scheme, &sizes, MmKind::Private, 1, 1, clock),
            )
        };
        Self {
            machines: sizes.iter().map(machine).collect(),
        }
    }
}

impl<P: Platform> Measurable for OnModel<P> {
    fn fault_ns(&mut self, pages: u32, clock: &Clock) -> Result<f64, CellError> {
        let mut machines = self.machines.iter();
        let found = machines.find(|(size, _)| *size == pages);
        let (_, machine) = found.expect("only sizes that were set up are measured");
        let vma = &*machine.vmas[0];
        let mut task = Task::new(0);
        per_fault(|| {
            let all = vma.vpns_of(&vma.pgoffs());
            machine.system.zap_range(vma, all, &mut task);
            let start = clock.now();
            for pgoff in starts() {
                black_box(machine.system.handle_mm_fault(vma, pgoff, &mut task));
            }
            Ok(clock.ns(clock.now() - start))
        })
    }
}

/// Measures several by turns, each round in another order; returns what each gave in each round.
pub(super) fn by_turns(
    subjects: &mut [Box<dyn Measurable + '_>],
    sizes: &[u32],
    rounds: u32,
    clock: &Clock,
    random: &mut Pcg64Mcg,
    cancel: &Cancel,
) -> Result<Vec<Option<Fit>>, CellError> {
    let mut all = vec![Vec::new(); subjects.len()];
    let mut order: Vec<(usize, usize)> = (0..subjects.len())
        .flat_map(|subject| (0..sizes.len()).map(move |size| (subject, size)))
        .collect();
    for _ in 0..rounds {
        if cancel.is_requested() {
            return Err(CellError::Interrupted);
        }
        order.shuffle(random);
        let mut round = vec![vec![(0, f64::NAN); sizes.len()]; subjects.len()];
        for &(subject, size) in &order {
            let ns = subjects[subject].fault_ns(sizes[size], clock)?;
            round[subject][size] = (sizes[size], ns);
        }
        for (all, round) in all.iter_mut().zip(round) {
            all.push(round);
        }
    }
    Ok(all.iter().map(|rounds| Fit::of(rounds)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_that_are_not_clipped_to_their_vmas_are_refused() {
        let kind = FileKind::memfd();
        let file = kind.create(u64::from(PAGES)).unwrap();
        let mapping =
            |file: &HostFile| Mapping::new(file, u64::from(PAGES), Layout::Tiles { pages: 4 });
        is_clipped(&mapping(&file).unwrap(), &kind, 4).unwrap();
        // A touch of a hole brings one page back.
        file.punch_hole(0..u64::from(PAGES)).unwrap();
        let error = is_clipped(&mapping(&file).unwrap(), &kind, 4).unwrap_err();
        let HostError::NotClipped { pages, present, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((pages, present), (4, u64::from(PAGES) / WINDOW_PAGES));
    }
}
