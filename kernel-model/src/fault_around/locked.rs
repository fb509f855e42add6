//! The walk of the schemes that map under the folio lock, in Linux 6.1's order: slot, not locked,
//! reference, slot again, flags, trylock, and the re-checks under the lock. Whether a page is
//! mapped already is asked only then: one that is has cost as much as any other.

use std::sync::atomic::Ordering::Relaxed;

use super::{POISON_CHECK, WINDOW_FLAGS};
use crate::address_space::site::{I_SIZE_READ, SLOT_RELOAD};
use crate::fault::Window;
use crate::folio::site::STABLE_READ;
use crate::folio::{Folio, PG_HWPOISON, Pfn};
use crate::page_allocator::{FOLIO_IS_LARGE, MemMap, Run};
use crate::platform::{Platform, Site};
use crate::system::Task;

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

/// A folio that is locked, referenced and fit to be mapped, and its pages from an index of the
/// window on, as far as the folio goes.
pub(super) struct Candidate<'a, P: Platform> {
    pub(super) index: u64,
    pub(super) run: Run,
    pub(super) folio: &'a Folio<P>,
    /// Whether one of its pages may be bad.
    has_poison: bool,
}

impl<P: Platform> Candidate<'_, P> {
    /// Whether the memory of one of its pages is good.
    #[inline(always)]
    pub(super) fn is_good(&self, memmap: &MemMap<P>, page: Pfn) -> bool {
        !self.has_poison || memmap.folio(page).flags(&POISON_CHECK) & PG_HWPOISON == 0
    }

    /// How many of its pages lie before `end`: the one at its index, if no other.
    #[inline(always)]
    pub(super) fn pages_before(&self, end: u64) -> u32 {
        let room = end.saturating_sub(self.index).max(1);
        // Truncation is exact: it is no more than the folio has.
        room.min(u64::from(self.run.pages)) as u32
    }
}

impl<'a, P: Platform> Window<'a, P> {
    /// The next folio from `from` on that can be mapped (`next_uptodate_page()`, from v6.6 on
    /// `next_uptodate_folio()`).
    ///
    /// `LARGE`: whether there can be folios of more than one page.
    #[inline(always)]
    pub(super) fn next_uptodate_folio<const LARGE: bool>(
        &self,
        from: u64,
        end: u64,
        task: &mut Task,
    ) -> Option<Candidate<'a, P>> {
        let system = self.system;
        let (memmap, mapping) = (&system.memmap, &*self.vma.mapping);
        let mut rest_of_folio = 0;
        for (index, slot) in (from..end).zip(mapping.slots(from..end).iter()) {
            if LARGE && rest_of_folio > 0 {
                rest_of_folio -= 1;
                continue;
            }
            let Some(head) = slot.load() else { continue };
            let folio = memmap.folio(head);
            if folio.is_locked(&TEST_LOCKED) {
                if LARGE {
                    // A guess without a reference, which costs some pages if it is wrong.
                    let run = memmap.run_from(head, folio.flags(&FOLIO_IS_LARGE), index);
                    rest_of_folio = run.pages.min((end - index) as u32) - 1;
                }
                task.faults.skipped_locked += 1 + u64::from(rest_of_folio);
                continue;
            }
            if !folio.try_get() {
                continue;
            }
            let mut contended = false;
            if !P::left_out(&SLOT_RELOAD) && slot.reload() != Some(head) {
                task.faults.slot_changed += 1;
            } else if Self::is_read(folio.flags(&WINDOW_FLAGS)) {
                if folio.try_lock() {
                    let ours = P::left_out(&LOCKED_MAPPING)
                        || folio.mapping(&LOCKED_MAPPING) == mapping.id();
                    let flags = folio.flags(&STABLE_READ);
                    if ours
                        && Self::is_read(flags)
                        && (P::left_out(&I_SIZE_READ) || index < mapping.i_size_pages())
                    {
                        let run = if LARGE {
                            memmap.run_from(head, flags, index)
                        } else {
                            Run::single(head)
                        };
                        let has_poison = Self::has_poison(flags);
                        return Some(Candidate {
                            index,
                            run,
                            folio,
                            has_poison,
                        });
                    }
                    folio.unlock();
                } else {
                    contended = true;
                }
            }
            if LARGE && slot.reload() == Some(head) {
                // The walk goes on behind the folio, as the kernel's does (xas_next_entry()).
                let run = memmap.run_from(head, folio.flags(&FOLIO_IS_LARGE), index);
                rest_of_folio = run.pages.min((end - index) as u32) - 1;
            }
            if contended {
                task.faults.skipped_locked += 1 + u64::from(rest_of_folio);
            }
            system.put(head, task);
        }
        None
    }
}
