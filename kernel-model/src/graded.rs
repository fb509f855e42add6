//! Outcomes that are no violations, and that are told all the same: what a kernel of today would
//! say BUG to, or what a caller has to know.

use std::fmt;

use crate::Task;

/// An outcome that is graded, not judged. A scheme declares of each whether it shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Graded {
    /// A mapcount above 0 at the point of removal, of a fault that will take it back.
    TransientMapcount,
    /// A folio leaves the page cache with a PTE that no zap of a range can find.
    ForeignPte,
}

impl Graded {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::TransientMapcount, Self::ForeignPte];

    /// The name on the command line and in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TransientMapcount => "transient-mapcount",
            Self::ForeignPte => "foreign-pte",
        }
    }

    /// What it is, in one sentence.
    pub const fn says(self) -> &'static str {
        match self {
            Self::TransientMapcount => {
                "a mapcount is above 0 at the point of removal; a fault has counted what it will \
                 not map"
            }
            Self::ForeignPte => {
                "a folio leaves the page cache mapped in a VMA that isn't in the file's i_mmap"
            }
        }
    }

    /// Whether an execution showed it, by what its CPUs counted.
    pub fn shows_in(self, tasks: &[Task]) -> bool {
        let times = |task: &Task| match self {
            Self::TransientMapcount => task.removals.transient_mapcount,
            Self::ForeignPte => task.removals.foreign_pte,
        };
        tasks.iter().any(|task| times(task) > 0)
    }
}

impl fmt::Display for Graded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}
