//! `invalidate-seq`: removers count themselves in and out of the part of the file that they are at,
//! and leave a new generation behind. A fault counts the window's mappings first and asks
//! afterwards: if a remover is there, or has been, it takes all of them back. Ours, for contrast
//! with `invalidate-gate`.
//!
//! The count of the mappings is what the remover sees, so that it has to zap only what looks
//! mapped. Each side writes, has a full barrier, and looks, once for the window: a fault that
//! misses the remover has its mapcounts seen, and the remover's zap waits for its PTEs. The PTEs
//! are set last. Set first and rolled back they would be seen in between; that is the broken twin,
//! which runs where `seq_ptes_last` is left out.
//!
//! `invalidate-seq-fused` is the same with both counts in one word, one access for both. It needs
//! no full barrier of the fault's: a remover takes a reference after it has counted itself in and
//! before it looks at the mapcount, and both sides do so in the same word. Whichever comes second
//! has read what the first one left there, and the remover's barrier does the rest. An acquire
//! isn't enough: where another thread has installed the PTE table, the remover might see the count
//! and not the table.

use crate::graded::{FOREIGN_PTE, TRANSIENT_MAPCOUNT};
use crate::race::{Scheme, Verdict};
use std::mem;
use std::ops::Range;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::fused_count::FUSED_GET;
use super::invalidate_gate::{UnaskedFused, any_closed, is_closed};
use super::invalidate_only::Unasked;
use super::mapcount_recheck::{MAPCOUNT_INC, MAPCOUNT_UNDO};
use super::walk::{Claim, LARGE_RECHECK};
use super::{About, FaultAround, Rmws};
use crate::address_space::AddressSpace;
use crate::fault::{MapPages, Mapped, Window};
use crate::folio::site::REF_GET_UNLESS_ZERO;
use crate::folio::{Counting, Pfn};
use crate::gates::GateState;
use crate::page_allocator::Run;
use crate::page_table::Pte;
use crate::platform::{Platform, Site};
use crate::removal::Duties;
use crate::system::Task;

/// See the module.
#[derive(Debug)]
pub struct InvalidateSeq<const FUSED: bool>;

/// Is a remover at work, before anything is counted?
const SEQ_BEGIN: Site = Site::load(
    "seq_begin",
    Acquire,
    "smp_load_acquire(), as read_seqcount_begin() does",
    "seq_leave: what a remover did that has left is seen",
);
/// Orders the mapcounts before the second look.
const SEQ_MB: Site = Site::fence(
    "seq_mb",
    "smp_mb__after_atomic()",
    "seq_enter_mb: one of the two sees what the other did before its barrier",
);
/// Is a remover at work, or has one been?
const SEQ_RECHECK: Site = Site::load(
    "seq_recheck",
    Relaxed,
    "READ_ONCE()",
    "seq_enter, over seq_mb and seq_enter_mb",
);
/// Has one been and gone?
const SEQ_GENERATION: Site = Site::load(
    "seq_generation",
    Relaxed,
    "the generation, not the count alone",
    "nothing: what seq_recheck has read",
);
/// Counts removers; without, a mutation takes an even number of them for none.
const SEQ_COUNTS: Site = Site::load(
    "seq_counts",
    Relaxed,
    "a count, not a flag that each remover turns over",
    "nothing: what seq_begin and seq_recheck have read",
);
/// PTEs are set after the second look.
const SEQ_PTES_LAST: Site = Site::load(
    "seq_ptes_last",
    Relaxed,
    "set_ptes() after the re-check",
    "nothing: under the PTE-table lock",
);
/// A remover counts itself in.
const SEQ_ENTER: Site = Site::rmw("seq_enter", Relaxed, "atomic64_inc()", "seq_enter_mb");
/// Orders that before the remover's first look at a mapcount. In the kernel `folio_try_get()` comes
/// in between and is fully ordered, which would do.
const SEQ_ENTER_MB: Site = Site::fence("seq_enter_mb", "smp_mb__after_atomic()", "seq_mb");
/// A remover counts itself out, and the generation up.
const SEQ_LEAVE: Site = Site::rmw(
    "seq_leave",
    Release,
    "atomic64_fetch_add_release()",
    "seq_begin",
);

const fn about(
    name: &'static str,
    counting: Counting,
    rmws: Rmws,
    sites: &'static [&'static Site],
    own_checks: &'static [&'static Site],
) -> About {
    About {
        scheme: Scheme {
            name,
            lineage: "ours",
            summary: "count the window, take it back if a remover is or was there",
            verdict: Verdict::Sound {
                why: "each side writes, has a full barrier, and looks: a fault that misses the remover \
                      has its mapcounts seen, and is waited for at the PTE-table lock",
            },
            shows: &[TRANSIENT_MAPCOUNT, FOREIGN_PTE],
            sites,
            own_checks,
        },
        counting,
        rmws,
        shared_lines_per_fault: 0,
        asks_of_removers: "that they count themselves in, full barrier, and out; no \
                           BUG_ON(folio_mapped())",
    }
}

static SEQ: About = about(
    "invalidate-seq",
    Counting::Apart,
    Rmws::APART,
    &[
        &SEQ_BEGIN,
        &SEQ_MB,
        &SEQ_RECHECK,
        &SEQ_GENERATION,
        &SEQ_COUNTS,
        &SEQ_PTES_LAST,
        &SEQ_ENTER,
        &SEQ_ENTER_MB,
        &SEQ_LEAVE,
        &MAPCOUNT_INC,
        &MAPCOUNT_UNDO,
    ],
    &[
        &SEQ_RECHECK,
        &SEQ_GENERATION,
        &SEQ_COUNTS,
        &SEQ_PTES_LAST,
        &REF_GET_UNLESS_ZERO,
        &LARGE_RECHECK,
    ],
);
static SEQ_FUSED: About = about(
    "invalidate-seq-fused",
    Counting::Fused,
    Rmws::FUSED,
    &[
        &SEQ_BEGIN,
        &SEQ_RECHECK,
        &SEQ_GENERATION,
        &SEQ_COUNTS,
        &SEQ_PTES_LAST,
        &SEQ_ENTER,
        &SEQ_ENTER_MB,
        &SEQ_LEAVE,
        &FUSED_GET,
    ],
    &[
        &SEQ_RECHECK,
        &SEQ_GENERATION,
        &SEQ_COUNTS,
        &SEQ_PTES_LAST,
        &FUSED_GET,
        &LARGE_RECHECK,
    ],
);

/// Whether a window that was counted after the first look may be mapped after the second.
fn is_unchanged<P: Platform>(begin: GateState, now: GateState) -> bool {
    let generation = P::left_out(&SEQ_GENERATION) || begin.generation() == now.generation();
    generation && !is_closed::<P>(&SEQ_COUNTS, now)
}

impl<const FUSED: bool> InvalidateSeq<FUSED> {
    /// Counts the window, looks again, and maps it or takes it back.
    #[inline(always)]
    fn count_and_map<P: Platform>(
        window: &Window<'_, P>,
        ptes: &mut [Pte],
        begin: [GateState; 2],
        task: &mut Task,
        claim: &impl Claim<P>,
    ) -> Mapped {
        if P::left_out(&SEQ_PTES_LAST) {
            return Self::map_and_count(window, ptes, begin, task, claim);
        }
        let start = window.pgoffs.start;
        let mut counted = mem::take(&mut task.window);
        let mut mapped = window.walk(ptes, task, claim, |_, at, run| counted.push((at, run)));
        if Self::may_map(window, begin) {
            let fault_pte = (window.fault_pgoff - start) as usize;
            for (at, run) in counted.drain(..) {
                let index = start + at as u64;
                window.system.set_ptes(&mut ptes[at..], run, index);
                mapped.fault_page |= (at..at + run.pages as usize).contains(&fault_pte);
            }
        } else {
            mapped = Mapped::default();
            for (_, run) in counted.drain(..) {
                Self::take_back(window, run, task, claim);
            }
        }
        task.window = counted;
        mapped
    }

    /// The second look.
    #[inline(always)]
    fn may_map<P: Platform>(window: &Window<'_, P>, begin: [GateState; 2]) -> bool {
        if !FUSED {
            P::smp_mb_after_atomic(&SEQ_MB);
        }
        let now = window.vma.mapping.gates.read(&window.pgoffs, &SEQ_RECHECK);
        let unchanged = begin.iter().zip(now);
        P::left_out(&SEQ_RECHECK)
            || unchanged
                .map(|(&begin, now)| is_unchanged::<P>(begin, now))
                .fold(true, |all, it| all & it)
    }

    #[cold]
    fn take_back<P: Platform>(
        window: &Window<'_, P>,
        run: Run,
        task: &mut Task,
        claim: &impl Claim<P>,
    ) {
        task.faults.undone += u64::from(run.pages);
        if !FUSED {
            window.system.memmap.mapcount_sub(run, &MAPCOUNT_UNDO);
        }
        claim.give_back(window.system, run, task);
    }

    /// The broken twin, which is the scheme without `seq_ptes_last`: PTEs are set before the second
    /// look, and cleared again.
    #[cold]
    fn map_and_count<P: Platform>(
        window: &Window<'_, P>,
        ptes: &mut [Pte],
        begin: [GateState; 2],
        task: &mut Task,
        claim: &impl Claim<P>,
    ) -> Mapped {
        let system = window.system;
        let start = window.pgoffs.start;
        let mut set = Vec::new();
        let mapped = window.walk(ptes, task, claim, |ptes, at, run| {
            system.set_ptes(&mut ptes[at..], run, start + at as u64);
            set.push((at, run));
        });
        if Self::may_map(window, begin) {
            return mapped;
        }
        for (at, run) in set {
            for (number, pte) in (0..run.pages).zip(&mut ptes[at..]) {
                let index = start + at as u64 + u64::from(number);
                let pfn = Pfn(run.first.0 + number);
                system.clear_pte(&window.vma.mapping, pte, Pte::NONE, index, pfn);
            }
            Self::take_back(window, run, task, claim);
        }
        Mapped::default()
    }
}

impl<P: Platform, const FUSED: bool> FaultAround<P> for InvalidateSeq<FUSED> {
    fn about(&self) -> &'static About {
        if FUSED { &SEQ_FUSED } else { &SEQ }
    }
}

impl<P: Platform, const FUSED: bool> MapPages<P> for InvalidateSeq<FUSED> {
    fn map_pages(&self, window: &Window<'_, P>, task: &mut Task) -> Mapped {
        let mut ptes = window.lock_ptes();
        let begin = window.vma.mapping.gates.read(&window.pgoffs, &SEQ_BEGIN);
        // Not for soundness, but so as not to count what would be taken back.
        if any_closed::<P>(&SEQ_COUNTS, begin) {
            task.faults.gate_closed += 1;
            return Mapped::default();
        }
        if FUSED {
            Self::count_and_map(window, &mut ptes, begin, task, &UnaskedFused)
        } else {
            Self::count_and_map(window, &mut ptes, begin, task, &Unasked)
        }
    }
}

impl<P: Platform, const FUSED: bool> Duties<P> for InvalidateSeq<FUSED> {
    fn begin_removal(&self, mapping: &AddressSpace<P>, range: &Range<u64>) {
        mapping.gates.enter(range, &SEQ_ENTER);
        P::smp_mb_after_atomic(&SEQ_ENTER_MB);
    }

    fn end_removal(&self, mapping: &AddressSpace<P>, range: &Range<u64>) {
        mapping.gates.leave(range, &SEQ_LEAVE);
    }
}
