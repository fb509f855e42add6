//! A run as text for a mail, as Markdown for elsewhere, and as a table for programs.

mod check_verdicts;
mod clock;
mod controls;
mod counters;
mod findings;
#[cfg(test)]
pub(crate) mod fixture;
mod group;
mod head;
mod labels;
mod latency;
mod measure;
mod method;
mod percentile_plot;
mod plots;
mod remover;
mod scaling;
mod sources;
#[cfg(test)]
mod stepped;
mod summary_table;
#[cfg(test)]
mod tests;
mod tsv;

use crate::calibration::add_fidelity_of;
use crate::document::Document;
use crate::record::{ReadError, Run};

pub use check_verdicts::CheckVerdicts;
pub use sources::{Latencies, Measured, Recorded};
pub use tsv::{HEADER, tsv};

pub(crate) use labels::{label_of, place};
pub(crate) use method::caveats;

/// Of which groups a report has percentile plots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plots {
    /// Of each storm's group with the most fault threads: the faults'.
    #[default]
    Widest,
    /// Of every group: the faults' and the remover's.
    All,
    /// Of none.
    None,
}

/// What a report shows beyond the figures in `run.json`.
#[derive(Clone, Copy, Default)]
pub struct Extras<'a> {
    /// Where latencies come from; without it there are no plots.
    pub latencies: Option<&'a dyn Latencies>,
    /// What `faultaround check` found.
    pub verdicts: Option<&'a CheckVerdicts>,
    /// What is plotted.
    pub plots: Plots,
    /// Only what it amounts to, how it was measured, and what to hold against it.
    pub short: bool,
}

/// The report as plain text: ASCII, at most [`COLUMNS`](machine_facts::text::COLUMNS) wide.
///
/// # Errors
/// Latencies that can't be read.
pub fn text(run: &Run, extras: &Extras<'_>) -> Result<String, ReadError> {
    Ok(document(run, extras)?.text())
}

/// The same with GitHub's tables.
///
/// # Errors
/// Latencies that can't be read.
pub fn markdown(run: &Run, extras: &Extras<'_>) -> Result<String, ReadError> {
    Ok(document(run, extras)?.markdown())
}

fn document(run: &Run, extras: &Extras<'_>) -> Result<Document, ReadError> {
    let mut out = Document::default();
    head::add(&mut out, run);
    summary_table::add(&mut out, run);
    if extras.short {
        method::add_short(&mut out, run);
        return Ok(out);
    }
    let plotted = plots::plotted(run, extras.plots);
    let groups = run.summary.iter().enumerate();
    for (number, group) in groups.filter(|(_, group)| !group.rows.is_empty()) {
        group::add(&mut out, run, group);
        if plotted.contains(&number) {
            plots::add(&mut out, run, group, extras)?;
        }
    }
    scaling::add(&mut out, run);
    if let Some(calibration) = &run.header.calibration {
        add_fidelity_of(&mut out, calibration);
    }
    check_verdicts::add(&mut out, run, extras.verdicts);
    method::add(&mut out, run);
    Ok(out)
}
