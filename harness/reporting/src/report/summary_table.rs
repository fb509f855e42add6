//! All groups in one table of ratios, and what it shows in words.

use machine_facts::statistics::{COVERAGE, least_shown};
use machine_facts::text::COLUMNS;
use measuring::rounds::Variant;
use measuring::summary::{GroupSummary, Row};

use super::labels::{label, storm_of};
use super::measure::{Measure, mark};
use super::{controls, findings};
use crate::document::{Block, Document, NAMES, NOTHING_TOLD, Table, fit};
use crate::record::Run;

/// The width of a ratio with its mark.
const RATIO: usize = 8;

pub(super) fn add(out: &mut Document, run: &Run) {
    for measure in [Measure::Mapping, Measure::Median, Measure::Remover] {
        let groups = run.summary.iter().filter(|group| measure.is_in(group));
        let groups: Vec<_> = groups.collect();
        if groups.is_empty() {
            continue;
        }
        out.push(Block::Gap);
        for groups in in_one_table(&groups) {
            out.push(Block::Table(table(run, measure, groups)));
        }
        for (name, text) in findings::in_words(run, measure) {
            out.note(&name, text);
        }
    }
    controls::add(out, run);
}

/// As many groups to a table as fit.
fn in_one_table<'a>(groups: &'a [&'a GroupSummary]) -> Vec<&'a [&'a GroupSummary]> {
    let mut tables = Vec::new();
    let (mut first, mut width) = (0, NAMES);
    for (number, group) in groups.iter().enumerate() {
        if width + width_of(group) > COLUMNS {
            tables.push(&groups[first..number]);
            (first, width) = (number, NAMES);
        }
        width += width_of(group);
    }
    tables.push(&groups[first..]);
    tables
}

const CALIBRATED: &str = "calibrated";

fn width_of(group: &GroupSummary) -> usize {
    let (storm, calibrated) = storm_of(&group.storm);
    let word = if calibrated { CALIBRATED.len() } else { 0 };
    // The heads stand over the figures, not over the marks.
    (storm.len().max(word) + 2).max(RATIO)
}

fn table(run: &Run, measure: Measure, groups: &[&GroupSummary]) -> Table {
    let any_calibrated = groups.iter().any(|group| storm_of(&group.storm).1);
    let heads: Vec<_> = groups
        .iter()
        .map(|group| {
            let (storm, calibrated) = storm_of(&group.storm);
            // Numbers of threads stand in one line.
            let between = match (any_calibrated, calibrated) {
                (true, true) => format!("{CALIBRATED} \n"),
                (true, false) => "\n".to_owned(),
                (false, _) => String::new(),
            };
            let head = format!("{storm} \n{between}x{} ", group.threads);
            (head, width_of(group))
        })
        .collect();
    let heads = heads.iter().map(|(head, width)| (head.as_str(), *width));
    let heads: Vec<(&str, usize)> = heads.collect();
    let mut table = Table::new(measure.title()).columns(&heads);
    for (scheme, variant) in rows(groups) {
        let of = |group: &GroupSummary| -> Option<Row> {
            let mut rows = group.rows.iter();
            let row = rows.find(|row| row.scheme == scheme && row.variant == variant);
            row.cloned()
        };
        let found: Vec<Option<Row>> = groups.iter().map(|group| of(group)).collect();
        let Some(first) = found.iter().flatten().next() else {
            continue;
        };
        let cells = found.iter().map(|row| match row {
            None => "- ".to_owned(),
            Some(row) if row.baseline => "1 ".to_owned(),
            Some(row) => match measure.ratio(row) {
                None => "- ".to_owned(),
                Some(ratio) => {
                    let mark = mark(measure.verdict(row));
                    format!("{}{mark}", fit(ratio.median, RATIO - 1))
                }
            },
        });
        table.row(label(run, first), cells.collect());
    }
    let noise = groups.iter().map(|group| {
        let noise = measure.noise(group);
        match noise.filter(|noise| noise.coverage >= COVERAGE) {
            None => "- ".to_owned(),
            Some(noise) => match least_shown(&noise) {
                least if least <= NOTHING_TOLD => format!("{:.1}%", (least - 1.0) * 100.0),
                _ => format!(">{NOTHING_TOLD}x"),
            },
        }
    });
    table.row("least that can show".to_owned(), noise.collect());
    table
}

/// The rows of all groups, each once, in the order of tables.
fn rows(groups: &[&GroupSummary]) -> Vec<(String, Variant)> {
    let mut seen: Vec<(String, Variant)> = Vec::new();
    for row in groups.iter().flat_map(|group| &group.rows) {
        let name = (row.scheme.clone(), row.variant);
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}
