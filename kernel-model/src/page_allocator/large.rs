//! Folios of more than one page: which frame is whose, and the mapcounts of their pages.

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

use super::MemMap;
use crate::folio::site::STABLE_READ;
use crate::folio::{
    Counting, Folio, PG_DIRTY, PG_HAS_HWPOISONED, PG_HEAD, PG_HWPOISON, PG_UPTODATE, PG_WRITEBACK,
    Pfn,
};
use crate::platform::{AtomicWord, Platform, Site};

/// Reads the order of a large folio. A caller without a reference asks again once it has one.
pub const FOLIO_ORDER: Site = Site::load(
    "folio_order",
    Relaxed,
    "folio_order(): folio->_flags_1 & 0xff",
    "page_alloc_ref or ref_unfreeze, through the reference",
);
/// Looks whether a folio is a large one, before there is a reference to it.
pub const FOLIO_IS_LARGE: Site = Site::load(
    "folio_is_large",
    Relaxed,
    "folio_test_large()",
    "nothing: looked at again with a reference",
);
/// Reads where in the file a large folio begins.
pub const FOLIO_INDEX: Site = Site::load(
    "folio_index",
    Relaxed,
    "folio->index",
    "nothing: looked at again with a reference",
);

/// A part of a folio, one page after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The folio's head.
    pub head: Pfn,
    /// The frame of its first page in the run.
    pub first: Pfn,
    /// How many pages.
    pub pages: u32,
}

impl Run {
    /// A folio of one page.
    #[inline(always)]
    pub fn single(pfn: Pfn) -> Self {
        Self {
            head: pfn,
            first: pfn,
            pages: 1,
        }
    }
}

impl<P: Platform> MemMap<P> {
    /// The folio that a frame belongs to (`page_folio()`). Somebody must have a reference to it.
    #[inline(always)]
    pub fn head_of(&self, pfn: Pfn) -> Pfn {
        if self.large {
            self.folio(pfn).compound_head().unwrap_or(pfn)
        } else {
            pfn
        }
    }

    /// The same as an audit sees it.
    pub(crate) fn observe_head_of(&self, pfn: Pfn) -> Pfn {
        self.folio(pfn).observe_compound_head().unwrap_or(pfn)
    }

    /// The order of the folio whose head has these flags (`folio_order()`).
    #[inline(always)]
    pub fn order(&self, head: Pfn, flags: u64) -> u8 {
        if self.large && flags & PG_HEAD != 0 {
            // What a stale head has there may be anything.
            let tail = self.folios.get(head.0 as usize + 1);
            tail.map_or(0, |tail| tail.flags(&FOLIO_ORDER) as u8)
        } else {
            0
        }
    }

    /// How many pages a folio has that no other CPU can take apart (`folio_nr_pages()`).
    pub fn pages(&self, head: Pfn) -> u32 {
        1 << self.order(head, self.folio(head).flags(&FOLIO_IS_LARGE))
    }

    /// The same as an audit sees it.
    pub(crate) fn observe_pages(&self, head: Pfn) -> u32 {
        if self.large && self.folio(head).observe().flags & PG_HEAD != 0 {
            1 << (self.folio(Pfn(head.0 + 1)).observe().flags as u8)
        } else {
            1
        }
    }

    /// The page of `head` that is at `index` in the file, and those that follow it in the folio.
    /// `flags` are the head's. A caller without a reference may be told of a folio that is no more:
    /// the run has at least one page, and must be asked for again with a reference.
    #[inline(always)]
    pub fn run_from(&self, head: Pfn, flags: u64, index: u64) -> Run {
        if self.large && flags & PG_HEAD != 0 {
            let pages = 1_u64 << (self.order(head, flags) & 31);
            let before = index.wrapping_sub(self.folio(head).index(&FOLIO_INDEX)) & (pages - 1);
            Run {
                head,
                first: Pfn(head.0 + before as u32),
                pages: (pages - before) as u32,
            }
        } else {
            Run::single(head)
        }
    }

    #[inline(always)]
    fn is_large(&self, head: Pfn) -> bool {
        self.large && self.folio(head).flags(&FOLIO_IS_LARGE) & PG_HEAD != 0
    }

    fn first_tail(&self, head: Pfn) -> &Folio<P> {
        self.folio(Pfn(head.0 + 1))
    }

    fn frames(&self, run: Run) -> &[Folio<P>] {
        let first = run.first.0 as usize;
        &self.folios[first..first + run.pages as usize]
    }

    /// Counts the pages of a run as mapped once more (`folio_add_file_rmap_ptes()`).
    #[inline(always)]
    pub fn mapcount_add(&self, run: Run, site: &'static Site) {
        self.mapcount_add_of::<true>(run, site);
    }

    /// The same for a caller that knows whether there can be large folios.
    #[inline(always)]
    pub(crate) fn mapcount_add_of<const LARGE: bool>(&self, run: Run, site: &'static Site) {
        if LARGE && self.counting.is_apart() && self.is_large(run.head) {
            for page in self.frames(run) {
                page.mapcount_add(1, site);
            }
            if self.counting == Counting::Apart {
                let total = self.first_tail(run.head).large_mapcount();
                total.fetch_add(u64::from(run.pages), site);
            }
        } else {
            self.folio(run.head).mapcount_add(run.pages, site);
        }
    }

    /// Counts the pages of a run as mapped once less (`folio_remove_rmap_ptes()`).
    #[inline(always)]
    pub fn mapcount_sub(&self, run: Run, site: &'static Site) {
        if self.counting.is_apart() && self.is_large(run.head) {
            for page in self.frames(run) {
                page.mapcount_sub(1, site);
            }
            if self.counting == Counting::Apart {
                let total = self.first_tail(run.head).large_mapcount();
                total.fetch_sub(u64::from(run.pages), site);
            }
        } else {
            self.folio(run.head).mapcount_sub(run.pages, site);
        }
    }

    /// How many PTEs map any page of a folio (`folio_mapcount()`).
    #[inline]
    pub fn mapcount(&self, head: Pfn, site: &'static Site) -> u32 {
        match self.counting {
            Counting::Apart if self.is_large(head) => {
                self.first_tail(head).large_mapcount().load(site) as u32
            }
            Counting::PerPage if self.is_large(head) => {
                let pages = head.0..head.0 + self.pages(head);
                pages.map(|pfn| self.folio(Pfn(pfn)).mapcount(site)).sum()
            }
            _ => self.folio(head).mapcount(site),
        }
    }

    /// The same as an audit sees it.
    pub(crate) fn observe_mapcount(&self, head: Pfn) -> u32 {
        let of = |pfn| self.folio(Pfn(pfn)).observe().counts.mapcount();
        match self.counting {
            Counting::Apart if self.observe_pages(head) > 1 => {
                self.first_tail(head).large_mapcount().observe() as u32
            }
            Counting::PerPage => self.observe_frames(head).map(of).sum(),
            _ => of(head.0),
        }
    }

    /// Makes free frames one folio, and gives it its first reference (`prep_compound_page()`).
    pub(super) fn prepare_large(&self, head: Pfn, order: u8, publish: &'static Site) {
        let tails = head.0 + 1..head.0 + (1 << order);
        for tail in tails {
            let page = self.folio(Pfn(tail));
            let is_first = tail == head.0 + 1;
            page.prepare(if is_first { u64::from(order) } else { 0 });
            page.set_compound_head(Some(head));
        }
        let folio = self.folio(head);
        folio.prepare(PG_HEAD);
        folio.publish(publish);
    }

    /// Makes frames of their own of a folio that is being freed; returns its order.
    pub(super) fn take_apart(&self, head: Pfn) -> u8 {
        let flags = self.folio(head).flags(&FOLIO_IS_LARGE);
        let order = self.order(head, flags);
        if order > 0 {
            self.folio(head).clear_flags(PG_HEAD);
        }
        for tail in head.0 + 1..head.0 + (1 << order) {
            self.folio(Pfn(tail)).set_compound_head(None);
        }
        order
    }

    /// Makes folios of one page of a large one that is locked and frozen, and in the cache at
    /// `index` (`__split_huge_page()`). The tails come out with the cache's reference, as up to
    /// date and as dirty as the whole was, unlocked, and as bad as each was by itself; the head
    /// stays frozen and locked. None is split under writeback, but where a check is left out: the
    /// device reads the tails then, too.
    pub(crate) fn split(&self, head: Pfn, pages: u32, index: u64, mapping: u64) {
        let inherited = PG_UPTODATE | PG_DIRTY | PG_WRITEBACK;
        let inherited = self.folio(head).flags(&STABLE_READ) & inherited;
        self.folio(head).clear_flags(PG_HEAD | PG_HAS_HWPOISONED);
        for number in 1..pages {
            let page = self.folio(Pfn(head.0 + number));
            page.init_flags(inherited | page.flags(&STABLE_READ) & PG_HWPOISON);
            page.set_compound_head(None);
            page.set_index(index + u64::from(number));
            page.set_mapping(mapping);
            page.unfreeze(1);
        }
    }

    /// The frames of a folio, as an audit sees them.
    pub(crate) fn observe_frames(&self, head: Pfn) -> Range<u32> {
        head.0..head.0 + self.observe_pages(head)
    }
}
