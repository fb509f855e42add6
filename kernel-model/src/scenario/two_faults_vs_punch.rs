//! `two-faults-vs-punch`: two processes fault on the page that a hole takes away.

use super::{SetStage, Stage, seen};
use crate::Policy;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};
use crate::tag::UNFROZEN;

/// See the module.
#[derive(Debug)]
pub struct TwoFaultsVsPunch;

static ABOUT: Scenario = Scenario {
    name: "two-faults-vs-punch",
    summary: "fault-around of one page in two processes against a hole over it",
    cpus: &["fault", "fault", "punch-hole"],
    seen: &[seen::FAULT_MAPPED, seen::REMOVED],
    tags: &[UNFROZEN],
    explored: Explored::Exhaustively { bound: Some(2) },
};

impl<P: Platform> SetStage<P> for TwoFaultsVsPunch {
    fn about(&self) -> &'static Scenario {
        &ABOUT
    }

    fn stage(&self, policy: Policy<P>) -> Stage<P> {
        let (mut stage, _) = Stage::new(policy, 1, 1, 0);
        for _ in 0..2 {
            let vma = stage.map_with_table();
            stage.faults_around(vma);
        }
        stage.removes("punch-hole", 1);
        stage
    }
}
