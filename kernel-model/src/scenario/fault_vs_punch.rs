//! `fault-vs-punch` and `first-fault-vs-punch`: one page, one fault, one hole. The core of it all.

use super::{About, Explored, Scenario, Seen, Stage};
use crate::fault_around::FaultAround;
use crate::platform::Platform;

/// With the PTE table there already.
#[derive(Debug)]
pub struct FaultVsPunch;

/// Without a PTE table: the fault installs it, and a zap that sees none takes no lock.
#[derive(Debug)]
pub struct FirstFaultVsPunch;

static FAULT_VS_PUNCH: About = About {
    name: "fault-vs-punch",
    summary: "fault-around of one page against a hole punched over it",
    cpus: &["fault", "punch-hole"],
    seen: &[Seen::FaultMapped, Seen::Removed],
    explored: Explored::Exhaustively { bound: Some(4) },
};

static FIRST_FAULT_VS_PUNCH: About = About {
    name: "first-fault-vs-punch",
    summary: "the same where the fault is the first in its PTE table, which isn't there yet",
    cpus: &["fault", "punch-hole"],
    seen: &[Seen::FaultMapped, Seen::Removed],
    explored: Explored::Exhaustively { bound: Some(3) },
};

impl<P: Platform> Scenario<P> for FaultVsPunch {
    fn about(&self) -> &'static About {
        &FAULT_VS_PUNCH
    }

    fn stage(&self, scheme: &'static dyn FaultAround<P>) -> Stage<P> {
        let (mut stage, _) = Stage::new(scheme, 1, 1, 0);
        let vma = stage.map_with_table();
        stage.faults_around(vma);
        stage.removes("punch-hole", 1);
        stage
    }
}

impl<P: Platform> Scenario<P> for FirstFaultVsPunch {
    fn about(&self) -> &'static About {
        &FIRST_FAULT_VS_PUNCH
    }

    fn stage(&self, scheme: &'static dyn FaultAround<P>) -> Stage<P> {
        let (mut stage, _) = Stage::new(scheme, 1, 1, 0);
        let vma = stage.map();
        stage.faults_around(vma);
        stage.removes("punch-hole", 1);
        stage
    }
}
