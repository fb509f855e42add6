//! Removers against each other, on what a process has mapped, and against its own `munmap()`.
//!
//! What keeps them apart is the folio's lock, what each looks at under it, and, of those that
//! freeze, the references: a migration holds one, and so does a CPU that waits for its lock.

use super::{About, Explored, Seen, Stage, remove, scenario};
use crate::Task;
use crate::fault_around::FaultAround;
use crate::platform::Platform;

scenario! {
    /// The hole's reference makes the migration fail, and its entries become PTEs again after the
    /// hole has unmapped its range: its second look is all that it has (7b7387650dcf).
    PunchVsMigrate, punch_vs_migrate, About {
        name: "punch-vs-migrate",
        summary: "a hole against a fault and a migration that may fail and restore its PTE",
        cpus: &["punch-hole", "fault, migrate"],
        seen: &[Seen::FaultMapped, Seen::Migrated, Seen::FoundBusy, Seen::Unmapped],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// While its PTEs are migration entries, a folio is not mapped by its mapcount.
    InvalidateVsMigrate, invalidate_vs_migrate, About {
        name: "invalidate-vs-migrate",
        summary: "an invalidation of a mapped page against its migration",
        cpus: &["invalidate", "migrate"],
        seen: &[Seen::Removed, Seen::Migrated, Seen::FoundBusy, Seen::Unmapped],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// Both want the folio, and one of them its last references.
    PunchVsReclaim, punch_vs_reclaim, About {
        name: "punch-vs-reclaim",
        summary: "a hole over a mapped page against its being reclaimed",
        cpus: &["punch-hole", "reclaim"],
        seen: &[Seen::Removed, Seen::Reclaimed, Seen::FoundBusy],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// The second one finds the file shorter than it was when it was asked for.
    TruncateVsTruncate, truncate_vs_truncate, About {
        name: "truncate-vs-truncate",
        summary: "a fault and a truncation to one page against a truncation to none",
        cpus: &["fault, truncate", "truncate"],
        seen: &[Seen::FaultMapped, Seen::Removed],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// Two pages in one PTE table, of which nothing may be left when the table goes.
    UnmapVsPunch, unmap_vs_punch, About {
        name: "unmap-vs-punch",
        summary: "a process unmaps two pages and their PTE table against a hole over both",
        cpus: &["munmap", "punch-hole"],
        seen: &[Seen::Removed],
        explored: Explored::Exhaustively { bound: Some(3) },
    }
}

scenario! {
    /// The device still reads the page when the hole comes, which must wait with the lock held.
    PunchVsWriteback, punch_vs_writeback, About {
        name: "punch-vs-writeback",
        summary: "a hole over a page against the end of its writeback",
        cpus: &["end of writeback", "punch-hole"],
        seen: &[Seen::Removed],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// The same without waiting: what is being written back is left alone.
    ReclaimVsWriteback, reclaim_vs_writeback, About {
        name: "reclaim-vs-writeback",
        summary: "the reclaim of a page against the end of its writeback",
        cpus: &["end of writeback", "reclaim"],
        seen: &[Seen::Reclaimed],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

fn under_writeback<P: Platform>(
    scheme: &'static dyn FaultAround<P>,
    remover: &'static str,
) -> Stage<P> {
    let (mut stage, _) = Stage::new(scheme, 1, 1, 0);
    let pfn = stage.file.slot(0).load().expect("it is cached");
    let folio = stage.system.memmap.folio(pfn);
    folio.lock();
    folio.start_writeback();
    folio.unlock();
    // The device holds no reference: the folio is the file's until the bit is cleared.
    stage.cpu(move |system, _, _| system.memmap.folio(pfn).end_writeback());
    stage.removes(remover, 1);
    stage
}

fn punch_vs_writeback<P: Platform>(scheme: &'static dyn FaultAround<P>) -> Stage<P> {
    under_writeback(scheme, "punch-hole")
}

fn reclaim_vs_writeback<P: Platform>(scheme: &'static dyn FaultAround<P>) -> Stage<P> {
    under_writeback(scheme, "reclaim")
}

fn punch_vs_migrate<P: Platform>(scheme: &'static dyn FaultAround<P>) -> Stage<P> {
    let (mut stage, _) = Stage::new(scheme, 1, 1, 1);
    let vma = stage.map_with_table();
    stage.removes("punch-hole", 1);
    stage.cpu(move |system, file, task| {
        system.do_fault_around(&vma, 0, task);
        remove(system, file, "migrate", 0..1, task);
    });
    stage
}

/// Two removers on a page that is mapped.
fn mapped<P: Platform>(
    scheme: &'static dyn FaultAround<P>,
    free: u32,
    removers: [&'static str; 2],
) -> Stage<P> {
    let (mut stage, _) = Stage::new(scheme, 1, 1, free);
    let vma = stage.map_with_table();
    stage.system.do_fault_around(&vma, 0, &mut Task::default());
    for remover in removers {
        stage.removes(remover, 1);
    }
    stage
}

fn invalidate_vs_migrate<P: Platform>(scheme: &'static dyn FaultAround<P>) -> Stage<P> {
    mapped(scheme, 1, ["invalidate", "migrate"])
}

fn punch_vs_reclaim<P: Platform>(scheme: &'static dyn FaultAround<P>) -> Stage<P> {
    mapped(scheme, 0, ["punch-hole", "reclaim"])
}

fn truncate_vs_truncate<P: Platform>(scheme: &'static dyn FaultAround<P>) -> Stage<P> {
    let (mut stage, _) = Stage::new(scheme, 2, 2, 0);
    let vma = stage.map_with_table();
    stage.cpu(move |system, file, task| {
        system.do_fault_around(&vma, 0, task);
        remove(system, file, "truncate", 1..2, task);
    });
    stage.removes("truncate", 2);
    stage
}

fn unmap_vs_punch<P: Platform>(scheme: &'static dyn FaultAround<P>) -> Stage<P> {
    let (mut stage, _) = Stage::new(scheme, 2, 2, 0);
    let vma = stage.map_with_table();
    stage.system.do_fault_around(&vma, 0, &mut Task::default());
    stage.cpu(move |system, _, task| system.unmap(&vma, task));
    stage.removes("punch-hole", 2);
    stage
}
