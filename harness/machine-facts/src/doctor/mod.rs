//! Whether this machine is fit to be measured on: what was found, what it does to a measurement,
//! and what mends it.
//!
//! The facts are those of the [`Environment`], which stand in every `run.json`; a table of
//! functions judges each of them, and they look at nothing else. A fact that
//! [spoils](Verdict::Spoils) has a caveat, a line at the head of reports. Two caveats are but
//! noted: a build of uncommitted sources, which is as fast as any, and a clock of the kernel's
//! that isn't the counter, as long as the counter can be read without it.

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

use crate::environment::Environment;

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

/// A fact, judged.
struct Judged {
    found: String,
    verdict: Verdict,
    /// What it does to a measurement, and what mends it; empty if it is as it should be.
    spoils: String,
    mend: String,
    /// What a report says of it at its head.
    caveat: Option<String>,
}

fn fit(found: impl Into<String>) -> Judged {
    Judged {
        found: found.into(),
        verdict: Verdict::Fit,
        spoils: String::new(),
        mend: String::new(),
        caveat: None,
    }
}

fn note(found: impl Into<String>, spoils: impl Into<String>, mend: impl Into<String>) -> Judged {
    Judged {
        verdict: Verdict::Note,
        spoils: spoils.into(),
        mend: mend.into(),
        ..fit(found)
    }
}

/// What couldn't be told, and is better known.
fn unknown(spoils: impl Into<String>, mend: impl Into<String>) -> Judged {
    note("unknown", spoils, mend)
}

impl Judged {
    /// It is more than a note, and has this caveat.
    fn spoils(self, caveat: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Spoils,
            caveat: Some(caveat.into()),
            ..self
        }
    }

    /// That, or as it should be.
    fn spoils_if(self, so: bool, caveat: impl Into<String>) -> Self {
        match so {
            true => self.spoils(caveat),
            false => fit(self.found),
        }
    }

    fn finding(self, fact: &str) -> Finding {
        let said = |text: String| (self.verdict != Verdict::Fit).then_some(text);
        Finding {
            fact: fact.to_owned(),
            found: self.found,
            verdict: self.verdict,
            spoils: said(self.spoils),
            mend: said(self.mend),
        }
    }
}

/// What only other hardware mends.
const BARE_METAL: &str = "nothing: use bare metal";

type Judge = fn(&Environment) -> Judged;

/// All that is known of the machine and the build, in an order to be read in.
const FACTS: [(&str, Judge); 23] = [
    ("build", kernel::build),
    ("code layout", kernel::layout),
    ("CPU", cpus::model),
    ("topology", cpus::topology),
    ("SMT", cpus::smt),
    ("hypervisor", time::hypervisor),
    ("steal", time::steal),
    ("CPU quota", time::quota),
    ("load", time::load),
    ("CPUs allowed", cpus::allowed),
    ("isolated", cpus::isolated),
    ("nohz_full", cpus::nohz_full),
    ("governor", time::governor),
    ("turbo", time::turbo),
    ("idle states", time::idle),
    ("counter", time::counter),
    ("clocksource", time::clocksource),
    ("mitigations", kernel::mitigations),
    ("THP", kernel::huge_pages),
    ("NMI watchdog", kernel::nmi_watchdog),
    ("counters", kernel::counters),
    ("perf events", kernel::perf_events),
    ("memlock", kernel::memlock),
];

/// The facts that may have a caveat, the worst first.
const CAVEATS: [Judge; 12] = [
    kernel::build,
    kernel::layout,
    time::hypervisor,
    time::quota,
    time::load,
    time::governor,
    time::turbo,
    cpus::smt,
    cpus::topology,
    time::counter,
    time::clocksource,
    kernel::sources,
];

/// Judges all that is known of the machine and the build. There is a finding for every fact, also
/// for one that couldn't be told.
pub fn examine(environment: &Environment) -> Vec<Finding> {
    let facts = FACTS.iter();
    facts
        .map(|(fact, judge)| judge(environment).finding(fact))
        .collect()
}

/// What about the machine and the build spoils a measurement, the worst first: one line of at
/// most 72 columns each.
pub fn caveats(environment: &Environment) -> Vec<String> {
    let judges = CAVEATS.iter();
    judges
        .filter_map(|judge| judge(environment).caveat)
        .collect()
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
