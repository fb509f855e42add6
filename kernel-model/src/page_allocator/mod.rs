//! The memory map and its free frames.
//!
//! Frames are freed and handed out again, last freed first, so that a folio turns up at another
//! offset while somebody still looks at it from the old one.

use std::sync::atomic::Ordering::Release;

use crate::folio::{Counting, Folio, Observed, PG_LOCKED, PG_WRITEBACK, Pfn};
use crate::invariants::{NO_BAD_FREE, NO_MAPPED_FREE};
use crate::orders::Orders;
use crate::platform::{Note, Platform, Site, SpinLock};
use crate::race::{Place, Violation, Violations};

mod free_frames;
mod large;

use free_frames::{Buddy, FreeFrames};
pub use large::{FOLIO_INDEX, FOLIO_IS_LARGE, FOLIO_ORDER, Run};

/// Gives a frame its first reference.
pub const PAGE_ALLOC_REF: Site = Site::store(
    "page_alloc_ref",
    Release,
    "set_page_refcounted(), after the free list's lock",
    "ref_get_unless_zero: a speculative reference to the new user sees the old one gone",
);

/// Free frames of one CPU, in a cache line of their own (the per-CPU page lists).
#[repr(align(64))]
struct FreeList<P: Platform>(P::SpinLock<FreeFrames>);

/// All folios, and which of them are free (`mem_map`, `alloc_pages()`, `free_pages()`).
pub struct MemMap<P: Platform> {
    folios: Box<[Folio<P>]>,
    free: Box<[FreeList<P>]>,
    /// Frames of a free list, where each frame has a list of its own; 0 where a frame that is freed
    /// goes to the list of the CPU that frees it.
    share: u32,
    /// Whether there are folios of more than one page.
    large: bool,
    /// How the counts are kept.
    counting: Counting,
}

impl<P: Platform> MemMap<P> {
    /// `folios` free frames, dealt out to `lists` free lists in runs of neighbours.
    ///
    /// Where all folios are of one page, a frame is freed to the list of the CPU that frees it, as
    /// to the kernel's per-CPU lists. Otherwise it goes back to the list that it came from, where
    /// it is joined with its neighbours.
    pub fn new(folios: u32, lists: u32, orders: Orders, counting: Counting) -> Self {
        let lists = lists.max(1);
        let large = orders.are_large();
        let block = 1 << orders.highest();
        let share = folios.div_ceil(lists).next_multiple_of(block);
        let free = (0..lists)
            .map(|list| {
                let start = (list * share).min(folios);
                let end = (start + share).min(folios);
                let frames = if large {
                    FreeFrames::Buddy(Buddy::new(start..end, orders.highest()))
                } else {
                    // Popped from the end: neighbours come out in ascending order.
                    FreeFrames::Stack((start..end).rev().map(Pfn).collect())
                };
                FreeList(P::SpinLock::new("zone_lock", frames))
            })
            .collect();
        Self {
            folios: (0..folios).map(|_| Folio::new()).collect(),
            free,
            share: if large { share } else { 0 },
            large,
            counting,
        }
    }

    /// Whether there are folios of more than one page.
    #[inline(always)]
    pub fn has_large(&self) -> bool {
        self.large
    }

    /// How the counts are kept.
    pub fn counting(&self) -> Counting {
        self.counting
    }

    /// How many frames there are.
    pub fn len(&self) -> usize {
        self.folios.len()
    }

    /// Whether there are no frames at all.
    pub fn is_empty(&self) -> bool {
        self.folios.is_empty()
    }

    /// The folio of a frame number (`pfn_folio()`).
    #[inline(always)]
    pub fn folio(&self, pfn: Pfn) -> &Folio<P> {
        &self.folios[pfn.0 as usize]
    }

    /// All folios in the order of their frame numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Pfn, &Folio<P>)> {
        self.folios
            .iter()
            .enumerate()
            .map(|(pfn, folio)| (Pfn(pfn as u32), folio))
    }

    /// Takes frames for a folio off `cpu`'s free list, or off another's; `None` if there are none
    /// of that order. The caller owns its one reference.
    pub fn alloc(&self, cpu: u32, order: u8) -> Option<Pfn> {
        let home = cpu as usize % self.free.len();
        let pfn = (0..self.free.len())
            .map(|step| &self.free[(home + step) % self.free.len()])
            .find_map(|list| list.0.lock().pop(order))?;
        P::note(|| Note::Allocated(pfn));
        if order == 0 {
            self.folio(pfn).reincarnate(&PAGE_ALLOC_REF);
        } else {
            self.prepare_large(pfn, order, &PAGE_ALLOC_REF);
        }
        Some(pfn)
    }

    /// Drops a reference, and frees the folio with the last one (`folio_put()`). One that is still
    /// mapped then, locked, or of a file, is the kernel's "Bad page state", and a violation.
    #[inline(always)]
    pub fn put(&self, pfn: Pfn, cpu: u32, violations: &Violations) {
        self.put_many(pfn, 1, cpu, violations);
    }

    /// Drops so many references (`folio_put_refs()`).
    #[inline(always)]
    pub fn put_many(&self, pfn: Pfn, references: u32, cpu: u32, violations: &Violations) {
        if self.folio(pfn).put(references).refcount() == 0 {
            self.free(pfn, cpu, violations);
        }
    }

    /// Takes back what [`Folio::try_get_mapped`] took.
    pub(crate) fn put_mapped(
        &self,
        pfn: Pfn,
        pages: u32,
        site: &'static Site,
        cpu: u32,
        violations: &Violations,
    ) {
        if self.folio(pfn).put_mapped(pages, site).refcount() == 0 {
            self.free(pfn, cpu, violations);
        }
    }

    /// Frees a folio whose last reference is gone, or which was frozen.
    #[cold]
    pub(crate) fn free(&self, pfn: Pfn, cpu: u32, violations: &Violations) {
        P::note(|| Note::Freed(pfn));
        self.audit_freed(pfn, violations);
        let order = self.take_apart(pfn);
        let home = match self.share {
            0 => cpu as usize % self.free.len(),
            share => (pfn.0 / share) as usize,
        };
        self.free[home].0.lock().push(pfn, order);
    }

    /// Looks for what no page may have that is freed (`free_page_is_bad()`).
    fn audit_freed(&self, pfn: Pfn, violations: &Violations) {
        let folio = self.folio(pfn);
        let Observed {
            flags,
            mapping,
            index,
            ..
        } = folio.observe();
        let bad = |invariant, detail: String| {
            P::note(|| Note::Violated(invariant));
            violations.report(Violation {
                invariant,
                place: Some(Place {
                    index,
                    frame: pfn.0,
                    incarnation: folio.incarnation(),
                }),
                detail,
            });
        };
        let mapcount = self.observe_mapcount(pfn);
        if mapcount != 0 {
            let detail = format!("freed with a mapcount of {mapcount}");
            bad(NO_MAPPED_FREE, detail);
        }
        if flags & PG_LOCKED != 0 {
            bad(NO_BAD_FREE, "freed while locked".to_owned());
        }
        if flags & PG_WRITEBACK != 0 {
            let detail = "freed under writeback".to_owned();
            bad(NO_BAD_FREE, detail);
        }
        if mapping != 0 {
            let detail = "freed while folio->mapping names a file".to_owned();
            bad(NO_BAD_FREE, detail);
        }
    }

    /// How many frames are free.
    pub fn free_frames(&self) -> usize {
        self.free.iter().map(|list| list.0.lock().len()).sum()
    }
}
