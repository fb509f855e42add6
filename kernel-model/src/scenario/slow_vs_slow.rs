//! Two whole faults on a page that was never read: one reads it, the other sleeps on its lock and
//! must be woken.

use std::sync::Arc;

use super::{Stage, seen};
use crate::Policy;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};

scenario! {
    /// In two processes.
    SlowVsSlow, slow_vs_slow, Scenario {
        name: "slow-vs-slow",
        summary: "two whole faults on a page that was never read",
        cpus: &["fault", "fault"],
        seen: &[seen::SLOW_MAPPED, seen::FILLED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// By two threads of one process: the second to come finds the PTE there.
    SlowVsThread, slow_vs_thread, Scenario {
        name: "slow-vs-thread",
        summary: "the same by two threads of one process",
        cpus: &["fault", "fault"],
        seen: &[seen::SLOW_MAPPED, seen::FILLED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

fn slow_vs_slow<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let (mut stage, contents) = Stage::new(policy, 1, 0, 2);
    for _ in 0..2 {
        let vma = stage.map_with_table();
        stage.faults_and_reads(vma, Arc::clone(&contents));
    }
    stage
}

fn slow_vs_thread<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let (mut stage, contents) = Stage::new(policy, 1, 0, 2);
    let vma = stage.map_with_table();
    for _ in 0..2 {
        stage.faults_and_reads(Arc::clone(&vma), Arc::clone(&contents));
    }
    stage
}
