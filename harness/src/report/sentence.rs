//! What a run has shown, in one sentence that claims no more than its intervals allow.

use crate::record::Run;
use crate::rounds::Variant;
use crate::statistics::{Interval, Verdict};
use crate::summary::{GroupSummary, Row};

/// The sentence; `None` if there is nothing to compare.
pub fn in_a_sentence(run: &Run) -> Option<String> {
    let baseline = &run.configuration.baseline;
    let clauses: Vec<String> = run.summary.iter().filter_map(clause).collect();
    if clauses.is_empty() {
        return None;
    }
    Some(format!(
        "Seen in this run, pages mapped per second against {baseline}: {}.",
        clauses.join("; ")
    ))
}

fn clause(group: &GroupSummary) -> Option<String> {
    let others = group
        .rows
        .iter()
        .filter(|row| row.variant == Variant::Plain);
    let told: Vec<String> = others.filter_map(scheme).collect();
    if told.is_empty() {
        return None;
    }
    let plural = if group.threads == 1 { "" } else { "s" };
    Some(format!(
        "{}, {} thread{plural}: {}",
        group.storm,
        group.threads,
        told.join(", ")
    ))
}

fn scheme(row: &Row) -> Option<String> {
    let told = |ratio: &Interval, verdict: Option<Verdict>| match verdict {
        None | Some(Verdict::NotToldApart) => "not told apart".to_owned(),
        Some(_) => format!("{:.2} times", ratio.median),
    };
    let broken = if row.broken { " (broken)" } else { "" };
    let mapped = told(row.ratio.as_ref()?, row.verdict);
    let mut text = format!("{}{broken} {mapped}", row.scheme);
    if let Some((remover, ratio)) = row.remover.as_ref().and_then(|it| Some((it, it.ratio?))) {
        text.push_str(&format!(
            " with the remover {}",
            told(&ratio, remover.verdict)
        ));
    }
    Some(text)
}
