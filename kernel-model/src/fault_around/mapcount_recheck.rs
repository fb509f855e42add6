//! `mapcount-recheck`: Torvalds' sketch of 14 October 2020 together with its cover letter, which
//! re-checks "that the page still isn't locked and the mapping".
//!
//! The fault counts first and looks afterwards; the remover locks first and looks at the count
//! afterwards. With a full barrier between the two steps on each side, at least one of them sees
//! the other: either the fault sees the lock (or, later, the mapping gone) and undoes its count,
//! or the remover sees the count and comes through the PTE-table lock to zap. Since the PTE table
//! was installed before the count, a CPU that sees the count sees the table, too.
//!
//! Findings of `weaken`: the acquire of the first look at the flags isn't needed, since the
//! re-check has its own; nor is the order of the slot, since nothing of the folio is believed
//! before a reference is held. The end of the file is looked at for folios that lie beyond it, and
//! not for the sake of a racing truncation: the re-check catches that (`window-past-eof`).

use crate::graded::{FOREIGN_PTE, TRANSIENT_MAPCOUNT};
use crate::race::{Scheme, Verdict};
use std::sync::atomic::Ordering::{Acquire, Relaxed};

use super::walk::{Claim, LARGE_RECHECK, Skip};
use super::{About, FaultAround, Rmws};
use crate::fault::{MapPages, Mapped, Window};
use crate::folio::site::REF_GET_UNLESS_ZERO;
use crate::folio::{Counting, PG_LOCKED};
use crate::page_allocator::{MemMap, Run};
use crate::platform::{Platform, Site};
use crate::removal::Duties;
use crate::system::Task;

/// See the module.
#[derive(Debug)]
pub struct MapcountRecheck;

/// Counts the mapping that the PTE will be.
pub(super) const MAPCOUNT_INC: Site = Site::rmw(
    "mapcount_inc",
    Relaxed,
    "atomic_inc(&folio->_mapcount)",
    "mapcount_inc_mb makes it a full barrier",
);
/// Orders the count before the second look at the lock.
pub(super) const MAPCOUNT_INC_MB: Site = Site::fence(
    "mapcount_inc_mb",
    "smp_mb__after_atomic()",
    "remover_lock_mb: one of the two sees what the other did before its barrier",
);
/// Has a remover got hold of the folio meanwhile?
pub(super) const RECHECK_LOCKED: Site = Site::load(
    "recheck_locked",
    Acquire,
    "test_bit_acquire(PG_locked)",
    "folio_unlock: a remover that has come and gone is seen in the mapping",
);
/// Has a page of the folio gone bad meanwhile? A folio that can't be split stays in the file with
/// its bad page, unlocked and, by `memory-failure` and not by Linux, unmapped: what the first look
/// saw is old then. It is one load with `recheck_locked` because the model keeps
/// `PG_has_hwpoisoned` in the head's flags. Linux has it in those of the first tail, and
/// `PG_hwpoison` in each page's own: of a large folio these would be more loads, one per page.
const RECHECK_POISON: Site = Site::load(
    "recheck_poison",
    Relaxed,
    "PG_hwpoison and PG_has_hwpoisoned, the same load as recheck_locked",
    "set_hwpoison, which comes before folio_trylock in that word",
);
/// Has a remover come and gone?
pub(super) const RECHECK_MAPPING: Site = Site::load(
    "recheck_mapping",
    Relaxed,
    "READ_ONCE(folio->mapping)",
    "mapping_store, through recheck_locked and folio_unlock",
);
/// The remover's part: its lock is taken before it reads the mapcount.
pub(super) const REMOVER_LOCK_MB: Site = Site::fence(
    "remover_lock_mb",
    "smp_mb__after_atomic() after folio_lock(), which is acquire only",
    "mapcount_inc_mb",
);
/// Takes a count back.
pub(super) const MAPCOUNT_UNDO: Site = Site::rmw(
    "mapcount_undo",
    Relaxed,
    "atomic_dec(&folio->_mapcount)",
    "nothing: no PTE was set",
);

static ABOUT: About = About {
    scheme: Scheme {
        name: "mapcount-recheck",
        lineage: "Torvalds, 14 Oct 2020, with the cover letter",
        summary: "mapcount++, full barrier, re-check lock and mapping",
        verdict: Verdict::Sound {
            why: "each side writes, has a full barrier, and looks: a fault that misses the folio lock \
                  has its count seen, and one whose count is missed sees the lock or what came of it",
        },
        shows: &[TRANSIENT_MAPCOUNT, FOREIGN_PTE],
        sites: &[
            &MAPCOUNT_INC,
            &MAPCOUNT_INC_MB,
            &RECHECK_LOCKED,
            &RECHECK_MAPPING,
            &MAPCOUNT_UNDO,
            &REMOVER_LOCK_MB,
        ],
        own_checks: &[
            &RECHECK_LOCKED,
            &RECHECK_POISON,
            &RECHECK_MAPPING,
            &REF_GET_UNLESS_ZERO,
            &LARGE_RECHECK,
        ],
    },
    counting: Counting::Apart,
    rmws: Rmws::APART,
    shared_lines_per_fault: 0,
    asks_of_removers: "a full barrier between the folio lock and the read of mapcount; \
                       WRITE_ONCE(folio->mapping); no BUG_ON(folio_mapped())",
};

/// A re-check against one file.
struct Recheck {
    mapping: u64,
}

impl<P: Platform> Claim<P> for Recheck {
    #[inline(always)]
    fn confirm<const LARGE: bool>(
        &self,
        memmap: &MemMap<P>,
        run: Run,
        flags: u64,
    ) -> Result<(), Skip> {
        // Not for soundness, but so as not to disturb a remover: the re-check decides.
        if flags & PG_LOCKED != 0 {
            return Err(Skip::Locked);
        }
        let folio = memmap.folio(run.head);
        memmap.mapcount_add_of::<LARGE>(run, &MAPCOUNT_INC);
        P::smp_mb_after_atomic(&MAPCOUNT_INC_MB);
        let flags = folio.flags(&RECHECK_LOCKED);
        let unlocked = P::left_out(&RECHECK_LOCKED) || flags & PG_LOCKED == 0;
        let good = P::left_out(&RECHECK_POISON) || !Window::<P>::has_poison(flags);
        let ours = P::left_out(&RECHECK_MAPPING) || folio.mapping(&RECHECK_MAPPING) == self.mapping;
        if unlocked && good && ours {
            return Ok(());
        }
        memmap.mapcount_sub(run, &MAPCOUNT_UNDO);
        Err(Skip::Undone)
    }
}

impl<P: Platform> FaultAround<P> for MapcountRecheck {
    fn about(&self) -> &'static About {
        &ABOUT
    }
}

impl<P: Platform> MapPages<P> for MapcountRecheck {
    fn map_pages(&self, window: &Window<'_, P>, task: &mut Task) -> Mapped {
        let mapping = window.vma.mapping.id();
        window.map_speculatively(task, &Recheck { mapping })
    }
}

impl<P: Platform> Duties<P> for MapcountRecheck {
    fn after_folio_lock(&self) {
        P::smp_mb_after_atomic(&REMOVER_LOCK_MB);
    }
}
