//! Faults against migration, which freezes the old folio, puts the new one into its slot, and
//! clears the old one's mapping last.

use std::sync::Arc;

use super::{Stage, seen};
use crate::Policy;
use crate::Task;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};

scenario! {
    /// It is mapped nowhere before.
    FaultVsMigrate, fault_vs_migrate, Scenario {
        name: "fault-vs-migrate",
        summary: "fault-around of one page against its migration",
        cpus: &["fault", "migrate"],
        seen: &[seen::FAULT_MAPPED, seen::MIGRATED, seen::FOUND_BUSY],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(3) },
    }
}

scenario! {
    /// Another process has it mapped, so that there are migration entries.
    MappedVsMigrate, mapped_vs_migrate, Scenario {
        name: "mapped-vs-migrate",
        summary: "the same with a page that another process has mapped",
        cpus: &["fault", "migrate"],
        seen: &[seen::FAULT_MAPPED, seen::MIGRATED, seen::UNMAPPED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

fn fault_vs_migrate<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let (mut stage, contents) = Stage::new(policy, 1, 1, 1);
    let vma = stage.map_with_table();
    stage.faults_around_and_reads(vma, contents);
    stage.removes("migrate", 1);
    stage
}

fn mapped_vs_migrate<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let (mut stage, contents) = Stage::new(policy, 1, 1, 1);
    let mapped = stage.map_with_table();
    stage
        .system
        .do_fault_around(&mapped, 0, &mut Task::default());
    let vma = stage.map_with_table();
    let (system, mapped_there) = (Arc::clone(&stage.system), Arc::clone(&contents));
    stage.cpu(move |_, _, task| {
        system.do_fault_around(&vma, 0, task);
        contents.read_mapped(&system, &vma);
        mapped_there.read_mapped(&system, &mapped);
    });
    stage.removes("migrate", 1);
    stage
}
