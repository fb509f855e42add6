//! `slow-vs-slow`: two processes miss on the same page: one reads it, the other sleeps on
//! its lock and must be woken.

use std::sync::Arc;

use super::{About, Explored, Scenario, Seen, Stage};
use crate::fault_around::FaultAround;
use crate::platform::Platform;

/// See the module.
#[derive(Debug)]
pub struct SlowVsSlow;

static ABOUT: About = About {
    name: "slow-vs-slow",
    summary: "two whole faults on a page that nobody has read",
    cpus: &["fault", "fault"],
    seen: &[Seen::SlowMapped, Seen::Filled],
    explored: Explored::Exhaustively { bound: Some(2) },
};

impl<P: Platform> Scenario<P> for SlowVsSlow {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn stage(&self, scheme: &'static dyn FaultAround<P>) -> Stage<P> {
        let (mut stage, contents) = Stage::new(scheme, 1, 0, 2);
        for _ in 0..2 {
            let vma = stage.map_with_table();
            stage.faults_and_reads(vma, Arc::clone(&contents));
        }
        stage
    }
}
