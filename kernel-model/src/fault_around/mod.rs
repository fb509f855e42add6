//! The core family: `filemap_map_pages()` under different locking, one file per scheme.
//!
//! A scheme maps those pages of a window that are in the page cache and up to date, without ever
//! blocking. What it leaves out the slow path will map, under the page lock. What a scheme asks of
//! removers is part of it.

use std::ops::Range;

use crate::Invariant;
use crate::address_space::site::{I_SIZE_READ, SLOT_RELOAD};
use crate::folio::site::REF_GET_UNLESS_ZERO;
use crate::folio::{Folio, PG_HWPOISON, PG_READAHEAD, PG_UPTODATE, Pfn};
use crate::mm::Vma;
use crate::page_table::{LockedPtes, Pte};
use crate::platform::{Note, Platform, Site};
use crate::system::{System, Task};

mod lockless_rfc;
mod mapcount_recheck;
mod page_locked;
mod sketch;

pub use lockless_rfc::LocklessRfc;
pub use mapcount_recheck::MapcountRecheck;
pub use page_locked::PageLocked;
pub use sketch::Sketch;

/// What is known of a scheme before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No invariant is ever violated, in any scenario.
    Sound {
        /// Why not, in a sentence.
        why: &'static str,
    },
    /// Some removal can go wrong.
    Broken {
        /// Names of the removers under which an audit on a machine shows it; under the others it
        /// finds nothing there.
        under: &'static [&'static str],
        /// Names of the scenarios in which a checker shows it; in the others it finds nothing.
        scenarios: &'static [&'static str],
        /// The invariants that a run may show violated.
        violates: &'static [Invariant],
        /// How it happens, in a sentence.
        why: &'static str,
    },
}

impl Verdict {
    /// Whether it is [`Verdict::Sound`].
    pub const fn is_sound(self) -> bool {
        matches!(self, Self::Sound { .. })
    }

    /// The invariants that an audit under a remover may show violated; at least one of them if it
    /// runs long enough. None if the scheme is sound under it.
    pub fn violates_under(self, remover: &str) -> &'static [Invariant] {
        match self {
            Self::Broken {
                under, violates, ..
            } if under.contains(&remover) => violates,
            _ => &[],
        }
    }

    /// The invariants of which a checker must find one violated in a scenario; none if it must
    /// find nothing.
    pub fn violates_in(self, scenario: &str) -> &'static [Invariant] {
        match self {
            Self::Broken {
                scenarios,
                violates,
                ..
            } if scenarios.contains(&scenario) => violates,
            _ => &[],
        }
    }

    /// Why it is as it is, in a sentence.
    pub const fn why(self) -> &'static str {
        match self {
            Self::Sound { why } | Self::Broken { why, .. } => why,
        }
    }
}

/// What a scheme says of itself.
#[derive(Debug)]
pub struct About {
    /// The name on the command line and in tables.
    pub name: &'static str,
    /// Kernel version or message.
    pub lineage: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// What is known of it.
    pub verdict: Verdict,
    /// Whether a remover that holds the folio lock may see a mapcount above 0 at the point of
    /// removal, though no PTE maps the folio: `transient-mapcount`, graded and not judged.
    pub transient_mapcount: bool,
    /// Atomic read-modify-writes on the fault side per 4K page mapped.
    pub rmws_per_page: u32,
    /// What a remover must do for it, beyond what Linux 6.1 does.
    pub asks_of_removers: &'static str,
    /// Its own ordering sites.
    pub sites: &'static [&'static Site],
    /// Those of them that are checks of its own.
    pub own_checks: &'static [&'static Site],
}

impl About {
    /// The checks that can be left out to see that it is noticed: its own, then those that every
    /// scheme makes.
    pub fn checks(&self) -> impl Iterator<Item = &'static Site> {
        let own = self.own_checks.iter().copied();
        own.chain(WALK_CHECKS)
    }
}

/// What a call of [`FaultAround::map_pages`] mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mapped {
    /// How many pages.
    pub pages: u32,
    /// Whether the faulting page is one of them.
    pub fault_page: bool,
}

/// A locking scheme of `filemap_map_pages()`. The call through the trait object is the kernel's
/// own indirect call of `vma->vm_ops->map_pages`.
pub trait FaultAround<P: Platform>: Send + Sync {
    /// What it says of itself.
    fn about(&self) -> &'static About;

    /// Maps what it can of the window.
    fn map_pages(&self, window: &Window<'_, P>, task: &mut Task) -> Mapped;

    /// The duty of a remover that doesn't freeze the refcount: called after it has taken folio
    /// locks (once per batch in the first pass) and before it reads a mapcount.
    fn after_folio_lock(&self) {}
}

/// Every scheme of the family. A new one is a file and a line here.
pub struct Schemes<P>(std::marker::PhantomData<P>);

impl<P: Platform> Schemes<P> {
    /// In the order of tables: the baseline first, the broken ones last.
    pub const ALL: &'static [&'static dyn FaultAround<P>] =
        &[&PageLocked, &MapcountRecheck, &Sketch, &LocklessRfc];

    /// The scheme of a name.
    pub fn named(name: &str) -> Option<&'static dyn FaultAround<P>> {
        Self::ALL
            .iter()
            .copied()
            .find(|scheme| scheme.about().name == name)
    }
}

/// The window of a fault: some neighbouring pages of one VMA in one PTE table.
pub struct Window<'a, P: Platform> {
    /// The machine.
    pub system: &'a System<P>,
    /// The mapping that faulted.
    pub vma: &'a Vma<P>,
    /// The file offsets of the window.
    pub pgoffs: Range<u64>,
    /// The offset that faulted.
    pub fault_pgoff: u64,
}

/// Why a folio to which there is a reference isn't mapped after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skip {
    /// It isn't up to date, carries readahead's marker, or is poisoned.
    Unfit,
    /// Somebody has it locked.
    Locked,
    /// It isn't at that place of the file any more.
    Moved,
    /// Its mapcount was incremented, and decremented again after a re-check.
    Undone,
}

impl<P: Platform> Window<'_, P> {
    /// Installs the PTE table if it isn't there, locks it, and gives the window's entries.
    #[inline(always)]
    pub fn lock_ptes(&self) -> LockedPtes<'_, P> {
        let start = self.vma.vpn_of(self.pgoffs.start);
        let end = start + (self.pgoffs.end - self.pgoffs.start);
        let page_table = &self.vma.mm.page_table;
        if !page_table.has_table(start) {
            page_table.install_table(start);
        }
        page_table.lock(start..end)
    }

    /// Whether a folio's contents may be mapped without asking anybody: they have been read,
    /// nothing waits to be started by a touch, and the memory is good.
    #[inline(always)]
    pub fn is_mappable(flags: u64) -> bool {
        flags & (PG_UPTODATE | PG_READAHEAD | PG_HWPOISON) == PG_UPTODATE
    }

    /// The walk that the lockless schemes share. With the PTE table locked, for each slot that has
    /// no PTE yet: take a speculative reference, look whether the folio is still there and may be
    /// mapped at all, and let the scheme `decide`.
    ///
    /// The end of the file is read once, with the table locked and before the first lookup: a
    /// truncation writes it before it comes to unmap through that lock.
    #[inline(always)]
    pub(crate) fn map_speculatively(
        &self,
        task: &mut Task,
        decide: impl Fn(&Folio<P>, u64) -> Result<(), Skip>,
    ) -> Mapped {
        let memmap = &self.system.memmap;
        let mapping = &*self.vma.mapping;
        let mut locked = self.lock_ptes();
        let ptes: &mut [Pte] = &mut locked;
        let fault_pte = (self.fault_pgoff - self.pgoffs.start) as usize;
        let fault_pte_was_none = ptes[fault_pte].is_none();
        let size = match P::left_out(&I_SIZE_READ) {
            true => u64::MAX,
            false => mapping.i_size_pages(),
        };
        let end = self.pgoffs.end.min(size);
        let start = self.pgoffs.start.min(end);
        let mut pages = 0;
        for (offset, (pte, slot)) in (0..).zip(ptes.iter_mut().zip(mapping.slots(start..end))) {
            if !P::left_out(&PTE_NONE) && !pte.is_none() {
                continue;
            }
            let Some(pfn) = slot.load() else { continue };
            let folio = memmap.folio(pfn);
            if !folio.try_get() {
                continue;
            }
            if !P::left_out(&SLOT_RELOAD) && slot.reload() != Some(pfn) {
                self.skip(pfn, Skip::Moved, task);
                continue;
            }
            let flags = folio.flags(&WINDOW_FLAGS);
            if !P::left_out(&WINDOW_FLAGS) && !Self::is_mappable(flags) {
                self.skip(pfn, Skip::Unfit, task);
                continue;
            }
            match decide(folio, flags) {
                Ok(()) => {
                    *pte = Pte::present(pfn);
                    P::note(|| Note::PteSet {
                        index: start + offset,
                        pfn,
                    });
                    pages += 1;
                }
                Err(skip) => self.skip(pfn, skip, task),
            }
        }
        Mapped {
            pages,
            fault_page: fault_pte_was_none && !ptes[fault_pte].is_none(),
        }
    }

    /// Lets a speculative reference go. Out of line: it is rare, and the walk needs the registers.
    #[cold]
    #[inline(never)]
    fn skip(&self, pfn: Pfn, skip: Skip, task: &mut Task) {
        match skip {
            Skip::Unfit => {}
            Skip::Locked => task.faults.skipped_locked += 1,
            Skip::Moved => task.faults.slot_changed += 1,
            Skip::Undone => task.faults.undone += 1,
        }
        self.system.put(pfn, task);
    }
}

/// The checks that every scheme makes in its walk, for whoever leaves one out.
pub(crate) const WALK_CHECKS: [&Site; 5] = [
    &PTE_NONE,
    &REF_GET_UNLESS_ZERO,
    &SLOT_RELOAD,
    &WINDOW_FLAGS,
    &I_SIZE_READ,
];

/// Skips what is mapped already.
pub const PTE_NONE: Site = Site::load(
    "pte_none",
    std::sync::atomic::Ordering::Relaxed,
    "pte_none(*vmf->pte)",
    "nothing: under the PTE-table lock",
);

/// Reads the flags of a folio with a reference to it.
pub const WINDOW_FLAGS: Site = Site::load(
    "window_flags",
    std::sync::atomic::Ordering::Acquire,
    "folio_test_uptodate(): test_bit(), smp_rmb()",
    "set_uptodate: the contents are seen read",
);
