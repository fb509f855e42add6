//! `migrate`: moves pages to other frames, for compaction or NUMA balancing (`migrate_pages()`).
//!
//! PTEs become migration entries, the old folio's references are frozen, its slots get the new
//! folio, and then the entries become PTEs again, of the new folio or, where somebody held a
//! reference to the old one, of that. The old folio keeps its mapping until the new one is
//! complete, so that a CPU that still has it must look at the slot or at the lock.

use std::ops::Range;
use std::slice;

use super::{About, Doomed, REMOVER_MAPCOUNT, REMOVER_MAPPING, Remover, WRITEBACK_WAIT};
use crate::address_space::AddressSpace;
use crate::folio::site::{MAPCOUNT_DEC, MAPCOUNT_INC_LOCKED, REF_FREEZE, STABLE_READ};
use crate::folio::{Folio, PG_DIRTY, PG_READAHEAD, PG_UPTODATE, Pfn};
use crate::page_allocator::Run;
use crate::page_table::Pte;
use crate::platform::{Platform, Work};
use crate::rmap::rmap_walk;
use crate::system::{System, Task};

/// See the module.
#[derive(Debug)]
pub struct Migrate;

static ABOUT: About = About {
    name: "migrate",
    lineage: "migrate_pages(), Linux v6.1",
    summary: "migration entries, freeze, replace, restore",
    freezes: true,
    zaps_range: false,
    tags: &[],
    checks: &[&REMOVER_MAPPING, &WRITEBACK_WAIT, &REF_FREEZE],
};

impl<P: Platform> Remover<P> for Migrate {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn remove(
        &self,
        system: &System<P>,
        mapping: &AddressSpace<P>,
        range: Range<u64>,
        task: &mut Task,
    ) {
        system.removal(&ABOUT, mapping, range, task, |range, task| {
            system.for_each_trylocked(mapping, range, task, |doomed, task| {
                system.migrate_folio(mapping, &doomed, task);
            });
        });
    }
}

impl<P: Platform> System<P> {
    /// Moves one locked folio (`__unmap_and_move()`), and lets it go.
    fn migrate_folio(&self, mapping: &AddressSpace<P>, doomed: &Doomed<'_, P>, task: &mut Task) {
        let order = doomed.pages.trailing_zeros() as u8;
        let Some(target) = self.memmap.alloc(task.cpu, order) else {
            task.removals.busy += 1;
            self.unlock_and_put(doomed, task);
            return;
        };
        let new = self.memmap.folio(target);
        // No other CPU can reach it yet. It stays locked until its PTEs are there.
        new.lock();
        if self.memmap.mapcount(doomed.pfn, &REMOVER_MAPCOUNT) != 0 {
            task.removals.unmapped_singly += 1;
            self.make_migration_entries(mapping, doomed, task);
        }
        // The entries don't keep off a fault that maps the folio afresh: its reference does, below.
        let moved = mapping.migrate_folio(doomed.folio, (new, target), doomed.index, doomed.pages);
        if moved {
            self.store.copy(doomed.pfn, target, doomed.pages);
            // As in folio_migrate_flags(): what was never read is no more up to date than it was.
            let flags = doomed.folio.flags(&STABLE_READ);
            new.set_flags(flags & (PG_UPTODATE | PG_READAHEAD | PG_DIRTY));
            self.has_left(doomed, task);
            doomed.folio.set_mapping(0);
            self.restore_ptes(mapping, doomed, (new, target));
            task.removals.migrated += 1;
        } else {
            task.removals.busy += 1;
            self.restore_ptes(mapping, doomed, (doomed.folio, doomed.pfn));
        }
        new.unlock();
        self.put(target, task);
        self.unlock_and_put(doomed, task);
    }

    /// Replaces the PTEs of a locked folio (`try_to_migrate()`).
    fn make_migration_entries(
        &self,
        mapping: &AddressSpace<P>,
        doomed: &Doomed<'_, P>,
        task: &mut Task,
    ) {
        let head = doomed.pfn;
        rmap_walk(mapping, &doomed.pgoffs(), |index, pte| {
            let first = Pfn(head.0 + (index - doomed.index) as u32);
            let is_its = pte.pfn() == Some(first);
            if is_its {
                self.clear_pte(mapping, pte, Pte::migration(first), index, first);
                let page = Run {
                    head,
                    first,
                    pages: 1,
                };
                self.memmap.mapcount_sub(page, &MAPCOUNT_DEC);
                P::work(Work::ZappedPage, 1);
                task.gather.push((head, 1));
            }
            is_its
        });
        while let Some((head, references)) = task.gather.pop() {
            self.put_many(head, references, task);
        }
    }

    /// Makes PTEs of the migration entries again (`remove_migration_ptes()`). Both folios are
    /// locked.
    fn restore_ptes(
        &self,
        mapping: &AddressSpace<P>,
        doomed: &Doomed<'_, P>,
        (folio, head): (&Folio<P>, Pfn),
    ) {
        rmap_walk(mapping, &doomed.pgoffs(), |index, pte| {
            let number = (index - doomed.index) as u32;
            if pte.migrating() == Some(Pfn(doomed.pfn.0 + number)) {
                let page = Run {
                    head,
                    first: Pfn(head.0 + number),
                    pages: 1,
                };
                folio.get();
                self.memmap.mapcount_add(page, &MAPCOUNT_INC_LOCKED);
                self.set_ptes(slice::from_mut(pte), page, index);
            }
            // What wasn't present is in no TLB.
            false
        });
    }
}
