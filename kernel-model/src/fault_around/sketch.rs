//! `sketch`: the five steps of Torvalds' message of 14 October 2020, taken literally. A control:
//! it is broken, and must be seen to be. Kirill A. Shutemov drew the hole on 15 October 2020 in the
//! same thread, with `try_to_unmap()` as the remover. Torvalds answered that day that the race that
//! matters is with `__remove_mapping()`, which freezes the references; here it is the removers that
//! don't freeze them that matter.
//!
//! A whole removal fits between the first look at the lock and the increment: the remover finds a
//! mapcount of 0 and has nothing to zap, and by the second look the lock is free again. Nothing
//! looks at the mapping after the increment.
//!
//! A truncation of single pages shows it only where the fault is the first in its PTE table.
//! Otherwise it writes the new end of the file before it unmaps through the PTE-table lock, and the
//! fault reads that end under the lock: a fault that still saw the old one has set its PTEs by the
//! time the truncation comes through, and is unmapped. A zap that sees no PTE table takes no lock,
//! and then this would take a full barrier between the truncation's two steps
//! (`first-fault-vs-truncate`). x86 has one in the locked instruction that takes `i_mmap_rwsem`, so
//! that no audit on x86 finds that one. Where a large folio is cut and goes whole, what lies before
//! the new end isn't unmapped again (`fault-vs-partial-truncate`), and audits find it.

use super::mapcount_recheck::{
    MAPCOUNT_INC, MAPCOUNT_INC_MB, MAPCOUNT_UNDO, RECHECK_LOCKED, REMOVER_LOCK_MB,
};
use super::walk::{Claim, LARGE_RECHECK, Skip};
use super::{About, FaultAround, Rmws};
use crate::fault::{MapPages, Mapped, Window};
use crate::folio::site::REF_GET_UNLESS_ZERO;
use crate::folio::{Counting, PG_LOCKED};
use crate::graded::{FOREIGN_PTE, TRANSIENT_MAPCOUNT};
use crate::invariants::{NO_MAPPED_REMOVAL, NO_POISONED_PTE, NO_STALE_PTE, RIGHT_OFFSET};
use crate::page_allocator::{MemMap, Run};
use crate::platform::Platform;
use crate::race::{Invariant, Scheme, Verdict};
use crate::removal::Duties;
use crate::system::Task;
use crate::tag::{UNFROZEN, UNFROZEN_UNLOCKED};

/// See the module.
#[derive(Debug)]
pub struct Sketch;

/// What a checker and an audit may find.
const VIOLATES: &[Invariant] = &[
    NO_STALE_PTE,
    NO_MAPPED_REMOVAL,
    RIGHT_OFFSET,
    NO_POISONED_PTE,
];

static ABOUT: About = About {
    scheme: Scheme {
        name: "sketch",
        lineage: "Torvalds, 14 Oct 2020, the five steps literally",
        summary: "not locked, mapcount++, still not locked, map",
        verdict: Verdict::Broken {
            on: &[(UNFROZEN, VIOLATES), (UNFROZEN_UNLOCKED, VIOLATES)],
            why: "a whole removal fits between the first test of the lock and the increment",
        },
        shows: &[TRANSIENT_MAPCOUNT, FOREIGN_PTE],
        sites: &[
            &MAPCOUNT_INC,
            &MAPCOUNT_INC_MB,
            &RECHECK_LOCKED,
            &MAPCOUNT_UNDO,
            &REMOVER_LOCK_MB,
        ],
        own_checks: &[&RECHECK_LOCKED, &REF_GET_UNLESS_ZERO, &LARGE_RECHECK],
    },
    counting: Counting::Apart,
    rmws: Rmws::APART,
    shared_lines_per_fault: 0,
    asks_of_removers: "a full barrier between the folio lock and the read of mapcount; no \
                       BUG_ON(folio_mapped())",
};

impl<P: Platform> Claim<P> for Sketch {
    #[inline(always)]
    fn confirm<const LARGE: bool>(
        &self,
        memmap: &MemMap<P>,
        run: Run,
        flags: u64,
    ) -> Result<(), Skip> {
        if flags & PG_LOCKED != 0 {
            return Err(Skip::Locked);
        }
        memmap.mapcount_add_of::<LARGE>(run, &MAPCOUNT_INC);
        P::smp_mb_after_atomic(&MAPCOUNT_INC_MB);
        let folio = memmap.folio(run.head);
        if P::left_out(&RECHECK_LOCKED) || !folio.is_locked(&RECHECK_LOCKED) {
            return Ok(());
        }
        memmap.mapcount_sub(run, &MAPCOUNT_UNDO);
        Err(Skip::Undone)
    }
}

impl<P: Platform> FaultAround<P> for Sketch {
    fn about(&self) -> &'static About {
        &ABOUT
    }
}

impl<P: Platform> MapPages<P> for Sketch {
    fn map_pages(&self, window: &Window<'_, P>, task: &mut Task) -> Mapped {
        window.map_speculatively(task, self)
    }
}

impl<P: Platform> Duties<P> for Sketch {
    fn after_folio_lock(&self) {
        P::smp_mb_after_atomic(&REMOVER_LOCK_MB);
    }
}
