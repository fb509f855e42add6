//! What a run has shown, in words that claim no more than its intervals allow.

use std::collections::BTreeMap;

use super::labels::{label, place};
use super::measure::Measure;
use crate::record::Run;
use crate::rounds::Variant;
use crate::statistics::Verdict;
use crate::summary::{GroupSummary, Row};

/// What a scheme was found to be somewhere.
struct Finding<'a> {
    group: usize,
    row: &'a Row,
    verdict: Verdict,
    ratio: f64,
}

/// Notes by name. Schemes of which the same is found in the same groups share one.
pub(super) fn in_words(run: &Run, measure: Measure) -> Vec<(String, String)> {
    let groups = run.summary.iter().filter(|group| measure.is_in(group));
    let groups: Vec<&GroupSummary> = groups.collect();
    let findings = findings(&groups, measure);
    if findings.is_empty() {
        return Vec::new();
    }
    let baseline = &run.configuration.baseline;
    let (what, noun) = (measure.in_words(run), run.configuration.noun());
    let mut notes = Vec::new();
    for verdict in [Verdict::Faster, Verdict::Slower] {
        for (places, schemes) in folded(run, &findings, verdict) {
            let schemes = schemes.join(", ");
            let under = under(&groups, &places);
            notes.push((verdict.in_words().to_owned(), format!("{under}: {schemes}")));
        }
    }
    let shown = !notes.is_empty();
    let mut nowhere: Vec<String> = Vec::new();
    for finding in &findings {
        let of = findings
            .iter()
            .filter(|it| it.row.scheme == finding.row.scheme);
        let never = of.clone().all(|it| it.verdict == Verdict::NotToldApart);
        let name = label(run, finding.row);
        if never && !nowhere.contains(&name) {
            nowhere.push(name);
        }
    }
    let rest = match (shown, nowhere.is_empty()) {
        (false, _) => format!("no {noun} is told apart from {baseline} by {what}"),
        (true, false) => format!(
            "not told apart from {baseline} anywhere: {}; nor is what is marked ~",
            nowhere.join(", ")
        ),
        (true, true) => format!("what is marked ~ is not told apart from {baseline}"),
    };
    notes.push(("~".to_owned(), rest));
    if shown {
        let text = format!("to {baseline}, medians; of {what}");
        notes.push(("(ratios)".to_owned(), text));
    }
    notes
}

fn findings<'a>(groups: &[&'a GroupSummary], measure: Measure) -> Vec<Finding<'a>> {
    let rows = groups.iter().enumerate().flat_map(|(group, summary)| {
        let rows = summary.rows.iter();
        rows.map(move |row| (group, row))
    });
    let plain = rows.filter(|(_, row)| row.variant == Variant::Plain && !row.baseline);
    let finding = |(group, row): (usize, &'a Row)| {
        Some(Finding {
            group,
            row,
            ratio: measure.ratio(row)?.median,
            verdict: measure.verdict(row).unwrap_or(Verdict::NotToldApart),
        })
    };
    plain.filter_map(finding).collect()
}

/// The schemes of which this was found, by the groups in which it was: most groups first.
fn folded(run: &Run, findings: &[Finding<'_>], verdict: Verdict) -> Vec<(Vec<usize>, Vec<String>)> {
    let mut schemes: Vec<(String, Vec<&Finding<'_>>)> = Vec::new();
    for finding in findings.iter().filter(|it| it.verdict == verdict) {
        let name = label(run, finding.row);
        match schemes.iter_mut().find(|(other, _)| *other == name) {
            Some((_, of)) => of.push(finding),
            None => schemes.push((name, vec![finding])),
        }
    }
    let mut folded: BTreeMap<Vec<usize>, Vec<String>> = BTreeMap::new();
    for (name, of) in schemes {
        let ratios = of.iter().map(|finding| finding.ratio);
        let lowest = ratios.clone().fold(f64::INFINITY, f64::min);
        let highest = ratios.fold(0.0, f64::max);
        let (lowest, highest) = (format!("{lowest:.2}"), format!("{highest:.2}"));
        let ratios = match lowest == highest {
            true => lowest,
            false => format!("{lowest}-{highest}"),
        };
        let places = of.iter().map(|finding| finding.group).collect();
        folded
            .entry(places)
            .or_default()
            .push(format!("{name} {ratios}"));
    }
    let mut folded: Vec<_> = folded.into_iter().collect();
    folded.sort_by_key(|(places, _)| std::cmp::Reverse(places.len()));
    folded
}

fn under(groups: &[&GroupSummary], places: &[usize]) -> String {
    let names: Vec<String> = places.iter().map(|&group| place(groups[group])).collect();
    match places.len() {
        all if all == groups.len() && all > 1 => format!("under all {all} loads"),
        _ => format!("under {}", names.join(", ")),
    }
}
