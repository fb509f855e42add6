//! `page-locked`: what Linux did up to v6.5, in 6.1's form. The page lock is tried for, never
//! waited for, and held until the PTE is set.
//!
//! Sound because a remover holds the page lock from its look at the mapcount until the folio has
//! left the page cache: whoever maps comes wholly before or wholly after.
//!
//! Findings of `check --weaken`: under the page lock the acquire of the first look at the flags isn't
//! needed, nor is the order of the slot. Of its checks, only the one of the end of the file isn't for
//! the sake of a race: it is for folios that lie beyond it (`window-past-eof`).

use std::slice;
use std::sync::atomic::Ordering::Relaxed;

use super::{About, FaultAround, Mapped, PTE_NONE, Verdict, WINDOW_FLAGS, Window};
use crate::address_space::site::{I_SIZE_READ, SLOT_RELOAD};
use crate::folio::site::{MAPCOUNT_INC_LOCKED, REF_GET_UNLESS_ZERO, STABLE_READ};
use crate::folio::{Counting, Folio};
use crate::page_allocator::Run;
use crate::page_table::Pte;
use crate::platform::{Platform, Site};
use crate::system::Task;

/// See the module.
#[derive(Debug)]
pub struct PageLocked;

/// Skips a locked folio before anything is paid for it.
pub(super) const TEST_LOCKED: Site = Site::load(
    "page_locked_test_locked",
    Relaxed,
    "folio_test_locked()",
    "nothing: folio_trylock decides",
);
/// Was the folio removed before the lock was had?
pub(super) const LOCKED_MAPPING: Site = Site::load(
    "page_locked_mapping",
    Relaxed,
    "folio->mapping != mapping, under the page lock",
    "folio_unlock of a remover, through folio_trylock",
);

static ABOUT: About = About {
    name: "page-locked",
    lineage: "Linux v6.1 (to v6.5)",
    summary: "trylock each page, re-check, map, unlock",
    verdict: Verdict::Sound {
        why: "a fault maps under the page lock, which a remover holds from its look at the \
              mapcount until the folio has left the page cache",
    },
    transient_mapcount: false,
    counting: Counting::Apart,
    rmws_per_page: 4,
    shared_lines_per_fault: 0,
    asks_of_removers: "nothing more",
    sites: &[&TEST_LOCKED, &LOCKED_MAPPING],
    own_checks: &[&LOCKED_MAPPING, &REF_GET_UNLESS_ZERO],
};

/// A page whose folio is locked, referenced and fit to be mapped.
struct Candidate<'a, P: Platform> {
    index: u64,
    page: Run,
    folio: &'a Folio<P>,
}

/// The next folio of the window from `index` on that can be mapped (`next_uptodate_page()`).
#[inline(always)]
fn next_map_page<'a, P: Platform>(
    window: &Window<'a, P>,
    from: u64,
    task: &mut Task,
) -> Option<Candidate<'a, P>> {
    let system = window.system;
    let mapping = &*window.vma.mapping;
    let left = from..window.pgoffs.end;
    let is_mappable = |flags| P::left_out(&WINDOW_FLAGS) || Window::<P>::is_mappable(flags);
    for (index, slot) in left.clone().zip(mapping.slots(left).iter()) {
        let Some(pfn) = slot.load() else { continue };
        let folio = system.memmap.folio(pfn);
        if folio.is_locked(&TEST_LOCKED) {
            task.faults.skipped_locked += 1;
            continue;
        }
        if !folio.try_get() {
            continue;
        }
        if !P::left_out(&SLOT_RELOAD) && slot.reload() != Some(pfn) {
            task.faults.slot_changed += 1;
        } else if is_mappable(folio.flags(&WINDOW_FLAGS)) {
            if folio.try_lock() {
                let ours =
                    P::left_out(&LOCKED_MAPPING) || folio.mapping(&LOCKED_MAPPING) == mapping.id();
                let flags = folio.flags(&STABLE_READ);
                if ours
                    && is_mappable(flags)
                    && (P::left_out(&I_SIZE_READ) || index < mapping.i_size_pages())
                {
                    // One page at a time, whatever the folio's size.
                    let page = Run {
                        pages: 1,
                        ..system.memmap.run_from(pfn, flags, index)
                    };
                    return Some(Candidate { index, page, folio });
                }
                folio.unlock();
            } else {
                task.faults.skipped_locked += 1;
            }
        }
        system.put(pfn, task);
    }
    None
}

impl<P: Platform> FaultAround<P> for PageLocked {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn map_pages(&self, window: &Window<'_, P>, task: &mut Task) -> Mapped {
        let mut mapped = Mapped::default();
        // The first folio is found before the PTE table is installed and locked.
        let mut next = next_map_page(window, window.pgoffs.start, task);
        if next.is_none() {
            return mapped;
        }
        let mut locked = window.lock_ptes();
        let ptes: &mut [Pte] = &mut locked;
        while let Some(Candidate { index, page, folio }) = next {
            let pte = &mut ptes[(index - window.pgoffs.start) as usize];
            // Only now: a page that is mapped already has cost as much as any other.
            if P::left_out(&PTE_NONE) || pte.is_none() {
                window
                    .system
                    .memmap
                    .mapcount_add(page, &MAPCOUNT_INC_LOCKED);
                window.system.set_ptes(slice::from_mut(pte), page, index);
                mapped.pages += 1;
                mapped.fault_page |= index == window.fault_pgoff;
                folio.unlock();
            } else {
                folio.unlock();
                window.system.put(page.head, task);
            }
            next = next_map_page(window, index + 1, task);
        }
        mapped
    }
}
