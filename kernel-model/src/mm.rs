//! Address spaces of processes, and what they map (`struct mm_struct`, `struct vm_area_struct`).

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::address_space::AddressSpace;
use crate::page_table::PageTable;
use crate::platform::{Platform, RwSemaphore, Work};

/// A process's address space: its page table. Its `mmap_lock` and per-VMA locks are not modelled;
/// no VMA changes while it is being faulted on.
pub struct Mm<P: Platform> {
    /// The page table, two levels of it.
    pub page_table: PageTable<P>,
    /// Only on a platform that works.
    flushes: Option<Box<Flushes>>,
}

/// How many flushes of the TLB the threads of an mm haven't paid for yet. No part of the model's
/// protocol, which has no TLB: hence not a word of the platform, with a site, and Relaxed. In a
/// line of its own, so that a CPU that isn't flushed doesn't pay for it.
#[derive(Default)]
#[repr(align(64))]
struct Flushes(AtomicU64);

impl<P: Platform> Mm<P> {
    /// An address space of `pages` pages with `entries_per_table` entries in a PTE table.
    pub fn new(pages: u64, entries_per_table: u32) -> Arc<Self> {
        Arc::new(Self {
            page_table: PageTable::new(pages, entries_per_table),
            flushes: P::WORKS.then(Box::default),
        })
    }

    /// A remover's flush after a zap, and the interrupt that comes of it (`flush_tlb_range()`).
    #[inline(always)]
    pub(crate) fn flush_tlb(&self) {
        if P::WORKS {
            if let Some(flushes) = &self.flushes {
                flushes.0.fetch_add(1, Relaxed);
            }
            P::work(Work::Flush, 1);
        }
    }

    /// Pays for the interrupts since the last fault on this mm.
    #[inline(always)]
    pub(crate) fn take_flushes(&self) {
        if P::WORKS
            && let Some(flushes) = &self.flushes
            // A look first: the line stays shared while there is nothing to take.
            && flushes.0.load(Relaxed) != 0
        {
            let times = flushes.0.swap(0, Relaxed);
            P::work(Work::Flushed, u32::try_from(times).unwrap_or(u32::MAX));
        }
    }
}

/// A shared mapping of a range of a file.
pub struct Vma<P: Platform> {
    /// Whose address space it is in.
    pub mm: Arc<Mm<P>>,
    /// The file.
    pub mapping: Arc<AddressSpace<P>>,
    /// The number of its first virtual page.
    pub start_vpn: u64,
    /// The file offset that `start_vpn` maps, in pages.
    pub pgoff: u64,
    /// How many pages it maps.
    pub pages: u64,
}

impl<P: Platform> Vma<P> {
    /// Maps `pages` pages of `mapping` from `pgoff` at `start_vpn` and makes the mapping known to
    /// the file (`mmap()`, `vma_link_file()`).
    pub fn map(
        mm: Arc<Mm<P>>,
        mapping: Arc<AddressSpace<P>>,
        start_vpn: u64,
        pgoff: u64,
        pages: u64,
    ) -> Arc<Self> {
        let vma = Self::map_unlinked(mm, mapping, start_vpn, pgoff, pages);
        vma.mapping.i_mmap.write().push(Arc::clone(&vma));
        vma
    }

    /// The same without the file's knowing: in the kernel the VMA is one of another file, such as a
    /// dma-buf, which maps pages of this one ([`System::map_foreign`](crate::System::map_foreign)).
    pub fn map_unlinked(
        mm: Arc<Mm<P>>,
        mapping: Arc<AddressSpace<P>>,
        start_vpn: u64,
        pgoff: u64,
        pages: u64,
    ) -> Arc<Self> {
        Arc::new(Self {
            mm,
            mapping,
            start_vpn,
            pgoff,
            pages,
        })
    }

    /// Makes the mapping unknown to the file (`unlink_file_vma()`). Whatever it maps must have
    /// been zapped.
    pub(crate) fn unlink(self: &Arc<Self>) {
        self.mapping
            .i_mmap
            .write()
            .retain(|other| !Arc::ptr_eq(other, self));
    }

    /// The file offsets that it maps.
    pub fn pgoffs(&self) -> Range<u64> {
        self.pgoff..self.pgoff + self.pages
    }

    /// The virtual page at which a file offset is mapped. The offset must be in [`Self::pgoffs`].
    #[inline(always)]
    pub fn vpn_of(&self, pgoff: u64) -> u64 {
        pgoff - self.pgoff + self.start_vpn
    }

    /// The virtual pages at which a part of a range of file offsets is mapped; empty if none is.
    pub fn vpns_of(&self, pgoffs: &Range<u64>) -> Range<u64> {
        let start = pgoffs.start.clamp(self.pgoff, self.pgoff + self.pages);
        let end = pgoffs.end.clamp(start, self.pgoff + self.pages);
        self.vpn_of(start)..self.vpn_of(end)
    }

    /// The file offset that a virtual page maps.
    pub fn pgoff_of(&self, vpn: u64) -> u64 {
        vpn - self.start_vpn + self.pgoff
    }
}
