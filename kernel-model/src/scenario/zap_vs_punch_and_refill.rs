//! `zap-vs-punch-and-refill`: a process zaps what it has mapped (MADV_DONTNEED) while a hole is
//! punched over it and its frame comes back at another offset.

use super::{SetStage, Stage, seen};
use crate::Policy;
use crate::Task;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};

/// See the module.
#[derive(Debug)]
pub struct ZapVsPunchAndRefill;

static ABOUT: Scenario = Scenario {
    name: "zap-vs-punch-and-refill",
    summary: "a zap of a mapped page against a hole whose frame comes back",
    cpus: &["zap", "punch, refill"],
    seen: &[seen::REMOVED, seen::FILLED],
    tags: &[],
    explored: Explored::Exhaustively { bound: None },
};

impl<P: Platform> SetStage<P> for ZapVsPunchAndRefill {
    fn about(&self) -> &'static Scenario {
        &ABOUT
    }

    fn stage(&self, policy: Policy<P>) -> Stage<P> {
        let (mut stage, _) = Stage::new(policy, 2, 1, 0);
        let vma = stage.map_with_table();
        stage.system.do_fault_around(&vma, 0, &mut Task::default());
        stage.cpu(move |system, _, task| {
            system.zap_range(&vma, 0..2, task);
        });
        stage.removes_and_refills("punch-hole");
        stage
    }
}
