//! Removers: what takes folios out of the page cache, one file each, over shared steps.
//!
//! The steps are Linux 6.1's `truncate_inode_pages_range()`. A first pass takes what it can lock
//! at once, a batch at a time, and removes the batch under one `xa_lock`; a second pass sleeps on
//! the locks of the rest and comes back until nothing is left.

use std::ops::Range;

use crate::address_space::AddressSpace;
use crate::folio::site::STABLE_READ;
use crate::folio::{Folio, Pfn};
use crate::invariants::Removed;
use crate::platform::{Platform, Site};
use crate::system::{System, Task};

mod punch_hole;
mod truncate;

pub use punch_hole::PunchHole;
pub use truncate::Truncate;

/// What a remover says of itself.
#[derive(Debug)]
pub struct About {
    /// The name on the command line and in tables.
    pub name: &'static str,
    /// The kernel function that it follows.
    pub lineage: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
}

/// An operation that removes a range of a file from the page cache.
pub trait Remover<P: Platform>: Send + Sync {
    /// What it says of itself.
    fn about(&self) -> &'static About;

    /// Removes the folios of `range`. On platforms that audit, checks before it returns.
    fn remove(
        &self,
        system: &System<P>,
        mapping: &AddressSpace<P>,
        range: Range<u64>,
        task: &mut Task,
    );
}

/// Every remover. A new one is a file and a line here.
pub struct Removers<P>(std::marker::PhantomData<P>);

impl<P: Platform> Removers<P> {
    /// In the order of tables.
    pub const ALL: &'static [&'static dyn Remover<P>] = &[&Truncate, &PunchHole];

    /// The remover of a name.
    pub fn named(name: &str) -> Option<&'static dyn Remover<P>> {
        Self::ALL
            .iter()
            .copied()
            .find(|remover| remover.about().name == name)
    }
}

/// Folios that the first pass locks at a time (`PAGEVEC_SIZE` of Linux 6.1).
pub const PAGEVEC_SIZE: usize = 15;

/// The look that decides whether a locked folio has to be zapped.
pub const REMOVER_MAPCOUNT: Site = Site::load(
    "remover_mapcount",
    std::sync::atomic::Ordering::Relaxed,
    "folio_mapped() in truncate_cleanup_folio(): atomic_read()",
    "mapcount_inc, over the barriers that the scheme asks for",
);

/// A folio that is locked, referenced and about to go.
struct Doomed<'a, P: Platform> {
    index: u64,
    pfn: Pfn,
    folio: &'a Folio<P>,
}

impl<P: Platform> System<P> {
    /// Removes every folio of the range, both passes (`truncate_inode_pages_range()`). The caller
    /// holds `invalidate_lock` exclusively, so that nothing comes back meanwhile.
    fn truncate_inode_pages_range(
        &self,
        mapping: &AddressSpace<P>,
        range: &Range<u64>,
        task: &mut Task,
    ) {
        let mut next = range.start;
        let mut batch = Vec::with_capacity(PAGEVEC_SIZE);
        while next < range.end {
            next = self.find_lock_entries(mapping, next..range.end, &mut batch, task);
            self.remove_locked(mapping, &mut batch, task);
        }
        loop {
            let mut found = false;
            for index in range.clone() {
                let Some((pfn, folio)) = self.get_folio(mapping, index, task) else {
                    continue;
                };
                found = true;
                folio.lock();
                if folio.mapping(&STABLE_READ) == mapping.id() {
                    batch.push(Doomed { index, pfn, folio });
                    self.remove_locked(mapping, &mut batch, task);
                } else {
                    folio.unlock();
                    self.put(pfn, task);
                }
            }
            if !found {
                return;
            }
            P::cpu_relax();
        }
    }

    /// Locks up to a batch of folios of the range without waiting; returns where it stopped
    /// (`find_lock_entries()`).
    fn find_lock_entries<'s>(
        &'s self,
        mapping: &AddressSpace<P>,
        range: Range<u64>,
        batch: &mut Vec<Doomed<'s, P>>,
        task: &mut Task,
    ) -> u64 {
        for index in range.clone() {
            let Some((pfn, folio)) = self.get_folio(mapping, index, task) else {
                continue;
            };
            if !folio.try_lock() {
                task.removals.skipped_locked += 1;
            } else if folio.mapping(&STABLE_READ) != mapping.id() {
                folio.unlock();
            } else {
                batch.push(Doomed { index, pfn, folio });
                if batch.len() == PAGEVEC_SIZE {
                    return index + 1;
                }
                continue;
            }
            self.put(pfn, task);
        }
        range.end
    }

    /// Unmaps locked folios if they are mapped, takes them out of the cache, and lets them go.
    fn remove_locked(
        &self,
        mapping: &AddressSpace<P>,
        batch: &mut Vec<Doomed<'_, P>>,
        task: &mut Task,
    ) {
        if batch.is_empty() {
            return;
        }
        self.scheme.after_folio_lock();
        for doomed in batch.iter() {
            self.cleanup(mapping, doomed, task);
        }
        // Where the kernel asserts that it is 0, in filemap_unaccount_folio(). Nothing else is done
        // about it here, and the audits look at PTEs only in zaps and at the end of an operation:
        // to take a PTE-table lock now would wait for the very fault that races.
        for Doomed { folio, .. } in batch.iter() {
            let mapped = folio.observe().counts.mapcount() != 0;
            task.removals.transient_mapcount += u64::from(mapped);
        }
        mapping.delete_folios(batch.iter().map(|doomed| (doomed.index, doomed.folio)));
        task.removals.removed += batch.len() as u64;
        for Doomed { index, pfn, folio } in batch.drain(..) {
            if P::AUDIT {
                task.removed.push(Removed {
                    index,
                    pfn,
                    incarnation: folio.incarnation(),
                });
            }
            self.put(pfn, task); // the page cache's reference
            folio.unlock();
            self.put(pfn, task);
        }
    }

    /// Unmaps one folio if it is mapped (`truncate_cleanup_folio()`).
    fn cleanup(&self, mapping: &AddressSpace<P>, doomed: &Doomed<'_, P>, task: &mut Task) {
        let Doomed { index, folio, .. } = *doomed;
        if folio.counts(&REMOVER_MAPCOUNT).mapcount() != 0 {
            task.removals.unmapped_singly += 1;
            self.unmap_mapping_range(mapping, &(index..index + 1), task);
        }
    }

    /// Starts the record of what an operation removes.
    fn begin_audit(&self, task: &mut Task) {
        task.removed.clear();
    }

    /// Checks what an operation leaves behind, as its last step.
    fn end_audit(&self, mapping: &AddressSpace<P>, range: &Range<u64>, task: &Task) {
        if P::AUDIT && P::AUDIT_TAKES_LOCKS {
            self.audit_removal(mapping, range, &task.removed);
        }
    }
}
