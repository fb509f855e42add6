//! `two-faults-vs-punch`: two processes fault on the page that a hole takes away.

use super::{About, Explored, Scenario, Seen, Stage};
use crate::Policy;
use crate::platform::Platform;
use crate::tag::UNFROZEN;

/// See the module.
#[derive(Debug)]
pub struct TwoFaultsVsPunch;

static ABOUT: About = About {
    name: "two-faults-vs-punch",
    summary: "fault-around of one page in two processes against a hole over it",
    cpus: &["fault", "fault", "punch-hole"],
    seen: &[Seen::FaultMapped, Seen::Removed],
    tags: &[UNFROZEN],
    explored: Explored::Exhaustively { bound: Some(2) },
};

impl<P: Platform> Scenario<P> for TwoFaultsVsPunch {
    fn about(&self) -> &'static About {
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
