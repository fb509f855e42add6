//! `fault-vs-truncate` and `first-fault-vs-truncate`: one page, one fault, and the file cut off
//! before it.

use super::{SetStage, Stage, seen};
use crate::Policy;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};
use crate::tag::UNFROZEN;

/// With the PTE table there already: the truncation comes through its lock after it has written
/// the file's size.
#[derive(Debug)]
pub struct FaultVsTruncate;

/// Without a PTE table: the truncation may come through no lock of the fault's at all.
#[derive(Debug)]
pub struct FirstFaultVsTruncate;

static FAULT_VS_TRUNCATE: Scenario = Scenario {
    name: "fault-vs-truncate",
    summary: "fault-around of one page against a truncation of the file to nothing",
    cpus: &["fault", "truncate"],
    seen: &[seen::FAULT_MAPPED, seen::REMOVED],
    tags: &[],
    explored: Explored::Exhaustively { bound: Some(3) },
};

static FIRST_FAULT_VS_TRUNCATE: Scenario = Scenario {
    name: "first-fault-vs-truncate",
    summary: "the same where the fault is the first in its PTE table, which isn't there yet",
    cpus: &["fault", "truncate"],
    seen: &[seen::FAULT_MAPPED, seen::REMOVED],
    tags: &[UNFROZEN],
    explored: Explored::Exhaustively { bound: Some(3) },
};

impl<P: Platform> SetStage<P> for FaultVsTruncate {
    fn about(&self) -> &'static Scenario {
        &FAULT_VS_TRUNCATE
    }

    fn stage(&self, policy: Policy<P>) -> Stage<P> {
        let (mut stage, _) = Stage::new(policy, 1, 1, 0);
        let vma = stage.map_with_table();
        stage.faults_around(vma);
        stage.removes("truncate", 1);
        stage
    }
}

impl<P: Platform> SetStage<P> for FirstFaultVsTruncate {
    fn about(&self) -> &'static Scenario {
        &FIRST_FAULT_VS_TRUNCATE
    }

    fn stage(&self, policy: Policy<P>) -> Stage<P> {
        let (mut stage, _) = Stage::new(policy, 1, 1, 0);
        let vma = stage.map();
        stage.faults_around(vma);
        stage.removes("truncate", 1);
        stage
    }
}
