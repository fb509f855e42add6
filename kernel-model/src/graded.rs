//! Outcomes of removals that are no violations, and that are told all the same.

use crate::race::Graded;
use crate::system::RemovalCounters;

/// Each of them.
pub const ALL: &[Graded] = &[TRANSIENT_MAPCOUNT, FOREIGN_PTE];

/// A mapcount above 0 at the point of removal, of a fault that will take it back.
pub const TRANSIENT_MAPCOUNT: Graded = Graded {
    name: "transient-mapcount",
    says: "a mapcount is above 0 at the point of removal; a fault has counted what it will not map",
    counter: RemovalCounters::TRANSIENT_MAPCOUNT,
};

/// A folio leaves the page cache with a PTE that no zap of a range can find. Every scheme shows it:
/// it is between a driver and a remover, with no fault in it.
pub const FOREIGN_PTE: Graded = Graded {
    name: "foreign-pte",
    says: "a folio leaves the page cache mapped in a VMA that isn't in the file's i_mmap",
    counter: RemovalCounters::FOREIGN_PTE,
};
