//! `fused-count`: `mapcount-recheck` with both counts in one word. One compare-exchange takes the
//! reference and the mapcount, and never from a refcount of 0; one subtraction gives both back.
//! Ours.
//!
//! The argument is that of `mapcount-recheck`: each side writes, has a full barrier, and looks.
//! What is new is that the mapcount of a folio may be raised that isn't at that place of the file
//! any more, so that the slot is looked at again after it. That is why a folio that is reused
//! elsewhere can show a mapcount that no PTE of its own will ever back.
//!
//! # What a kernel patch would have to change
//! - `_mapcount` starts at -1 and lies just below `_refcount` in memory: a 64-bit addition to both
//!   carries from one into the other where the mapcount goes from -1 to 0. Both would have to start
//!   at 0, with everything that reads `_mapcount + 1` today, or the compare-exchange would have to
//!   add with the halves apart, which it can: it has the old value.
//! - `_mapcount` shares its word with `page_type`, and a stale slot may lead to a page that has one
//!   by now. The compare-exchange must refuse that as it refuses a refcount of 0; the model's
//!   folios have no types.
//! - All others who write `_mapcount` alone (`folio_add_file_rmap_ptes()`,
//!   `folio_remove_rmap_ptes()`, `page_mapcount_reset()`) may go on with 32 bits where the
//!   architecture lets accesses of different sizes to one word be ordered, as x86 and arm64 do; the
//!   kernel's memory model has no words for that.
//! - A large folio would keep its total beside its refcount and none per page, as
//!   `CONFIG_NO_PAGE_MAPCOUNT` does since v6.15. That is how the model keeps it under this scheme.
//! - `BUG_ON(folio_mapped())` in `invalidate_inode_pages2_range()` and in `shmem_writepage()`, and
//!   the checks in `filemap_unaccount_folio()`, would have to go: a count that will be taken back
//!   is no error.
//! - `folio->mapping = NULL` would have to be a `WRITE_ONCE()`, as for `mapcount-recheck`.
//! - 32-bit machines have no such word.

use crate::graded::{FOREIGN_PTE, TRANSIENT_MAPCOUNT};
use crate::race::{Scheme, Verdict};
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

use super::mapcount_recheck::{RECHECK_MAPPING, REMOVER_LOCK_MB};
use super::walk::{Claim, LARGE_RECHECK, Skip};
use super::{About, FaultAround, Rmws};
use crate::fault::{MapPages, Mapped, Window};
use crate::folio::site::REF_PUT;
use crate::folio::{Counting, PG_LOCKED, Pfn};
use crate::page_allocator::{MemMap, Run};
use crate::platform::{Platform, Site};
use crate::removal::Duties;
use crate::system::{System, Task};

/// See the module.
#[derive(Debug)]
pub struct FusedCount;

/// Skips a locked folio before it is counted.
const TEST_LOCKED: Site = Site::load(
    "fused_test_locked",
    Relaxed,
    "folio_test_locked()",
    "nothing: the look after fused_get_mb decides",
);
/// Takes references and mapcounts unless the folio is free.
pub(super) const FUSED_GET: Site = Site::rmw(
    "fused_get",
    AcqRel,
    "try_cmpxchg64() of both counts, full in the kernel",
    "page_alloc_ref: a reused folio's slot reload sees what its former user did",
);
/// Makes the look at the lock come after the count.
const FUSED_GET_MB: Site = Site::fence(
    "fused_get_mb",
    "the full order of try_cmpxchg64()",
    "remover_lock_mb: one of the two sees what the other did before its barrier",
);
/// Is the folio locked, in the flags that are read after the count?
const FUSED_LOCKED: Site = Site::load(
    "fused_locked",
    Relaxed,
    "test_bit_acquire(PG_locked), the same load as that of PG_uptodate",
    "folio_unlock, through window_flags",
);

static ABOUT: About = About {
    scheme: Scheme {
        name: "fused-count",
        lineage: "ours: the sketch, its counts in one word",
        summary: "refcount and mapcount++ in one, re-check slot, lock, mapping",
        verdict: Verdict::Sound {
            why: "each side writes, has a full barrier, and looks: a fault that misses the folio lock \
                  has its count seen, and one whose count is missed sees the lock or what came of it",
        },
        shows: &[TRANSIENT_MAPCOUNT, FOREIGN_PTE],
        sites: &[
            &TEST_LOCKED,
            &FUSED_GET,
            &FUSED_GET_MB,
            &FUSED_LOCKED,
            &RECHECK_MAPPING,
            &REMOVER_LOCK_MB,
        ],
        own_checks: &[&FUSED_GET, &FUSED_LOCKED, &RECHECK_MAPPING, &LARGE_RECHECK],
    },
    counting: Counting::Fused,
    rmws: Rmws::FUSED,
    shared_lines_per_fault: 0,
    asks_of_removers: "a full barrier between the folio lock and the read of mapcount; \
                       WRITE_ONCE(folio->mapping); no BUG_ON(folio_mapped())",
};

/// Takes both counts of a run in one access.
#[inline(always)]
pub(super) fn take_fused<P: Platform>(memmap: &MemMap<P>, run: Run) -> bool {
    memmap.folio(run.head).try_get_mapped(run.pages, &FUSED_GET)
}

/// Gives them back in one access.
pub(super) fn give_back_fused<P: Platform>(system: &System<P>, run: Run, task: &Task) {
    system
        .memmap
        .put_mapped(run.head, run.pages, &REF_PUT, task.cpu, &system.violations);
}

/// A re-check against one file.
struct Recheck {
    mapping: u64,
}

impl<P: Platform> Claim<P> for Recheck {
    /// Not for soundness, but so as not to disturb a remover: the look afterwards decides.
    #[inline(always)]
    fn leaves_alone(&self, memmap: &MemMap<P>, head: Pfn) -> bool {
        memmap.folio(head).is_locked(&TEST_LOCKED)
    }

    #[inline(always)]
    fn take(&self, memmap: &MemMap<P>, run: Run) -> bool {
        let taken = take_fused(memmap, run);
        P::smp_mb_after_atomic(&FUSED_GET_MB);
        taken
    }

    #[inline(always)]
    fn confirm<const LARGE: bool>(
        &self,
        memmap: &MemMap<P>,
        run: Run,
        flags: u64,
    ) -> Result<(), Skip> {
        let folio = memmap.folio(run.head);
        let unlocked = P::left_out(&FUSED_LOCKED) || flags & PG_LOCKED == 0;
        let ours = P::left_out(&RECHECK_MAPPING) || folio.mapping(&RECHECK_MAPPING) == self.mapping;
        if unlocked && ours {
            Ok(())
        } else {
            Err(Skip::Undone)
        }
    }

    fn give_back(&self, system: &System<P>, run: Run, task: &Task) {
        give_back_fused(system, run, task);
    }
}

impl<P: Platform> FaultAround<P> for FusedCount {
    fn about(&self) -> &'static About {
        &ABOUT
    }
}

impl<P: Platform> MapPages<P> for FusedCount {
    fn map_pages(&self, window: &Window<'_, P>, task: &mut Task) -> Mapped {
        let mapping = window.vma.mapping.id();
        window.map_speculatively(task, &Recheck { mapping })
    }
}

impl<P: Platform> Duties<P> for FusedCount {
    fn after_folio_lock(&self) {
        P::smp_mb_after_atomic(&REMOVER_LOCK_MB);
    }
}
