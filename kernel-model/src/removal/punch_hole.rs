//! `punch-hole`: makes a hole inside the file (`truncate_pagecache_range()`).
//!
//! The range is unmapped once, before the folios. A PTE that comes later and shouldn't stays.

use std::ops::Range;

use super::{About, Remover, truncate_range};
use crate::address_space::AddressSpace;
use crate::platform::{Platform, RwSemaphore};
use crate::system::{System, Task};
use crate::tag::UNFROZEN;

/// See the module.
#[derive(Debug)]
pub struct PunchHole;

static ABOUT: About = About {
    name: "punch-hole",
    lineage: "truncate_pagecache_range(), Linux v6.1",
    summary: "unmap, remove",
    freezes: false,
    zaps_range: true,
    tags: &[UNFROZEN],
    checks: truncate_range::CHECKS,
};

impl<P: Platform> Remover<P> for PunchHole {
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
        let _inode = mapping.i_rwsem.write();
        let _no_filling = mapping.invalidate_lock.write();
        system.removal(&ABOUT, mapping, range, task, |range, task| {
            system.unmap_mapping_range(mapping, range, task);
            system.truncate_inode_pages_range(mapping, range, task);
        });
    }
}
