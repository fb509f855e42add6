//! What scenarios must show in some execution.

use crate::race::Seen;
use crate::system::{FaultCounters, RemovalCounters};

/// Fault-around mapped a page.
pub const FAULT_MAPPED: Seen = Seen {
    says: "fault-around mapped a page",
    counter: FaultCounters::MAPPED,
};

/// The slow path mapped a page.
pub const SLOW_MAPPED: Seen = Seen {
    says: "the slow path mapped a page",
    counter: FaultCounters::MAPPED_SLOWLY,
};

/// A page was read from the store.
pub const FILLED: Seen = Seen {
    says: "a page was read",
    counter: FaultCounters::FILLED,
};

/// A folio left the page cache.
pub const REMOVED: Seen = Seen {
    says: "a folio left the page cache",
    counter: RemovalCounters::REMOVED,
};

/// One left it with all of its references.
pub const RECLAIMED: Seen = Seen {
    says: "a folio was reclaimed",
    counter: RemovalCounters::RECLAIMED,
};

/// One was moved to another frame.
pub const MIGRATED: Seen = Seen {
    says: "a folio was migrated",
    counter: RemovalCounters::MIGRATED,
};

/// Small ones were replaced by a large one.
pub const COLLAPSED: Seen = Seen {
    says: "folios were collapsed",
    counter: RemovalCounters::COLLAPSED,
};

/// A large one was split.
pub const SPLIT: Seen = Seen {
    says: "a folio was split",
    counter: RemovalCounters::SPLIT,
};

/// One was left alone, since somebody else held a reference.
pub const FOUND_BUSY: Seen = Seen {
    says: "a folio was found busy",
    counter: RemovalCounters::BUSY,
};

/// A fault found its page's memory bad.
pub const FOUND_BAD: Seen = Seen {
    says: "a fault found its page's memory bad",
    counter: FaultCounters::HWPOISON,
};

/// One was found mapped under its lock, and unmapped.
pub const UNMAPPED: Seen = Seen {
    says: "a folio was found mapped under its lock",
    counter: RemovalCounters::UNMAPPED_SINGLY,
};

/// One left the page cache with a PTE that `i_mmap` doesn't lead to.
pub const LEFT_MAPPED: Seen = Seen {
    says: "a folio left with a PTE that i_mmap doesn't lead to",
    counter: RemovalCounters::FOREIGN_PTE,
};
