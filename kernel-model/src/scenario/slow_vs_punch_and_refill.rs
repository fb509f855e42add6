//! `slow-vs-punch-and-refill`: the slow path looks at a folio that a hole takes away and that comes
//! back at another offset; there is one frame, so that memory may be out as well.

use super::{SetStage, Stage, seen};
use crate::Policy;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};
use crate::tag::UNFROZEN;

/// See the module.
#[derive(Debug)]
pub struct SlowVsPunchAndRefill;

static ABOUT: Scenario = Scenario {
    name: "slow-vs-punch-and-refill",
    summary: "a fault with its slow path against a hole whose frame comes back",
    cpus: &["fault", "punch, refill"],
    seen: &[seen::FAULT_MAPPED, seen::REMOVED, seen::FILLED],
    tags: &[UNFROZEN],
    explored: Explored::Exhaustively { bound: Some(2) },
};

impl<P: Platform> SetStage<P> for SlowVsPunchAndRefill {
    fn about(&self) -> &'static Scenario {
        &ABOUT
    }

    fn stage(&self, policy: Policy<P>) -> Stage<P> {
        let (mut stage, contents) = Stage::new(policy, 2, 1, 0);
        let vma = stage.map_with_table();
        stage.faults_and_reads(vma, contents);
        stage.removes_and_refills("punch-hole");
        stage
    }
}
