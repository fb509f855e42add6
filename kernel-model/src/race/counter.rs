//! What actors count, and what is asked of it.

use std::fmt;

/// Something that an actor counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Counter {
    /// The role of the actors that count it.
    pub role: &'static str,
    /// The name, once in a role.
    pub name: &'static str,
    /// What it counts.
    pub says: &'static str,
}

impl Counter {
    /// Whether one of these actors has counted it.
    fn is_above_0(self, actors: &[Counts]) -> bool {
        actors.iter().any(|counts| counts.of(self) > 0)
    }
}

/// What an actor has counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(Vec<(Counter, u64)>);

impl Counts {
    /// From counters with their values; those of 0 needn't be there.
    pub fn new(values: impl IntoIterator<Item = (Counter, u64)>) -> Self {
        let values = values.into_iter().filter(|(_, times)| *times > 0);
        Self(values.collect())
    }

    /// The value of one counter.
    pub fn of(&self, counter: Counter) -> u64 {
        let values = self.0.iter().filter(|(it, _)| *it == counter);
        values.map(|(_, times)| times).sum()
    }
}

/// A struct of counters of one role, with a [`Counter`] for each field.
macro_rules! counters {
    ($(#[$doc:meta])* pub struct $name:ident of $role:literal {
        $($(#[doc = $says:literal])+ $counter:ident = $field:ident,)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name {
            $($(#[doc = $says])+ pub $field: u64,)+
        }

        impl $name {
            $($(#[doc = $says])+
            pub const $counter: $crate::race::Counter = $crate::race::Counter {
                role: $role,
                name: stringify!($field),
                says: concat!($($says),+),
            };)+

            /// Each counter with its value.
            pub fn each(&self) -> impl Iterator<Item = ($crate::race::Counter, u64)> + use<> {
                [$((Self::$counter, self.$field)),+].into_iter()
            }
        }
    };
}
pub(crate) use counters;

/// A clause that has to hold in some execution of an exploration, whatever the scheme, as the
/// `exists` of a litmus test: an exploration in which it never does would pass with nothing tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seen {
    /// What it says, in a few words.
    pub says: &'static str,
    /// What is above 0 where it holds.
    pub counter: Counter,
}

impl Seen {
    /// Whether it holds in an execution, by what its CPUs counted.
    pub fn holds_in(&self, cpus: &[Counts]) -> bool {
        self.counter.is_above_0(cpus)
    }
}

/// An outcome that is told and not judged: what a kernel of today would say BUG to, or what a
/// caller has to know. A scheme declares of each whether it shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Graded {
    /// The name on the command line and in output.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub says: &'static str,
    /// What is above 0 where it is seen.
    pub counter: Counter,
}

impl Graded {
    /// Whether an execution showed it, by what its CPUs counted.
    pub fn shows_in(&self, cpus: &[Counts]) -> bool {
        self.counter.is_above_0(cpus)
    }
}

impl fmt::Display for Graded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name)
    }
}
