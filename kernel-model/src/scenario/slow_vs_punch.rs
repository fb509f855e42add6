//! `slow-vs-punch`: a whole fault, with the slow path that waits for the page lock and reads
//! the page again if a hole has taken it.

use super::{SetStage, Stage, seen};
use crate::Policy;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};
use crate::tag::UNFROZEN;

/// See the module.
#[derive(Debug)]
pub struct SlowVsPunch;

static ABOUT: Scenario = Scenario {
    name: "slow-vs-punch",
    summary: "a fault with its slow path against a hole over the page",
    cpus: &["fault", "punch-hole"],
    seen: &[
        seen::FAULT_MAPPED,
        seen::SLOW_MAPPED,
        seen::REMOVED,
        seen::FILLED,
    ],
    tags: &[UNFROZEN],
    explored: Explored::Exhaustively { bound: Some(2) },
};

impl<P: Platform> SetStage<P> for SlowVsPunch {
    fn about(&self) -> &'static Scenario {
        &ABOUT
    }

    fn stage(&self, policy: Policy<P>) -> Stage<P> {
        let (mut stage, contents) = Stage::new(policy, 1, 1, 1);
        let vma = stage.map_with_table();
        stage.faults_and_reads(vma, contents);
        stage.removes("punch-hole", 1);
        stage
    }
}
