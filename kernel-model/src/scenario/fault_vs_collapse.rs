//! Faults against khugepaged, which replaces the folio and takes the PTE table away that the new
//! one covers. Tables are freed after a grace period here.

use super::{Sizes, Stage, seen};
use crate::Policy;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};
use crate::tag::RETRACTED;
use crate::{Orders, Task};

scenario! {
    /// The old folio's references are frozen, until v6.3.
    FaultVsCollapse, fault_vs_collapse, Scenario {
        name: "fault-vs-collapse",
        summary: "fault-around of one page against khugepaged, which freezes it",
        cpus: &["fault", "collapse"],
        seen: &[seen::FAULT_MAPPED, seen::COLLAPSED],
        tags: &[RETRACTED],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// They are counted once, since v6.4.
    FaultVsCollapseCounted, fault_vs_collapse_counted, Scenario {
        name: "fault-vs-collapse-counted",
        summary: "the same against one that counts the page's references instead",
        cpus: &["fault", "collapse-counted"],
        seen: &[seen::FAULT_MAPPED, seen::COLLAPSED],
        tags: &[RETRACTED],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// Two folios of one page become one of two; another process has one of them mapped.
    MappedVsCollapse, mapped_vs_collapse, Scenario {
        name: "mapped-vs-collapse",
        summary: "two pages, one mapped by another process, against a collapse of both",
        cpus: &["fault", "collapse-counted"],
        seen: &[seen::FAULT_MAPPED, seen::COLLAPSED],
        tags: &[RETRACTED],
        explored: Explored::Exhaustively { bound: Some(1) },
    }
}

fn stage<P: Platform>(policy: Policy<P>, remover: &'static str) -> Stage<P> {
    P::use_rcu();
    let (mut stage, contents) = Stage::new(policy, 1, 1, 1);
    let vma = stage.map_with_table();
    stage.faults_around_and_reads(vma, contents);
    stage.removes(remover, 1);
    stage
}

fn fault_vs_collapse<P: Platform>(policy: Policy<P>) -> Stage<P> {
    stage(policy, "collapse")
}

fn fault_vs_collapse_counted<P: Platform>(policy: Policy<P>) -> Stage<P> {
    stage(policy, "collapse-counted")
}

fn mapped_vs_collapse<P: Platform>(policy: Policy<P>) -> Stage<P> {
    P::use_rcu();
    let sizes = Sizes {
        orders: Orders::All(1),
        ..Sizes::of(2, 0, 4)
    };
    let (mut stage, contents) = sizes.stage(policy);
    let mut task = Task::default();
    let mapped = stage.map_with_table();
    for page in 0..2 {
        // One by one, so that each is a folio of its own.
        assert!(
            stage
                .system
                .read_ahead(&stage.file, page..page + 1, &mut task)
        );
    }
    stage.system.handle_mm_fault(&mapped, 0, &mut task);
    let vma = stage.map_with_table();
    stage.cpu(move |system, _, task| {
        system.do_fault_around(&vma, 0, task);
        contents.read_mapped(system, &vma);
        contents.read_mapped(system, &mapped);
    });
    stage.removes("collapse-counted", 2);
    stage
}
