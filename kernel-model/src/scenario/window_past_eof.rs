//! `window-past-eof`: a window reaches beyond the end of the file, where a folio is all the same
//! (as `fallocate()` with `FALLOC_FL_KEEP_SIZE` may leave one), while a hole is punched inside the
//! file.

use super::{SetStage, Stage, seen};
use crate::Policy;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};
use crate::tag::UNFROZEN;

/// See the module.
#[derive(Debug)]
pub struct WindowPastEof;

static ABOUT: Scenario = Scenario {
    name: "window-past-eof",
    summary: "fault-around of a window beyond whose first page the file ends, against a hole",
    cpus: &["fault", "punch-hole"],
    seen: &[seen::FAULT_MAPPED, seen::REMOVED],
    tags: &[UNFROZEN],
    explored: Explored::Exhaustively { bound: Some(3) },
};

impl<P: Platform> SetStage<P> for WindowPastEof {
    fn about(&self) -> &'static Scenario {
        &ABOUT
    }

    fn stage(&self, policy: Policy<P>) -> Stage<P> {
        let (mut stage, _) = Stage::new(policy, 2, 2, 0);
        stage.file.set_i_size_pages(1);
        let vma = stage.map_with_table();
        stage.faults_around(vma);
        stage.removes("punch-hole", 1);
        stage
    }
}
