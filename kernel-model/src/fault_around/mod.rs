//! The core family: `filemap_map_pages()` under different locking, one file per scheme.
//!
//! A scheme maps those pages of a window that are in the page cache and up to date, without ever
//! blocking. What it leaves out the slow path will map, under the page lock. What a scheme asks of
//! removers is part of it.

use std::ops::Deref;

use crate::address_space::site::{I_SIZE_READ, SLOT_RELOAD};
use crate::fault::{MapPages, Window};
use crate::folio::{Counting, PG_HAS_HWPOISONED, PG_HWPOISON, PG_READAHEAD, PG_UPTODATE};
use crate::platform::{Platform, Site};
use crate::race::Scheme;
use crate::registry::registry;
use crate::removal::Duties;
use crate::system::Policy;

mod family;
mod locked;
mod walk;

pub use family::FAMILY;

/// Atomic read-modify-writes on the fault side for pages that all get mapped. The lock of the PTE
/// table isn't among them, nor are writes to lines that all faults on the file share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rmws {
    /// For each page.
    pub per_page: u32,
    /// For each folio, on top of its pages.
    pub per_folio: u32,
    /// For each folio of more than one page, on top of those.
    pub per_large_folio: u32,
}

impl Rmws {
    /// One for the references of a folio's pages, one for each mapcount and, of a large folio, one
    /// for their total ([`Counting::Apart`]).
    pub const APART: Self = Self {
        per_page: 1,
        per_folio: 1,
        per_large_folio: 1,
    };
    /// One for all counts of a folio ([`Counting::Fused`]).
    pub const FUSED: Self = Self {
        per_page: 0,
        per_folio: 1,
        per_large_folio: 0,
    };

    /// For a window of so many pages, aligned to its size, over folios of an order.
    pub const fn of_window(self, pages: u32, order: u8) -> u32 {
        let folios = pages.div_ceil(1 << order);
        let per_folio = self.per_folio + if order > 0 { self.per_large_folio } else { 0 };
        self.per_page * pages + per_folio * folios
    }
}

/// What a scheme of this family says of itself.
#[derive(Debug)]
pub struct About {
    /// What a scheme of any family does.
    pub scheme: Scheme,
    /// How it keeps a folio's two counts.
    pub counting: Counting,
    /// Atomic read-modify-writes on the fault side.
    pub rmws: Rmws,
    /// Lines of the file's own that each fault writes, and so shares with all other faults on the
    /// file, whichever pages they map.
    pub shared_lines_per_fault: u32,
    /// What a remover must do for it, beyond what Linux 6.1 does.
    pub asks_of_removers: &'static str,
}

impl Deref for About {
    type Target = Scheme;

    fn deref(&self) -> &Scheme {
        &self.scheme
    }
}

impl About {
    /// The checks that can be left out to see that it is noticed: its own, then those that every
    /// scheme makes.
    pub fn checks(&self) -> impl Iterator<Item = &'static Site> {
        FAMILY.checks_of(&self.scheme)
    }
}

/// A locking scheme of `filemap_map_pages()`, with what it asks of removers.
pub trait FaultAround<P: Platform>: MapPages<P> + Duties<P> {
    /// What it says of itself.
    fn about(&self) -> &'static About;
}

impl<P: Platform> From<&'static dyn FaultAround<P>> for Policy<P> {
    fn from(scheme: &'static dyn FaultAround<P>) -> Self {
        Self {
            fault_around: scheme,
            duties: scheme,
            counting: scheme.about().counting,
        }
    }
}

registry! {
    /// Every scheme of the family: the baseline first, the broken ones last.
    Schemes of FaultAround {
        page_locked: PageLocked;
        folio_batched: FolioBatched;
        mapcount_recheck: MapcountRecheck;
        fused_count: FusedCount;
        invalidate_gate: InvalidateGate::<false>, InvalidateGate::<true>;
        invalidate_seq: InvalidateSeq::<false>, InvalidateSeq::<true>;
        page_locked_xfs: PageLockedXfs;
        invalidate_only: InvalidateOnly;
        sketch: Sketch;
        lockless_rfc: LocklessRfc;
    }
}

impl<P: Platform> Window<'_, P> {
    /// Whether a folio may be mapped without asking anybody.
    #[inline(always)]
    pub fn is_mappable(flags: u64) -> bool {
        Self::is_read(flags) && !Self::has_poison(flags)
    }

    /// Whether a folio's contents have been read, and nothing waits to be started by a touch.
    #[inline(always)]
    fn is_read(flags: u64) -> bool {
        P::left_out(&WINDOW_FLAGS) || flags & (PG_UPTODATE | PG_READAHEAD) == PG_UPTODATE
    }

    /// Whether a folio may have a page with bad memory.
    #[inline(always)]
    fn has_poison(flags: u64) -> bool {
        !P::left_out(&POISON_CHECK) && flags & POISON != 0
    }
}

/// The checks that every scheme makes in its walk, each of which can be left out. How it gets a
/// reference is its own.
const WALK_CHECKS: &[&Site] = &[
    &PTE_NONE,
    &SLOT_RELOAD,
    &WINDOW_FLAGS,
    &POISON_CHECK,
    &I_SIZE_READ,
    &FOLIO_CLIP,
];

/// Skips what is mapped already.
pub const PTE_NONE: Site = Site::load(
    "pte_none",
    std::sync::atomic::Ordering::Relaxed,
    "pte_none(*vmf->pte)",
    "nothing: under the PTE-table lock",
);

/// Maps no page of a large folio beyond the file's end. Without it all of the folio that lies in
/// the window is mapped, as for some releases before 74207de2ba10 of November 2025.
pub const FOLIO_CLIP: Site = Site::load(
    "folio_clip",
    std::sync::atomic::Ordering::Relaxed,
    "min(end_pgoff, file_end), for the pages of a folio",
    "nothing: what i_size_read has read",
);

/// What a folio's flags have if a page of it is bad.
const POISON: u64 = PG_HWPOISON | PG_HAS_HWPOISONED;

/// Maps no page with bad memory. The folio's flags tell whether there is one, in the word that says
/// whether it is up to date; only then the schemes that hold the folio's lock look at each page,
/// and the others leave the folio to the slow path. Linux's head says nothing of its tails: there
/// each page is looked at, always, which touches each `struct page` that is mapped.
/// `mapcount-recheck`, left without this check, doesn't look the second time either.
pub const POISON_CHECK: Site = Site::load(
    "poison_check",
    std::sync::atomic::Ordering::Relaxed,
    "PageHWPoison() in filemap_map_pages()",
    "set_hwpoison, through folio_trylock, or through what the scheme asks of removers",
);

/// Reads the flags of a folio with a reference to it.
pub const WINDOW_FLAGS: Site = Site::load(
    "window_flags",
    std::sync::atomic::Ordering::Acquire,
    "folio_test_uptodate(): test_bit(), smp_rmb()",
    "set_uptodate: the contents are seen read",
);
