//! Two runs side by side: of two machines, two kernels, two commits.
//!
//! Their rounds aren't interleaved with each other, so that everything that changed between them is
//! in the difference of absolute figures. What is interleaved in each is its schemes: a scheme's
//! ratio to its own run's baseline is what two runs can be compared by even on two machines.

mod difference;
mod metric;
mod rows;
#[cfg(test)]
mod tests;
mod text;
mod tsv;

use jiff::Timestamp;
use machine_facts::statistics::{Interval, Verdict};
use measuring::summary::GroupSummary;
use serde::Serialize;

use crate::record::Run;
use crate::report::caveats;

pub use difference::{Comparable, Difference};
pub use metric::Metric;

/// Two runs side by side.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The runs: A, which is compared with, and B, whose changes are shown.
    pub runs: [RunInfo; 2],
    /// In what they differ besides their figures.
    pub differences: Vec<Difference>,
    /// What can be compared, given those.
    pub comparable: Comparable,
    /// The groups that both have.
    pub groups: Vec<Group>,
    /// What only A has, and what only B has.
    pub only: [Vec<String>; 2],
}

/// What a run was.
#[derive(Debug, Clone, Serialize)]
pub struct RunInfo {
    /// When it began (UTC).
    pub started: Timestamp,
    /// The machine in a line.
    pub machine: String,
    /// The build in a line.
    pub build: String,
    /// The command as it was given.
    pub command: String,
    /// What its own report holds against it.
    pub caveats: Vec<String>,
    /// Whether it came to its end.
    pub complete: bool,
    /// How many rounds there are.
    pub rounds: u32,
    /// The scheme that ratios are to.
    pub baseline: String,
    /// Whether it is the running kernel that was measured, and not the model.
    pub kernel: bool,
}

/// One storm with one number of fault threads, in both.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// The storm.
    pub storm: String,
    /// The number of fault threads.
    pub threads: u32,
    /// What is compared, metric by metric.
    pub metrics: Vec<Compared>,
}

/// One metric.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// Which.
    pub metric: Metric,
    /// The schemes that both have and of which both have it.
    pub rows: Vec<Row>,
}

/// One scheme's value of a metric in both runs.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What it is called in tables.
    pub label: String,
    /// The values over rounds: in A, and in B.
    pub values: [Interval; 2],
    /// The samples that percentiles rest on, in A and in B; 0 where the metric isn't one.
    pub samples: [u64; 2],
    /// B's median over A's.
    pub change: Interval,
    /// The factor by which speeds must differ to show anything: what the baselines of both runs
    /// differ from themselves; `None` where one has no such control.
    pub least_shown: Option<f64>,
    /// Whether B is faster; `None` where the runs can't be compared by this.
    pub verdict: Option<Verdict>,
}

impl Comparison {
    /// Of two runs.
    pub fn of(a: &Run, b: &Run) -> Self {
        let differences = difference::differences(a, b);
        let comparable = difference::comparable(&differences);
        let pairs = a.summary.iter().filter_map(|group| {
            let same = |other: &&GroupSummary| is_same(group, other);
            Some((group, b.summary.iter().find(same)?))
        });
        let groups = pairs.map(|(group, other)| Group {
            storm: group.storm.clone(),
            threads: group.threads,
            metrics: rows::compared([a, b], [group, other], comparable),
        });
        Self {
            runs: [info(a), info(b)],
            comparable,
            groups: groups.collect(),
            only: [rows::only(a, b), rows::only(b, a)],
            differences,
        }
    }
}

fn is_same(one: &GroupSummary, other: &GroupSummary) -> bool {
    (&one.storm, one.threads) == (&other.storm, other.threads)
}

fn info(run: &Run) -> RunInfo {
    let environment = &run.header.environment;
    RunInfo {
        started: run.header.started,
        machine: environment.headline(),
        build: environment.build_line(),
        command: run.header.command.clone(),
        caveats: caveats(run),
        complete: run.complete,
        rounds: run.rounds_done(),
        baseline: run.configuration.baseline.clone(),
        kernel: run.configuration.is_kernel(),
    }
}
