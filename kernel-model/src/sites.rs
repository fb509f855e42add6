//! The ordering sites that all schemes share, and the checks that are made beside theirs.

use crate::fault::SLOW_CHECKS;
use crate::platform::{Native, Site};
use crate::removal::Removers;
use crate::scenario::{CONTENTS_READ, CONTENTS_STORE};
use crate::{address_space, fault_around, folio, page_allocator, page_table, removal};

/// Every ordering site that isn't a scheme's own.
pub fn sites() -> impl Iterator<Item = &'static Site> {
    let single: [&'static Site; 15] = [
        &fault_around::WINDOW_FLAGS,
        &removal::REMOVER_MAPCOUNT,
        &removal::REMOVER_MAPPING,
        &removal::DIRTY_STAYS,
        &removal::WRITEBACK_WAIT,
        &page_table::PMD_READ,
        &page_table::PMD_INSTALL,
        &page_table::PMD_CLEAR,
        &page_table::PMD_RECHECK,
        &page_allocator::PAGE_ALLOC_REF,
        &page_allocator::FOLIO_ORDER,
        &page_allocator::FOLIO_INDEX,
        &page_allocator::FOLIO_IS_LARGE,
        &CONTENTS_STORE,
        &CONTENTS_READ,
    ];
    let shared = [folio::site::ALL, address_space::site::ALL].concat();
    single.into_iter().chain(shared)
}

/// The checks that removers make, and the slow path: all that can be left out and that is no
/// scheme's own.
pub fn shared_checks() -> impl Iterator<Item = &'static Site> {
    let removers = Removers::<Native>::ALL.iter();
    let removers = removers.flat_map(|remover| remover.about().checks);
    removers.chain(SLOW_CHECKS).copied()
}
