//! `slow-vs-punch-and-refill`: the slow path looks at a folio that a hole takes away and that comes
//! back at another offset; there is one frame, so that memory may be out as well.

use super::{About, Explored, Scenario, Seen, Stage};
use crate::Policy;
use crate::platform::Platform;
use crate::tag::UNFROZEN;

/// See the module.
#[derive(Debug)]
pub struct SlowVsPunchAndRefill;

static ABOUT: About = About {
    name: "slow-vs-punch-and-refill",
    summary: "a fault with its slow path against a hole whose frame comes back",
    cpus: &["fault", "punch, refill"],
    seen: &[Seen::FaultMapped, Seen::Removed, Seen::Filled],
    tags: &[UNFROZEN],
    explored: Explored::Exhaustively { bound: Some(2) },
};

impl<P: Platform> Scenario<P> for SlowVsPunchAndRefill {
    fn about(&self) -> &'static About {
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
