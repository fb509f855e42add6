//! `fault-vs-read-error`: a page is in the cache that could not be read: it is unlocked and not up
//! to date. The slow path reads it again while another process faults around it.

use super::{SetStage, Stage, seen};
use crate::Policy;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};

/// See the module.
#[derive(Debug)]
pub struct FaultVsReadError;

static ABOUT: Scenario = Scenario {
    name: "fault-vs-read-error",
    summary: "fault-around of a page whose read failed against the slow path that reads it again",
    cpus: &["fault", "slow fault"],
    seen: &[seen::FAULT_MAPPED, seen::SLOW_MAPPED, seen::FILLED],
    tags: &[],
    explored: Explored::Exhaustively { bound: Some(3) },
};

impl<P: Platform> SetStage<P> for FaultVsReadError {
    fn about(&self) -> &'static Scenario {
        &ABOUT
    }

    fn stage(&self, policy: Policy<P>) -> Stage<P> {
        let (mut stage, contents) = Stage::new(policy, 1, 0, 1);
        stage.fail_to_read(0);
        let (vma, other) = (stage.map_with_table(), stage.map_with_table());
        stage.faults_around_and_reads(vma, contents);
        stage.cpu(move |system, _, task| {
            system.handle_mm_fault(&other, 0, task);
        });
        stage
    }
}
