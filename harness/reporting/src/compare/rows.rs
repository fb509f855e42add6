//! The schemes of two runs, metric by metric.

use std::collections::BTreeMap;

use machine_facts::noise::least_comparable_ns;
use machine_facts::statistics::{Interval, Known, least_shown, verdict};
use measuring::rounds::{CellRound, Variant};
use measuring::summary::{self, GroupSummary};

use super::metric::Clocks;
use super::{Comparable, Compared, Metric, Row, is_same};
use crate::record::Run;
use crate::report::{label_of, place};

/// All metrics of a group that have a row.
pub(super) fn compared(
    runs: [&Run; 2],
    groups: [&GroupSummary; 2],
    comparable: Comparable,
) -> Vec<Compared> {
    let metrics = Metric::ALL.iter().map(|&metric| {
        let rows = groups[0].rows.iter().filter(|row| is_compared(row));
        let rows = rows.filter_map(|row| compare(runs, groups, row, metric, comparable));
        Compared {
            metric,
            rows: rows.collect(),
        }
    });
    metrics.filter(|metric| !metric.rows.is_empty()).collect()
}

/// Controls say something of their own run only.
fn is_compared(row: &summary::Row) -> bool {
    matches!(row.variant, Variant::Plain | Variant::Again)
}

fn compare(
    runs: [&Run; 2],
    groups: [&GroupSummary; 2],
    row: &summary::Row,
    metric: Metric,
    comparable: Comparable,
) -> Option<Row> {
    let is_baseline = |run: &Run| row.scheme == run.configuration.baseline;
    if metric == Metric::Ratio && row.variant == Variant::Plain && is_baseline(runs[0]) {
        return None;
    }
    let clocks = Clocks::of(runs);
    let [a, b] = [0, 1].map(|side| -> Vec<Known> {
        let values = values(runs[side], groups[side], row, metric, clocks);
        values.into_values().collect()
    });
    let change = Interval::of_two_known(&b, &a)?;
    // Above 1 is faster.
    let speed = match metric.is_speed() {
        true => change,
        false => change.inverse(),
    };
    let noises = [0, 1].map(|side| noise(runs[side], groups[side], metric, clocks));
    let noise = match noises {
        [Some(one), Some(other)] => Some(either(one, other)),
        _ => None,
    };
    let samples = [0, 1].map(|side| {
        let cells = cells(runs[side], groups[side], row);
        cells.map(|cell| metric.samples(cell)).sum()
    });
    let label = label_of(&runs[0].configuration, &row.scheme, row.broken, row.variant);
    Some(Row {
        label,
        values: [Interval::of_known(a)?, Interval::of_known(b)?],
        samples,
        change,
        least_shown: noise.as_ref().map(least_shown),
        verdict: metric
            .is_in(comparable)
            .then(|| verdict(&speed, noise.as_ref())),
    })
}

/// What holds both: each run's own noise counts.
fn either(one: Interval, other: Interval) -> Interval {
    Interval {
        lo: one.lo.min(other.lo),
        hi: one.hi.max(other.hi),
        coverage: one.coverage.min(other.coverage),
        ..one
    }
}

fn cells<'a>(
    run: &'a Run,
    group: &'a GroupSummary,
    row: &'a summary::Row,
) -> impl Iterator<Item = &'a CellRound> {
    cells_of(run, group, &row.scheme, row.variant)
}

fn cells_of<'a>(
    run: &'a Run,
    group: &'a GroupSummary,
    scheme: &'a str,
    variant: Variant,
) -> impl Iterator<Item = &'a CellRound> {
    run.rounds.iter().filter(move |cell| {
        cell.scheme == scheme
            && cell.variant == variant
            && cell.storm == group.storm
            && cell.threads == group.threads
    })
}

/// A row's values of a metric, by round.
fn values(
    run: &Run,
    group: &GroupSummary,
    row: &summary::Row,
    metric: Metric,
    clocks: Clocks,
) -> BTreeMap<u32, Known> {
    let floor_ns = match metric.is_latency() {
        true => least_comparable_ns(&run.header.noise).unwrap_or(0),
        false => 0,
    };
    let of = |scheme: &str, variant| -> BTreeMap<u32, Known> {
        let cells = cells_of(run, group, scheme, variant);
        let values = cells.filter_map(|cell| Some((cell.round, metric.value(cell, clocks)?)));
        values
            .filter(|(_, value)| value.value >= floor_ns as f64)
            .collect()
    };
    let values = of(&row.scheme, row.variant);
    if metric != Metric::Ratio {
        return values;
    }
    over(&values, &of(&run.configuration.baseline, Variant::Plain))
}

/// One divided by the other, in the rounds that both have.
fn over(values: &BTreeMap<u32, Known>, base: &BTreeMap<u32, Known>) -> BTreeMap<u32, Known> {
    let pairs = values.iter();
    let ratios = pairs.filter_map(|(round, value)| Some((*round, value.over(*base.get(round)?))));
    ratios.filter(|(_, ratio)| ratio.is_finite()).collect()
}

/// How the baseline differs from itself within a run.
fn noise(run: &Run, group: &GroupSummary, metric: Metric, clocks: Clocks) -> Option<Interval> {
    let again = group.again()?;
    let baseline = group.rows.iter().find(|row| row.baseline)?;
    let values = |row| values(run, group, row, metric, clocks);
    // The ratio of the second run is to the first already.
    let ratios = match metric {
        Metric::Ratio => values(again),
        _ => over(&values(again), &values(baseline)),
    };
    Interval::of_known(ratios.into_values())
}

/// What a run has and the other one hasn't.
pub(super) fn only(run: &Run, other: &Run) -> Vec<String> {
    let mut only = Vec::new();
    for group in run.summary.iter().filter(|group| !group.rows.is_empty()) {
        let Some(same) = other.summary.iter().find(|other| is_same(group, other)) else {
            only.push(format!("all of {}", place(group)));
            continue;
        };
        let has = |row: &summary::Row| {
            let mut rows = same.rows.iter();
            rows.any(|it| it.scheme == row.scheme && it.variant == row.variant)
        };
        let rows = group
            .rows
            .iter()
            .filter(|row| is_compared(row) && !has(row));
        let names =
            rows.map(|row| label_of(&run.configuration, &row.scheme, row.broken, row.variant));
        only.extend(names.map(|name| format!("{name} in {}", place(group))));
    }
    only
}
