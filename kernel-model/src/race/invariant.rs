//! What must hold, by name.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::families;

/// A property that no run of a sound scheme breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Invariant {
    /// The name on the command line and in output.
    pub name: &'static str,
    /// What it says, in one sentence.
    pub says: &'static str,
}

/// What a checker finds violated where an execution doesn't end. Every family has it.
pub const PROGRESS: Invariant = Invariant {
    name: "progress",
    says: "every operation ends",
};

/// What lockdep finds over all executions of an exploration, whether one of them comes to a
/// deadlock or not. Every family has it.
pub const LOCK_ORDER: Invariant = Invariant {
    name: "lock-order",
    says: "classes of locks are taken under each other in no circle",
};

impl Invariant {
    /// The one of a name, of whichever family.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = families().flat_map(|family| family.invariants);
        all.find(|it| it.name == name).copied()
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name)
    }
}

/// By its name.
impl Serialize for Invariant {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for Invariant {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        let unknown = || de::Error::custom(format!("there is no invariant {name}"));
        Self::named(&name).ok_or_else(unknown)
    }
}
