//! `memory-failure`: takes pages with bad memory out of a file, one by one (`memory_failure()`).
//!
//! A page is marked first, without any lock; then its folio is locked, unmapped and, if it was
//! clean or a page of its own, taken out of the cache. A large folio is split before. Where
//! somebody holds a reference it can't be, and stays with its bad page: that is why faults have to
//! look (eac96c3efdb5). Nothing is frozen but for a split, and `invalidate_lock` isn't taken.
//!
//! What is modelled, and not reproduced on a kernel:
//! - Linux keeps a reference, so that the frame is never used again. Here it goes, as if
//!   `unpoison_memory()` came at once: a storm would run out of memory, and a frame that is used
//!   again is the harder case.
//! - It unmaps a large folio only if that can be split, and leaves the PTEs that are there if not;
//!   since v6.11 the processes are killed then. Here a split unmaps first, as it does for
//!   `punch-hole`.
//! - A page that is bad already is tried again, where Linux says so and returns.
//! - PTEs become none and not `hwpoison` entries, on which a touch would be a SIGBUS; tmpfs, which
//!   keeps the bad page in its file, is left out.
//! - What was written to the page is lost, and told as -EIO.

use std::ops::Range;

use super::{About, REMOVER_MAPCOUNT, REMOVER_MAPPING, Remover, WRITEBACK_WAIT};
use crate::address_space::AddressSpace;
use crate::folio::site::REF_FREEZE;
use crate::folio::{PG_HAS_HWPOISONED, PG_HWPOISON, Pfn};
use crate::platform::Platform;
use crate::system::{System, Task};

/// See the module.
#[derive(Debug)]
pub struct MemoryFailure;

static ABOUT: About = About {
    name: "memory-failure",
    lineage: "memory_failure(), Linux v6.1",
    summary: "PG_hwpoison, split, lock, unmap if mapped, remove",
    freezes: false,
    zaps_range: false,
    checks: &[
        &REMOVER_MAPPING,
        &REMOVER_MAPCOUNT,
        &WRITEBACK_WAIT,
        &REF_FREEZE,
    ],
};

impl<P: Platform> Remover<P> for MemoryFailure {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn remove(
        &self,
        system: &System<P>,
        mapping: &AddressSpace<P>,
        range: Range<u64>,
        task: &mut Task,
    ) {
        let range = range.start..range.end.min(mapping.max_pages());
        system.removal(&ABOUT, mapping, &range, task, |task| {
            for index in range.clone() {
                system.memory_failure(mapping, index, task);
            }
        });
    }
}

impl<P: Platform> System<P> {
    /// Deals with the bad memory of one page.
    fn memory_failure(&self, mapping: &AddressSpace<P>, index: u64, task: &mut Task) {
        let Some(mut doomed) = self.find_folio(mapping, index, task) else {
            return;
        };
        let bad = Pfn(doomed.pfn.0 + (index - doomed.index) as u32);
        self.memmap.folio(bad).set_hwpoison(PG_HWPOISON);
        if doomed.pages > 1 {
            doomed.folio.set_hwpoison(PG_HAS_HWPOISONED);
            doomed.folio.lock();
            let ours = doomed.is_in(mapping);
            let is_split =
                ours && !doomed.is_under_writeback() && self.split_folio(mapping, &doomed, task);
            task.removals.split += u64::from(is_split);
            task.removals.busy += u64::from(ours && !is_split);
            self.unlock_and_put(&doomed, task);
            let page = if is_split {
                self.find_folio(mapping, index, task)
            } else {
                None
            };
            let Some(page) = page else { return };
            doomed = page;
        }
        doomed.folio.lock();
        doomed.wait_for_writeback();
        // Somebody may have taken it away, or put another one there that is good.
        if doomed.pfn == bad && doomed.is_in(mapping) {
            if P::AUDIT {
                self.written.forget(mapping.id(), &doomed.pgoffs());
            }
            self.remove_locked(mapping, &mut vec![doomed], task);
        } else {
            self.unlock_and_put(&doomed, task);
        }
    }
}
