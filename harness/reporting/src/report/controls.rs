//! What the controls show: whether a known difference is found, what recording costs, and where
//! the baseline isn't as fast as itself.

use machine_facts::statistics::{COVERAGE, Interval, Verdict};
use measuring::rounds::Variant;
use measuring::summary::{GroupSummary, Row};

use super::labels::{place, planted_percent};
use crate::document::{Document, interval};
use crate::record::Run;

pub(super) fn add(out: &mut Document, run: &Run) {
    if let Some(percent) = planted_percent(&run.configuration) {
        let (found, missed) = planted(run);
        let (found_text, missed_text) = if percent == 0.0 {
            let found = "planted slowdown of 0%: FOUND, where there is none, under";
            (
                found.to_owned(),
                "planted slowdown of 0%: not found, as it should be, under".to_owned(),
            )
        } else {
            let missed = format!(
                "planted slowdown of {percent}%: NOT found, this run can't show {percent}% under"
            );
            (
                format!("planted slowdown of {percent}%: found under"),
                missed,
            )
        };
        for (text, places) in [(found_text, found), (missed_text, missed)] {
            if !places.is_empty() {
                out.note("control", format!("{text} {}", places.join("; ")));
            }
        }
    }
    let costs: Vec<_> = run.summary.iter().filter_map(unrecorded).collect();
    if !costs.is_empty() {
        let text = format!(
            "what recording costs, of throughput and per fault: {}",
            costs.join("; ")
        );
        out.note("control", text);
    }
}

fn row_of(group: &GroupSummary, variant: Variant) -> Option<&Row> {
    group.rows.iter().find(|row| row.variant == variant)
}

/// Where the planted slowdown was found, and where it wasn't.
fn planted(run: &Run) -> (Vec<String>, Vec<String>) {
    let (mut found, mut missed) = (Vec::new(), Vec::new());
    for group in &run.summary {
        let Some(row) = row_of(group, Variant::Planted) else {
            continue;
        };
        let by = [
            (row.ratio, row.verdict, "pages/s"),
            (row.p50_ratio, row.p50_verdict, "p50"),
        ];
        let figures = |slower: bool| -> Vec<String> {
            let told = by.iter().filter_map(|(ratio, verdict, name)| {
                let is_slower = *verdict == Some(Verdict::Slower);
                let text = format!("{name} {}", in_figures(ratio.as_ref()?));
                (is_slower == slower).then_some(text)
            });
            told.collect()
        };
        for (slower, places) in [(true, &mut found), (false, &mut missed)] {
            let figures = figures(slower);
            if !figures.is_empty() {
                places.push(format!("{} (by {})", place(group), figures.join("; by ")));
            }
        }
    }
    (found, missed)
}

fn in_figures(ratio: &Interval) -> String {
    format!("{:.3}, {}", ratio.median, interval(ratio))
}

/// The baseline recorded against the baseline unrecorded.
fn unrecorded(group: &GroupSummary) -> Option<String> {
    let cost = row_of(group, Variant::Unrecorded)?.ratio?;
    // Its ratio is how much faster faults are without; what is lost of that is the cost.
    let lost = |ratio: f64| 1.0 - 1.0 / ratio;
    let baseline = group.rows.iter().find(|row| row.baseline)?;
    let fault_ns = f64::from(group.threads) * 1e9 / baseline.faults_per_s.median;
    let ns = |ratio: f64| format!("{:.1}", lost(ratio) * fault_ns);
    let percent = |ratio: f64| format!("{:.1}%", lost(ratio) * 100.0);
    Some(format!(
        "{} {} ({} to {}), {} ns ({} to {})",
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
