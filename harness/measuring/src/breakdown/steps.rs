//! The steps of a fault: what a scheme does, how often, and which of it can be made cheap.

use kernel_model::platform::{Access, Site};
use serde::Serialize;

/// What a step is, and with that, how it is made cheap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A read-modify-write, done by a plain load and store.
    Rmw,
    /// A spinlock, taken by a plain load and store.
    Lock,
    /// A full barrier, left out.
    Fence,
    /// A check of the scheme, left out; the load goes with it, unless something else needs its
    /// value.
    Check,
    /// A load or a store that the fault can't do without: counted, and never made cheap.
    Needed,
}

impl Kind {
    /// The word for it in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rmw => "rmw",
            Self::Lock => "lock",
            Self::Fence => "fence",
            Self::Check => "check",
            Self::Needed => "needed",
        }
    }
}

/// One step of a scheme's fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The name of its site, or of its class for a lock.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The kernel primitive that it stands for.
    pub stands_for: String,
    /// How often a fault comes to it.
    pub times_per_fault: f64,
    #[serde(skip)]
    pub(super) number: u32,
}

/// The number of a site's step: short enough to be part of an instruction.
#[inline(always)]
pub(super) const fn number_of(site: &Site) -> u32 {
    site.number as u32
}

/// The number of a lock's step, made of its class as a site's is of its name.
pub(super) const fn number_of_lock(class: &'static str) -> u32 {
    number_of(&Site::rmw(
        class,
        std::sync::atomic::Ordering::Acquire,
        "",
        "",
    ))
}

/// Whether a check only looks, so that leaving it out is all that there is to do.
#[inline(always)]
pub(super) const fn only_looks(check: &Site) -> bool {
    matches!(check.access, Access::Load)
}

/// Something that was come to.
#[derive(Debug)]
struct Entry {
    name: &'static str,
    /// `None` for a lock.
    site: Option<&'static Site>,
    accesses: u64,
    checks: u64,
}

/// What was done how often, in the order in which it was first done.
#[derive(Debug, Default)]
pub(super) struct Tally(Vec<Entry>);

impl Tally {
    pub(super) const EMPTY: Self = Self(Vec::new());

    /// A site was accessed.
    pub(super) fn access(&mut self, site: &'static Site) {
        self.entry(site.name, Some(site)).accesses += 1;
    }

    /// A check was made, whether or not its site was accessed for it.
    pub(super) fn check(&mut self, site: &'static Site) {
        self.entry(site.name, Some(site)).checks += 1;
    }

    /// A lock was taken.
    pub(super) fn lock(&mut self, class: &'static str) {
        self.entry(class, None).accesses += 1;
    }

    fn entry(&mut self, name: &'static str, site: Option<&'static Site>) -> &mut Entry {
        let known = self.0.iter().position(|entry| entry.name == name);
        let at = known.unwrap_or_else(|| {
            self.0.push(Entry {
                name,
                site,
                accesses: 0,
                checks: 0,
            });
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    /// The steps of one of `faults` faults that were all alike.
    pub(super) fn steps(&self, faults: u64) -> Vec<Step> {
        let step = |entry: &Entry| {
            let (kind, count) = match entry.site.map(|site| site.access) {
                None => (Kind::Lock, entry.accesses),
                Some(Access::Rmw) => (Kind::Rmw, entry.accesses),
                Some(Access::Fence) => (Kind::Fence, entry.accesses),
                Some(Access::Load) if entry.checks > 0 => (Kind::Check, entry.checks),
                Some(Access::Load | Access::Store) => (Kind::Needed, entry.accesses),
            };
            Step {
                name: entry.name,
                kind,
                stands_for: entry.site.map_or_else(
                    || format!("spin_lock({})", entry.name),
                    |site| site.stands_for.to_owned(),
                ),
                times_per_fault: count as f64 / faults as f64,
                number: entry
                    .site
                    .map_or_else(|| number_of_lock(entry.name), number_of),
            }
        };
        self.0.iter().map(step).collect()
    }
}
