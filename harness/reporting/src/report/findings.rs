//! What a run has shown, in words that claim no more than its intervals allow.

use std::collections::BTreeMap;

use machine_facts::environment::counted;
use machine_facts::statistics::{FEWEST, Verdict};
use measuring::rounds::Variant;
use measuring::summary::{GroupSummary, Row};

use super::labels::{label, place, storm_of};
use super::measure::Measure;
use crate::record::Run;

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
    let families = families(&groups);
    if findings.is_empty() {
        return Vec::new();
    }
    let baseline = &run.configuration.baseline;
    let (what, noun) = (measure.in_words(run), run.configuration.noun());
    let mut notes = Vec::new();
    for family in &families {
        for verdict in [Verdict::Faster, Verdict::Slower] {
            for (places, schemes) in folded(run, &findings, family, verdict) {
                let schemes = schemes.join(", ");
                let under = under(&groups, family, &places);
                notes.push((verdict.in_words().to_owned(), format!("{under}: {schemes}")));
            }
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
        (false, _) if run.rounds_done() < FEWEST as u32 => format!(
            "no {noun} is told apart from {baseline} by {what}: {} can't, it takes {FEWEST}",
            counted(u64::from(run.rounds_done()), "round")
        ),
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

/// Loads that answer one question.
struct Family {
    /// What tells them from the others, where there are others.
    kind: Option<&'static str>,
    groups: Vec<usize>,
}

/// The bare loads and the calibrated ones: what locking could matter at most and what a user would
/// see of it are no range.
fn families(groups: &[&GroupSummary]) -> Vec<Family> {
    let (calibrated, bare): (Vec<usize>, Vec<usize>) =
        (0..groups.len()).partition(|&group| storm_of(&groups[group].storm).1);
    let both = !calibrated.is_empty() && !bare.is_empty();
    let families = [("bare", bare), ("calibrated", calibrated)];
    let families = families.into_iter().map(|(kind, groups)| Family {
        kind: both.then_some(kind),
        groups,
    });
    families.collect()
}

/// The schemes of which this was found, by the groups in which it was: most groups first.
fn folded(
    run: &Run,
    findings: &[Finding<'_>],
    family: &Family,
    verdict: Verdict,
) -> Vec<(Vec<usize>, Vec<String>)> {
    let mut schemes: Vec<(String, Vec<&Finding<'_>>)> = Vec::new();
    let found = findings.iter().filter(|it| it.verdict == verdict);
    for finding in found.filter(|it| family.groups.contains(&it.group)) {
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

fn under(groups: &[&GroupSummary], family: &Family, places: &[usize]) -> String {
    let names: Vec<String> = places.iter().map(|&group| place(groups[group])).collect();
    match (places.len(), family.kind) {
        (all, Some(kind)) if all == family.groups.len() && all > 1 => {
            format!("under all {all} {kind} loads")
        }
        (all, None) if all == family.groups.len() && all > 1 => format!("under all {all} loads"),
        _ => format!("under {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    fn notes(fixture: &Fixture) -> Vec<String> {
        let notes = in_words(&fixture.make().run, Measure::Mapping);
        let notes = notes.into_iter().filter(|(name, _)| name.ends_with("er"));
        notes.map(|(name, text)| format!("{name} {text}")).collect()
    }

    #[test]
    fn bare_loads_and_calibrated_ones_are_no_range() {
        let mut fixture = Fixture {
            schemes: vec!["page-locked", "fused-count", "mapcount-recheck"],
            groups: vec![
                ("none", 1),
                ("none-calibrated", 1),
                ("none", 2),
                ("none-calibrated", 2),
            ],
            speed: |cell, load, _| match (cell, load) {
                ("fused-count", "none") => 3.25,
                ("fused-count", _) => 1.25,
                ("mapcount-recheck", "none-calibrated") => 0.75,
                _ => 1.0,
            },
            ..Fixture::default()
        };
        let expected = [
            "faster under all 2 bare loads: fused-count 3.25",
            "faster under all 2 calibrated loads: fused-count 1.25",
            "slower under all 2 calibrated loads: mapcount-recheck 0.75",
        ];
        assert_eq!(notes(&fixture), expected);
        fixture.groups.truncate(3);
        let some = &notes(&fixture)[1..];
        let expected = [
            "faster under none-calibrated x1: fused-count 1.25",
            "slower under none-calibrated x1: mapcount-recheck 0.75",
        ];
        assert_eq!(some, expected);
        // Where there is one family, it need not be named.
        fixture.groups = vec![("none-calibrated", 1), ("none-calibrated", 2)];
        let expected = [
            "faster under all 2 loads: fused-count 1.25",
            "slower under all 2 loads: mapcount-recheck 0.75",
        ];
        assert_eq!(notes(&fixture), expected);
    }
}
