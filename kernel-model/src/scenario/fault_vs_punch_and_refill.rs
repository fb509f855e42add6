//! `fault-vs-punch-and-refill`: the folio is removed, freed, and taken for another offset of the
//! same file while a fault still looks at it from the old one (ABA).

use super::{About, Explored, Scenario, Setting, Stage, remove};
use crate::fault_around::FaultAround;
use crate::platform::Platform;

/// See the module.
#[derive(Debug)]
pub struct FaultVsPunchAndRefill;

static ABOUT: About = About {
    name: "fault-vs-punch-and-refill",
    summary: "fault-around against a hole whose frame comes back at another offset",
    cpus: &["fault", "punch, refill"],
    explored: Explored::Exhaustively { bound: Some(3) },
};

impl<P: Platform> Scenario<P> for FaultVsPunchAndRefill {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn stage(&self, scheme: &'static dyn FaultAround<P>) -> Stage<P> {
        let (mut setting, contents) = Setting::new(scheme, 2, 1, 0);
        let vma = setting.map_with_table();
        setting.cpu(move |system, _, task| {
            system.do_fault_around(&vma, 0, task);
            contents.read_mapped(system, &vma);
        });
        // There is one frame: what is read next can only be read into the one that was freed.
        setting.cpu(|system, file, task| {
            remove(system, file, "punch-hole", 0..1, task);
            system.read_ahead(file, 1..2, task);
        });
        setting.stage()
    }
}
