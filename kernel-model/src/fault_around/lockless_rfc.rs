//! `lockless-rfc`: the RFC patch of 13 October 2020, which drops the page lock from fault-around
//! and looks at the mapping once. A control: it is broken, as Kirill A. Shutemov pointed out at
//! once. Hugh Dickins's load of that day tripped `VM_BUG_ON_PAGE(page_mapped(page))` in
//! `collapse_file()`.
//!
//! A whole removal fits between the look at the mapping and the increment, and a folio with
//! `mapping == NULL` ends up in a PTE. Under a truncation only where
//! [`sketch`](super::sketch::Sketch) is broken by one.

use crate::graded::{FOREIGN_PTE, TRANSIENT_MAPCOUNT};
use crate::invariants::{
    NO_FREED_TABLE_USE, NO_MAPPED_REMOVAL, NO_POISONED_PTE, NO_STALE_PTE, RIGHT_OFFSET,
};
use crate::race::{Invariant, Scheme, Verdict};
use std::sync::atomic::Ordering::Relaxed;

use super::mapcount_recheck::MAPCOUNT_INC;
use super::walk::{Claim, LARGE_RECHECK, Skip};
use super::{About, FaultAround, Rmws};
use crate::fault::{MapPages, Mapped, Window};
use crate::folio::Counting;
use crate::folio::site::REF_GET_UNLESS_ZERO;
use crate::page_allocator::{MemMap, Run};
use crate::platform::{Platform, Site};
use crate::removal::Duties;
use crate::system::Task;
use crate::tag::{RETRACTED, UNFROZEN, UNFROZEN_UNLOCKED};

/// See the module.
#[derive(Debug)]
pub struct LocklessRfc;

/// Does the folio belong to the file, now, for what that is worth?
const CHECK_MAPPING: Site = Site::load(
    "check_mapping",
    Relaxed,
    "READ_ONCE(page->mapping) != mapping",
    "nothing: that is the fault in it",
);

/// What a checker and an audit may find.
const VIOLATES: &[Invariant] = &[
    NO_STALE_PTE,
    NO_MAPPED_REMOVAL,
    RIGHT_OFFSET,
    NO_POISONED_PTE,
    NO_FREED_TABLE_USE,
];

static ABOUT: About = About {
    scheme: Scheme {
        name: "lockless-rfc",
        lineage: "Torvalds, RFC patch of 13 Oct 2020",
        summary: "check the mapping once, mapcount++, map",
        verdict: Verdict::Broken {
            on: &[
                (UNFROZEN, VIOLATES),
                (UNFROZEN_UNLOCKED, VIOLATES),
                (RETRACTED, VIOLATES),
            ],
            why: "a whole removal fits between the look at the mapping and the increment",
        },
        shows: &[TRANSIENT_MAPCOUNT, FOREIGN_PTE],
        sites: &[&CHECK_MAPPING, &MAPCOUNT_INC],
        own_checks: &[&CHECK_MAPPING, &REF_GET_UNLESS_ZERO, &LARGE_RECHECK],
    },
    counting: Counting::Apart,
    rmws: Rmws::APART,
    shared_lines_per_fault: 0,
    asks_of_removers: "nothing more",
};

/// One look at the mapping.
struct Look {
    mapping: u64,
}

impl<P: Platform> Claim<P> for Look {
    #[inline(always)]
    fn confirm<const LARGE: bool>(
        &self,
        memmap: &MemMap<P>,
        run: Run,
        _flags: u64,
    ) -> Result<(), Skip> {
        let folio = memmap.folio(run.head);
        if !P::left_out(&CHECK_MAPPING) && folio.mapping(&CHECK_MAPPING) != self.mapping {
            return Err(Skip::Moved);
        }
        memmap.mapcount_add_of::<LARGE>(run, &MAPCOUNT_INC);
        Ok(())
    }
}

impl<P: Platform> FaultAround<P> for LocklessRfc {
    fn about(&self) -> &'static About {
        &ABOUT
    }
}

impl<P: Platform> MapPages<P> for LocklessRfc {
    fn map_pages(&self, window: &Window<'_, P>, task: &mut Task) -> Mapped {
        let mapping = window.vma.mapping.id();
        window.map_speculatively(task, &Look { mapping })
    }
}

impl<P: Platform> Duties<P> for LocklessRfc {}
