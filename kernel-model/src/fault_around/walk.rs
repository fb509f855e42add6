//! The walk that the lockless schemes share.

use std::sync::atomic::Ordering::Relaxed;

use super::{FOLIO_CLIP, PTE_NONE, WINDOW_FLAGS};
use crate::address_space::site::{I_SIZE_READ, SLOT_RELOAD};
use crate::fault::{Mapped, Window};
use crate::folio::Pfn;
use crate::page_allocator::{FOLIO_IS_LARGE, MemMap, Run};
use crate::page_table::Pte;
use crate::platform::{Platform, Site};
use crate::system::{System, Task};

/// Why a folio to which there is a reference isn't mapped after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skip {
    /// It isn't up to date, carries readahead's marker, or is poisoned.
    Unfit,
    /// It is locked by another CPU.
    Locked,
    /// It isn't at that place of the file any more.
    Moved,
    /// Its mapcount was incremented, and decremented again after a re-check.
    Undone,
}

/// Is a large folio, now that it can't be split nor freed, what it seemed to be? Its size was read
/// without a reference.
pub(super) const LARGE_RECHECK: Site = Site::load(
    "large_recheck",
    Relaxed,
    "folio_nr_pages() and folio->index again, with a reference",
    "page_alloc_ref or ref_unfreeze, through the reference",
);

/// How a scheme gets hold of the pages of a folio, and what makes it believe that it may map them.
pub(super) trait Claim<P: Platform> {
    /// Whether the folio is left alone because somebody has it locked, before anything is paid for
    /// it.
    #[inline(always)]
    fn leaves_alone(&self, _memmap: &MemMap<P>, _head: Pfn) -> bool {
        false
    }

    /// Takes a reference for each page of a run, unless the folio is free.
    #[inline(always)]
    fn take(&self, memmap: &MemMap<P>, run: Run) -> bool {
        memmap.folio(run.head).try_get_many(run.pages)
    }

    /// Decides with the references held and with the flags read after they were had. Unless it
    /// skips, the pages have been counted as mapped.
    ///
    /// `LARGE`: whether there can be folios of more than one page.
    fn confirm<const LARGE: bool>(
        &self,
        memmap: &MemMap<P>,
        run: Run,
        flags: u64,
    ) -> Result<(), Skip>;

    /// Gives back what was taken.
    fn give_back(&self, system: &System<P>, run: Run, task: &Task) {
        system.put_many(run.head, run.pages, task);
    }
}

/// How many of the first entries are none, up to `most`.
fn none_at_start(ptes: &[Pte], most: u32) -> u32 {
    let ptes = ptes.iter().take(most as usize);
    ptes.take_while(|pte| pte.is_none()).count() as u32
}

impl<P: Platform> Window<'_, P> {
    /// Locks the PTE table and maps what the scheme claims.
    #[inline(always)]
    pub(super) fn map_speculatively(&self, task: &mut Task, claim: &impl Claim<P>) -> Mapped {
        self.map_locked(&mut self.lock_ptes(), task, claim)
    }

    /// Maps what the scheme claims, with the PTE table locked.
    #[inline(always)]
    pub(super) fn map_locked(
        &self,
        ptes: &mut [Pte],
        task: &mut Task,
        claim: &impl Claim<P>,
    ) -> Mapped {
        self.walk(ptes, task, claim, |ptes, at, run| {
            let index = self.pgoffs.start + at as u64;
            self.system.set_ptes(&mut ptes[at..], run, index);
        })
    }

    /// With the PTE table locked, for each slot that has no PTE yet: take references to the folio,
    /// or to so many of its pages as the window has room for; look whether the folio is still there
    /// and may be mapped at all; let the scheme confirm; and `publish` what is to be mapped, which
    /// begins at an entry.
    ///
    /// The end of the file is read once, with the table locked and before the first lookup: a
    /// truncation writes it before it comes to unmap through that lock.
    #[inline(always)]
    pub(super) fn walk(
        &self,
        ptes: &mut [Pte],
        task: &mut Task,
        claim: &impl Claim<P>,
        publish: impl FnMut(&mut [Pte], usize, Run),
    ) -> Mapped {
        // The same code twice: single pages don't pay for what large folios need.
        if self.system.memmap.has_large() {
            self.walk_of::<true>(ptes, task, claim, publish)
        } else {
            self.walk_of::<false>(ptes, task, claim, publish)
        }
    }

    #[inline(always)]
    fn walk_of<const LARGE: bool>(
        &self,
        ptes: &mut [Pte],
        task: &mut Task,
        claim: &impl Claim<P>,
        mut publish: impl FnMut(&mut [Pte], usize, Run),
    ) -> Mapped {
        let memmap = &self.system.memmap;
        let mapping = &*self.vma.mapping;
        let fault_pte = (self.fault_pgoff - self.pgoffs.start) as usize;
        let fault_pte_was_none = ptes[fault_pte].is_none();
        let size = match P::left_out(&I_SIZE_READ) {
            true => u64::MAX,
            false => mapping.i_size_pages(),
        };
        let end = self.pgoffs.end.min(size);
        let start = self.pgoffs.start.min(end);
        let slots = mapping.slots(start..end);
        let length = slots.len().min(ptes.len());
        let mut pages = 0;
        let mut next = 0;
        while next < length {
            let at = next;
            next += 1;
            if !P::left_out(&PTE_NONE) && !ptes[at].is_none() {
                continue;
            }
            let slot = slots.at(at);
            let Some(head) = slot.load() else { continue };
            let folio = memmap.folio(head);
            let index = start + at as u64;
            let mut run = Run::single(head);
            if LARGE {
                run = memmap.run_from(head, folio.flags(&FOLIO_IS_LARGE), index);
                let room = if P::left_out(&FOLIO_CLIP) {
                    ptes.len()
                } else {
                    length
                };
                run.pages = none_at_start(&ptes[at..room], run.pages).max(1);
            }
            if claim.leaves_alone(memmap, head) {
                task.faults.skipped_locked += u64::from(run.pages);
                if LARGE {
                    next = at + run.pages as usize;
                }
                continue;
            }
            if !claim.take(memmap, run) {
                continue;
            }
            if !P::left_out(&SLOT_RELOAD) && slot.reload() != Some(head) {
                self.skip(run, Skip::Moved, claim, task);
                continue;
            }
            let flags = folio.flags(&WINDOW_FLAGS);
            if LARGE && !P::left_out(&LARGE_RECHECK) {
                let is = memmap.run_from(head, flags, index);
                if is.first != run.first || is.pages < run.pages {
                    self.skip(run, Skip::Moved, claim, task);
                    continue;
                }
            }
            if LARGE {
                next = at + run.pages as usize;
            }
            if !Self::is_mappable(flags) {
                self.skip(run, Skip::Unfit, claim, task);
                continue;
            }
            match claim.confirm::<LARGE>(memmap, run, flags) {
                Ok(()) => {
                    publish(ptes, at, run);
                    pages += run.pages;
                }
                Err(skip) => self.skip(run, skip, claim, task),
            }
        }
        Mapped {
            pages,
            fault_page: fault_pte_was_none && !ptes[fault_pte].is_none(),
        }
    }

    /// Lets a speculative reference go. Out of line: it is rare, and the walk needs the registers.
    #[cold]
    #[inline(never)]
    fn skip(&self, run: Run, skip: Skip, claim: &impl Claim<P>, task: &mut Task) {
        match skip {
            Skip::Unfit => {}
            Skip::Locked => task.faults.skipped_locked += u64::from(run.pages),
            Skip::Moved => task.faults.slot_changed += 1,
            Skip::Undone => task.faults.undone += u64::from(run.pages),
        }
        claim.give_back(self.system, run, task);
    }
}
