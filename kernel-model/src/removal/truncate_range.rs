//! What `truncate` and `punch-hole` share: Linux 6.1's `truncate_inode_pages_range()`.
//!
//! A first pass takes what it can lock at once, a batch at a time, and removes the batch under one
//! `xa_lock`. Then the large folios that reach beyond the range are split, so that a second pass,
//! which sleeps on locks and comes back until nothing is left, finds folios that lie in it.
//!
//! A split's own look at mapcounts isn't modelled, and would be harmless: a mapped folio has a
//! reference too many to be frozen.

use std::ops::Range;

use super::{Doomed, REMOVER_MAPCOUNT, REMOVER_MAPPING, WRITEBACK_WAIT};
use crate::address_space::AddressSpace;
use crate::folio::PG_DIRTY;
use crate::folio::site::{REF_FREEZE, STABLE_READ};
use crate::platform::{Platform, Site};
use crate::system::{System, Task};

/// Folios that the first pass locks at a time (`PAGEVEC_SIZE` of Linux 6.1).
const PAGEVEC_SIZE: usize = 15;

/// A dirty folio that reaches beyond the range and can't be split stays: what lies outside of the
/// range is nowhere else.
pub const DIRTY_STAYS: Site = Site::load(
    "dirty_stays",
    std::sync::atomic::Ordering::Relaxed,
    "folio_test_dirty() in truncate_inode_partial_folio()",
    "nothing: under the folio lock",
);

/// The checks of both.
pub(super) const CHECKS: &[&Site] = &[
    &REMOVER_MAPPING,
    &REMOVER_MAPCOUNT,
    &WRITEBACK_WAIT,
    &REF_FREEZE,
    &DIRTY_STAYS,
];

impl<P: Platform> System<P> {
    /// Removes every folio of the range, but for dirty ones that reach beyond it and can't be
    /// split. The caller holds `invalidate_lock` exclusively, so that nothing comes back meanwhile.
    pub(super) fn truncate_inode_pages_range(
        &self,
        mapping: &AddressSpace<P>,
        range: &Range<u64>,
        task: &mut Task,
    ) {
        let mut next = range.start;
        let mut batch = Vec::with_capacity(PAGEVEC_SIZE);
        while next < range.end {
            next = self.find_lock_entries(mapping, next..range.end, range, &mut batch, task);
            self.remove_locked(mapping, &mut batch, task);
        }
        let mut left = range.clone();
        if self.memmap.has_large() && !range.is_empty() {
            if let Some(stays) = self.truncate_partial_folio(mapping, range.start, range, task) {
                left.start = stays.end.min(range.end);
            }
            if !left.is_empty()
                && let Some(stays) =
                    self.truncate_partial_folio(mapping, range.end - 1, range, task)
            {
                left.end = stays.start;
            }
        }
        loop {
            let mut found = false;
            let mut index = left.start;
            while index < left.end {
                let Some(doomed) = self.find_folio(mapping, index, task) else {
                    index += 1;
                    continue;
                };
                found = true;
                index = doomed.pgoffs().end;
                doomed.folio.lock();
                if doomed.is_in(mapping) {
                    doomed.wait_for_writeback();
                    batch.push(doomed);
                    self.remove_locked(mapping, &mut batch, task);
                } else {
                    self.unlock_and_put(&doomed, task);
                }
            }
            if !found {
                return;
            }
            P::cpu_relax();
        }
    }

    /// Locks up to a batch of the folios from `left` on that lie wholly in `range`, without
    /// waiting; returns where it stopped (`find_lock_entries()`).
    fn find_lock_entries<'s>(
        &'s self,
        mapping: &AddressSpace<P>,
        left: Range<u64>,
        range: &Range<u64>,
        batch: &mut Vec<Doomed<'s, P>>,
        task: &mut Task,
    ) -> u64 {
        let mut index = left.start;
        while index < left.end {
            let Some(doomed) = self.find_folio(mapping, index, task) else {
                index += 1;
                continue;
            };
            let pgoffs = doomed.pgoffs();
            index = pgoffs.end;
            if pgoffs.start < range.start || pgoffs.end > range.end {
                self.put(doomed.pfn, task);
            } else if !doomed.folio.try_lock() {
                task.removals.skipped_locked += 1;
                self.put(doomed.pfn, task);
            } else if !doomed.is_in(mapping) || doomed.is_under_writeback() {
                self.unlock_and_put(&doomed, task);
            } else {
                batch.push(doomed);
                if batch.len() == PAGEVEC_SIZE {
                    return index;
                }
            }
        }
        left.end
    }

    /// Splits the folio with the page at `index` if it reaches beyond the range
    /// (`truncate_inode_partial_folio()`). Where somebody holds a reference it can't be split. A
    /// clean one goes whole then, and what lay outside is read again when it is missed. A dirty one
    /// stays, and is unmapped (fa04f5b60fda), and what it covers is returned; the kernel has zeroed
    /// its part of the range.
    fn truncate_partial_folio(
        &self,
        mapping: &AddressSpace<P>,
        index: u64,
        range: &Range<u64>,
        task: &mut Task,
    ) -> Option<Range<u64>> {
        let doomed = self.find_folio(mapping, index, task)?;
        doomed.folio.lock();
        doomed.wait_for_writeback();
        let ours = doomed.is_in(mapping);
        let pgoffs = doomed.pgoffs();
        let inside = range.start <= pgoffs.start && pgoffs.end <= range.end;
        if !ours || inside {
            self.unlock_and_put(&doomed, task);
        } else if self.split_folio(mapping, &doomed, task) {
            task.removals.split += 1;
            self.unlock_and_put(&doomed, task);
        } else if doomed.folio.flags(&STABLE_READ) & PG_DIRTY != 0 && !P::left_out(&DIRTY_STAYS) {
            task.removals.busy += 1;
            self.unlock_and_put(&doomed, task);
            return Some(pgoffs);
        } else {
            self.remove_locked(mapping, &mut vec![doomed], task);
        }
        None
    }

    /// Makes folios of one page of a locked large one, unless somebody else holds a reference
    /// (`split_folio()`). Its pages are unmapped, as those of a file are, and mapped again by the
    /// first that touches them. Linux looks at the references before it unmaps
    /// (`can_split_folio()`), and leaves the PTEs of a folio that it can't split; here they go.
    pub(super) fn split_folio(
        &self,
        mapping: &AddressSpace<P>,
        doomed: &Doomed<'_, P>,
        task: &mut Task,
    ) -> bool {
        self.policy.duties.after_folio_lock();
        self.unmap_if_mapped(mapping, doomed, task);
        let Doomed {
            index, pfn, pages, ..
        } = *doomed;
        mapping.split_folio(doomed.folio, (pfn, index, pages), || {
            self.memmap.split(pfn, pages, index, mapping.id());
        })
    }
}
