//! How long faults took.

use measuring::summary::GroupSummary;

use super::group::ratio;
use super::labels::label;
use crate::document::{Table, fit, percentile, whole};
use crate::record::Run;

/// Percentiles over all rounds.
pub(super) fn percentiles(run: &Run, group: &GroupSummary) -> Table {
    let mut table = Table::new("fault latency, ns").columns(&[
        ("p50", 7),
        ("p90", 8),
        ("p99", 8),
        ("p99.9", 9),
        ("max", 10),
        ("samples", 9),
    ]);
    for row in &group.rows {
        let Some(latency) = &row.latency else {
            continue;
        };
        table.row(
            label(run, row),
            vec![
                percentile(latency.p50_ns, 7),
                percentile(latency.p90_ns, 8),
                percentile(latency.p99_ns, 8),
                percentile(latency.p999_ns, 9),
                whole(latency.max_ns, 10),
                whole(latency.count, 9),
            ],
        );
    }
    table
}

/// The medians' ratios, and what all figures of a row rest on.
pub(super) fn medians(run: &Run, group: &GroupSummary) -> Table {
    let open = group.rows.iter().any(|row| row.arrived.is_some());
    let stretches = group.rows.iter().any(|row| row.stretch_p50_ns.is_some());
    let mut table = Table::new("speed by p50").columns(&[
        ("ratio", 7),
        ("interval ", 14),
        ("rounds", 8),
        ("unstable", 10),
    ]);
    if open {
        table = table.columns(&[("arrived", 9)]);
    }
    if stretches {
        table = table.columns(&[("ns", 8)]);
    }
    for row in &group.rows {
        let [ratio, interval] = ratio(row, row.p50_ratio.as_ref(), row.p50_verdict);
        let mut cells = vec![ratio, interval, row.rounds.to_string()];
        cells.push(match row.unstable.rounds {
            0 => "0".to_owned(),
            rounds => format!("* {rounds}"),
        });
        if open {
            let arrived = row.arrived.map(|share| share.median * 100.0);
            cells.push(arrived.map_or("-".to_owned(), |percent| format!("{percent:.1}%")));
        }
        if stretches {
            let p50_ns = row.stretch_p50_ns.map(|it| it.median);
            cells.push(p50_ns.map_or("-".to_owned(), |ns| fit(ns, 8)));
        }
        table.row(label(run, row), cells);
    }
    table
}
