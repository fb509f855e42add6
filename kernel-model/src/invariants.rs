//! What must hold, by name, and the audits that look whether it does.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::address_space::AddressSpace;
use crate::folio::{Observed, PG_HWPOISON, PG_LOCKED, PG_UPTODATE, Pfn};
use crate::platform::{Note, Platform, RwSemaphore};
use crate::race::{Invariant, LOCK_ORDER, PROGRESS, Place, Violation};
use crate::rmap::tables_of;
use crate::system::System;

/// What must hold of the page cache and the page tables.
pub const ALL: &[Invariant] = &[
    NO_STALE_PTE,
    NO_MAPPED_REMOVAL,
    NO_MAPPED_FREE,
    NO_BAD_FREE,
    PTE_HOLDS_REFERENCE,
    RIGHT_OFFSET,
    NO_PTE_PAST_EOF,
    ONLY_UPTODATE,
    NO_POISONED_PTE,
    NO_LOST_DATA,
    NO_FREED_TABLE_USE,
    COUNTS_BALANCE,
    LOCK_ORDER,
    PROGRESS,
];

/// Once a removal has returned, no PTE maps a folio that it removed.
pub const NO_STALE_PTE: Invariant = Invariant {
    name: "no-stale-pte",
    says: "once a removal has returned, no PTE maps a folio that it removed",
};

/// No folio leaves the page cache while a PTE maps it.
pub const NO_MAPPED_REMOVAL: Invariant = Invariant {
    name: "no-mapped-removal",
    says: "no folio leaves the page cache while a PTE maps it",
};

/// No folio is freed while a PTE maps it.
pub const NO_MAPPED_FREE: Invariant = Invariant {
    name: "no-mapped-free",
    says: "no folio is freed while a PTE maps it",
};

/// No folio is freed while it is locked, under writeback, or belongs to a file.
pub const NO_BAD_FREE: Invariant = Invariant {
    name: "no-bad-free",
    says: "no folio is freed while it is locked, under writeback or of a file",
};

/// Every PTE holds a reference to its folio.
pub const PTE_HOLDS_REFERENCE: Invariant = Invariant {
    name: "pte-holds-reference",
    says: "every PTE holds a reference to its folio",
};

/// Every PTE points at the folio whose mapping and index match it.
pub const RIGHT_OFFSET: Invariant = Invariant {
    name: "right-offset",
    says: "a PTE's folio has the PTE's mapping and index",
};

/// No PTE maps beyond the end of the file.
pub const NO_PTE_PAST_EOF: Invariant = Invariant {
    name: "no-pte-past-eof",
    says: "no PTE maps beyond the end of the file",
};

/// No PTE maps a folio whose contents haven't been read.
pub const ONLY_UPTODATE: Invariant = Invariant {
    name: "only-uptodate",
    says: "no PTE maps a folio that hasn't been read",
};

/// Once `memory-failure` has returned, no PTE maps the bad page. Linux's failure doesn't keep
/// that: of a folio that it can't split it unmaps nothing.
pub const NO_POISONED_PTE: Invariant = Invariant {
    name: "no-poisoned-pte",
    says: "after memory-failure, stricter than Linux's, no PTE maps the bad page",
};

/// What a process has written stays in the cache until it is written back or the process drops
/// it.
pub const NO_LOST_DATA: Invariant = Invariant {
    name: "no-lost-data",
    says: "what was written stays cached until it is written back or dropped",
};

/// No PTE table is used after it was freed, or taken away with PTEs in it.
pub const NO_FREED_TABLE_USE: Invariant = Invariant {
    name: "no-freed-table-use",
    says: "no PTE table is used after its freeing, or goes with PTEs in it",
};

/// At rest, all counts are what they count and nothing is locked.
pub const COUNTS_BALANCE: Invariant = Invariant {
    name: "counts-balance",
    says: "at rest, counts are what they count and nothing is locked",
};

/// A folio that a removal took out of the page cache.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Removed {
    pub(crate) index: u64,
    pub(crate) pfn: Pfn,
    pub(crate) incarnation: u64,
}

/// How many PTEs map each frame, of VMAs in their file's `i_mmap`, for audits: nothing of the model
/// reads it. On a platform that doesn't audit it is empty.
#[derive(Debug, Default)]
pub(crate) struct PtesOfFrames(Box<[AtomicU32]>);

// Relaxed throughout: each PTE is changed and counted under its table's lock, before the mapcount
// goes down and after it has gone up, which is what a remover looks at.
impl PtesOfFrames {
    pub(crate) fn new(frames: u32) -> Self {
        Self((0..frames).map(|_| AtomicU32::new(0)).collect())
    }

    pub(crate) fn add(&self, pfn: Pfn) {
        self.0[pfn.0 as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn subtract(&self, pfn: Pfn) {
        self.0[pfn.0 as usize].fetch_sub(1, Ordering::Relaxed);
    }

    fn of(&self, pfn: Pfn) -> u32 {
        self.0[pfn.0 as usize].load(Ordering::Relaxed)
    }
}

/// Calls `each` with every present PTE that maps a part of `pgoffs`. A table that somebody has
/// locked is left out: to wait for a fault would hide what it races with, and the next look sees
/// what it left.
fn for_each_pte<P: Platform>(
    mapping: &AddressSpace<P>,
    pgoffs: &Range<u64>,
    mut each: impl FnMut(u64, Pfn),
) {
    let Some(vmas) = mapping.i_mmap.try_read() else {
        return;
    };
    for vma in vmas.iter() {
        for here in tables_of(vma, vma.vpns_of(pgoffs)) {
            let first = vma.pgoff_of(here.start);
            let Some(ptes) = vma.mm.page_table.try_lock(here) else {
                continue;
            };
            for (index, pte) in (first..).zip(ptes.iter()) {
                if let Some(pfn) = pte.pfn() {
                    each(index, pfn);
                }
            }
        }
    }
}

impl<P: Platform> System<P> {
    /// Reports a violation for a folio.
    pub(crate) fn violated(&self, invariant: Invariant, index: u64, pfn: Pfn, detail: String) {
        P::note(|| Note::Violated(invariant));
        self.violations.report(Violation {
            invariant,
            place: Some(Place {
                index,
                frame: pfn.0,
                incarnation: self.memmap.folio(pfn).incarnation(),
            }),
            detail,
        });
    }

    /// The audit of a removal that is about to return: none of what it removed is mapped, and
    /// what is mapped in its range by now is mapped rightly.
    pub(crate) fn audit_removal(
        &self,
        mapping: &AddressSpace<P>,
        range: &Range<u64>,
        removed: &[Removed],
    ) {
        for_each_pte(mapping, range, |index, pfn| {
            // The PTE holds a reference, so that the incarnation stands still.
            let incarnation = self.memmap.folio(pfn).incarnation();
            let stale = removed.iter().any(|gone| {
                gone.index == index && gone.pfn == pfn && gone.incarnation == incarnation
            });
            if stale {
                let detail = "still mapped after its removal returned".to_owned();
                self.violated(NO_STALE_PTE, index, pfn, detail);
            }
            self.audit_pte(mapping, index, pfn);
        });
    }

    /// The audit of a page that has just left the page cache: nothing maps it. It looks at no PTE,
    /// and takes no lock: to wait for the fault that races would hide the race.
    pub(crate) fn audit_leaving(&self, index: u64, pfn: Pfn) {
        let ptes = self.ptes_of_frames.of(pfn);
        if ptes > 0 {
            let detail = format!("left the page cache while mapped by {ptes} PTE(s)");
            self.violated(NO_MAPPED_REMOVAL, index, pfn, detail);
        }
    }

    /// The audit of a PTE that is about to be zapped, its table locked: a zap heals what a remover
    /// has let go, and no audit would see it afterwards.
    pub(crate) fn audit_zapped(&self, mapping: &AddressSpace<P>, index: u64, pfn: Pfn) {
        if self.observe_folio_of(pfn).mapping == 0 {
            let detail = "zapped after it had left the page cache".to_owned();
            self.violated(NO_MAPPED_REMOVAL, index, pfn, detail);
        } else {
            self.audit_pte(mapping, index, pfn);
        }
    }

    /// The audit of a PTE that is about to be cleared, its table locked, where a look is one step:
    /// each PTE of its folio holds a reference, and so does each slot.
    pub(crate) fn audit_references(&self, mapping: &AddressSpace<P>, index: u64, pfn: Pfn) {
        let head = self.memmap.observe_head_of(pfn);
        let frames = self.memmap.observe_frames(head);
        let folio = self.memmap.folio(head).observe();
        let places = folio.index..folio.index + frames.len() as u64;
        let slots = mapping.slots(places);
        let slots = slots.iter().filter(|slot| slot.observe() == Some(head));
        let slots = slots.count() as u32;
        let foreign = self.foreign_ptes.of(frames.clone());
        let known: u32 = frames.map(|frame| self.ptes_of_frames.of(Pfn(frame))).sum();
        let ptes = known + foreign;
        let refcount = folio.counts.refcount();
        if refcount < ptes + slots {
            let refcount = refcount.cast_signed();
            let detail = format!("refcount {refcount}, but {ptes} PTE(s) and {slots} slot(s)");
            self.violated(PTE_HOLDS_REFERENCE, index, pfn, detail);
        }
    }

    /// The head of the folio that a frame belongs to.
    fn observe_folio_of(&self, pfn: Pfn) -> Observed {
        self.memmap
            .folio(self.memmap.observe_head_of(pfn))
            .observe()
    }

    /// What holds of every PTE whenever its table is locked.
    fn audit_pte(&self, mapping: &AddressSpace<P>, index: u64, pfn: Pfn) {
        let head = self.memmap.observe_head_of(pfn);
        let folio = self.memmap.folio(head).observe();
        if folio.counts.refcount() == 0 {
            let detail = "mapped with a refcount of 0".to_owned();
            self.violated(NO_MAPPED_FREE, index, pfn, detail);
        }
        let page_index = folio.index + u64::from(pfn.0 - head.0);
        if folio.mapping != mapping.id() {
            let detail = match folio.mapping {
                0 => "mapped with folio->mapping == NULL".to_owned(),
                other => format!("mapped, but of address space {other}"),
            };
            self.violated(RIGHT_OFFSET, index, pfn, detail);
        } else if page_index != index {
            let detail = format!("mapped, but its index is {page_index}");
            self.violated(RIGHT_OFFSET, index, pfn, detail);
        }
        if folio.flags & PG_UPTODATE == 0 {
            let detail = "mapped without PG_uptodate".to_owned();
            self.violated(ONLY_UPTODATE, index, pfn, detail);
        }
    }

    /// The audit of a truncation that is about to return, with `i_rwsem` held: nothing is mapped
    /// past the new end.
    pub(crate) fn audit_eof(&self, mapping: &AddressSpace<P>) {
        let past = mapping.observe_size()..mapping.max_pages();
        for_each_pte(mapping, &past, |index, pfn| {
            let detail = format!("mapped, but the file ends at {}", past.start);
            self.violated(NO_PTE_PAST_EOF, index, pfn, detail);
        });
    }

    /// The audit at rest: all threads have stopped, and every PTE belongs to a VMA that is known
    /// to `mapping`, or is a foreign one. Of those only the counts are audited.
    pub fn audit_at_rest(&self, mapping: &AddressSpace<P>) {
        for vma in mapping.i_mmap.read().iter() {
            if let Some((pfn, detail)) = vma.mm.page_table.misuse() {
                self.violated(NO_FREED_TABLE_USE, vma.pgoff, pfn, detail.to_owned());
            }
        }
        let mut ptes_of = vec![0_u32; self.memmap.len()];
        for_each_pte(mapping, &(0..mapping.max_pages()), |index, pfn| {
            ptes_of[pfn.0 as usize] += 1;
            // Only at rest: while a memory failure is being dealt with, a PTE that was set before
            // the page was marked, or before it was unmapped, is still to go.
            if self.memmap.folio(pfn).observe().flags & PG_HWPOISON != 0 {
                let detail = "mapped, and its memory is bad".to_owned();
                self.violated(NO_POISONED_PTE, index, pfn, detail);
            }
            let gone = self.observe_folio_of(pfn);
            if gone.mapping == 0 && gone.counts.refcount() != 0 {
                // Only a removal takes a mapping away, and all of them have returned.
                let detail = "still mapped with folio->mapping == NULL".to_owned();
                self.violated(NO_STALE_PTE, index, pfn, detail);
            } else {
                self.audit_pte(mapping, index, pfn);
            }
        });
        self.foreign_ptes.add_to(&mut ptes_of);
        self.audit_eof(mapping);
        self.audit_written(mapping);

        let mut cached = vec![0_u32; self.memmap.len()];
        let slots = mapping.slots(0..mapping.max_pages());
        for (index, slot) in (0..).zip(slots.iter()) {
            let Some(pfn) = slot.observe() else { continue };
            let folio = self.memmap.folio(pfn).observe();
            let pages = u64::from(self.memmap.observe_pages(pfn));
            let lies_there = (folio.index..folio.index + pages).contains(&index);
            if folio.mapping == mapping.id() && lies_there {
                cached[pfn.0 as usize] += 1;
            } else {
                let detail = "in a slot that its mapping and index don't name".to_owned();
                self.violated(COUNTS_BALANCE, index, pfn, detail);
            }
        }
        let (counted, filled) = (
            mapping.nrpages(),
            slots.iter().filter_map(|slot| slot.observe()),
        );
        let filled = filled.count() as u64;
        if counted != filled {
            // Below 0 where more was taken away than there was.
            let counted = counted.cast_signed();
            let detail = format!("nrpages is {counted}, but {filled} slots are filled");
            self.violated(COUNTS_BALANCE, 0, Pfn(0), detail);
        }
        let unused = self.audit_counts(&ptes_of, &cached);
        let free = self.memmap.free_frames();
        if free != unused {
            let detail = format!("{free} frames are free, but {unused} are unused");
            self.violated(COUNTS_BALANCE, 0, Pfn(0), detail);
        }
    }

    /// Checks each folio's counts against its PTEs and the slots that it is in; returns how many
    /// frames have neither.
    fn audit_counts(&self, ptes_of: &[u32], cached: &[u32]) -> usize {
        let mut unused = 0;
        let mut next = 0;
        while next < self.memmap.len() as u32 {
            let head = Pfn(next);
            let frames = self.memmap.observe_frames(head);
            next = frames.end;
            let folio = self.memmap.folio(head).observe();
            let places = frames.start as usize..frames.end as usize;
            let ptes: u32 = ptes_of[places.clone()].iter().sum();
            let cache: u32 = cached[places].iter().sum();
            let (refcount, mapcount) =
                (folio.counts.refcount(), self.memmap.observe_mapcount(head));
            let references = ptes + cache;
            if (mapcount, refcount) != (ptes, references) {
                let (mapcount, refcount) = (mapcount.cast_signed(), refcount.cast_signed());
                let detail = format!(
                    "mapcount {mapcount} refcount {refcount}, but {ptes} PTEs and {cache} reference \
                     of the cache"
                );
                self.violated(COUNTS_BALANCE, folio.index, head, detail);
            }
            if frames.len() > 1 && self.memmap.counting().is_apart() {
                self.audit_page_mapcounts(frames.clone(), ptes_of);
            }
            if references != 0 && folio.flags & PG_LOCKED != 0 {
                let detail = "locked with all threads stopped".to_owned();
                self.violated(COUNTS_BALANCE, folio.index, head, detail);
            }
            if references == 0 {
                unused += frames.len();
            }
        }
        unused
    }

    /// Checks the mapcounts of a large folio's pages.
    fn audit_page_mapcounts(&self, frames: Range<u32>, ptes_of: &[u32]) {
        for pfn in frames {
            let mapcount = self.memmap.folio(Pfn(pfn)).observe().counts.mapcount();
            let ptes = ptes_of[pfn as usize];
            if mapcount != ptes {
                let mapcount = mapcount.cast_signed();
                let detail = format!("its page has mapcount {mapcount}, but {ptes} PTEs");
                self.violated(COUNTS_BALANCE, 0, Pfn(pfn), detail);
            }
        }
    }
}
