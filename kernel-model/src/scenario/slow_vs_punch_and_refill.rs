//! `slow-vs-punch-and-refill`: the slow path looks at a folio that a hole takes away and that comes back at
//! another offset; there is one frame, so that memory may be out as well.

use super::{About, Explored, Scenario, Setting, Stage, remove};
use crate::fault_around::FaultAround;
use crate::platform::Platform;

/// See the module.
#[derive(Debug)]
pub struct SlowVsPunchAndRefill;

static ABOUT: About = About {
    name: "slow-vs-punch-and-refill",
    summary: "a fault with its slow path against a hole whose frame comes back",
    cpus: &["fault", "punch, refill"],
    explored: Explored::Exhaustively { bound: Some(2) },
};

impl<P: Platform> Scenario<P> for SlowVsPunchAndRefill {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn stage(&self, scheme: &'static dyn FaultAround<P>) -> Stage<P> {
        let (mut setting, contents) = Setting::new(scheme, 2, 1, 0);
        let vma = setting.map_with_table();
        setting.cpu(move |system, _, task| {
            system.handle_mm_fault(&vma, 0, task);
            contents.read_mapped(system, &vma);
        });
        setting.cpu(|system, file, task| {
            remove(system, file, "punch-hole", 0..1, task);
            system.read_ahead(file, 1..2, task);
        });
        setting.stage()
    }
}
