//! `window-vs-punch`: a window of two pages, a hole over both: the first pass locks them
//! together and has one barrier for the batch.

use super::{SetStage, Stage, seen};
use crate::Policy;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};
use crate::tag::UNFROZEN;

/// See the module.
#[derive(Debug)]
pub struct WindowVsPunch;

static ABOUT: Scenario = Scenario {
    name: "window-vs-punch",
    summary: "fault-around of two pages against a hole over both",
    cpus: &["fault", "punch-hole"],
    seen: &[seen::FAULT_MAPPED, seen::REMOVED],
    tags: &[UNFROZEN],
    explored: Explored::Exhaustively { bound: Some(2) },
};

impl<P: Platform> SetStage<P> for WindowVsPunch {
    fn about(&self) -> &'static Scenario {
        &ABOUT
    }

    fn stage(&self, policy: Policy<P>) -> Stage<P> {
        let (mut stage, _) = Stage::new(policy, 2, 2, 0);
        let vma = stage.map_with_table();
        stage.faults_around(vma);
        stage.removes("punch-hole", 2);
        stage
    }
}
