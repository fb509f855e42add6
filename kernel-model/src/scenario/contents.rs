//! What is in the pages, so that a scenario can look at what a process would read.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::folio::Pfn;
use crate::invariants::{ONLY_UPTODATE, RIGHT_OFFSET};
use crate::mm::Vma;
use crate::platform::{AtomicWord, Holds, Note, Platform, Site};
use crate::rmap::locked_tables_of;
use crate::system::BackingStore;
use crate::system::System;

/// A read from the store writes a page's contents.
pub const CONTENTS_STORE: Site = Site::store(
    "contents_store",
    Relaxed,
    "the copy, or the device's write, into the page",
    "contents_read, over set_uptodate and window_flags",
);
/// A process reads a page that it has mapped.
pub const CONTENTS_READ: Site = Site::load(
    "contents_read",
    Relaxed,
    "a load of the process",
    "contents_store",
);

/// A backing store that leaves in each frame which page was read into it.
pub struct Contents<P: Platform>(Box<[P::AtomicU64]>);

impl<P: Platform> Contents<P> {
    /// Of so many frames, with nothing in them.
    pub fn new(frames: u32) -> Self {
        Self(
            (0..frames)
                .map(|_| P::AtomicU64::new(Holds::Contents, 0))
                .collect(),
        )
    }

    /// Reads all pages that are mapped as the process would; what is in them must be theirs.
    ///
    /// The PTE-table lock is taken for the look at the PTEs, where a CPU would walk without: it
    /// orders the caller after zaps, and not after the CPU that filled the page.
    pub fn read_mapped(&self, system: &System<P>, vma: &Vma<P>) {
        P::note(|| Note::Begins("the process reads", vma.pgoffs()));
        for (vpns, ptes) in locked_tables_of(vma, vma.vpns_of(&vma.pgoffs())) {
            let first = vma.pgoff_of(vpns.start);
            for (index, pte) in (first..).zip(ptes.iter()) {
                if let Some(pfn) = pte.pfn() {
                    self.read(system, index, pfn);
                }
            }
        }
    }

    fn read(&self, system: &System<P>, index: u64, pfn: Pfn) {
        let found = self.0[pfn.0 as usize].load(&CONTENTS_READ);
        if found != index + 1 {
            let (invariant, found) = match found.checked_sub(1) {
                None => (ONLY_UPTODATE, "nothing read into it".to_owned()),
                Some(other) => (RIGHT_OFFSET, format!("page {other}'s contents")),
            };
            let detail = format!("a process that reads the page finds {found}");
            system.violated(invariant, index, pfn, detail);
        }
    }
}

impl<P: Platform> BackingStore for Arc<Contents<P>> {
    fn read(&self, pages: &[(u64, Pfn)]) {
        for (index, pfn) in pages {
            self.0[pfn.0 as usize].store(index + 1, &CONTENTS_STORE);
        }
    }

    fn copy(&self, from: Pfn, to: Pfn, pages: u32) {
        for number in 0..pages {
            let contents = self.0[(from.0 + number) as usize].load(&CONTENTS_READ);
            self.0[(to.0 + number) as usize].store(contents, &CONTENTS_STORE);
        }
    }
}
