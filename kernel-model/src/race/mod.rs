//! What a family of races is, as data. All that is outside of a family's folder works from this:
//! lists, checks, traces, audits, reports.
//!
//! A family is one place in the kernel with several lockings for it: its schemes. It is a folder
//! beside this one with a [`Family`] in it, and a line in [`families`].

use std::sync::OnceLock;

use crate::platform::Site;

mod counter;
mod invariant;
mod scenario;
mod scheme;
mod tag;
mod violation;

pub(crate) use counter::counters;
pub use counter::{Counter, Counts, Graded, Seen};
pub use invariant::{Invariant, LOCK_ORDER, PROGRESS};
pub use scenario::{Explored, Race, Scenario, SetUp, Work, World};
pub use scheme::{Scheme, Verdict};
pub use tag::Tag;
pub use violation::{Place, Violation, Violations};

/// A family of races.
#[derive(Debug)]
pub struct Family {
    /// The name on the command line and in tables.
    pub name: &'static str,
    /// What it asks, in a sentence.
    pub question: &'static str,
    /// The message that it comes from: author and date.
    pub source: &'static str,
    /// Its schemes, the baseline first, the broken ones last.
    pub schemes: fn() -> Vec<&'static Scheme>,
    /// Its scenarios.
    pub scenarios: fn() -> Vec<&'static Scenario>,
    /// Kinds of race that its verdicts may name.
    pub tags: &'static [Tag],
    /// What must hold.
    pub invariants: &'static [Invariant],
    /// What is told and not judged.
    pub graded: &'static [Graded],
    /// Checks that every scheme makes, beyond those of its own.
    pub scheme_checks: &'static [&'static Site],
    /// Checks of the model around the schemes.
    pub model_checks: fn() -> Vec<&'static Site>,
    /// Ordering sites of the model around the schemes.
    pub model_sites: fn() -> Vec<&'static Site>,
    /// What a list says of a scheme beyond what all families' schemes say, each with its head.
    pub facts: fn(&'static Scheme) -> Vec<(&'static str, String)>,
    /// How a scheme is set up in a scenario for the checkers.
    #[cfg(feature = "check")]
    pub checked: Checked,
}

/// What gives the set-up of a scheme in a scenario, both by name, for each checker.
#[cfg(feature = "check")]
#[derive(Debug)]
pub struct Checked {
    /// For Loom.
    pub loom: fn(&str, &str) -> SetUp,
    /// For Shuttle.
    pub shuttle: fn(&str, &str) -> SetUp,
}

impl Family {
    /// The checks of a scheme that can be left out to see that it is noticed.
    pub fn checks_of(&self, scheme: &Scheme) -> impl Iterator<Item = &'static Site> + use<> {
        let own = scheme.own_checks.iter().copied();
        own.chain(self.scheme_checks.iter().copied())
    }

    /// Its scheme of a name.
    pub fn scheme(&self, name: &str) -> Option<&'static Scheme> {
        (self.schemes)().into_iter().find(|it| it.name == name)
    }

    /// Its scenario of a name.
    pub fn scenario(&self, name: &str) -> Option<&'static Scenario> {
        (self.scenarios)().into_iter().find(|it| it.name == name)
    }
}

/// The registry: a line for each family.
static FAMILIES: &[&Family] = &[&crate::fault_around::FAMILY, &crate::shmem_punch::FAMILY];

/// A family beside those of the registry.
static ONE_MORE: OnceLock<&Family> = OnceLock::new();

/// Every family, the core one first.
pub fn families() -> impl Iterator<Item = &'static Family> {
    FAMILIES.iter().chain(ONE_MORE.get()).copied()
}

/// The family of a name.
pub fn family(name: &str) -> Option<&'static Family> {
    families().find(|it| it.name == name)
}

/// Registers one more family in this process, once: for tests, and to try a family out.
///
/// # Panics
/// If there is one already.
pub fn register(family: &'static Family) {
    assert!(ONE_MORE.set(family).is_ok(), "one more family, not two");
}
