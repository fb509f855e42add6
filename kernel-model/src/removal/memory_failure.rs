//! `memory-failure`: takes pages with bad memory out of a file, one by one, after
//! `memory_failure()`; stricter than that, since it unmaps what it can't split.
//!
//! A page is marked first, without any lock; then its folio is locked, unmapped and taken out of
//! the cache, clean or dirty. A large folio is split before. Where somebody holds a reference it
//! can't be, and stays in the file with its bad page, unmapped: that is why faults have to look.
//! Nothing is frozen but for a split, and `invalidate_lock` isn't taken.
//!
//! **Linux unmaps nothing that it can't split.** It looks at the references first:
//! `can_split_folio()` comes before `unmap_folio()`, and with one too many the split gives up
//! (-EAGAIN; under writeback -EBUSY). The PTEs that are there stay; since v6.11 their processes are
//! killed, and still nothing is unmapped. The reference of a fault that has mapped nothing yet,
//! held without the folio's lock, is one too many. Only where one comes between that look and the
//! freeze is the folio left unmapped and whole. So in Linux a PTE that was set before the mark may
//! outlive the failure under any scheme, `page-locked` too. Here the split unmaps first, as it does
//! for `punch-hole`: [`NO_POISONED_PTE`](crate::invariants::NO_POISONED_PTE), and that checks are
//! needed for it, are verdicts of this stricter failure, which is ours. What Linux keeps is less:
//! no fault that begins after the mark maps the page. `poison_check` is enough for that, without
//! `recheck_poison`; so much is argued, and no scenario judges it.
//!
//! What else is simpler than in Linux; all of this is modelled, and not reproduced on a kernel:
//! - `mf_mutex` lets one failure at a time go on. Here two threads of a storm may each hold a
//!   reference, and make the other's split fail.
//! - Linux keeps a reference, so that the frame is never used again; where the split failed it puts
//!   that one, as happens here. Here the frame goes to the free list, as if `unpoison_memory()`
//!   came at once: a storm would run out of memory, and a frame that is used again is the harder
//!   case.
//! - A page that is bad already is tried again, where Linux says so and returns.
//! - PTEs become none and not `hwpoison` entries, on which a touch would be a SIGBUS.
//! - tmpfs, which since v5.16 keeps a bad page of order 0 in its file (a76054266661), is left out,
//!   and so are files whose page can't be invalidated. Here what isn't large always goes.
//! - What was written to the page is lost, as in Linux, and told as -EIO; nothing tells it here.
//! - Linux's slow path unmaps a bad page that it finds, drops it from the cache if it is clean, and
//!   has the fault tried again (`__do_fault()`). Here it only refuses.
//! - There are no PMD mappings, for whose sake Linux has `PG_has_hwpoisoned` (eac96c3efdb5). What
//!   maps PTEs, fault-around too, has looked at `PageHWPoison()` of each page since long before,
//!   and never reads that flag. Here it is a bit of the head's that spares a look at each page.

use std::ops::Range;

use super::{About, Doomed, REMOVER_MAPCOUNT, REMOVER_MAPPING, Remover, WRITEBACK_WAIT};
use crate::address_space::AddressSpace;
use crate::folio::site::REF_FREEZE;
use crate::folio::{PG_HAS_HWPOISONED, PG_HWPOISON, Pfn};
use crate::platform::Platform;
use crate::system::{System, Task};
use crate::tag::UNFROZEN_UNLOCKED;

/// See the module.
#[derive(Debug)]
pub struct MemoryFailure;

static ABOUT: About = About {
    name: "memory-failure",
    lineage: "after memory_failure(), Linux v6.1, which doesn't unmap what it can't split",
    summary: "PG_hwpoison, unmap and split, lock, unmap if mapped, remove",
    freezes: false,
    zaps_range: false,
    tags: &[UNFROZEN_UNLOCKED],
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
        system.removal(&ABOUT, mapping, range, task, |range, task| {
            let mut batch = Vec::with_capacity(1);
            for index in range.clone() {
                system.memory_failure(mapping, index, &mut batch, task);
            }
        });
    }
}

impl<P: Platform> System<P> {
    /// Deals with the bad memory of one page.
    fn memory_failure<'s>(
        &'s self,
        mapping: &AddressSpace<P>,
        index: u64,
        batch: &mut Vec<Doomed<'s, P>>,
        task: &mut Task,
    ) {
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
            if !is_split {
                return;
            }
            let Some(page) = self.find_folio(mapping, index, task) else {
                return;
            };
            doomed = page;
        }
        doomed.folio.lock();
        doomed.wait_for_writeback();
        // Somebody may have taken it away, or put another one there that is good.
        if doomed.pfn == bad && doomed.is_in(mapping) {
            if P::AUDIT {
                self.written.forget(mapping.id(), &doomed.pgoffs());
            }
            batch.push(doomed);
            self.remove_locked(mapping, batch, task);
        } else {
            self.unlock_and_put(&doomed, task);
        }
    }
}
