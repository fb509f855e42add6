//! By what schemes are compared with the baseline.

use machine_facts::statistics::{Interval, Verdict};
use measuring::summary::{GroupSummary, Row};

use crate::record::Run;

/// A ratio to the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// Pages mapped per second.
    Mapping,
    /// Speed by the faults' median latency, which hardly feels what the machine does to a few.
    Median,
    /// The remover's speed.
    Remover,
}

impl Measure {
    /// The ratio of a row; `None` for the baseline.
    pub(super) fn ratio(self, row: &Row) -> Option<Interval> {
        match self {
            Self::Mapping => row.ratio,
            Self::Median => row.p50_ratio,
            Self::Remover => row.remover.as_ref()?.ratio,
        }
    }

    /// What may be said of it.
    pub(super) fn verdict(self, row: &Row) -> Option<Verdict> {
        match self {
            Self::Mapping => row.verdict,
            Self::Median => row.p50_verdict,
            Self::Remover => row.remover.as_ref()?.verdict,
        }
    }

    /// The ratio of the baseline's second run to its first.
    pub(super) fn noise(self, group: &GroupSummary) -> Option<Interval> {
        group.again().and_then(|row| self.ratio(row))
    }

    /// Whether a group has it at all.
    pub(super) fn is_in(self, group: &GroupSummary) -> bool {
        !group.rows.is_empty() && (self != Self::Remover || group.storm_threads > 0)
    }

    /// What it is, in a table's head.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Mapping => "pages/s, ratio",
            Self::Median => "speed by p50, ratio",
            Self::Remover => "remover, ratio",
        }
    }

    /// What it is, in words.
    pub(super) fn in_words(self, run: &Run) -> &'static str {
        match (self, run.configuration.setup.rate_per_s) {
            (Self::Mapping, _) => "pages mapped per second of time in faults",
            (Self::Median, _) => "speed by the faults' median latency",
            (Self::Remover, None) => "the remover's operations per second",
            (Self::Remover, Some(_)) => "the remover's speed by its median latency",
        }
    }
}

/// What follows a ratio: `~` where it isn't told apart from the baseline's.
pub(super) fn mark(verdict: Option<Verdict>) -> char {
    match verdict {
        Some(Verdict::NotToldApart) => '~',
        _ => ' ',
    }
}
