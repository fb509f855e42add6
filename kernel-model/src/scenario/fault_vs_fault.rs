//! `fault-vs-fault`: the same page, faulted on by two processes at once.

use super::{SetStage, Stage, seen};
use crate::Policy;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};

/// See the module.
#[derive(Debug)]
pub struct FaultVsFault;

static ABOUT: Scenario = Scenario {
    name: "fault-vs-fault",
    summary: "fault-around of one page in two processes, no removal",
    cpus: &["fault", "fault"],
    seen: &[seen::FAULT_MAPPED],
    tags: &[],
    explored: Explored::Exhaustively { bound: Some(4) },
};

impl<P: Platform> SetStage<P> for FaultVsFault {
    fn about(&self) -> &'static Scenario {
        &ABOUT
    }

    fn stage(&self, policy: Policy<P>) -> Stage<P> {
        let (mut stage, _) = Stage::new(policy, 1, 1, 0);
        for _ in 0..2 {
            let vma = stage.map_with_table();
            stage.faults_around(vma);
        }
        stage
    }
}
