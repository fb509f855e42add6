//! `reclaim`: gives clean pages back when memory is short (`shrink_folio_list()`,
//! `__remove_mapping()`).
//!
//! It waits for no lock, and takes a folio only with all of its references: a CPU that has got one
//! holds it off. A PTE is a reference, too: without the look at the mapcount it takes no folio that
//! is mapped, and breaks nothing.

use std::ops::Range;

use super::{About, REMOVER_MAPCOUNT, REMOVER_MAPPING, Remover, WRITEBACK_WAIT};
use crate::address_space::AddressSpace;
use crate::folio::site::REF_FREEZE;
use crate::platform::Platform;
use crate::system::{System, Task};

/// See the module.
#[derive(Debug)]
pub struct Reclaim;

static ABOUT: About = About {
    name: "reclaim",
    lineage: "__remove_mapping(), Linux v6.1",
    summary: "trylock, unmap if mapped, freeze, remove",
    freezes: true,
    zaps_range: false,
    tags: &[],
    checks: &[
        &REMOVER_MAPPING,
        &REMOVER_MAPCOUNT,
        &WRITEBACK_WAIT,
        &REF_FREEZE,
    ],
};

impl<P: Platform> Remover<P> for Reclaim {
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
                system.unmap_if_mapped(mapping, &doomed, task);
                if mapping.delete_frozen(doomed.folio, doomed.index, doomed.pages) {
                    system.has_left(&doomed, task);
                    task.removals.reclaimed += 1;
                    doomed.folio.unlock();
                    let violations = &system.violations;
                    system.memmap.free(doomed.pfn, task.cpu, violations);
                } else {
                    task.removals.busy += 1;
                    system.unlock_and_put(&doomed, task);
                }
            });
        });
    }
}
