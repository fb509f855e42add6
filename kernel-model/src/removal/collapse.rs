//! `collapse` and `collapse-counted`: khugepaged puts one large folio in the place of small ones
//! (`collapse_file()`).
//!
//! Each small folio is locked, unmapped if it is mapped, and must be held by no other; one that
//! isn't makes the collapse fail, and all is as it was. Until v6.3 its references are frozen and
//! the new folio, locked and not up to date, takes its slot at once (`collapse`). Since v6.4 its
//! references are counted once, and it stays in its slot, locked, until all have been copied
//! (`collapse-counted`): who gets a reference meanwhile is to be kept off by the lock.
//!
//! Up to v5.10 there was an assertion between the unmapping and the freezing that the folio isn't
//! mapped. It is the one thing that fired when Hugh Dickins tried the RFC patch, on 13 October
//! 2020: a fault had counted a mapping that it was to take back. Here that is counted
//! (`transient-mapcount`), and the reference makes the collapse fail.
//!
//! The PTE tables that the large folio covers are taken away then, whatever is in them: no fault
//! maps the new folio, as it is still locked. So a scheme that doesn't ask for that lock is owed
//! what those are owed that don't ask for the lock of a folio that goes, though `collapse` freezes.
//! Up to v6.4 Linux held `mmap_lock` for writing, which kept faults off and which the model doesn't
//! have; both do it as since v6.5, without. So `collapse` is of no release: it freezes as the
//! older, and takes tables away as the newer.
//!
//! The new folio is as large as the model's folios get. Where they have one page it is one of one
//! page.

use std::ops::Range;

use super::{About, Doomed, REMOVER_MAPCOUNT, REMOVER_MAPPING, Remover};
use crate::address_space::AddressSpace;
use crate::folio::site::{REF_FREEZE, STABLE_READ};
use crate::folio::{Folio, PG_DIRTY, PG_UPTODATE, Pfn};
use crate::page_table::{PMD_RECHECK, RCU_WALK, TABLE_GRACE};
use crate::platform::{Platform, RwSemaphore, Site};
use crate::system::{System, Task};

/// See the module.
#[derive(Debug)]
pub struct Collapse<const FREEZES: bool>;

/// Taking PTE tables away is owed to schemes that don't ask for the folio lock.
pub(super) const COLLAPSE_OWES: Site = Site::load(
    "collapse_owes",
    std::sync::atomic::Ordering::Relaxed,
    "khugepaged would have to tell the scheme that it is at work",
    "nothing: what the scheme does with it",
);

const fn about(name: &'static str, lineage: &'static str, freezes: bool) -> About {
    About {
        name,
        lineage,
        summary: if freezes {
            "trylock, unmap if mapped, freeze, replace by a large folio, retract tables"
        } else {
            "trylock, unmap if mapped, count references, replace, retract tables"
        },
        freezes,
        zaps_range: false,
        // No storm drives it: what an audit would show is untried.
        tags: &[],
        checks: if freezes {
            &[
                &REMOVER_MAPPING,
                &REF_FREEZE,
                &COLLAPSE_OWES,
                &PMD_RECHECK,
                &RCU_WALK,
                &TABLE_GRACE,
            ]
        } else {
            &[
                &REMOVER_MAPPING,
                &REMOVER_MAPCOUNT,
                &PMD_RECHECK,
                &RCU_WALK,
                &TABLE_GRACE,
            ]
        },
    }
}

static FROZEN: About = about(
    "collapse",
    "collapse_file(), Linux v5.4 to v6.3; tables as since v6.5",
    true,
);
static COUNTED: About = about("collapse-counted", "collapse_file(), Linux v6.4 on", false);

impl<P: Platform, const FREEZES: bool> Remover<P> for Collapse<FREEZES> {
    fn about(&self) -> &'static About {
        if FREEZES { &FROZEN } else { &COUNTED }
    }

    fn remove(
        &self,
        system: &System<P>,
        mapping: &AddressSpace<P>,
        range: Range<u64>,
        task: &mut Task,
    ) {
        let about = <Self as Remover<P>>::about(self);
        let owes = !FREEZES || !P::left_out(&COLLAPSE_OWES);
        system.removal_that(about, owes, mapping, range, task, |range, task| {
            let pages = 1 << system.config.orders.highest();
            let mut start = range.start.next_multiple_of(pages);
            while start + pages <= range.end {
                system.collapse_file::<FREEZES>(mapping, start..start + pages, task);
                start += pages;
            }
        });
    }
}

impl<P: Platform> System<P> {
    /// Replaces the folios of one page in a range by a single one, if all of it is cached and none
    /// else holds any of it.
    fn collapse_file<const FREEZES: bool>(
        &self,
        mapping: &AddressSpace<P>,
        range: Range<u64>,
        task: &mut Task,
    ) {
        let pages = (range.end - range.start) as u32;
        let Some(head) = self.memmap.alloc(task.cpu, pages.trailing_zeros() as u8) else {
            task.removals.busy += 1;
            return;
        };
        let new = self.memmap.folio(head);
        // It isn't in the file yet. It stays locked until the tables are gone.
        new.lock();
        new.set_index(range.start);
        new.set_mapping(mapping.id());
        let mut olds = Vec::with_capacity(pages as usize);
        for index in range.clone() {
            let Some(old) = self.isolate::<FREEZES>(mapping, index, head, task) else {
                self.roll_back::<FREEZES>(mapping, olds, (new, head), task);
                return;
            };
            olds.push(old);
        }
        for (number, old) in (0..).zip(&olds) {
            self.store.copy(old.pfn, Pfn(head.0 + number), 1);
        }
        if FREEZES {
            for old in olds.drain(..) {
                self.has_left(&old, task);
                old.folio.set_mapping(0);
                old.folio.unfreeze(1);
                self.unlock_and_put(&old, task);
            }
        }
        new.set_uptodate();
        // The first reference is the cache's from now on.
        new.get_more(pages - 1);
        if !FREEZES {
            mapping.replace(&range, head);
        }
        for vma in mapping.i_mmap.read().iter() {
            vma.mm.retract_tables(vma.vpns_of(&range));
        }
        task.removals.collapsed += 1;
        new.unlock();
        for old in olds {
            self.has_left(&old, task);
            old.folio.set_mapping(0);
            self.put(old.pfn, task); // the page cache's reference
            self.unlock_and_put(&old, task);
        }
    }

    /// Gets hold of one small folio, locked, unmapped and held by no other.
    fn isolate<const FREEZES: bool>(
        &self,
        mapping: &AddressSpace<P>,
        index: u64,
        new: Pfn,
        task: &mut Task,
    ) -> Option<Doomed<'_, P>> {
        let old = self.find_folio(mapping, index, task)?;
        if !old.folio.try_lock() {
            task.removals.skipped_locked += 1;
            self.put(old.pfn, task);
            return None;
        }
        let ours = old.is_in(mapping);
        let is_clean = old.folio.flags(&STABLE_READ) & (PG_UPTODATE | PG_DIRTY) == PG_UPTODATE;
        if ours && is_clean && old.pages == 1 {
            if !FREEZES {
                self.policy.duties.after_folio_lock();
            }
            self.unmap_if_mapped(mapping, &old, task);
            // The assertion was here.
            self.grade_mapcount(old.pfn, task);
            let is_unused = match FREEZES {
                true => mapping.replace_frozen(old.folio, index, new),
                false => mapping.is_held_once(old.folio),
            };
            if is_unused {
                return Some(old);
            }
            task.removals.busy += 1;
        }
        self.unlock_and_put(&old, task);
        None
    }

    /// Puts everything back.
    fn roll_back<const FREEZES: bool>(
        &self,
        mapping: &AddressSpace<P>,
        olds: Vec<Doomed<'_, P>>,
        (new, head): (&Folio<P>, Pfn),
        task: &Task,
    ) {
        for old in olds {
            if FREEZES {
                mapping.restore_frozen(old.folio, old.index, old.pfn);
            }
            self.unlock_and_put(&old, task);
        }
        new.set_mapping(0);
        new.unlock();
        self.put(head, task);
    }
}
