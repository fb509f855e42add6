//! The floor: nothing but the memory operations that no scheme can do without.

use kernel_model::Task;
use kernel_model::fault_around::{About, FaultAround, Mapped, Verdict, Window};
use kernel_model::page_table::Pte;
use kernel_model::platform::{Platform, Site};

/// A reference, a mapcount and a PTE for each page, under one lock, with no look at anything.
/// Not a scheme: it maps whatever the slots hold, and is never listed as one.
#[derive(Debug)]
pub struct Floor;

const FLOOR_MAPCOUNT: Site = Site::rmw(
    "floor_mapcount",
    std::sync::atomic::Ordering::Relaxed,
    "atomic_inc(&folio->_mapcount)",
    "nothing",
);

static ABOUT: About = About {
    name: "floor",
    lineage: "not a scheme",
    summary: "two counts and a PTE per page under one lock",
    verdict: Verdict::Broken {
        under: &[],
        violates: &[],
        why: "it looks at nothing",
    },
    rmws_per_page: 2,
    asks_of_removers: "that there be none",
    sites: &[&FLOOR_MAPCOUNT],
    checks: &[],
};

impl<P: Platform> FaultAround<P> for Floor {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn map_pages(&self, window: &Window<'_, P>, _task: &mut Task) -> Mapped {
        let mut locked = window.lock_ptes();
        let ptes: &mut [Pte] = &mut locked;
        let mut mapped = Mapped::default();
        let slots = window.vma.mapping.slots(window.pgoffs.clone());
        for (pte, slot) in ptes.iter_mut().zip(slots) {
            if let Some(pfn) = slot.load() {
                let folio = window.system.memmap.folio(pfn);
                folio.get();
                folio.mapcount_inc(&FLOOR_MAPCOUNT);
                *pte = Pte::present(pfn);
                mapped.pages += 1;
            }
        }
        mapped
    }
}
