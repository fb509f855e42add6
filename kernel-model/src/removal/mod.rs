//! Removers: what takes folios out of the page cache, one file each, over shared steps.
//!
//! Each of them locks a folio, looks whether it is mapped and zaps it if so, and takes it out of
//! the cache. They differ in which locks they hold around that, in whether they zap a range before,
//! and in whether they freeze the folio's references first: who freezes can't remove a folio to
//! which a fault has got a reference, and owes no scheme anything.

use std::ops::Range;

use crate::address_space::AddressSpace;
use crate::folio::site::STABLE_READ;
use crate::folio::{Folio, PG_WRITEBACK, Pfn};
use crate::graded;
use crate::invariants::Removed;
use crate::platform::{Note, Platform, Site, Work};
use crate::race::Tag;
use crate::registry::registry;
use crate::system::{System, Task};

mod duties;
mod truncate_range;

pub use duties::Duties;
pub use truncate_range::DIRTY_STAYS;

/// What a remover says of itself.
#[derive(Debug)]
pub struct About {
    /// The name on the command line and in tables.
    pub name: &'static str,
    /// The kernel function that it follows.
    pub lineage: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Whether it removes a folio only with all references frozen, so that it owes a scheme
    /// nothing.
    pub freezes: bool,
    /// Whether it unmaps all of its range before it removes anything, mapped or not.
    pub zaps_range: bool,
    /// In what ways it meets faults, as far as an audit on a machine can show what comes of it.
    pub tags: &'static [Tag],
    /// The checks of its own that can be left out to see that it is noticed.
    pub checks: &'static [&'static Site],
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

registry! {
    /// Every remover.
    Removers of Remover {
        truncate: Truncate;
        punch_hole: PunchHole;
        invalidate: Invalidate;
        reclaim: Reclaim;
        migrate: Migrate;
        shmem_swapout: ShmemSwapout;
        memory_failure: MemoryFailure;
        collapse: Collapse::<true>, Collapse::<false>;
    }
}

/// The look that decides whether a locked folio has to be zapped.
pub const REMOVER_MAPCOUNT: Site = Site::load(
    "remover_mapcount",
    std::sync::atomic::Ordering::Relaxed,
    "folio_mapped(): atomic_read()",
    "mapcount_inc, over the barriers that the scheme asks for",
);

/// Looks, with the folio locked, whether it is still in the file.
pub const REMOVER_MAPPING: Site = Site::load(
    "remover_mapping",
    std::sync::atomic::Ordering::Relaxed,
    "folio->mapping != mapping",
    "mapping_store of another remover, over the folio lock",
);

/// Removes no folio that a device reads. Linux sleeps on it; here it is asked again and again,
/// since it happens in scenarios only.
pub const WRITEBACK_WAIT: Site = Site::load(
    "writeback_wait",
    std::sync::atomic::Ordering::Relaxed,
    "folio_wait_writeback(), folio_test_writeback()",
    "nothing: under the folio lock, which keeps another one from beginning",
);

/// The checks of a remover that takes a folio however many hold it.
const CHECKS: &[&Site] = &[&REMOVER_MAPPING, &REMOVER_MAPCOUNT, &WRITEBACK_WAIT];

/// A folio to which a remover has a reference.
struct Doomed<'a, P: Platform> {
    /// Where in the file it begins.
    index: u64,
    pfn: Pfn,
    pages: u32,
    folio: &'a Folio<P>,
}

impl<P: Platform> Doomed<'_, P> {
    /// The file offsets of its pages.
    fn pgoffs(&self) -> Range<u64> {
        self.index..self.index + u64::from(self.pages)
    }

    /// Whether it is being written back, its lock held.
    fn is_under_writeback(&self) -> bool {
        !P::left_out(&WRITEBACK_WAIT) && self.folio.flags(&WRITEBACK_WAIT) & PG_WRITEBACK != 0
    }

    /// Waits for its writeback, its lock held.
    fn wait_for_writeback(&self) {
        while self.is_under_writeback() {
            P::cpu_relax();
        }
    }

    /// Whether it is still in the file, its lock held: another remover may have had it before.
    fn is_in(&self, mapping: &AddressSpace<P>) -> bool {
        P::left_out(&REMOVER_MAPPING) || self.folio.mapping(&REMOVER_MAPPING) == mapping.id()
    }
}

impl<P: Platform> System<P> {
    /// A removal by one that doesn't freeze references, from what the scheme asks for at its begin
    /// to the audit at its end. What lies beyond the pages that the file was planned for is left
    /// out of the range: nothing is cached there, and nothing can be mapped.
    fn removal(
        &self,
        about: &'static About,
        mapping: &AddressSpace<P>,
        range: Range<u64>,
        task: &mut Task,
        body: impl FnOnce(&Range<u64>, &mut Task),
    ) {
        self.removal_that(about, !about.freezes, mapping, range, task, body);
    }

    /// A removal by one that owes schemes their duties, or doesn't.
    fn removal_that(
        &self,
        about: &'static About,
        owes: bool,
        mapping: &AddressSpace<P>,
        range: Range<u64>,
        task: &mut Task,
        body: impl FnOnce(&Range<u64>, &mut Task),
    ) {
        let range = &(range.start..range.end.min(mapping.max_pages()));
        P::note(|| Note::Begins(about.name, range.clone()));
        task.removed.clear();
        let owes = owes && !range.is_empty();
        // A folio that lies in the range in part may go whole.
        let reach = self.config.orders.widen(range);
        if owes {
            self.policy.duties.begin_removal(mapping, &reach);
            if self.policy.duties.must_zap() && !(about.zaps_range && reach == *range) {
                self.unmap_mapping_range(mapping, &reach, task);
            }
        }
        if P::AUDIT && about.zaps_range {
            // What lies in the range is meant to go; what lies outside is not.
            self.written.forget(mapping.id(), range);
        }
        P::work(Work::Removal, 1);
        body(range, task);
        if owes {
            self.policy.duties.end_removal(mapping, &reach);
        }
        if P::AUDIT && P::AUDIT_TAKES_LOCKS {
            self.audit_removal(mapping, &reach, &task.removed);
        }
        P::note(|| Note::Returns(about.name));
    }

    /// The folio with the page at `index`, with a reference.
    fn find_folio<'s>(
        &'s self,
        mapping: &AddressSpace<P>,
        index: u64,
        task: &Task,
    ) -> Option<Doomed<'s, P>> {
        let (pfn, folio) = self.get_folio(mapping, index, task)?;
        let pages = self.memmap.pages(pfn);
        Some(Doomed {
            index: if pages == 1 {
                index
            } else {
                folio.index(&STABLE_READ)
            },
            pfn,
            pages,
            folio,
        })
    }

    /// Lets a folio go that was locked.
    fn unlock_and_put(&self, doomed: &Doomed<'_, P>, task: &Task) {
        doomed.folio.unlock();
        self.put(doomed.pfn, task);
    }

    /// Calls `each` with the folios of a range whose lock can be had at once, locked, in the file,
    /// and not being written back. It lets them go.
    fn for_each_trylocked<'s>(
        &'s self,
        mapping: &AddressSpace<P>,
        range: &Range<u64>,
        task: &mut Task,
        mut each: impl FnMut(Doomed<'s, P>, &mut Task),
    ) {
        let mut index = range.start;
        while index < range.end {
            let Some(doomed) = self.find_folio(mapping, index, task) else {
                index += 1;
                continue;
            };
            index = doomed.pgoffs().end;
            if !doomed.folio.try_lock() {
                task.removals.skipped_locked += 1;
                self.put(doomed.pfn, task);
            } else if doomed.is_in(mapping) && !doomed.is_under_writeback() {
                each(doomed, task);
            } else {
                self.unlock_and_put(&doomed, task);
            }
        }
    }

    /// Whether a folio has to be unmapped (`folio_mapped()`).
    fn is_mapped(&self, doomed: &Doomed<'_, P>) -> bool {
        !P::left_out(&REMOVER_MAPCOUNT) && self.memmap.mapcount(doomed.pfn, &REMOVER_MAPCOUNT) != 0
    }

    /// Unmaps one folio if it is mapped (`truncate_cleanup_folio()`).
    fn unmap_if_mapped(&self, mapping: &AddressSpace<P>, doomed: &Doomed<'_, P>, task: &mut Task) {
        if self.is_mapped(doomed) {
            task.removals.unmapped_singly += 1;
            self.unmap_mapping_range(mapping, &doomed.pgoffs(), task);
        }
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
        self.policy.duties.after_folio_lock();
        for doomed in batch.iter() {
            self.unmap_if_mapped(mapping, doomed, task);
        }
        for Doomed { pfn, .. } in batch.iter() {
            self.grade_mapcount(*pfn, task);
        }
        let leaving = batch.iter().map(|it| (it.index, it.pages, it.folio));
        mapping.delete_folios(leaving);
        for doomed in batch.drain(..) {
            self.has_left(&doomed, task);
            self.put_many(doomed.pfn, doomed.pages, task); // the page cache's references
            self.unlock_and_put(&doomed, task);
        }
    }

    /// Counts a mapcount that is above 0 where the kernel asserts that it is 0: in
    /// `filemap_unaccount_folio()`, and in some removers before it. It is a fault's, or that of a
    /// PTE which the zap before could not find. Nothing else is done about it, and the audits look
    /// at PTEs only in zaps and at the end of an operation: to take a PTE-table lock now would wait
    /// for the very fault that races.
    fn grade_mapcount(&self, pfn: Pfn, task: &mut Task) {
        let mapcount = self.memmap.observe_mapcount(pfn);
        if mapcount == 0 {
            return;
        }
        let foreign = self.foreign_ptes.of(self.memmap.observe_frames(pfn));
        if foreign > 0 {
            P::note(|| Note::Graded(graded::FOREIGN_PTE));
            task.removals.foreign_pte += 1;
        }
        if mapcount > foreign {
            P::note(|| Note::Graded(graded::TRANSIENT_MAPCOUNT));
            task.removals.transient_mapcount += 1;
        }
    }

    /// Counts a folio that has left the page cache and is still locked, and remembers it for the
    /// audit.
    fn has_left(&self, doomed: &Doomed<'_, P>, task: &mut Task) {
        P::work(Work::RemovedFolio, 1);
        task.removals.removed += 1;
        task.removals.removed_pages += u64::from(doomed.pages);
        if P::AUDIT {
            for number in 0..doomed.pages {
                let pfn = Pfn(doomed.pfn.0 + number);
                self.audit_leaving(doomed.index + u64::from(number), pfn);
                task.removed.push(Removed {
                    index: doomed.index + u64::from(number),
                    pfn,
                    incarnation: self.memmap.folio(pfn).incarnation(),
                });
            }
        }
    }
}
