//! Faults on pages whose memory goes bad.

use super::{Sizes, Stage, remove, seen};
use crate::Orders;
use crate::Policy;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};
use crate::tag::UNFROZEN_UNLOCKED;

scenario! {
    /// A folio of one page goes here, whether faults look at its mark or not: to them that is
    /// another remover. In Linux it may stay.
    FaultVsMemoryFailure, fault_vs_memory_failure, Scenario {
        name: "fault-vs-memory-failure",
        summary: "fault-around of one page against the failure of its memory",
        cpus: &["fault", "memory-failure"],
        seen: &[seen::FAULT_MAPPED, seen::REMOVED],
        tags: &[UNFROZEN_UNLOCKED],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// A reference keeps the folio from being split, so that the bad page stays in the file,
    /// unmapped. Linux wouldn't have unmapped it.
    FaultVsUnsplitFailure, fault_vs_unsplit_failure, Scenario {
        name: "fault-vs-unsplit-failure",
        summary: "a fault on the bad one of two pages of a folio that can't be split",
        cpus: &["fault", "memory-failure"],
        seen: &[seen::FAULT_MAPPED, seen::FOUND_BUSY, seen::FOUND_BAD],
        tags: &[UNFROZEN_UNLOCKED],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

fn fault_vs_memory_failure<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let (mut stage, _) = Stage::new(policy, 1, 1, 0);
    let vma = stage.map_with_table();
    stage.faults_around(vma);
    stage.removes("memory-failure", 1);
    stage
}

fn fault_vs_unsplit_failure<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let sizes = Sizes {
        orders: Orders::All(1),
        ..Sizes::of(2, 2, 0)
    };
    let (mut stage, _) = sizes.stage(policy);
    let vma = stage.map_with_table();
    let pinned = stage.file.slot(1).load().expect("it is cached");
    stage.system.memmap.folio(pinned).get();
    stage.cpu(move |system, _, task| {
        system.handle_mm_fault(&vma, 1, task);
    });
    stage.cpu(move |system, file, task| {
        remove(system, file, "memory-failure", 1..2, task);
        system.put(pinned, task);
    });
    stage
}
