//! `fallocate(FALLOC_FL_PUNCH_HOLE)` on a tmpfs file.

use std::ops::Range;

use super::{BOUNDED_REMOVAL, Page, Punch, SecondPass, Task, Tmpfs, family};
use crate::folio::Pfn;
use crate::platform::{Note, Platform, RwSemaphore};
use crate::race::counters;

counters! {
    /// What punchers count.
    pub struct PunchCounts of "shmem-puncher" {
        /// Pages taken out of the cache.
        REMOVED = removed,
        /// Punches that went over their range and left a page in the cache.
        NOT_EMPTY = not_empty,
    }
}

const PUNCH: &str = "punch";

impl<P: Platform> Tmpfs<P> {
    /// Punches a hole.
    pub fn punch(&self, range: Range<u64>, task: &mut Task<P>) {
        P::note(|| Note::Begins(PUNCH, range.clone()));
        let held = self.i_rwsem.write();
        let punch = Punch {
            tmpfs: self,
            range: range.clone(),
            place: task.place,
        };
        self.scheme
            .punching(&punch, &mut || self.passes(&range, task));
        drop(held);
        P::note(|| Note::Returns(PUNCH));
    }

    /// Unmaps a range at once, and takes its pages out of the cache one by one, in two passes.
    fn passes(&self, range: &Range<u64>, task: &mut Task<P>) {
        for index in range.clone() {
            zap::<P>(index, &mut self.page(index));
        }
        self.scan(range, task);
        let mut scans = 0;
        loop {
            let found = self.scan(range, task);
            scans += 1;
            if !found || self.scheme.second_pass() == SecondPass::Once {
                break;
            }
        }
        if scans > 1 + self.faulting {
            let detail = format!(
                "a punch scans its range {scans} times, with {} that can be in a fault",
                self.faulting
            );
            self.violated(BOUNDED_REMOVAL, detail);
        }
        if range.clone().any(|index| self.page(index).cached) {
            task.punches.not_empty += 1;
            P::note(|| Note::Graded(family::HOLE_NOT_EMPTY));
        }
    }

    /// Takes the pages of a range out of the cache; returns whether there were any.
    fn scan(&self, range: &Range<u64>, task: &mut Task<P>) -> bool {
        let mut found = false;
        for index in range.clone() {
            found |= self.remove(index, task);
        }
        found
    }

    /// Takes a page out of the cache; returns whether it was there.
    fn remove(&self, index: u64, task: &mut Task<P>) -> bool {
        let mut page = self.page(index);
        if !page.cached {
            return false;
        }
        zap::<P>(index, &mut page);
        page.cached = false;
        task.punches.removed += 1;
        P::note(|| Note::Freed(Pfn(index as u32)));
        true
    }
}

/// Clears the PTEs that map a page.
fn zap<P: Platform>(index: u64, page: &mut Page) {
    if std::mem::take(&mut page.mapped) != 0 {
        let pfn = Pfn(index as u32);
        P::note(|| Note::PteZapped { index, pfn });
    }
}
