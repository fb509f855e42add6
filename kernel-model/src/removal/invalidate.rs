//! `invalidate`: drops clean pages so that a direct write and the page cache agree, before it and
//! again after it (`invalidate_inode_pages2_range()`).
//!
//! No lock keeps fillers or another invalidation out. The first folio that is found mapped has the
//! rest of the range unmapped in one go, before any lock is taken; each folio is looked at again
//! under its lock, and only then unmapped for itself. One that is never found mapped is removed
//! without a PTE-table lock having been taken at all.

use std::ops::Range;

use super::{About, CHECKS, Remover};
use crate::address_space::AddressSpace;
use crate::folio::PG_DIRTY;
use crate::folio::site::STABLE_READ;
use crate::platform::Platform;
use crate::system::{System, Task};
use crate::tag::UNFROZEN_UNLOCKED;

/// See the module.
#[derive(Debug)]
pub struct Invalidate;

static ABOUT: About = About {
    name: "invalidate",
    lineage: "invalidate_inode_pages2_range(), Linux v6.1",
    summary: "no invalidate_lock; unmap if mapped, remove",
    freezes: false,
    zaps_range: false,
    tags: &[UNFROZEN_UNLOCKED],
    checks: CHECKS,
};

impl<P: Platform> Remover<P> for Invalidate {
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
            let mut did_range_unmap = system.policy.duties.must_zap();
            let mut batch = Vec::with_capacity(1);
            let mut index = range.start;
            while index < range.end {
                let Some(doomed) = system.find_folio(mapping, index, task) else {
                    index += 1;
                    continue;
                };
                let pgoffs = doomed.pgoffs();
                index = pgoffs.end;
                if !did_range_unmap && system.is_mapped(&doomed) {
                    let rest = pgoffs.start..range.end.max(pgoffs.end);
                    system.unmap_mapping_range(mapping, &rest, task);
                    did_range_unmap = true;
                }
                doomed.folio.lock();
                doomed.wait_for_writeback();
                let ours = doomed.is_in(mapping);
                // The caller has written dirty pages back before; one that is dirty again stays
                // (-EBUSY).
                let dirty = ours && doomed.folio.flags(&STABLE_READ) & PG_DIRTY != 0;
                task.removals.busy += u64::from(dirty);
                if ours && !dirty {
                    batch.push(doomed);
                    system.remove_locked(mapping, &mut batch, task);
                } else {
                    system.unlock_and_put(&doomed, task);
                }
            }
        });
    }
}
