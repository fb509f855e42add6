//! `invalidate-only`: the mapping's `invalidate_lock` held shared around the window, instead of the
//! page locks. No kernel did that: XFS held such a lock in addition to them (`page-locked-xfs`).
//!
//! A control: it is broken under removers that don't take that lock exclusively: invalidation,
//! tmpfs's swapping out, memory failure and khugepaged. And it shows what a shared line costs:
//! every fault on the file writes the word of the lock twice, whichever pages it maps. Since v6.4
//! `->map_pages()` runs under RCU, where none may sleep: hence the trylock.

use super::mapcount_recheck::MAPCOUNT_INC;
use super::walk::{Claim, LARGE_RECHECK, Skip};
use super::{About, FaultAround, Rmws};
use crate::fault::{MapPages, Mapped, Window};
use crate::folio::Counting;
use crate::folio::site::REF_GET_UNLESS_ZERO;
use crate::graded::{FOREIGN_PTE, TRANSIENT_MAPCOUNT};
use crate::invariants::{
    NO_FREED_TABLE_USE, NO_MAPPED_REMOVAL, NO_POISONED_PTE, NO_STALE_PTE, RIGHT_OFFSET,
};
use crate::page_allocator::{MemMap, Run};
use crate::platform::{Platform, RwSemaphore};
use crate::race::{Invariant, Scheme, Verdict};
use crate::removal::Duties;
use crate::system::Task;
use crate::tag::{RETRACTED, UNFROZEN_UNLOCKED};

/// See the module.
#[derive(Debug)]
pub struct InvalidateOnly;

/// What a checker and an audit may find.
const VIOLATES: &[Invariant] = &[
    NO_STALE_PTE,
    NO_MAPPED_REMOVAL,
    RIGHT_OFFSET,
    NO_POISONED_PTE,
    NO_FREED_TABLE_USE,
];

static ABOUT: About = About {
    scheme: Scheme {
        name: "invalidate-only",
        lineage: "a control: invalidate_lock instead of the page locks",
        summary: "invalidate_lock shared around the window, no page lock",
        verdict: Verdict::Broken {
            on: &[(UNFROZEN_UNLOCKED, VIOLATES), (RETRACTED, VIOLATES)],
            why: "removers that don't take invalidate_lock fit between the slot and the increment",
        },
        shows: &[TRANSIENT_MAPCOUNT, FOREIGN_PTE],
        sites: &[&MAPCOUNT_INC],
        own_checks: &[&REF_GET_UNLESS_ZERO, &LARGE_RECHECK],
    },
    counting: Counting::Apart,
    rmws: Rmws::APART,
    shared_lines_per_fault: 1,
    asks_of_removers: "invalidate_lock held exclusively, which invalidation, swapping out, memory \
                       failure and khugepaged don't",
};

/// Asks nothing: the lock keeps removers out, or should.
pub(super) struct Unasked;

impl<P: Platform> Claim<P> for Unasked {
    #[inline(always)]
    fn confirm<const LARGE: bool>(
        &self,
        memmap: &MemMap<P>,
        run: Run,
        _flags: u64,
    ) -> Result<(), Skip> {
        memmap.mapcount_add_of::<LARGE>(run, &MAPCOUNT_INC);
        Ok(())
    }
}

impl<P: Platform> FaultAround<P> for InvalidateOnly {
    fn about(&self) -> &'static About {
        &ABOUT
    }
}

impl<P: Platform> MapPages<P> for InvalidateOnly {
    fn map_pages(&self, window: &Window<'_, P>, task: &mut Task) -> Mapped {
        let Some(_removers_kept_out) = window.vma.mapping.invalidate_lock.try_read() else {
            task.faults.gate_closed += 1;
            return Mapped::default();
        };
        window.map_speculatively(task, &Unasked)
    }
}

impl<P: Platform> Duties<P> for InvalidateOnly {}
