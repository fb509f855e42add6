//! `page-locked`: what Linux did up to v6.5, in 6.1's form. The folio lock is tried for, never
//! waited for, and held until the PTEs are set. One reference and one trylock are for a folio; its
//! further pages in the window are mapped one by one before it is unlocked, each with a mapcount
//! and a reference of its own (`folio_more_pages()`, `folio_ref_inc()`).
//!
//! Sound because a remover holds the folio lock from its look at the mapcount until the folio has
//! left the page cache: a fault that maps comes wholly before or wholly after.
//!
//! The end of the file is read under each folio's lock. Where there are large folios it is read
//! once more with the PTE table locked, as by 6.1.192, and clips what is mapped of them. (6.1.192
//! subtracts one before it compares, so that a file cut to nothing in between clips nothing; here
//! it does.) What Linux 6.1 has and this hasn't: `PG_double_map` of a large folio, set anew for
//! each page that is mapped. That is one more read-modify-write per page, 50 and not 34 for 16
//! pages of a folio of order 4; v6.2 put `atomic_inc_return_relaxed()` of `_nr_pages_mapped` in its
//! place, as many.
//!
//! Findings of `weaken`: under the page lock the acquire of the first look at the flags
//! isn't needed, nor is the order of the slot. Of its checks, only those of the end of the file
//! aren't for the sake of a race: they are for folios that lie or reach beyond it
//! (`window-past-eof`, `large-folio-past-eof`).

use std::slice;

use super::locked::{LOCKED_MAPPING, TEST_LOCKED};
use super::{About, FOLIO_CLIP, FaultAround, PTE_NONE, Rmws};
use crate::address_space::site::I_SIZE_READ;
use crate::fault::{MapPages, Mapped, Window};
use crate::folio::site::{MAPCOUNT_INC_LOCKED, REF_GET_UNLESS_ZERO};
use crate::folio::{Counting, Pfn};
use crate::graded::FOREIGN_PTE;
use crate::page_allocator::Run;
use crate::page_table::Pte;
use crate::platform::Platform;
use crate::race::{Scheme, Verdict};
use crate::removal::Duties;
use crate::system::Task;

/// See the module.
#[derive(Debug)]
pub struct PageLocked;

/// What it says of itself.
pub(super) const ABOUT: About = About {
    scheme: Scheme {
        name: "page-locked",
        lineage: "Linux v6.1 (to v6.5)",
        summary: "trylock each folio, re-check, map page by page, unlock",
        verdict: Verdict::Sound {
            why: "a fault maps under the folio lock, which a remover holds from its look at the \
                  mapcount until the folio has left the page cache",
        },
        shows: &[FOREIGN_PTE],
        sites: &[&TEST_LOCKED, &LOCKED_MAPPING],
        own_checks: &[&LOCKED_MAPPING, &REF_GET_UNLESS_ZERO],
    },
    counting: Counting::PerPage,
    rmws: Rmws {
        per_page: 2,
        per_folio: 2,
        per_large_folio: 0,
    },
    shared_lines_per_fault: 0,
    asks_of_removers: "nothing more",
};

impl<P: Platform> FaultAround<P> for PageLocked {
    fn about(&self) -> &'static About {
        static IT: About = ABOUT;
        &IT
    }
}

impl<P: Platform> MapPages<P> for PageLocked {
    fn map_pages(&self, window: &Window<'_, P>, task: &mut Task) -> Mapped {
        // The same code twice: single pages don't pay for what large folios need.
        if window.system.memmap.has_large() {
            map_pages::<P, true>(window, task)
        } else {
            map_pages::<P, false>(window, task)
        }
    }
}

impl<P: Platform> Duties<P> for PageLocked {}

#[inline(always)]
fn map_pages<P: Platform, const LARGE: bool>(window: &Window<'_, P>, task: &mut Task) -> Mapped {
    let (system, start, mut end) = (window.system, window.pgoffs.start, window.pgoffs.end);
    let mut mapped = Mapped::default();
    // The first folio is found before the PTE table is installed and locked.
    let mut next = window.next_uptodate_folio::<LARGE>(start, end, task);
    if next.is_none() {
        return mapped;
    }
    let mut locked = window.lock_ptes();
    let ptes: &mut [Pte] = &mut locked;
    if LARGE && !P::left_out(&I_SIZE_READ) {
        end = end.min(window.vma.mapping.i_size_pages());
    }
    while let Some(candidate) = next {
        let folio = candidate.folio;
        let pages = candidate.pages_before(if P::left_out(&FOLIO_CLIP) {
            window.pgoffs.end
        } else {
            end
        });
        let mut at = 0;
        // The reference of the last page that was looked at is the caller's, unless a PTE has it.
        let last_is_mapped = loop {
            let index = candidate.index + u64::from(at);
            let pte = &mut ptes[(index - start) as usize];
            let page = Run {
                head: candidate.run.head,
                first: Pfn(candidate.run.first.0 + at),
                pages: 1,
            };
            let is_mapped = candidate.is_good(&system.memmap, page.first)
                && (P::left_out(&PTE_NONE) || pte.is_none());
            if is_mapped {
                system
                    .memmap
                    .folio(page.first)
                    .mapcount_add(1, &MAPCOUNT_INC_LOCKED);
                system.set_ptes(slice::from_mut(pte), page, index);
                mapped.pages += 1;
                mapped.fault_page |= index == window.fault_pgoff;
            }
            at += 1;
            if !LARGE || at == pages {
                break is_mapped;
            }
            if is_mapped {
                folio.get();
            }
        };
        folio.unlock();
        if !last_is_mapped {
            system.put(candidate.run.head, task);
        }
        let behind = candidate.index + u64::from(pages);
        next = window.next_uptodate_folio::<LARGE>(behind, end, task);
    }
    mapped
}
