//! Unmapping: a range of a VMA, a range of a file, one folio (`zap_page_range()`,
//! `unmap_mapping_range()`, `unmap_mapping_folio()`).
//!
//! A zap clears PTEs and counts mapcounts down under the table's lock, and drops the references
//! after it, where the kernel would have flushed the TLB.

use std::ops::Range;
use std::sync::Arc;

use crate::address_space::AddressSpace;
use crate::folio::site::MAPCOUNT_DEC;
use crate::mm::Vma;
use crate::page_table::Pte;
use crate::platform::{Note, Platform, RwSemaphore};
use crate::system::{System, Task};

impl<P: Platform> System<P> {
    /// Zaps virtual pages of a VMA. Tables that aren't there are skipped, without taking a lock.
    /// Returns how many PTEs there were.
    pub fn zap_range(&self, vma: &Vma<P>, vpns: Range<u64>, task: &mut Task) -> u64 {
        let page_table = &vma.mm.page_table;
        let mut zapped = 0;
        let mut rest = vpns;
        while !rest.is_empty() {
            let (here, left) = page_table.split(rest);
            rest = left;
            if !page_table.has_table(here.start) {
                P::note(|| Note::NoPteTable);
                continue;
            }
            let first = vma.pgoff_of(here.start);
            let mut ptes = page_table.lock(here);
            for (offset, pte) in ptes.iter_mut().enumerate() {
                if let Some(pfn) = pte.pfn() {
                    let index = first + offset as u64;
                    *pte = Pte::NONE;
                    P::note(|| Note::PteZapped { index, pfn });
                    if P::AUDIT {
                        self.audit_zapped(&vma.mapping, index, pfn);
                    }
                    self.memmap.folio(pfn).mapcount_dec(&MAPCOUNT_DEC);
                    task.gather.push(pfn);
                }
            }
            drop(ptes);
            zapped += task.gather.len() as u64;
            while let Some(pfn) = task.gather.pop() {
                self.put(pfn, task);
            }
        }
        zapped
    }

    /// Zaps a range of a file in every VMA that maps it (`unmap_mapping_range()`).
    pub fn unmap_mapping_range(
        &self,
        mapping: &AddressSpace<P>,
        pgoffs: &Range<u64>,
        task: &mut Task,
    ) {
        for vma in mapping.i_mmap.read().iter() {
            self.zap_range(vma, vma.vpns_of(pgoffs), task);
        }
    }

    /// Zaps a VMA and takes it and its page tables away (`munmap()`).
    pub fn unmap(&self, vma: &Arc<Vma<P>>, task: &mut Task) {
        let vpns = vma.vpns_of(&vma.pgoffs());
        self.zap_range(vma, vpns.clone(), task);
        vma.unlink();
        vma.mm.page_table.free_tables(vpns);
    }
}
