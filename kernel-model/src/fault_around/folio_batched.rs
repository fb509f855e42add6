//! `folio-batched`: what Linux does since v6.6: the lock and the re-checks are for a folio, and its
//! pages in the window are mapped in one go.
//!
//! The caller's reference is handed on to one of the PTEs, as since v6.18; v6.6 takes one for each
//! PTE after it is set, and drops the caller's: for a folio of one page two more
//! read-modify-writes, 6. Mapcounts are counted as since v6.12, with a total for a large folio,
//! less what Linux does to `_nr_pages_mapped`: one read-modify-write for pages mapped first
//! together, one per page before v6.12.
//!
//! The end of the file is read under each folio's lock, and once before the first lookup, as since
//! v7.0 (f58df566524e): the pages of a folio are counted to that end. v6.18 reads that one when it
//! has the first folio; a file that is cut off before the folio in between makes its count of pages
//! wrap.
//!
//! Sound for the reason that `page-locked` is: the folio's lock. That holds for a folio of which a
//! part is truncated, too, since that part is split off, or the folio removed, under the lock.

use crate::graded::FOREIGN_PTE;
use crate::race::{Scheme, Verdict};
use std::slice;
use std::sync::atomic::Ordering::Relaxed;

use super::locked::{Candidate, LOCKED_MAPPING, TEST_LOCKED};
use super::{About, FOLIO_CLIP, FaultAround, PTE_NONE, Rmws};
use crate::address_space::site::I_SIZE_READ;
use crate::fault::{MapPages, Mapped, Window};
use crate::folio::site::{MAPCOUNT_INC_LOCKED, REF_GET_UNLESS_ZERO};
use crate::folio::{Counting, Pfn};
use crate::page_allocator::Run;
use crate::page_table::Pte;
use crate::platform::{Platform, Site};
use crate::removal::Duties;
use crate::system::Task;

/// See the module.
#[derive(Debug)]
pub struct FolioBatched;

/// The end that the pages of a folio are counted to is read before the first lookup.
const END_BEFORE_LOOKUP: Site = Site::load(
    "end_before_lookup",
    Relaxed,
    "i_size_read() before next_uptodate_folio(), since f58df566524e",
    "nothing: a folio is looked for before that end",
);

static ABOUT: About = About {
    scheme: Scheme {
        name: "folio-batched",
        lineage: "Linux v6.6 on, references as since v6.18",
        summary: "trylock each folio, re-check, map its pages, unlock",
        verdict: Verdict::Sound {
            why: "a fault maps under the folio lock, which a remover holds from its look at the \
                  mapcount until the folio has left the page cache",
        },
        shows: &[FOREIGN_PTE],
        sites: &[&TEST_LOCKED, &LOCKED_MAPPING],
        own_checks: &[&LOCKED_MAPPING, &END_BEFORE_LOOKUP, &REF_GET_UNLESS_ZERO],
    },
    counting: Counting::Apart,
    rmws: Rmws {
        per_page: 1,
        per_folio: 3,
        per_large_folio: 2,
    },
    shared_lines_per_fault: 0,
    asks_of_removers: "nothing more",
};

impl<P: Platform> FaultAround<P> for FolioBatched {
    fn about(&self) -> &'static About {
        &ABOUT
    }
}

impl<P: Platform> MapPages<P> for FolioBatched {
    fn map_pages(&self, window: &Window<'_, P>, task: &mut Task) -> Mapped {
        // The same code twice: single pages don't pay for what large folios need.
        if window.system.memmap.has_large() {
            map_pages::<P, true>(window, task)
        } else {
            map_pages::<P, false>(window, task)
        }
    }
}

impl<P: Platform> Duties<P> for FolioBatched {}

#[inline(always)]
fn map_pages<P: Platform, const LARGE: bool>(window: &Window<'_, P>, task: &mut Task) -> Mapped {
    let start = window.pgoffs.start;
    let late = P::left_out(&END_BEFORE_LOOKUP);
    let read_end = || match P::left_out(&I_SIZE_READ) {
        true => window.pgoffs.end,
        false => window.pgoffs.end.min(window.vma.mapping.i_size_pages()),
    };
    let mut end = if late { window.pgoffs.end } else { read_end() };
    let mut mapped = Mapped::default();
    // The first folio is found before the PTE table is installed and locked.
    let mut next = window.next_uptodate_folio::<LARGE>(start, end, task);
    if next.is_none() {
        return mapped;
    }
    let mut locked = window.lock_ptes();
    let ptes: &mut [Pte] = &mut locked;
    if late {
        end = read_end();
    }
    while let Some(candidate) = next {
        let index = candidate.index;
        let first = (index - start) as usize;
        let mut run = candidate.run;
        run.pages = match (late, P::left_out(&FOLIO_CLIP)) {
            (true, _) => pages_as_in_v6_18(window, &candidate, end),
            (_, true) => candidate.pages_before(window.pgoffs.end),
            _ => candidate.pages_before(end),
        };
        let pages = if LARGE {
            let here = &mut ptes[first..first + run.pages as usize];
            map_folio_range(window, here, &candidate, run, &mut mapped)
        } else {
            map_order0_folio(window, &mut ptes[first], &candidate, run, &mut mapped)
        };
        candidate.folio.unlock();
        if pages == 0 {
            window.system.put(run.head, task);
        }
        next = window.next_uptodate_folio::<LARGE>(index + u64::from(run.pages), end, task);
    }
    mapped
}

/// How many pages v6.18 maps of a folio, which reads the end when it has looked the first one up.
/// The count wraps if it isn't positive, and then it goes on to the end of the window.
fn pages_as_in_v6_18<P: Platform>(window: &Window<'_, P>, of: &Candidate<'_, P>, end: u64) -> u32 {
    let folio_end = of.index + u64::from(of.run.pages);
    let after_the_first = folio_end.min(end).wrapping_sub(of.index).wrapping_sub(1);
    let frames = window.system.memmap.len() as u64 - u64::from(of.run.first.0);
    let room = frames.min(window.pgoffs.end - of.index);
    // Truncation is exact: a window has fewer pages.
    after_the_first.min(room - 1) as u32 + 1
}

/// Maps a locked folio of one page unless there is a PTE (`filemap_map_order0_folio()`), and hands
/// the caller's reference on.
#[inline(always)]
fn map_order0_folio<P: Platform>(
    window: &Window<'_, P>,
    pte: &mut Pte,
    of: &Candidate<'_, P>,
    page: Run,
    mapped: &mut Mapped,
) -> u32 {
    let (memmap, index) = (&window.system.memmap, of.index);
    if !of.is_good(memmap, page.first) || (!P::left_out(&PTE_NONE) && !pte.is_none()) {
        return 0;
    }
    memmap.mapcount_add_of::<false>(page, &MAPCOUNT_INC_LOCKED);
    window.system.set_ptes(slice::from_mut(pte), page, index);
    mapped.pages += 1;
    mapped.fault_page |= index == window.fault_pgoff;
    1
}

/// Maps those good pages of a locked folio that have no PTE yet (`filemap_map_folio_range()`): as
/// many pieces as there are others in between. The caller's reference goes to the first page that
/// is mapped; returns how many are.
#[inline(always)]
fn map_folio_range<P: Platform>(
    window: &Window<'_, P>,
    ptes: &mut [Pte],
    of: &Candidate<'_, P>,
    run: Run,
    mapped: &mut Mapped,
) -> u32 {
    let memmap = &window.system.memmap;
    let index = of.index;
    let may_map = |(pte, at): &(&Pte, u32)| {
        of.is_good(memmap, Pfn(run.first.0 + at)) && (P::left_out(&PTE_NONE) || pte.is_none())
    };
    let mut pages = 0;
    let mut next = 0;
    while next < ptes.len() {
        let here = ptes[next..].iter().zip(next as u32..);
        let length = here.take_while(may_map).count();
        if length == 0 {
            next += 1;
            continue;
        }
        let piece = Run {
            head: run.head,
            first: Pfn(run.first.0 + next as u32),
            pages: length as u32,
        };
        let piece_index = index + next as u64;
        memmap.mapcount_add(piece, &MAPCOUNT_INC_LOCKED);
        // Linux takes these after it has set the PTEs. Under the folio lock and the PTE-table lock
        // that is the same, but for an audit of the folio's other PTEs: each holds a reference.
        let handed_on = u32::from(pages == 0);
        if piece.pages > handed_on {
            memmap.folio(run.head).get_more(piece.pages - handed_on);
        }
        window
            .system
            .set_ptes(&mut ptes[next..], piece, piece_index);
        pages += piece.pages;
        next += length;
        let there = piece_index..piece_index + u64::from(piece.pages);
        mapped.fault_page |= there.contains(&window.fault_pgoff);
    }
    mapped.pages += pages;
    pages
}
