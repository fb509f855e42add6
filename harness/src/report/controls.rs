//! What the controls show: whether a known difference is found, what recording costs, and where
//! the baseline isn't as fast as itself.

use super::document::Document;
use super::labels::{place, planted_percent};
use super::layout::fit;
use crate::record::Run;
use crate::rounds::Variant;
use crate::statistics::{COVERAGE, Interval, Verdict};
use crate::summary::{GroupSummary, Row};

pub(super) fn add(out: &mut Document, run: &Run) {
    for group in &run.summary {
        let row = |variant| group.rows.iter().find(move |row| row.variant == variant);
        if let Some(text) = row(Variant::Planted).and_then(|row| planted(run, group, row)) {
            out.note("control", text);
        }
        if let Some(text) = row(Variant::Unrecorded).and_then(|row| unrecorded(group, row)) {
            out.note("control", text);
        }
    }
}

fn planted(run: &Run, group: &GroupSummary, row: &Row) -> Option<String> {
    let percent = planted_percent(&run.configuration)?;
    let ratio = row.ratio?;
    let found = match row.verdict {
        Some(Verdict::Slower) => format!("found ({})", in_figures(&ratio)),
        _ => format!(
            "NOT found ({}): this run can't show {percent}%",
            in_figures(&ratio)
        ),
    };
    let under = place(group);
    Some(format!("planted slowdown of {percent}%, {under}: {found}"))
}

fn in_figures(ratio: &Interval) -> String {
    let Interval { median, lo, hi, .. } = ratio;
    format!("{median:.3}, {lo:.3}-{hi:.3}")
}

/// The baseline recorded against the baseline unrecorded.
fn unrecorded(group: &GroupSummary, row: &Row) -> Option<String> {
    let cost = row.ratio?;
    // Its ratio is how much faster faults are without; what is lost of that is the cost.
    let lost = |ratio: f64| 1.0 - 1.0 / ratio;
    let baseline = group.rows.iter().find(|row| row.baseline)?;
    let fault_ns = f64::from(group.threads) * 1e9 / baseline.faults_per_s.median;
    let ns = |ratio: f64| {
        let ns = lost(ratio) * fault_ns;
        let sign = if ns < 0.0 { "-" } else { "" };
        format!("{sign}{}", fit(ns.abs(), 6))
    };
    let percent = |ratio: f64| format!("{:.1}%", lost(ratio) * 100.0);
    Some(format!(
        "recording, {}: costs {} of throughput ({} to {}), {} ns per fault ({} to {})",
        place(group),
        percent(cost.median),
        percent(cost.lo),
        percent(cost.hi),
        ns(cost.median),
        ns(cost.lo),
        ns(cost.hi)
    ))
}

/// Where the interval of the baseline's ratio to itself doesn't hold 1, though the truth is 1.
pub(super) fn off_balance(run: &Run) -> Option<String> {
    let groups = run.summary.iter();
    let off = groups.filter_map(|group| {
        let noise = group.again()?.ratio?;
        let missed = noise.coverage >= COVERAGE && noise.excludes(1.0);
        missed.then(|| format!("{} ({})", place(group), in_figures(&noise)))
    });
    let off: Vec<_> = off.collect();
    (!off.is_empty()).then(|| {
        format!(
            "A/A misses 1: {}; one in twenty does by chance, more is noise that intervals don't \
             know of",
            off.join(", ")
        )
    })
}
