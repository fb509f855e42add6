//! What must hold, by name, and the audits that look whether it does.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::address_space::AddressSpace;
use crate::folio::{Folio, PG_LOCKED, PG_UPTODATE, Pfn};
use crate::mm::Vma;
use crate::platform::{Note, Platform, RwSemaphore};
use crate::{System, Violation};

/// A property that no run of a sound scheme breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Invariant {
    /// Once a removal has returned, no PTE maps a folio that it removed.
    NoStalePte,
    /// No folio leaves the page cache while a PTE maps it.
    NoMappedRemoval,
    /// No folio is freed while a PTE maps it.
    NoMappedFree,
    /// Every PTE points at the folio whose mapping and index match it.
    RightOffset,
    /// No PTE maps beyond the end of the file.
    NoPtePastEof,
    /// No PTE maps a folio whose contents haven't been read.
    OnlyUptodate,
    /// At rest, all counts are what they count and nothing is locked.
    CountsBalance,
    /// Every fault and every removal ends.
    Progress,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::NoStalePte,
        Self::NoMappedRemoval,
        Self::NoMappedFree,
        Self::RightOffset,
        Self::NoPtePastEof,
        Self::OnlyUptodate,
        Self::CountsBalance,
        Self::Progress,
    ];

    /// The name on the command line and in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoStalePte => "no-stale-pte",
            Self::NoMappedRemoval => "no-mapped-removal",
            Self::NoMappedFree => "no-mapped-free",
            Self::RightOffset => "right-offset",
            Self::NoPtePastEof => "no-pte-past-eof",
            Self::OnlyUptodate => "only-uptodate",
            Self::CountsBalance => "counts-balance",
            Self::Progress => "progress",
        }
    }

    /// What it says, in one sentence.
    pub const fn says(self) -> &'static str {
        match self {
            Self::NoStalePte => "once a removal has returned, no PTE maps a folio that it removed",
            Self::NoMappedRemoval => "no folio leaves the page cache while a PTE maps it",
            Self::NoMappedFree => "no folio is freed while a PTE maps it",
            Self::RightOffset => "a PTE's folio has the PTE's mapping and index",
            Self::NoPtePastEof => "no PTE maps beyond the end of the file",
            Self::OnlyUptodate => "no PTE maps a folio that hasn't been read",
            Self::CountsBalance => "at rest, counts are what they count and nothing is locked",
            Self::Progress => "every fault and every removal ends",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A folio that a removal took out of the page cache.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Removed {
    pub(crate) index: u64,
    pub(crate) pfn: Pfn,
    pub(crate) incarnation: u64,
}

/// Calls `each` with every present PTE that maps a part of `pgoffs`, its table locked.
pub(crate) fn for_each_pte<P: Platform>(
    mapping: &AddressSpace<P>,
    pgoffs: &Range<u64>,
    mut each: impl FnMut(&Arc<Vma<P>>, u64, Pfn),
) {
    for vma in mapping.i_mmap.read().iter() {
        let page_table = &vma.mm.page_table;
        let mut rest = vma.vpns_of(pgoffs);
        while !rest.is_empty() {
            let (here, left) = page_table.split(rest);
            rest = left;
            if !page_table.has_table(here.start) {
                continue;
            }
            let first = vma.pgoff_of(here.start);
            let ptes = page_table.lock(here);
            for (offset, pte) in ptes.iter().enumerate() {
                if let Some(pfn) = pte.pfn() {
                    each(vma, first + offset as u64, pfn);
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
            index,
            pfn,
            incarnation: self.memmap.folio(pfn).incarnation(),
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
        for_each_pte(mapping, range, |_, index, pfn| {
            let folio = self.memmap.folio(pfn);
            // The PTE holds a reference, so that the incarnation stands still.
            let stale = removed.iter().any(|gone| {
                gone.index == index && gone.pfn == pfn && gone.incarnation == folio.incarnation()
            });
            if stale {
                let detail = "still mapped after its removal returned".to_owned();
                self.violated(Invariant::NoStalePte, index, pfn, detail);
            }
            self.audit_pte(mapping, index, pfn, folio);
        });
    }

    /// The audit of a PTE that is about to be zapped, its table locked: a zap heals what a remover
    /// has let go, and nobody would see it afterwards.
    pub(crate) fn audit_zapped(&self, mapping: &AddressSpace<P>, index: u64, pfn: Pfn) {
        let folio = self.memmap.folio(pfn);
        if folio.observe().mapping == 0 {
            let detail = "zapped after it had left the page cache".to_owned();
            self.violated(Invariant::NoMappedRemoval, index, pfn, detail);
        } else {
            self.audit_pte(mapping, index, pfn, folio);
        }
    }

    /// What holds of every PTE whenever its table is locked.
    fn audit_pte(&self, mapping: &AddressSpace<P>, index: u64, pfn: Pfn, folio: &Folio<P>) {
        let folio = folio.observe();
        if folio.counts.refcount() == 0 {
            let detail = "mapped with a refcount of 0".to_owned();
            self.violated(Invariant::NoMappedFree, index, pfn, detail);
        }
        if folio.mapping != mapping.id() {
            let detail = match folio.mapping {
                0 => "mapped with folio->mapping == NULL".to_owned(),
                other => format!("mapped, but of address space {other}"),
            };
            self.violated(Invariant::RightOffset, index, pfn, detail);
        } else if folio.index != index {
            let detail = format!("mapped, but its index is {}", folio.index);
            self.violated(Invariant::RightOffset, index, pfn, detail);
        }
        if folio.flags & PG_UPTODATE == 0 {
            let detail = "mapped without PG_uptodate".to_owned();
            self.violated(Invariant::OnlyUptodate, index, pfn, detail);
        }
    }

    /// The audit of a truncation that is about to return, with `i_rwsem` held: nothing is mapped
    /// past the new end.
    pub(crate) fn audit_eof(&self, mapping: &AddressSpace<P>) {
        let past = mapping.observe_size()..mapping.max_pages();
        for_each_pte(mapping, &past, |_, index, pfn| {
            let detail = format!("mapped, but the file ends at {}", past.start);
            self.violated(Invariant::NoPtePastEof, index, pfn, detail);
        });
    }

    /// The audit at rest: all threads have stopped, and every PTE belongs to a VMA that is known
    /// to `mapping`.
    pub fn audit_at_rest(&self, mapping: &AddressSpace<P>) {
        let mut ptes_of = vec![0_u32; self.memmap.len()];
        for_each_pte(mapping, &(0..mapping.max_pages()), |_, index, pfn| {
            ptes_of[pfn.0 as usize] += 1;
            let folio = self.memmap.folio(pfn);
            let gone = folio.observe();
            if gone.mapping == 0 && gone.counts.refcount() != 0 {
                // Only a removal takes a mapping away, and all of them have returned.
                let detail = "still mapped with folio->mapping == NULL".to_owned();
                self.violated(Invariant::NoStalePte, index, pfn, detail);
            } else {
                self.audit_pte(mapping, index, pfn, folio);
            }
        });
        self.audit_eof(mapping);

        let mut cached = vec![false; self.memmap.len()];
        for (index, slot) in mapping.slots(0..mapping.max_pages()).enumerate() {
            let Some(pfn) = slot.observe() else { continue };
            cached[pfn.0 as usize] = true;
            let folio = self.memmap.folio(pfn).observe();
            if folio.mapping != mapping.id() || folio.index != index as u64 {
                let detail = "in a slot that its mapping and index don't name".to_owned();
                self.violated(Invariant::CountsBalance, index as u64, pfn, detail);
            }
        }

        let mut unused = 0;
        for (pfn, folio) in self.memmap.iter() {
            let (ptes, cache) = (ptes_of[pfn.0 as usize], cached[pfn.0 as usize]);
            let folio = folio.observe();
            let (counts, index) = (folio.counts, folio.index);
            let references = ptes + u32::from(cache);
            if (counts.mapcount(), counts.refcount()) != (ptes, references) {
                let detail = format!(
                    "mapcount {} refcount {}, but {ptes} PTEs and {} reference of the cache",
                    counts.mapcount(),
                    counts.refcount(),
                    u32::from(cache),
                );
                self.violated(Invariant::CountsBalance, index, pfn, detail);
            }
            if references != 0 && folio.flags & PG_LOCKED != 0 {
                let detail = "locked with all threads stopped".to_owned();
                self.violated(Invariant::CountsBalance, index, pfn, detail);
            }
            unused += usize::from(references == 0);
        }
        let free = self.memmap.free_frames();
        if free != unused {
            let detail = format!("{free} frames are free, but {unused} are unused");
            self.violated(Invariant::CountsBalance, 0, Pfn(0), detail);
        }
    }
}
