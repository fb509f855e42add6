//! PTEs of a file's pages in VMAs that aren't in the file's `i_mmap`, so that no zap of a range of
//! the file finds them.
//!
//! udmabuf set such PTEs until v6.11. Its VMA maps the dma-buf; its fault handler gave a page of
//! the memfd with a reference (`vmf->page`, `get_page()`), and `finish_fault()` counted the PTE in
//! the folio's mapcount, as if it were one of the memfd's own. `filemap_unaccount_folio()` finds
//! the folio "still mapped when deleted", and when the whole file goes away takes that mapcount and
//! its reference back, so that the later `munmap()` takes them down a second time: syzbot's "BUG:
//! Bad page map (8)" of July 2024 (ec4b7d82bb051330f15a). Since v6.11 the VMA is `VM_PFNMAP`, and
//! its PTEs count nothing.
//!
//! The model follows it to where the folio leaves the cache, with the PTE as it was; what Linux
//! takes back isn't modelled, nor is the `munmap()`. It was not reproduced on a kernel.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::folio::Pfn;
use crate::folio::site::MAPCOUNT_INC_LOCKED;
use crate::mm::Vma;
use crate::page_table::Pte;
use crate::platform::{Note, Platform};
use crate::system::{System, Task};

/// How many such PTEs map each frame, for grades and audits: nothing of the model reads it, and a
/// checker sees none of its accesses.
#[derive(Debug, Default)]
pub(crate) struct ForeignPtes(Mutex<BTreeMap<Pfn, u32>>);

impl ForeignPtes {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Pfn, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, pfn: Pfn) {
        *self.lock().entry(pfn).or_default() += 1;
    }

    /// Those of some frames.
    pub(crate) fn of(&self, frames: Range<u32>) -> u32 {
        let ptes = self.lock();
        ptes.range(Pfn(frames.start)..Pfn(frames.end))
            .map(|(_, ptes)| ptes)
            .sum()
    }

    /// Adds those of each frame to the others of that frame.
    pub(crate) fn add_to(&self, ptes_of: &mut [u32]) {
        for (pfn, ptes) in self.lock().iter() {
            ptes_of[pfn.0 as usize] += ptes;
        }
    }
}

impl<P: Platform> System<P> {
    /// Maps a page of a file in a VMA that isn't in the file's `i_mmap`, with a reference and a
    /// mapcount of the PTE's own (`udmabuf_vm_fault()`, `finish_fault()`). Returns whether the page
    /// is cached. The PTE stays: nothing of the model takes it away.
    pub fn map_foreign(&self, vma: &Vma<P>, pgoff: u64, task: &Task) -> bool {
        let Some((head, folio)) = self.get_folio(&vma.mapping, pgoff, task) else {
            return false;
        };
        folio.lock();
        let page = self.page_at(head, pgoff);
        let (index, pfn) = (pgoff, page.first);
        let vpn = vma.vpn_of(pgoff);
        let mut ptes = vma.mm.page_table.install_and_lock(vpn..vpn + 1);
        self.memmap.mapcount_add(page, &MAPCOUNT_INC_LOCKED);
        ptes[0] = Pte::present(pfn);
        P::note(|| Note::PteSet { index, pfn });
        self.foreign_ptes.add(pfn);
        drop(ptes);
        folio.unlock();
        true
    }
}
