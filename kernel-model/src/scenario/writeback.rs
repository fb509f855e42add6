//! Removers of what is being written back: a device reads the page when they come, and holds no
//! reference. Some wait for it with the folio's lock held, and some leave the folio alone.

use std::ops::Range;

use super::{Sizes, Stage, remove, seen};
use crate::Orders;
use crate::Policy;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};

scenario! {
    /// The device still reads the page when the hole comes, which must wait with the lock held.
    PunchVsWriteback, punch_vs_writeback, Scenario {
        name: "punch-vs-writeback",
        summary: "a hole over a page against the end of its writeback",
        cpus: &["end of writeback", "punch-hole"],
        seen: &[seen::REMOVED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// The same without waiting: what is being written back is left alone.
    ReclaimVsWriteback, reclaim_vs_writeback, Scenario {
        name: "reclaim-vs-writeback",
        summary: "the reclaim of a page against the end of its writeback",
        cpus: &["end of writeback", "reclaim"],
        seen: &[seen::RECLAIMED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// An invalidation waits as a hole does.
    InvalidateVsWriteback, invalidate_vs_writeback, Scenario {
        name: "invalidate-vs-writeback",
        summary: "an invalidation of a page against the end of its writeback",
        cpus: &["end of writeback", "invalidate"],
        seen: &[seen::REMOVED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// A hole waits before it splits a folio, too: the device reads the half that goes.
    SplitVsWriteback, split_vs_writeback, Scenario {
        name: "split-vs-writeback",
        summary: "a hole over the second page of a folio against the end of its writeback",
        cpus: &["end of writeback", "punch-hole"],
        seen: &[seen::SPLIT, seen::REMOVED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// A failure doesn't split under writeback, and waits for it where there is nothing to split.
    FailureVsWriteback, failure_vs_writeback, Scenario {
        name: "failure-vs-writeback",
        summary: "bad memory in a folio of two pages and in one of one, against the end of writeback",
        cpus: &["end of writeback", "memory-failure"],
        seen: &[seen::SPLIT, seen::FOUND_BUSY, seen::REMOVED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

/// A machine whose folios of `pages` are all under writeback, and a CPU that removes some of it.
fn under_writeback<P: Platform>(
    mut stage: Stage<P>,
    remover: &'static str,
    range: Range<u64>,
) -> Stage<P> {
    let pages = stage.file.slots(0..stage.file.max_pages());
    let mut heads: Vec<_> = pages.iter().filter_map(|slot| slot.load()).collect();
    heads.dedup();
    for &pfn in &heads {
        let folio = stage.system.memmap.folio(pfn);
        folio.lock();
        folio.start_writeback();
        folio.unlock();
    }
    // The device holds no reference: the folio is the file's until the bit is cleared.
    stage.cpu(move |system, _, _| {
        for pfn in heads {
            system.memmap.folio(pfn).end_writeback();
        }
    });
    stage.cpu(move |system, file, task| remove(system, file, remover, range, task));
    stage
}

fn one_page<P: Platform>(policy: Policy<P>, remover: &'static str) -> Stage<P> {
    under_writeback(Stage::new(policy, 1, 1, 0).0, remover, 0..1)
}

/// A folio of two pages, and what is left in folios of one.
fn large<P: Platform>(policy: Policy<P>, pages: u32) -> Stage<P> {
    let sizes = Sizes {
        orders: Orders::All(1),
        ..Sizes::of(pages, pages, pages % 2)
    };
    sizes.stage(policy).0
}

fn punch_vs_writeback<P: Platform>(policy: Policy<P>) -> Stage<P> {
    one_page(policy, "punch-hole")
}

fn reclaim_vs_writeback<P: Platform>(policy: Policy<P>) -> Stage<P> {
    one_page(policy, "reclaim")
}

fn invalidate_vs_writeback<P: Platform>(policy: Policy<P>) -> Stage<P> {
    one_page(policy, "invalidate")
}

fn split_vs_writeback<P: Platform>(policy: Policy<P>) -> Stage<P> {
    under_writeback(large(policy, 2), "punch-hole", 1..2)
}

fn failure_vs_writeback<P: Platform>(policy: Policy<P>) -> Stage<P> {
    under_writeback(large(policy, 3), "memory-failure", 1..3)
}
