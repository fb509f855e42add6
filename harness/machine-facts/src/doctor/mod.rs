//! Whether this machine is fit to be measured on: what was found, what it does to a measurement,
//! and what mends it.
//!
//! The facts are those of the [`Environment`], which stand in every `run.json`; a finding judges
//! one of them and looks at nothing else. What the caveats of a report name is judged by the same
//! lines: a finding about it [spoils](Verdict::Spoils) where there is a caveat. Two caveats are but
//! noted: a build of uncommitted sources, which is as fast as any, and a clock of the kernel's that
//! isn't the counter, as long as the counter can be read without it.

mod clock;
mod cpus;
mod kernel;
mod noise;
#[cfg(test)]
mod tests;
mod text;
mod time;

use serde::{Deserialize, Serialize};

pub use clock::{judge_step, judge_transfers};
pub use noise::{SPOILT_HIT_SHARE, SPOILT_LOST_SHARE, judge_noise};
pub use text::{text, tsv};

use crate::environment::{Environment, Flaw};

/// One fact about the machine or the build, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A short name of what was looked at.
    pub fact: String,
    /// What was found; begins with `unknown` if that couldn't be told.
    pub found: String,
    /// Whether it spoils a measurement.
    pub verdict: Verdict,
    /// What it does to one, or may do; `None` if it is as it should be.
    pub spoils: Option<String>,
    /// What mends it: a command to be run as root, what to boot with, an option; or why nothing
    /// does.
    pub mend: Option<String>,
}

/// Whether a fact spoils a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Fit,
    /// To be known when figures are read or compared. They can be trusted all the same.
    Note,
    /// Figures measured like this mislead.
    Spoils,
}

impl Finding {
    fn new(fact: &str, found: impl Into<String>, verdict: Verdict) -> Self {
        Self {
            fact: fact.to_owned(),
            found: found.into(),
            verdict,
            spoils: None,
            mend: None,
        }
    }

    fn fit(fact: &str, found: impl Into<String>) -> Self {
        Self::new(fact, found, Verdict::Fit)
    }

    fn note(fact: &str, found: impl Into<String>) -> Self {
        Self::new(fact, found, Verdict::Note)
    }

    /// What couldn't be told, and is better known.
    fn unknown(fact: &str) -> Self {
        Self::note(fact, "unknown")
    }

    /// What spoils where there is a caveat of this flaw, and is fit elsewhere.
    fn by(environment: &Environment, flaw: Flaw, fact: &str, found: impl Into<String>) -> Self {
        match environment.caveat(flaw) {
            Some(_) => Self::new(fact, found, Verdict::Spoils),
            None => Self::fit(fact, found),
        }
    }

    /// Says what it does and what mends it, unless it is as it should be.
    fn but(mut self, spoils: &str, mend: impl Into<String>) -> Self {
        if self.verdict != Verdict::Fit {
            self.spoils = Some(spoils.to_owned());
            self.mend = Some(mend.into());
        }
        self
    }
}

/// What only other hardware mends.
const BARE_METAL: &str = "nothing: use bare metal";

/// Judges all that is known of the machine and the build, in an order to be read in. There is a
/// finding for every fact, also for one that couldn't be told.
pub fn examine(environment: &Environment) -> Vec<Finding> {
    let checks = [
        kernel::build,
        kernel::layout,
        cpus::model,
        cpus::topology,
        cpus::smt,
        time::hypervisor,
        time::steal,
        time::quota,
        time::load,
        cpus::allowed,
        cpus::isolated,
        cpus::nohz_full,
        time::governor,
        time::turbo,
        time::idle,
        time::counter,
        time::clocksource,
        kernel::mitigations,
        kernel::huge_pages,
        kernel::nmi_watchdog,
        kernel::counters,
        kernel::perf_events,
        kernel::memlock,
    ];
    checks.iter().map(|check| check(environment)).collect()
}

/// Whether nothing that was found spoils a measurement.
pub fn is_fit(findings: &[Finding]) -> bool {
    findings
        .iter()
        .all(|finding| finding.verdict != Verdict::Spoils)
}

/// Whether a hypervisor is known to be below.
fn is_guest(environment: &Environment) -> bool {
    environment.virtualization.virtual_machine == Some(true)
}
