//! Faults on a large folio of which a part goes: it is split or, where the fault's reference
//! forbids that, removed whole if it is clean, and left if it is dirty.

use std::ops::Range;
use std::sync::Arc;

use super::{Sizes, Stage, seen};
use crate::Policy;
use crate::folio::PG_READAHEAD;
use crate::mm::{Mm, Vma};
use crate::platform::Platform;
use crate::race::{Explored, Scenario};
use crate::tag::UNFROZEN;
use crate::{Orders, Task};

scenario! {
    /// A hole over the second of two pages, the first of which a process has written.
    FaultVsSplit, fault_vs_split, Scenario {
        name: "fault-vs-split",
        summary: "fault-around of a dirty folio of two pages against a hole over the second",
        cpus: &["fault", "punch-hole"],
        seen: &[seen::FAULT_MAPPED, seen::SPLIT, seen::REMOVED],
        tags: &[UNFROZEN],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// The file cut off after the first of two pages.
    FaultVsPartialTruncate, fault_vs_partial_truncate, Scenario {
        name: "fault-vs-partial-truncate",
        summary: "the same of a clean folio against a truncation between the two pages",
        cpus: &["fault", "truncate"],
        seen: &[seen::FAULT_MAPPED, seen::SPLIT, seen::REMOVED],
        tags: &[UNFROZEN],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// The VMA begins in the middle of the folio, and the hole is over the page before it.
    MiddleVsSplit, middle_vs_split, Scenario {
        name: "middle-vs-split",
        summary: "fault-around of a folio from its second page on against a hole over the first",
        cpus: &["fault", "punch-hole"],
        seen: &[seen::FAULT_MAPPED, seen::SPLIT, seen::REMOVED],
        tags: &[UNFROZEN],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// The VMA begins in the middle of the folio, where the file is cut off.
    MiddleVsPartialTruncate, middle_vs_partial_truncate, Scenario {
        name: "middle-vs-partial-truncate",
        summary: "the same against a truncation of the file between the two pages",
        cpus: &["fault", "truncate"],
        seen: &[seen::FAULT_MAPPED, seen::SPLIT, seen::REMOVED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// Fault-around leaves the folio to the slow path, whose reference forbids the split.
    SlowVsPartialTruncate, slow_vs_partial_truncate, Scenario {
        name: "slow-vs-partial-truncate",
        summary: "the slow path on the second page of a dirty folio that is cut off before it",
        cpus: &["fault", "truncate"],
        seen: &[seen::SLOW_MAPPED, seen::REMOVED, seen::FOUND_BUSY],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

fn slow_vs_partial_truncate<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let mut stage = two_pages(policy);
    let written = stage.system.write(&stage.file, 0, &Task::default());
    assert!(written, "the page is cached");
    let head = stage.file.slot(0).load().expect("it is cached");
    stage.system.memmap.folio(head).set_flags(PG_READAHEAD);
    let vma = stage.map_with_table();
    stage.cpu(move |system, _, task| {
        system.handle_mm_fault(&vma, 1, task);
    });
    stage.cpu(move |system, file, task| {
        super::remove(system, file, "truncate", 1..2, task);
    });
    stage
}

fn two_pages<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let sizes = Sizes {
        orders: Orders::All(1),
        ..Sizes::of(2, 2, 0)
    };
    sizes.stage(policy).0
}

fn stage<P: Platform>(policy: Policy<P>, remover: &'static str) -> Stage<P> {
    let mut stage = two_pages(policy);
    let vma = stage.map_with_table();
    stage.faults_around(vma);
    stage.cpu(move |system, file, task| {
        super::remove(system, file, remover, 1..2, task);
    });
    stage
}

fn fault_vs_split<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let stage = stage(policy, "punch-hole");
    let written = stage.system.write(&stage.file, 0, &Task::default());
    assert!(written, "the page is cached");
    stage
}

fn fault_vs_partial_truncate<P: Platform>(policy: Policy<P>) -> Stage<P> {
    stage(policy, "truncate")
}

fn middle<P: Platform>(policy: Policy<P>, remover: &'static str, range: Range<u64>) -> Stage<P> {
    let mut stage = two_pages(policy);
    let vma = Vma::map(Mm::new(1, 1), Arc::clone(&stage.file), 0, 1, 1);
    vma.mm.page_table.install_table(0);
    stage.cpu(move |system, _, task| {
        system.do_fault_around(&vma, 1, task);
    });
    stage.cpu(move |system, file, task| super::remove(system, file, remover, range, task));
    stage
}

fn middle_vs_split<P: Platform>(policy: Policy<P>) -> Stage<P> {
    middle(policy, "punch-hole", 0..1)
}

fn middle_vs_partial_truncate<P: Platform>(policy: Policy<P>) -> Stage<P> {
    middle(policy, "truncate", 1..2)
}
