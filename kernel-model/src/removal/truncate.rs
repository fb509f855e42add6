//! `truncate`: makes the file shorter (`truncate_pagecache()`).
//!
//! The size goes first, so that no fault maps beyond the new end; the range is unmapped whole,
//! before the folios and once more after them. The second time is meant for private copies, but
//! heals a stale PTE as a side effect.
//!
//! Two of them never meet: `i_rwsem` is held throughout, and the look at `mapping` is for the sake
//! of other removers. The order of size and zaps is harmless in the model: `invalidate_lock` keeps
//! out those who would read a page anew, and the second zap comes after everything.

use std::ops::Range;

use super::{About, Remover, truncate_range};
use crate::address_space::AddressSpace;
use crate::platform::{Platform, RwSemaphore};
use crate::system::{System, Task};
use crate::tag::UNFROZEN;

/// See the module.
#[derive(Debug)]
pub struct Truncate;

static ABOUT: About = About {
    name: "truncate",
    lineage: "truncate_pagecache(), Linux v6.1",
    summary: "i_size, unmap, remove, unmap again",
    freezes: false,
    zaps_range: true,
    tags: &[UNFROZEN],
    checks: truncate_range::CHECKS,
};

impl<P: Platform> Remover<P> for Truncate {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    /// Cuts the file off at the start of `range`, whatever its end. Holds `invalidate_lock`, as
    /// ext4 and XFS do; 6.1's tmpfs and btrfs don't.
    fn remove(
        &self,
        system: &System<P>,
        mapping: &AddressSpace<P>,
        range: Range<u64>,
        task: &mut Task,
    ) {
        let range = range.start..mapping.max_pages();
        let _inode = mapping.i_rwsem.write();
        let _no_filling = mapping.invalidate_lock.write();
        system.removal(&ABOUT, mapping, range, task, |range, task| {
            mapping.set_i_size_pages(range.start.min(mapping.i_size_pages()));
            system.unmap_mapping_range(mapping, range, task);
            system.truncate_inode_pages_range(mapping, range, task);
            system.unmap_mapping_range(mapping, range, task);
        });
        if P::AUDIT && P::AUDIT_TAKES_LOCKS {
            system.audit_eof(mapping);
        }
    }
}
