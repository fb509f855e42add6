//! The memory map and its free frames.
//!
//! Frames are freed and handed out again, last freed first, so that a folio turns up at another
//! offset while somebody still looks at it from the old one.

use std::sync::atomic::Ordering::Release;

use crate::folio::{Folio, Pfn};
use crate::platform::{Note, Platform, Site, SpinLock};
use crate::violations::Violations;
use crate::{Invariant, Violation};

/// Gives a frame its first reference.
pub const PAGE_ALLOC_REF: Site = Site::store(
    "page_alloc_ref",
    Release,
    "set_page_refcounted(), after the free list's lock",
    "ref_get_unless_zero: a speculative reference to the new user sees the old one gone",
);

/// Free frames of one CPU, in a cache line of their own (the per-CPU page lists).
#[repr(align(64))]
struct FreeList<P: Platform>(P::SpinLock<Vec<Pfn>>);

/// All folios, and which of them are free (`mem_map`, `alloc_pages()`, `free_pages()`).
pub struct MemMap<P: Platform> {
    folios: Box<[Folio<P>]>,
    free: Box<[FreeList<P>]>,
}

impl<P: Platform> MemMap<P> {
    /// `folios` free frames, dealt out to `lists` free lists in runs of neighbours.
    pub fn new(folios: u32, lists: u32) -> Self {
        let lists = lists.max(1);
        let share = folios.div_ceil(lists);
        let free = (0..lists)
            .map(|list| {
                let start = (list * share).min(folios);
                let end = (start + share).min(folios);
                // Popped from the end: neighbours come out in ascending order.
                let frames = (start..end).rev().map(Pfn).collect();
                FreeList(P::SpinLock::new("zone_lock", frames))
            })
            .collect();
        Self {
            folios: (0..folios).map(|_| Folio::new()).collect(),
            free,
        }
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

    /// Takes a frame off `cpu`'s free list, or off another's; `None` if memory is out. The caller
    /// owns its one reference.
    pub fn alloc(&self, cpu: u32) -> Option<Pfn> {
        let home = cpu as usize % self.free.len();
        let pfn = (0..self.free.len())
            .map(|step| &self.free[(home + step) % self.free.len()])
            .find_map(|list| list.0.lock().pop())?;
        P::note(|| Note::Allocated(pfn));
        self.folio(pfn).reincarnate(&PAGE_ALLOC_REF);
        Some(pfn)
    }

    /// Drops a reference, and frees the frame with the last one (`folio_put()`). A frame that is
    /// still mapped then is `no-mapped-free` violated, the kernel's "Bad page state".
    #[inline(always)]
    pub fn put(&self, pfn: Pfn, cpu: u32, violations: &Violations) {
        let left = self.folio(pfn).put();
        if left.refcount() == 0 {
            self.free(pfn, cpu, left.mapcount(), violations);
        }
    }

    #[cold]
    fn free(&self, pfn: Pfn, cpu: u32, mapcount: u32, violations: &Violations) {
        P::note(|| Note::Freed(pfn));
        if mapcount != 0 {
            let folio = self.folio(pfn);
            violations.report(Violation {
                invariant: Invariant::NoMappedFree,
                index: folio.observe().index,
                pfn,
                incarnation: folio.incarnation(),
                detail: format!("freed with a mapcount of {mapcount}"),
            });
            P::note(|| Note::Violated(Invariant::NoMappedFree));
        }
        let home = cpu as usize % self.free.len();
        self.free[home].0.lock().push(pfn);
    }

    /// How many frames are free.
    pub fn free_frames(&self) -> usize {
        self.free.iter().map(|list| list.0.lock().len()).sum()
    }
}
