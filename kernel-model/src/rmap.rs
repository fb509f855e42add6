//! Unmapping: a range of a VMA, a range of a file, one folio (`zap_page_range()`,
//! `unmap_mapping_range()`, `unmap_mapping_folio()`).
//!
//! A zap clears PTEs and counts mapcounts down under the table's lock, and drops the references
//! after it, where the kernel would have flushed the TLB.

use std::ops::Range;
use std::sync::Arc;

use crate::address_space::AddressSpace;
use crate::folio::Pfn;
use crate::folio::site::MAPCOUNT_DEC;
use crate::mm::Vma;
use crate::page_allocator::Run;
use crate::page_table::{LockedPtes, Pte};
use crate::platform::{Note, Platform, RwSemaphore, Work};
use crate::system::{System, Task};

/// Calls `each` with the entries of a range of a file in every VMA that maps it, and the offset
/// that each entry maps, its table locked (`rmap_walk()`). Tables that aren't there are skipped. It
/// returns whether it has made the TLB stale, which then is flushed for all of the table.
pub(crate) fn rmap_walk<P: Platform>(
    mapping: &AddressSpace<P>,
    pgoffs: &Range<u64>,
    mut each: impl FnMut(u64, &mut Pte) -> bool,
) {
    for vma in mapping.i_mmap.read().iter() {
        for (here, mut ptes) in locked_tables_of(vma, vma.vpns_of(pgoffs)) {
            let first = vma.pgoff_of(here.start);
            let mut stale = false;
            for (index, pte) in (first..).zip(ptes.iter_mut()) {
                stale |= each(index, pte);
            }
            drop(ptes);
            if P::WORKS && stale {
                vma.mm.flush_tlb();
            }
        }
    }
}

/// The parts of a range of virtual pages that have a PTE table each. Whether one is there is asked
/// when its turn comes, and without a lock.
pub(crate) fn tables_of<P: Platform>(
    vma: &Vma<P>,
    vpns: Range<u64>,
) -> impl Iterator<Item = Range<u64>> {
    tables_by(vma, vpns, |vpns| {
        let there = vma.mm.page_table.has_table(vpns.start);
        there.then_some(vpns)
    })
}

/// The same with the entries, locked.
pub(crate) fn locked_tables_of<P: Platform>(
    vma: &Vma<P>,
    vpns: Range<u64>,
) -> impl Iterator<Item = (Range<u64>, LockedPtes<'_, P>)> {
    tables_by(vma, vpns, |vpns| {
        let ptes = vma.mm.page_table.offset_map_lock(vpns.clone())?;
        Some((vpns, ptes))
    })
}

fn tables_by<P: Platform, T>(
    vma: &Vma<P>,
    vpns: Range<u64>,
    get: impl Fn(Range<u64>) -> Option<T>,
) -> impl Iterator<Item = T> {
    let page_table = &vma.mm.page_table;
    let mut rest = vpns;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (here, left) = page_table.split(rest.clone());
            rest = left;
            let table = get(here);
            if table.is_some() {
                return table;
            }
            P::note(|| Note::NoPteTable);
        }
        None
    })
}

impl<P: Platform> System<P> {
    /// Zaps virtual pages of a VMA. Tables that aren't there are skipped, without taking a lock.
    /// Returns how many PTEs there were.
    pub fn zap_range(&self, vma: &Vma<P>, vpns: Range<u64>, task: &mut Task) -> u64 {
        self.zap::<false>(vma, vpns, task)
    }

    /// The same; `REMOVER`: whether it is on behalf of a remover, who then does a zap's work.
    #[inline(always)]
    fn zap<const REMOVER: bool>(&self, vma: &Vma<P>, vpns: Range<u64>, task: &mut Task) -> u64 {
        let mut zapped = 0;
        for (here, mut ptes) in locked_tables_of(vma, vpns) {
            let first = vma.pgoff_of(here.start);
            let mut at = 0;
            while at < ptes.len() {
                let Some(run) = self.run_of_ptes(&ptes[at..]) else {
                    // Nothing, or a migration entry, which holds no reference.
                    if !ptes[at].is_none() {
                        ptes[at] = Pte::NONE;
                    }
                    at += 1;
                    continue;
                };
                for offset in 0..run.pages {
                    let (index, pfn) = (first + at as u64, Pfn(run.first.0 + offset));
                    self.clear_pte(&vma.mapping, &mut ptes[at], Pte::NONE, index, pfn);
                    if P::AUDIT {
                        self.audit_zapped(&vma.mapping, index, pfn);
                    }
                    at += 1;
                }
                self.memmap.mapcount_sub(run, &MAPCOUNT_DEC);
                if REMOVER {
                    P::work(Work::ZappedPage, run.pages);
                }
                task.gather.push((run.head, run.pages));
                zapped += u64::from(run.pages);
            }
            drop(ptes);
            if REMOVER && !task.gather.is_empty() {
                vma.mm.flush_tlb();
            }
            while let Some((head, pages)) = task.gather.pop() {
                self.put_many(head, pages, task);
            }
        }
        zapped
    }

    /// The pages of one folio that the first of these entries and those after it map
    /// (`folio_pte_batch()`).
    #[inline(always)]
    fn run_of_ptes(&self, ptes: &[Pte]) -> Option<Run> {
        let first = ptes[0].pfn()?;
        if !self.memmap.has_large() {
            return Some(Run::single(first));
        }
        let head = self.memmap.head_of(first);
        let end = head.0 + self.memmap.pages(head);
        let mapped = (first.0..end).zip(ptes);
        let pages = mapped.take_while(|(pfn, pte)| pte.pfn() == Some(Pfn(*pfn)));
        Some(Run {
            head,
            first,
            pages: pages.count() as u32,
        })
    }

    /// Replaces the present entry of a page, which is still counted as mapped.
    #[inline(always)]
    pub(crate) fn clear_pte(
        &self,
        mapping: &AddressSpace<P>,
        pte: &mut Pte,
        by: Pte,
        index: u64,
        pfn: Pfn,
    ) {
        if P::AUDIT && !P::AUDIT_TAKES_LOCKS {
            self.audit_references(mapping, index, pfn);
        }
        *pte = by;
        P::note(|| Note::PteZapped { index, pfn });
        if P::AUDIT {
            self.ptes_of_frames.subtract(pfn);
        }
    }

    /// Zaps a range of a file in every VMA that maps it (`unmap_mapping_range()`).
    pub fn unmap_mapping_range(
        &self,
        mapping: &AddressSpace<P>,
        pgoffs: &Range<u64>,
        task: &mut Task,
    ) {
        for vma in mapping.i_mmap.read().iter() {
            // Two functions only where they differ.
            if P::WORKS {
                self.zap::<true>(vma, vma.vpns_of(pgoffs), task);
            } else {
                self.zap_range(vma, vma.vpns_of(pgoffs), task);
            }
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
