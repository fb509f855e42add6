//! `shmem-swapout`: moves pages of a tmpfs file to swap (`shmem_writepage()`, called by reclaim).
//!
//! The folio's lock is all that it holds, and it freezes nothing: the folio leaves the file while
//! it goes to the swap cache, and a speculative reference doesn't hold it off. The model's swap is
//! its backing store: a slot that the kernel would fill with a swap entry is empty, and a fault on
//! it reads the page again. Linux 6.1 splits a large folio before it writes it, which takes a
//! freeze; here it goes whole, as in later kernels, which swap large folios out.

use std::ops::Range;

use super::{About, CHECKS, Remover};
use crate::address_space::AddressSpace;
use crate::platform::Platform;
use crate::system::{System, Task};
use crate::tag::UNFROZEN_UNLOCKED;

/// See the module.
#[derive(Debug)]
pub struct ShmemSwapout;

static ABOUT: About = About {
    name: "shmem-swapout",
    lineage: "shmem_writepage(), Linux v6.1",
    summary: "trylock, unmap if mapped, remove without freezing",
    freezes: false,
    zaps_range: false,
    tags: &[UNFROZEN_UNLOCKED],
    checks: CHECKS,
};

impl<P: Platform> Remover<P> for ShmemSwapout {
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
            system.for_each_trylocked(mapping, range, task, |doomed, task| {
                if P::AUDIT {
                    system.written.forget(mapping.id(), &doomed.pgoffs());
                }
                batch.push(doomed);
                system.remove_locked(mapping, &mut batch, task);
            });
        });
    }
}
