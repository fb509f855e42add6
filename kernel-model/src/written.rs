//! Pages that a process has written and that the store doesn't have: what must not be lost.

use std::sync::{Mutex, PoisonError};

use crate::address_space::AddressSpace;
use crate::folio::site::STABLE_READ;
use crate::folio::{PG_DIRTY, Pfn};
use crate::invariants::NO_LOST_DATA;
use crate::platform::Platform;
use crate::{System, Task};

/// The written pages that were neither written back nor dropped, by mapping and index: for audits,
/// nothing of the model reads it.
#[derive(Debug, Default)]
pub(crate) struct Written(Mutex<Vec<(u64, u64)>>);

impl Written {
    /// Changes the list.
    fn with(&self, change: impl FnOnce(&mut Vec<(u64, u64)>)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The pages of a range are written back, or a process has asked for them to be dropped.
    pub(crate) fn forget(&self, mapping: u64, range: &std::ops::Range<u64>) {
        self.with(|pages| pages.retain(|(id, index)| *id != mapping || !range.contains(index)));
    }
}

impl<P: Platform> System<P> {
    /// A process writes to a page that is in the cache (`generic_perform_write()`): its folio is
    /// dirty from then on. Returns whether the page was there.
    pub fn write(&self, mapping: &AddressSpace<P>, index: u64, task: &Task) -> bool {
        let Some((pfn, folio)) = self.get_folio(mapping, index, task) else {
            return false;
        };
        folio.lock();
        let ours = folio.mapping(&STABLE_READ) == mapping.id();
        if ours {
            folio.set_flags(PG_DIRTY);
            if P::AUDIT {
                self.written.with(|pages| pages.push((mapping.id(), index)));
            }
        }
        folio.unlock();
        self.put(pfn, task);
        ours
    }

    /// The audit at rest of what was written: it is in the cache, and will be written back.
    pub(crate) fn audit_written(&self, mapping: &AddressSpace<P>) {
        self.written.with(|pages| {
            for &mut (_, index) in pages.iter_mut().filter(|(id, _)| *id == mapping.id()) {
                let there = mapping.slot(index).observe();
                let is_dirty = |pfn| self.memmap.folio(pfn).observe().flags & PG_DIRTY != 0;
                if !there.is_some_and(is_dirty) {
                    let detail = match there {
                        None => "written, and gone from the page cache".to_owned(),
                        Some(_) => "written, but what is cached is clean".to_owned(),
                    };
                    let pfn = there.unwrap_or(Pfn(0));
                    self.violated(NO_LOST_DATA, index, pfn, detail);
                }
            }
        });
    }
}
