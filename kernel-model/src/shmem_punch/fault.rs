//! A touch of a page, and the fault that it may take.

use super::{Gate, Page, Task, Tmpfs};
use crate::folio::Pfn;
use crate::platform::{Note, Platform};
use crate::race::counters;

counters! {
    /// What those count that touch pages.
    pub struct FaultCounts of "shmem-fault" {
        /// Pages mapped by faults.
        MAPPED = mapped,
        /// Pages created by faults.
        CREATED = created,
        /// Times a fault has waited for a punch.
        WAITS = waits,
        /// Times a fault has waited for a punch after it had waited for another.
        OVERTAKEN = overtaken,
    }
}

const FAULT: &str = "fault";

impl<P: Platform> Tmpfs<P> {
    /// Touches a page. Where no PTE maps it, fault-around maps what is cached without asking
    /// anybody; the slow path asks the scheme, and creates a page.
    pub fn touch(&self, index: u64, task: &mut Task<P>) {
        if self.maps_cached(index, task) {
            return;
        }
        P::note(|| Note::Begins(FAULT, index..index + 1));
        task.waited_for = None;
        let mut gate = self.scheme.before_fault(self, index, task);
        while gate == Gate::Retry {
            if task.state.fatal_signal_pending() || self.maps_cached(index, task) {
                P::note(|| Note::Returns(FAULT));
                return;
            }
            gate = self.scheme.before_fault(self, index, task);
        }
        self.map_or_create(index, task);
        P::note(|| Note::Returns(FAULT));
    }

    /// Maps a page that is cached, if it isn't mapped; returns whether it was cached.
    fn maps_cached(&self, index: u64, task: &mut Task<P>) -> bool {
        let mut page = self.page(index);
        if page.cached && page.mapped & task.own() == 0 {
            map(index, &mut page, task);
        }
        page.cached
    }

    /// The end of the slow path.
    fn map_or_create(&self, index: u64, task: &mut Task<P>) {
        let _filling = self.scheme.filling(self);
        let mut page = self.page(index);
        if !page.cached {
            page.cached = true;
            task.faults.created += 1;
            P::note(|| Note::Allocated(Pfn(index as u32)));
        }
        map(index, &mut page, task);
    }
}

/// Sets the PTE of a task's process that maps a page.
fn map<P: Platform>(index: u64, page: &mut Page, task: &mut Task<P>) {
    page.mapped |= task.own();
    task.faults.mapped += 1;
    let pfn = Pfn(index as u32);
    P::note(|| Note::PteSet { index, pfn });
}
