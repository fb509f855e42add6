//! `invalidate-gate`: removers count themselves in and out of the part of the file that they are
//! at, and a fault that finds one there gives up the whole window. Ours.
//!
//! The fault asks under the PTE-table lock, and the remover zaps its range through those locks
//! between counting itself in and removing, whether anything is mapped or not. So a fault that
//! asked before has set its PTEs by the time that the zap comes, and one that comes after the zap
//! sees the count. Nothing has to be asked of a single page. A zap skips what has no PTE table:
//! there, the full barriers of both sides leave no way but that the fault sees the count, or the
//! zap the table.
//!
//! `invalidate-gate-fused` is the same with both counts in one word, one access for both. It counts
//! before it looks at the slot again, so that a folio that was reclaimed and used elsewhere can
//! show a mapcount there (`fault-vs-reclaim-and-reuse`), where `invalidate-gate` never counts what
//! it won't keep.
//!
//! A file has several gates ([`Gates`](crate::gates::Gates)): with one for all of it, a storm
//! anywhere in the file would send every fault on it to the slow path.

use crate::graded::{self, FOREIGN_PTE};
use crate::race::{Scheme, Verdict};
use std::ops::Range;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::fused_count::{FUSED_GET, give_back_fused, take_fused};
use super::invalidate_only::Unasked;
use super::mapcount_recheck::MAPCOUNT_INC;
use super::walk::{Claim, LARGE_RECHECK, Skip};
use super::{About, FaultAround, Rmws};
use crate::address_space::AddressSpace;
use crate::fault::{MapPages, Mapped, Window};
use crate::folio::Counting;
use crate::folio::site::REF_GET_UNLESS_ZERO;
use crate::gates::GateState;
use crate::page_allocator::{MemMap, Run};
use crate::platform::{Platform, Site};
use crate::removal::Duties;
use crate::system::{System, Task};

/// See the module.
#[derive(Debug)]
pub struct InvalidateGate<const FUSED: bool>;

/// Orders the look at the gate after the table was seen, or installed.
const GATE_PTL_MB: Site = Site::fence(
    "gate_ptl_mb",
    "smp_mb__after_spinlock()",
    "gate_enter_mb: a remover that saw no PTE table has its count seen",
);
/// Is a remover at work?
const GATE_READ: Site = Site::load(
    "gate_read",
    Acquire,
    "atomic_read_acquire()",
    "gate_leave: what a remover did that has left is seen",
);
/// A remover counts itself in.
const GATE_ENTER: Site = Site::rmw("gate_enter", Relaxed, "atomic_inc()", "gate_enter_mb");
/// Orders that before the remover's look at any PTE table.
const GATE_ENTER_MB: Site = Site::fence("gate_enter_mb", "smp_mb__after_atomic()", "gate_ptl_mb");
/// A remover counts itself out.
const GATE_LEAVE: Site = Site::rmw(
    "gate_leave",
    Release,
    "atomic_fetch_add_release()",
    "gate_read",
);
/// The remover's duty to zap, whatever the mapcounts say.
const GATE_ZAP: Site = Site::load(
    "gate_zap",
    Relaxed,
    "unmap_mapping_pages(), always",
    "nothing: it goes through the PTE-table locks",
);
/// Counts removers; without, a mutation takes an even number of them for none.
const GATE_COUNTS: Site = Site::load(
    "gate_counts",
    Relaxed,
    "a count, not a flag that each remover turns over",
    "nothing: what gate_read has read",
);

const fn about(
    name: &'static str,
    counting: Counting,
    transient_mapcount: bool,
    rmws: Rmws,
    sites: &'static [&'static Site],
    own_checks: &'static [&'static Site],
) -> About {
    About {
        scheme: Scheme {
            name,
            lineage: "ours",
            summary: "give up the window if a remover is at that part of the file",
            verdict: Verdict::Sound {
                why: "a fault looks at the gate under the PTE-table lock, and a remover that is counted \
                      comes through that lock before it removes anything",
            },
            shows: if transient_mapcount {
                graded::ALL
            } else {
                &[FOREIGN_PTE]
            },
            sites,
            own_checks,
        },
        counting,
        rmws,
        shared_lines_per_fault: 0,
        asks_of_removers: if transient_mapcount {
            "that they count themselves in, full barrier, zap always, and out; no BUG_ON(folio_mapped())"
        } else {
            "that they count themselves in, full barrier, zap always, and out"
        },
    }
}

static GATE: About = about(
    "invalidate-gate",
    Counting::Apart,
    false,
    Rmws::APART,
    &[
        &GATE_PTL_MB,
        &GATE_READ,
        &GATE_ENTER,
        &GATE_ENTER_MB,
        &GATE_LEAVE,
        &GATE_ZAP,
        &GATE_COUNTS,
        &MAPCOUNT_INC,
    ],
    &[
        &GATE_READ,
        &GATE_ZAP,
        &GATE_COUNTS,
        &REF_GET_UNLESS_ZERO,
        &LARGE_RECHECK,
    ],
);
static GATE_FUSED: About = about(
    "invalidate-gate-fused",
    Counting::Fused,
    true,
    Rmws::FUSED,
    &[
        &GATE_PTL_MB,
        &GATE_READ,
        &GATE_ENTER,
        &GATE_ENTER_MB,
        &GATE_LEAVE,
        &GATE_ZAP,
        &GATE_COUNTS,
        &FUSED_GET,
    ],
    &[
        &GATE_READ,
        &GATE_ZAP,
        &GATE_COUNTS,
        &FUSED_GET,
        &LARGE_RECHECK,
    ],
);

/// Whether removers are at work, by one gate's state.
pub(super) fn is_closed<P: Platform>(counts: &'static Site, state: GateState) -> bool {
    if P::left_out(counts) {
        state.active() & 1 != 0
    } else {
        state.active() != 0
    }
}

/// Whether removers are at work, by the states of a window's gates.
#[inline(always)]
pub(super) fn any_closed<P: Platform>(counts: &'static Site, gates: [GateState; 2]) -> bool {
    gates.iter().any(|&state| is_closed::<P>(counts, state))
}

/// Asks nothing, and counts both in one.
pub(super) struct UnaskedFused;

impl<P: Platform> Claim<P> for UnaskedFused {
    #[inline(always)]
    fn take(&self, memmap: &MemMap<P>, run: Run) -> bool {
        take_fused(memmap, run)
    }

    #[inline(always)]
    fn confirm<const LARGE: bool>(
        &self,
        _memmap: &MemMap<P>,
        _run: Run,
        _flags: u64,
    ) -> Result<(), Skip> {
        Ok(())
    }

    fn give_back(&self, system: &System<P>, run: Run, task: &Task) {
        give_back_fused(system, run, task);
    }
}

impl<P: Platform, const FUSED: bool> FaultAround<P> for InvalidateGate<FUSED> {
    fn about(&self) -> &'static About {
        if FUSED { &GATE_FUSED } else { &GATE }
    }
}

impl<P: Platform, const FUSED: bool> MapPages<P> for InvalidateGate<FUSED> {
    fn map_pages(&self, window: &Window<'_, P>, task: &mut Task) -> Mapped {
        let mut ptes = window.lock_ptes();
        P::smp_mb_after_atomic(&GATE_PTL_MB);
        let gates = window.vma.mapping.gates.read(&window.pgoffs, &GATE_READ);
        if any_closed::<P>(&GATE_COUNTS, gates) && !P::left_out(&GATE_READ) {
            task.faults.gate_closed += 1;
            return Mapped::default();
        }
        if FUSED {
            window.map_locked(&mut ptes, task, &UnaskedFused)
        } else {
            window.map_locked(&mut ptes, task, &Unasked)
        }
    }
}

impl<P: Platform, const FUSED: bool> Duties<P> for InvalidateGate<FUSED> {
    fn begin_removal(&self, mapping: &AddressSpace<P>, range: &Range<u64>) {
        mapping.gates.enter(range, &GATE_ENTER);
        P::smp_mb_after_atomic(&GATE_ENTER_MB);
    }

    fn end_removal(&self, mapping: &AddressSpace<P>, range: &Range<u64>) {
        mapping.gates.leave(range, &GATE_LEAVE);
    }

    fn must_zap(&self) -> bool {
        !P::left_out(&GATE_ZAP)
    }
}
