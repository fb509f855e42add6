//! Removers against each other, on what a process has mapped, and against its own `munmap()`.
//!
//! What keeps them apart is the folio's lock, what each looks at under it, and, of those that
//! freeze, the references: a migration holds one, and so does a CPU that waits for its lock.
//! Writebacks are in `writeback.rs`.

use super::{Stage, remove, seen};
use crate::Policy;
use crate::Task;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};
use crate::tag::UNFROZEN;

scenario! {
    /// The hole's reference makes the migration fail, and its entries become PTEs again after the
    /// hole has unmapped its range: its second look is all that it has (7b7387650dcf).
    PunchVsMigrate, punch_vs_migrate, Scenario {
        name: "punch-vs-migrate",
        summary: "a hole against a fault and a migration that may fail and restore its PTE",
        cpus: &["punch-hole", "fault, migrate"],
        seen: &[seen::FAULT_MAPPED, seen::MIGRATED, seen::FOUND_BUSY, seen::UNMAPPED],
        tags: &[UNFROZEN],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// While its PTEs are migration entries, a folio is not mapped by its mapcount.
    InvalidateVsMigrate, invalidate_vs_migrate, Scenario {
        name: "invalidate-vs-migrate",
        summary: "an invalidation of a mapped page against its migration",
        cpus: &["invalidate", "migrate"],
        seen: &[seen::REMOVED, seen::MIGRATED, seen::FOUND_BUSY, seen::UNMAPPED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// Both want the folio, and one of them its last references.
    PunchVsReclaim, punch_vs_reclaim, Scenario {
        name: "punch-vs-reclaim",
        summary: "a hole over a mapped page against its being reclaimed",
        cpus: &["punch-hole", "reclaim"],
        seen: &[seen::REMOVED, seen::RECLAIMED, seen::FOUND_BUSY],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// Neither may take again what the other has taken.
    PunchVsMemoryFailure, punch_vs_memory_failure, Scenario {
        name: "punch-vs-memory-failure",
        summary: "a hole over a mapped page against the failure of its memory",
        cpus: &["punch-hole", "memory-failure"],
        seen: &[seen::REMOVED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// A folio that has left the file, and to which its remover still has a reference, is held as
    /// often as one that is in the file and nobody else's.
    InvalidateVsCollapse, invalidate_vs_collapse, Scenario {
        name: "invalidate-vs-collapse",
        summary: "an invalidation of a mapped page against khugepaged, which freezes it",
        cpus: &["invalidate", "collapse"],
        seen: &[seen::REMOVED, seen::COLLAPSED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// The same of its references' count.
    InvalidateVsCollapseCounted, invalidate_vs_collapse_counted, Scenario {
        name: "invalidate-vs-collapse-counted",
        summary: "the same against one that counts the page's references instead",
        cpus: &["invalidate", "collapse-counted"],
        seen: &[seen::REMOVED, seen::COLLAPSED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// The second one finds the file shorter than it was when it was asked for.
    TruncateVsTruncate, truncate_vs_truncate, Scenario {
        name: "truncate-vs-truncate",
        summary: "a fault and a truncation to one page against a truncation to none",
        cpus: &["fault, truncate", "truncate"],
        seen: &[seen::FAULT_MAPPED, seen::REMOVED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// Two pages in one PTE table, of which nothing may be left when the table goes.
    UnmapVsPunch, unmap_vs_punch, Scenario {
        name: "unmap-vs-punch",
        summary: "a process unmaps two pages and their PTE table against a hole over both",
        cpus: &["munmap", "punch-hole"],
        seen: &[seen::REMOVED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(3) },
    }
}

fn punch_vs_migrate<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let (mut stage, _) = Stage::new(policy, 1, 1, 1);
    let vma = stage.map_with_table();
    stage.removes("punch-hole", 1);
    stage.cpu(move |system, file, task| {
        system.do_fault_around(&vma, 0, task);
        remove(system, file, "migrate", 0..1, task);
    });
    stage
}

/// Two removers on a page that is mapped.
fn mapped<P: Platform>(policy: Policy<P>, free: u32, removers: [&'static str; 2]) -> Stage<P> {
    let (mut stage, _) = Stage::new(policy, 1, 1, free);
    let vma = stage.map_with_table();
    stage.system.do_fault_around(&vma, 0, &mut Task::default());
    for remover in removers {
        stage.removes(remover, 1);
    }
    stage
}

fn invalidate_vs_migrate<P: Platform>(policy: Policy<P>) -> Stage<P> {
    mapped(policy, 1, ["invalidate", "migrate"])
}

fn punch_vs_reclaim<P: Platform>(policy: Policy<P>) -> Stage<P> {
    mapped(policy, 0, ["punch-hole", "reclaim"])
}

fn punch_vs_memory_failure<P: Platform>(policy: Policy<P>) -> Stage<P> {
    mapped(policy, 0, ["punch-hole", "memory-failure"])
}

fn invalidate_vs_collapse<P: Platform>(policy: Policy<P>) -> Stage<P> {
    P::use_rcu();
    mapped(policy, 1, ["invalidate", "collapse"])
}

fn invalidate_vs_collapse_counted<P: Platform>(policy: Policy<P>) -> Stage<P> {
    P::use_rcu();
    mapped(policy, 1, ["invalidate", "collapse-counted"])
}

fn truncate_vs_truncate<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let (mut stage, _) = Stage::new(policy, 2, 2, 0);
    let vma = stage.map_with_table();
    stage.cpu(move |system, file, task| {
        system.do_fault_around(&vma, 0, task);
        remove(system, file, "truncate", 1..2, task);
    });
    stage.removes("truncate", 2);
    stage
}

fn unmap_vs_punch<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let (mut stage, _) = Stage::new(policy, 2, 2, 0);
    let vma = stage.map_with_table();
    stage.system.do_fault_around(&vma, 0, &mut Task::default());
    stage.cpu(move |system, _, task| system.unmap(&vma, task));
    stage.removes("punch-hole", 2);
    stage
}
