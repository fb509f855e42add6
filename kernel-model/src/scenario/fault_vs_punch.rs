//! One page, one fault, one hole. The core of it all.

use std::sync::Arc;

use super::{SetStage, Stage, remove, seen};
use crate::Policy;
use crate::Task;
use crate::mm::{Mm, Vma};
use crate::platform::Platform;
use crate::race::{Explored, Scenario};
use crate::tag::UNFROZEN;

/// With the PTE table there already.
#[derive(Debug)]
pub struct FaultVsPunch;

/// Without a PTE table: the fault installs it, and a zap that sees none takes no lock.
#[derive(Debug)]
pub struct FirstFaultVsPunch;

static FAULT_VS_PUNCH: Scenario = Scenario {
    name: "fault-vs-punch",
    summary: "fault-around of one page against a hole punched over it",
    cpus: &["fault", "punch-hole"],
    seen: &[seen::FAULT_MAPPED, seen::REMOVED],
    tags: &[UNFROZEN],
    explored: Explored::Exhaustively { bound: Some(4) },
};

static FIRST_FAULT_VS_PUNCH: Scenario = Scenario {
    name: "first-fault-vs-punch",
    summary: "the same where the fault is the first in its PTE table, which isn't there yet",
    cpus: &["fault", "punch-hole"],
    seen: &[seen::FAULT_MAPPED, seen::REMOVED],
    tags: &[UNFROZEN],
    explored: Explored::Exhaustively { bound: Some(3) },
};

impl<P: Platform> SetStage<P> for FaultVsPunch {
    fn about(&self) -> &'static Scenario {
        &FAULT_VS_PUNCH
    }

    fn stage(&self, policy: Policy<P>) -> Stage<P> {
        let (mut stage, _) = Stage::new(policy, 1, 1, 0);
        let vma = stage.map_with_table();
        stage.faults_around(vma);
        stage.removes("punch-hole", 1);
        stage
    }
}

impl<P: Platform> SetStage<P> for FirstFaultVsPunch {
    fn about(&self) -> &'static Scenario {
        &FIRST_FAULT_VS_PUNCH
    }

    fn stage(&self, policy: Policy<P>) -> Stage<P> {
        let (mut stage, _) = Stage::new(policy, 1, 1, 0);
        let vma = stage.map();
        stage.faults_around(vma);
        stage.removes("punch-hole", 1);
        stage
    }
}

scenario! {
    /// A driver has the page mapped in a VMA that isn't in the file's `i_mmap`, as udmabuf had: the
    /// hole finds the folio mapped, zaps what it can find, and removes the folio with that PTE.
    ForeignVsPunch, foreign_vs_punch, Scenario {
        name: "foreign-vs-punch",
        summary: "a fault against a hole over a page that a VMA outside of i_mmap maps, too",
        cpus: &["fault", "punch-hole, read"],
        seen: &[seen::FAULT_MAPPED, seen::REMOVED, seen::UNMAPPED, seen::LEFT_MAPPED],
        tags: &[UNFROZEN],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

fn foreign_vs_punch<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let (mut stage, contents) = Stage::new(policy, 1, 1, 0);
    let foreign = Vma::map_unlinked(Mm::new(1, 1), Arc::clone(&stage.file), 0, 0, 1);
    let is_mapped = stage.system.map_foreign(&foreign, 0, &Task::default());
    assert!(is_mapped, "the page is cached");
    let vma = stage.map_with_table();
    stage.faults_around(vma);
    stage.cpu(move |system, file, task| {
        remove(system, file, "punch-hole", 0..1, task);
        contents.read_mapped(system, &foreign);
    });
    stage
}
