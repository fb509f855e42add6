//! What a scheme says of itself.

use super::{Graded, Invariant, Tag};
use crate::platform::Site;

/// What is known of a scheme before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No invariant is ever violated, in any scenario.
    Sound {
        /// Why not, in a sentence.
        why: &'static str,
    },
    /// Some races go wrong.
    Broken {
        /// Kinds of race, each with the invariants that it may show violated. In other races an
        /// audit and a checker find nothing.
        on: &'static [(Tag, &'static [Invariant])],
        /// How it happens, in a sentence.
        why: &'static str,
    },
}

impl Verdict {
    /// Whether it is [`Verdict::Sound`].
    pub const fn is_sound(self) -> bool {
        matches!(self, Self::Sound { .. })
    }

    /// The invariants that may be found violated in a race with these tags: at least one of them by
    /// a checker, and by an audit that runs long enough. None if nothing must be found.
    pub fn violates(self, tags: &[Tag]) -> Vec<Invariant> {
        let Self::Broken { on, .. } = self else {
            return Vec::new();
        };
        let of_kind = on.iter().filter(|(tag, _)| tags.contains(tag));
        let mut all: Vec<Invariant> = Vec::new();
        for invariant in of_kind.flat_map(|(_, violates)| *violates) {
            if !all.contains(invariant) {
                all.push(*invariant);
            }
        }
        all
    }

    /// Why it is as it is, in a sentence.
    pub const fn why(self) -> &'static str {
        match self {
            Self::Sound { why } | Self::Broken { why, .. } => why,
        }
    }
}

/// A locking scheme of a family.
#[derive(Debug)]
pub struct Scheme {
    /// The name on the command line and in tables; no other scheme of any family has it.
    pub name: &'static str,
    /// Kernel version or message.
    pub lineage: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// What is known of it.
    pub verdict: Verdict,
    /// The graded outcomes that a checker may see under it.
    pub shows: &'static [Graded],
    /// Its own ordering sites.
    pub sites: &'static [&'static Site],
    /// Those of them that are checks of its own.
    pub own_checks: &'static [&'static Site],
}
