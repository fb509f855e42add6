//! What a scenario must show in at least one execution, as the `exists` of a litmus test: one in
//! which it never happens would pass with nothing tried.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Task;

/// A clause that has to hold in some execution of an exploration, whatever the scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Seen {
    /// Fault-around mapped a page.
    FaultMapped,
    /// The slow path mapped a page.
    SlowMapped,
    /// A page was read from the store.
    Filled,
    /// A folio left the page cache.
    Removed,
    /// One left it with all of its references.
    Reclaimed,
    /// One was moved to another frame.
    Migrated,
    /// Small ones were replaced by a large one.
    Collapsed,
    /// A large one was split.
    Split,
    /// One was left alone, since somebody else held a reference.
    FoundBusy,
    /// A fault found its page's memory bad.
    FoundBad,
    /// One was found mapped under its lock, and unmapped.
    Unmapped,
    /// One left the page cache with a PTE that `i_mmap` doesn't lead to.
    LeftMapped,
}

impl Seen {
    /// Whether it holds in an execution, by what its CPUs counted.
    pub fn holds_in(self, tasks: &[Task]) -> bool {
        tasks.iter().any(|task| {
            let (faults, removals) = (&task.faults, &task.removals);
            let times = match self {
                Self::FaultMapped => faults.mapped,
                Self::SlowMapped => faults.mapped_slowly,
                Self::Filled => faults.filled,
                Self::Removed => removals.removed,
                Self::Reclaimed => removals.reclaimed,
                Self::Migrated => removals.migrated,
                Self::Collapsed => removals.collapsed,
                Self::Split => removals.split,
                Self::FoundBusy => removals.busy,
                Self::FoundBad => faults.hwpoison,
                Self::Unmapped => removals.unmapped_singly,
                Self::LeftMapped => removals.foreign_pte,
            };
            times > 0
        })
    }

    /// What it says, in a few words.
    pub const fn says(self) -> &'static str {
        match self {
            Self::FaultMapped => "fault-around mapped a page",
            Self::SlowMapped => "the slow path mapped a page",
            Self::Filled => "a page was read",
            Self::Removed => "a folio left the page cache",
            Self::Reclaimed => "a folio was reclaimed",
            Self::Migrated => "a folio was migrated",
            Self::Collapsed => "folios were collapsed",
            Self::Split => "a folio was split",
            Self::FoundBusy => "a folio was found busy",
            Self::FoundBad => "a fault found its page's memory bad",
            Self::Unmapped => "a folio was found mapped under its lock",
            Self::LeftMapped => "a folio left with a PTE that i_mmap doesn't lead to",
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.says())
    }
}
