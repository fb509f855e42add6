//! `fault-vs-swapout`: a fault against tmpfs's swapping out, which freezes nothing.

use super::{Stage, seen};
use crate::Policy;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};
use crate::tag::UNFROZEN_UNLOCKED;

scenario! {
    /// See the module.
    FaultVsSwapout, stage, Scenario {
        name: "fault-vs-swapout",
        summary: "fault-around of one page against its being sent to swap, unfrozen",
        cpus: &["fault", "shmem-swapout"],
        seen: &[seen::FAULT_MAPPED, seen::REMOVED],
        tags: &[UNFROZEN_UNLOCKED],
        explored: Explored::Exhaustively { bound: Some(3) },
    }
}

fn stage<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let (mut stage, _) = Stage::new(policy, 1, 1, 0);
    let vma = stage.map_with_table();
    stage.faults_around(vma);
    stage.removes("shmem-swapout", 1);
    stage
}
