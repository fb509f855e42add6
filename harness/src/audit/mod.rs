//! Audit mode: the measured code on a platform that stops threads at random sites, with removers
//! that check the invariants before they return. It gives verdicts, never timings.
//!
//! An audit is a series of short episodes. Each has a small machine of its own, so that frames are
//! reused at once and PTE tables come and go, and ends with the audit at rest; the first violation
//! ends the audit.

mod episode;

use std::ops::AddAssign;
use std::time::{Duration, Instant};

use kernel_model::fault_around::{About, FaultAround};
use kernel_model::platform::{Jittered, Native};
use kernel_model::{Invariant, Orders, Violation};
use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::cancel::Cancel;
use crate::machine::{MmKind, order_name};
use crate::order::Access;
use crate::storms::Storm;
use crate::topology::TopologyError;
use episode::Episode;

/// The platform of audits.
pub type Audited = Jittered<Native>;

/// What is the same for all audits of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditSetup {
    /// Pages of the file.
    pub pages: u32,
    /// Pages that a fault maps at most.
    pub window_pages: u32,
    /// Pages that a miss reads.
    pub readahead_pages: u32,
    /// Of which orders folios are.
    #[serde(serialize_with = "order_name")]
    pub orders: Orders,
    /// Pages that an operation of a storm removes.
    pub hole_pages: u32,
    /// Threads that fault.
    pub fault_threads: u32,
    /// Threads that remove.
    pub storm_threads: u32,
    /// Processes or threads.
    pub mm: MmKind,
    /// How passes go through the file.
    pub access: Access,
    /// How long an audit lasts that finds nothing.
    pub duration: Duration,
    /// CPUs that threads are pinned to in turn; `None`: the scheduler's choice.
    pub cpus: Option<Vec<u32>>,
    /// Names of checks that are left out.
    pub left_out: Vec<String>,
    /// Where every random choice comes from.
    pub seed: u64,
}

/// One violation, for output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The invariant.
    #[serde(serialize_with = "name_of")]
    pub invariant: Invariant,
    /// The file offset, in pages.
    pub offset: u64,
    /// The folio's frame number.
    pub folio: u32,
    /// Which allocation of that frame it was.
    pub incarnation: u64,
    /// What was seen.
    pub detail: String,
}

fn name_of<S: Serializer>(invariant: &Invariant, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(invariant.name())
}

impl From<Violation> for Found {
    fn from(violation: Violation) -> Self {
        Self {
            invariant: violation.invariant,
            offset: violation.index,
            folio: violation.pfn.0,
            incarnation: violation.incarnation,
            detail: violation.detail,
        }
    }
}

/// What threads did in an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Work {
    /// Short machines that were run.
    pub episodes: u64,
    /// Faults.
    pub faults: u64,
    /// Pages that they mapped.
    pub pages_mapped: u64,
    /// Pages left out because they were locked.
    pub skipped_locked: u64,
    /// Mapcounts taken back after a re-check.
    pub undone: u64,
    /// Speculative references dropped because the slot or the mapping had changed.
    pub slot_changed: u64,
    /// Operations of the storm.
    pub removals: u64,
    /// Folios that they removed.
    pub folios_removed: u64,
    /// Of those, how many had a mapcount above 0 at the point of removal.
    pub transient_mapcount: u64,
}

impl AddAssign for Work {
    fn add_assign(&mut self, more: Self) {
        self.episodes += more.episodes;
        self.faults += more.faults;
        self.pages_mapped += more.pages_mapped;
        self.skipped_locked += more.skipped_locked;
        self.undone += more.undone;
        self.slot_changed += more.slot_changed;
        self.removals += more.removals;
        self.folios_removed += more.folios_removed;
        self.transient_mapcount += more.transient_mapcount;
    }
}

/// How an audit ended.
#[derive(Debug, Clone, Serialize)]
pub struct Audit {
    /// The scheme.
    pub scheme: &'static str,
    /// The storm.
    pub storm: &'static str,
    /// Whether the scheme is known to be broken, under whatever storm.
    pub broken: bool,
    /// Whether this storm is declared to show it.
    pub to_be_caught: bool,
    /// How long it took.
    pub elapsed: Duration,
    /// What was done meanwhile.
    pub work: Work,
    /// Whether that was enough for a verdict.
    pub worked: bool,
    /// The violations of the episode that had any, up to 64 of them.
    pub found: Vec<Found>,
    /// How many there were.
    pub violations: u64,
    /// Whether this is what the scheme declares.
    pub as_declared: bool,
}

/// Why an audit came to no verdict.
#[derive(Debug, Error)]
pub enum AuditError {
    /// A thread could not be put where it belongs.
    #[error(transparent)]
    Pin(#[from] TopologyError),
    /// The system gave no thread.
    #[error("cannot start a thread: {0}")]
    Spawn(std::io::Error),
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A thread panicked.
    #[error("an audited thread panicked; its message is above")]
    Panicked,
}

/// How long an episode lasts: some hundred removals, and many episodes in a second's audit.
const EPISODE: Duration = Duration::from_millis(150);

/// Below this an audit that has found nothing has looked at nothing: pages mapped, and folios
/// removed.
const LEAST_WORK: u64 = 100;

/// The invariants that a scheme may violate under any of some removers.
fn violates_under(about: &About, removers: &[&str]) -> &'static [Invariant] {
    let removers = removers.iter();
    let mut all = removers.map(|remover| about.verdict.violates_under(remover));
    all.find(|violates| !violates.is_empty()).unwrap_or(&[])
}

/// Whether what was found is what the scheme's file declares for the removers of a storm.
fn as_declared(about: &About, removers: &[&str], found: &[Found], worked: bool) -> bool {
    let violates = violates_under(about, removers);
    if violates.is_empty() {
        found.is_empty() && worked
    } else {
        (found.iter()).any(|found| violates.contains(&found.invariant))
    }
}

/// Audits a scheme under a storm until something is found or the time is over.
///
/// # Errors
/// See [`AuditError`].
pub fn audit(
    scheme: &'static dyn FaultAround<Audited>,
    storm: &'static dyn Storm<Audited>,
    setup: &AuditSetup,
    cancel: &Cancel,
) -> Result<Audit, AuditError> {
    let start = Instant::now();
    let mut work = Work::default();
    let mut found = Vec::new();
    let mut violations = 0;
    while found.is_empty() {
        let Some(left) = setup.duration.checked_sub(start.elapsed()) else {
            break;
        };
        let episode = Episode::new(scheme, storm, setup, work.episodes);
        let outcome = episode.run(left.min(EPISODE), cancel)?;
        work += outcome.work;
        found.extend(outcome.violations.into_iter().map(Found::from));
        violations += outcome.violation_count;
    }
    let about = scheme.about();
    let removers = storm.removers();
    let removers: Vec<_> = removers
        .iter()
        .map(|remover| remover.about().name)
        .collect();
    let worked = work.pages_mapped.min(work.folios_removed) >= LEAST_WORK;
    Ok(Audit {
        worked,
        scheme: about.name,
        storm: storm.about().name,
        broken: !about.verdict.is_sound(),
        to_be_caught: !violates_under(about, &removers).is_empty(),
        elapsed: start.elapsed(),
        as_declared: as_declared(about, &removers, &found, worked),
        work,
        found,
        violations,
    })
}

#[cfg(test)]
mod tests;
