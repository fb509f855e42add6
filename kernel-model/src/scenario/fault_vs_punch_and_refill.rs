//! `fault-vs-punch-and-refill`: the folio is removed, freed, and taken for another offset of the
//! same file while a fault still looks at it from the old one (ABA).

use super::{SetStage, Stage, seen};
use crate::Policy;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};
use crate::tag::UNFROZEN;

/// See the module.
#[derive(Debug)]
pub struct FaultVsPunchAndRefill;

static ABOUT: Scenario = Scenario {
    name: "fault-vs-punch-and-refill",
    summary: "fault-around against a hole whose frame comes back at another offset",
    cpus: &["fault", "punch, refill"],
    seen: &[seen::FAULT_MAPPED, seen::REMOVED, seen::FILLED],
    tags: &[UNFROZEN],
    explored: Explored::Exhaustively { bound: Some(3) },
};

impl<P: Platform> SetStage<P> for FaultVsPunchAndRefill {
    fn about(&self) -> &'static Scenario {
        &ABOUT
    }

    fn stage(&self, policy: Policy<P>) -> Stage<P> {
        let (mut stage, contents) = Stage::new(policy, 2, 1, 0);
        let vma = stage.map_with_table();
        stage.faults_around_and_reads(vma, contents);
        stage.removes_and_refills("punch-hole");
        stage
    }
}
