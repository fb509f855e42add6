//! The floor: nothing but the memory operations that no scheme can do without; and two rungs above
//! it, which show where the rest of a lockless scheme's time goes.

use std::sync::atomic::Ordering::Relaxed;

use kernel_model::Task;
use kernel_model::fault_around::{About, FaultAround, Rmws, WINDOW_FLAGS};
use kernel_model::folio::Counting;
use kernel_model::page_allocator::Run;
use kernel_model::page_table::Pte;
use kernel_model::platform::{Platform, Site};
use kernel_model::race::{Scheme, Verdict};
use kernel_model::removal::Duties;
use kernel_model::{MapPages, Mapped, Window};

/// A reference, a mapcount and a PTE for each page, under one lock. Not a scheme: it maps whatever
/// the slots hold, and is never listed as one.
///
/// `UNLESS_ZERO` takes the reference as a speculative one must be taken, by a compare-exchange
/// that needs the old value first. `LOOKS` also looks again at the slot, and at the flags, as every
/// scheme must before it maps; what is left to `mapcount-recheck` then is its re-check.
#[derive(Debug)]
pub struct Floor<const UNLESS_ZERO: bool = false, const LOOKS: bool = false>;

const FLOOR_MAPCOUNT: Site = Site::rmw(
    "floor_mapcount",
    Relaxed,
    "atomic_inc(&folio->_mapcount)",
    "nothing",
);

const fn about(name: &'static str) -> About {
    About {
        scheme: Scheme {
            name,
            lineage: "not a scheme",
            summary: "two counts and a PTE per page under one lock",
            verdict: Verdict::Broken {
                on: &[],
                why: "it does not look at what it maps",
            },
            shows: &[],
            sites: &[&FLOOR_MAPCOUNT],
            own_checks: &[],
        },
        counting: Counting::Apart,
        rmws: Rmws::APART,
        shared_lines_per_fault: 0,
        asks_of_removers: "that there be none",
    }
}

static FLOOR: About = about("floor");
static GET_UNLESS_ZERO: About = about("floor, get unless zero");
static LOOKING: About = about("floor, and looks");

impl<P: Platform, const UNLESS_ZERO: bool, const LOOKS: bool> FaultAround<P>
    for Floor<UNLESS_ZERO, LOOKS>
{
    fn about(&self) -> &'static About {
        match (UNLESS_ZERO, LOOKS) {
            (false, false) => &FLOOR,
            (true, false) => &GET_UNLESS_ZERO,
            (_, true) => &LOOKING,
        }
    }
}

impl<P: Platform, const UNLESS_ZERO: bool, const LOOKS: bool> MapPages<P>
    for Floor<UNLESS_ZERO, LOOKS>
{
    fn map_pages(&self, window: &Window<'_, P>, _task: &mut Task) -> Mapped {
        let mut locked = window.lock_ptes();
        let ptes: &mut [Pte] = &mut locked;
        let mut mapped = Mapped::default();
        let slots = window.vma.mapping.slots(window.pgoffs.clone());
        for (pte, slot) in ptes.iter_mut().zip(slots.iter()) {
            let Some(pfn) = slot.load() else { continue };
            let folio = window.system.memmap.folio(pfn);
            if UNLESS_ZERO {
                if !folio.try_get() {
                    continue;
                }
            } else {
                folio.get();
            }
            let fit = |flags| Window::<P>::is_mappable(flags);
            if LOOKS && (slot.reload() != Some(pfn) || !fit(folio.flags(&WINDOW_FLAGS))) {
                // Never taken: nobody else is there.
                continue;
            }
            let memmap = &window.system.memmap;
            memmap.mapcount_add(Run::single(pfn), &FLOOR_MAPCOUNT);
            *pte = Pte::present(pfn);
            mapped.pages += 1;
        }
        mapped
    }
}

impl<P: Platform, const UNLESS_ZERO: bool, const LOOKS: bool> Duties<P>
    for Floor<UNLESS_ZERO, LOOKS>
{
}
