//! By what two runs are compared.

use machine_facts::statistics::{Known, Latency, known};
use measuring::rounds::CellRound;
use serde::Serialize;

use super::Comparable;
use crate::record::Run;

/// A figure that a cell has in each round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Pages mapped per second over the baseline's of the same round.
    Ratio,
    /// Time in faults over pages mapped, in nanoseconds.
    NsPerPage,
    /// Pages mapped per second of time in faults.
    PagesPerS,
    /// The faults' median latency, in nanoseconds: over stretches of faults in a row where both
    /// runs have them.
    FaultP50,
    /// Their 99th percentile.
    FaultP99,
    /// Their 99.9th.
    FaultP999,
    /// The remover's median latency, in nanoseconds.
    RemoverP50,
    /// Its 99th percentile.
    RemoverP99,
}

impl Metric {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 8] = [
        Self::Ratio,
        Self::NsPerPage,
        Self::PagesPerS,
        Self::FaultP50,
        Self::FaultP99,
        Self::FaultP999,
        Self::RemoverP50,
        Self::RemoverP99,
    ];

    /// Its name in tables, at most 21 columns.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ratio => "pages/s to baseline",
            Self::NsPerPage => "ns/page",
            Self::PagesPerS => "pages/s",
            Self::FaultP50 => "fault p50, ns",
            Self::FaultP99 => "fault p99, ns",
            Self::FaultP999 => "fault p99.9, ns",
            Self::RemoverP50 => "remover p50, ns",
            Self::RemoverP99 => "remover p99, ns",
        }
    }

    /// Whether more of it is faster.
    pub fn is_speed(self) -> bool {
        matches!(self, Self::Ratio | Self::PagesPerS)
    }

    /// Whether it is a latency, which below the noise floor says nothing.
    pub(super) fn is_latency(self) -> bool {
        !matches!(self, Self::Ratio | Self::PagesPerS | Self::NsPerPage)
    }

    /// Whether runs of which so much can be compared can be compared by it.
    pub fn is_in(self, comparable: Comparable) -> bool {
        match comparable {
            Comparable::All => true,
            Comparable::Ratios => self == Self::Ratio,
            Comparable::Nothing => false,
        }
    }

    /// A cell's value in a round; for a ratio, what it is of. `None` where it has none, as a
    /// percentile of too few samples.
    pub(super) fn value(self, cell: &CellRound, clock: Clocks) -> Option<Known> {
        let fault = cell.latency.as_ref();
        let remover = cell.remover.as_ref().and_then(|it| it.latency.as_ref());
        let latency = |latency: Option<&Latency>, of: fn(&Latency) -> Option<u64>| {
            known(latency.and_then(of), clock.step_ns)
        };
        let value = match self {
            Self::Ratio | Self::PagesPerS => Known::exactly(cell.pages_per_s),
            Self::NsPerPage => Known::exactly(cell.ns_per_page),
            Self::FaultP50 => match cell.stretches.filter(|_| clock.stretches) {
                Some(stretches) => stretches.known(clock.step_ns),
                None => latency(fault, |it| it.p50_ns),
            },
            Self::FaultP99 => latency(fault, |it| it.p99_ns),
            Self::FaultP999 => latency(fault, |it| it.p999_ns),
            Self::RemoverP50 => latency(remover, |it| it.p50_ns),
            Self::RemoverP99 => latency(remover, |it| it.p99_ns),
        };
        Some(value).filter(|value| value.is_finite() && value.value > 0.0)
    }

    /// The samples that a cell's value rests on; 0 if it is no percentile.
    pub(super) fn samples(self, cell: &CellRound) -> u64 {
        let latency = match self {
            Self::Ratio | Self::PagesPerS | Self::NsPerPage => None,
            Self::FaultP50 | Self::FaultP99 | Self::FaultP999 => cell.latency,
            Self::RemoverP50 | Self::RemoverP99 => cell.remover.as_ref().and_then(|it| it.latency),
        };
        latency.map_or(0, |latency| latency.count)
    }
}

/// What the clocks of two runs allow to compare.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    /// The coarser one's step.
    pub(super) step_ns: f64,
    /// Whether both runs took the times of stretches of faults.
    pub(super) stretches: bool,
}

impl Clocks {
    pub(super) fn of(runs: [&Run; 2]) -> Self {
        let stretched = |run: &Run| run.rounds.iter().any(|cell| cell.stretches.is_some());
        Self {
            step_ns: runs[0].step_ns().max(runs[1].step_ns()),
            stretches: runs.into_iter().all(stretched),
        }
    }
}
