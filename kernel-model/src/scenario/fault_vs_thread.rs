//! `fault-vs-thread`: two threads of one process fault on the same page, and the PTE table isn't
//! there yet.

use std::sync::Arc;

use super::{SetStage, Stage, seen};
use crate::Policy;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};

/// See the module.
#[derive(Debug)]
pub struct FaultVsThread;

static ABOUT: Scenario = Scenario {
    name: "fault-vs-thread",
    summary: "fault-around of one page by two threads of one process, without a PTE table",
    cpus: &["fault", "fault"],
    seen: &[seen::FAULT_MAPPED],
    tags: &[],
    explored: Explored::Exhaustively { bound: Some(4) },
};

impl<P: Platform> SetStage<P> for FaultVsThread {
    fn about(&self) -> &'static Scenario {
        &ABOUT
    }

    fn stage(&self, policy: Policy<P>) -> Stage<P> {
        let (mut stage, _) = Stage::new(policy, 1, 1, 0);
        let vma = stage.map();
        stage.faults_around(Arc::clone(&vma));
        stage.faults_around(vma);
        stage
    }
}
