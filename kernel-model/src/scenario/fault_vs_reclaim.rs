//! Faults against reclaim, which freezes a folio's references before it takes it, and what becomes
//! of its frame then. Reclaim owes no scheme anything: a reference must be enough.

use super::{Sizes, Stage, remove, seen};
use crate::Orders;
use crate::Policy;
use crate::mm::{Mm, Vma};
use crate::platform::Platform;
use crate::race::{Explored, Scenario};

scenario! {
    /// One page.
    FaultVsReclaim, fault_vs_reclaim, Scenario {
        name: "fault-vs-reclaim",
        summary: "fault-around of one page against its being reclaimed",
        cpus: &["fault", "reclaim"],
        seen: &[seen::FAULT_MAPPED, seen::RECLAIMED, seen::FOUND_BUSY],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(3) },
    }
}

scenario! {
    /// The frame comes back as another page of the window.
    FaultVsReclaimAndRefill, fault_vs_reclaim_and_refill, Scenario {
        name: "fault-vs-reclaim-and-refill",
        summary: "a fault against a reclaim whose frame comes back as the page beside",
        cpus: &["fault", "reclaim, refill"],
        seen: &[seen::FAULT_MAPPED, seen::RECLAIMED, seen::FOUND_BUSY, seen::FILLED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(3) },
    }
}

scenario! {
    /// The frame comes back as a page that the faulting process doesn't map, and is removed there:
    /// no zap of that removal comes through the fault's PTE-table lock.
    FaultVsReclaimAndReuse, fault_vs_reclaim_and_reuse, Scenario {
        name: "fault-vs-reclaim-and-reuse",
        summary: "a fault against a reclaim whose frame is used and removed elsewhere",
        cpus: &["fault", "reclaim, refill, punch"],
        seen: &[seen::FAULT_MAPPED, seen::RECLAIMED, seen::FOUND_BUSY, seen::FILLED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// A large folio, of whose frames the first comes back at the same place, as a folio of its
    /// own.
    FaultVsSmallerRefill, fault_vs_smaller_refill, Scenario {
        name: "fault-vs-smaller-refill",
        summary: "a fault on a large folio that is reclaimed and comes back smaller",
        cpus: &["fault", "reclaim, refill"],
        seen: &[seen::FAULT_MAPPED, seen::RECLAIMED, seen::FILLED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(1) },
    }
}

fn fault_vs_smaller_refill<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let sizes = Sizes {
        orders: Orders::All(1),
        ..Sizes::of(2, 2, 0)
    };
    let (mut stage, _) = sizes.stage(policy);
    let vma = stage.map_with_table();
    stage.faults_around(vma);
    stage.cpu(|system, file, task| {
        remove(system, file, "reclaim", 0..2, task);
        system.read_ahead(file, 0..1, task);
    });
    stage
}

fn fault_vs_reclaim<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let (mut stage, _) = Stage::new(policy, 1, 1, 0);
    let vma = stage.map_with_table();
    stage.faults_around(vma);
    stage.removes("reclaim", 1);
    stage
}

fn fault_vs_reclaim_and_refill<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let (mut stage, contents) = Stage::new(policy, 2, 1, 0);
    let vma = stage.map_with_table();
    stage.faults_around_and_reads(vma, contents);
    stage.removes_and_refills("reclaim");
    stage
}

fn fault_vs_reclaim_and_reuse<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let (mut stage, contents) = Stage::new(policy, 2, 1, 0);
    let mm = Mm::new(1, 1);
    let vma = Vma::map(mm, stage.file.clone(), 0, 0, 1);
    vma.mm.page_table.install_table(0);
    stage.faults_around_and_reads(vma, contents);
    stage.cpu(|system, file, task| {
        remove(system, file, "reclaim", 0..1, task);
        system.read_ahead(file, 1..2, task);
        remove(system, file, "punch-hole", 1..2, task);
    });
    stage
}
