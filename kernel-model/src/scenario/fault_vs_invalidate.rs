//! Faults against invalidations, which take no `invalidate_lock`, zap only what looks mapped, and
//! may run two at a time.

use std::sync::Arc;

use super::{Stage, seen};
use crate::Policy;
use crate::Task;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};
use crate::tag::UNFROZEN_UNLOCKED;

scenario! {
    /// With the PTE table there already.
    FaultVsInvalidate, fault_vs_invalidate, Scenario {
        name: "fault-vs-invalidate",
        summary: "fault-around of one page against an invalidation of it",
        cpus: &["fault", "invalidate"],
        seen: &[seen::FAULT_MAPPED, seen::REMOVED],
        tags: &[UNFROZEN_UNLOCKED],
        explored: Explored::Exhaustively { bound: Some(3) },
    }
}

scenario! {
    /// Without a PTE table: the fault installs it, and a zap that sees none takes no lock.
    FirstFaultVsInvalidate, first_fault_vs_invalidate, Scenario {
        name: "first-fault-vs-invalidate",
        summary: "the same where the fault is the first in its PTE table, which isn't there yet",
        cpus: &["fault", "invalidate"],
        seen: &[seen::FAULT_MAPPED, seen::REMOVED],
        tags: &[UNFROZEN_UNLOCKED],
        explored: Explored::Exhaustively { bound: Some(3) },
    }
}

scenario! {
    /// Two threads, so that the one that maps needn't be the one that installs the PTE table.
    ThreadsVsInvalidate, threads_vs_invalidate, Scenario {
        name: "threads-vs-invalidate",
        summary: "two threads of one process, no PTE table yet, against an invalidation",
        cpus: &["fault", "fault", "invalidate"],
        seen: &[seen::FAULT_MAPPED, seen::REMOVED],
        tags: &[UNFROZEN_UNLOCKED],
        explored: Explored::Exhaustively { bound: Some(1) },
    }
}

scenario! {
    /// The folio is held (by a read, or a device's access), so that it isn't freed when it leaves.
    HeldVsInvalidate, held_vs_invalidate, Scenario {
        name: "held-vs-invalidate",
        summary: "fault-around of a page that somebody has a reference to against an invalidation",
        cpus: &["fault, put", "invalidate"],
        seen: &[seen::FAULT_MAPPED, seen::REMOVED],
        tags: &[UNFROZEN_UNLOCKED],
        explored: Explored::Exhaustively { bound: Some(3) },
    }
}

scenario! {
    /// Two of them at once, as when two direct writes meet.
    FaultVsTwoInvalidates, fault_vs_two_invalidates, Scenario {
        name: "fault-vs-two-invalidates",
        summary: "fault-around of one page against two invalidations of it at once",
        cpus: &["fault", "invalidate", "invalidate"],
        seen: &[seen::FAULT_MAPPED, seen::REMOVED],
        tags: &[UNFROZEN_UNLOCKED],
        explored: Explored::Exhaustively { bound: Some(1) },
    }
}

fn fault_vs_invalidate<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let (mut stage, _) = Stage::new(policy, 1, 1, 0);
    let vma = stage.map_with_table();
    stage.faults_around(vma);
    stage.removes("invalidate", 1);
    stage
}

fn first_fault_vs_invalidate<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let (mut stage, _) = Stage::new(policy, 1, 1, 0);
    let vma = stage.map();
    stage.faults_around(vma);
    stage.removes("invalidate", 1);
    stage
}

fn threads_vs_invalidate<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let (mut stage, _) = Stage::new(policy, 1, 1, 0);
    let vma = stage.map();
    stage.faults_around(Arc::clone(&vma));
    stage.faults_around(vma);
    stage.removes("invalidate", 1);
    stage
}

fn held_vs_invalidate<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let (mut stage, _) = Stage::new(policy, 1, 1, 0);
    let vma = stage.map_with_table();
    let task = Task::default();
    let held = stage.system.get_folio(&stage.file, 0, &task);
    let (pfn, _) = held.expect("the page is cached");
    stage.cpu(move |system, _, task| {
        system.do_fault_around(&vma, 0, task);
        system.put(pfn, task);
    });
    stage.removes("invalidate", 1);
    stage
}

fn fault_vs_two_invalidates<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let (mut stage, _) = Stage::new(policy, 1, 1, 0);
    let vma = stage.map_with_table();
    stage.faults_around(vma);
    stage.removes("invalidate", 1);
    stage.removes("invalidate", 1);
    stage
}
