//! One line per scheme, storm and number of threads, for programs.

use std::fmt::Write;

use crate::record::Run;
use crate::rounds::Variant;
use crate::statistics::{Interval, Latency};
use crate::summary::{GroupSummary, RemoverSummary, Row};

/// A column: its name and what stands in it.
type Column = (&'static str, fn(&GroupSummary, &Row) -> String);

/// The columns. Those that programs rely on come first and keep their places; `nan` stands where
/// there is nothing to tell: a percentile of too few samples, a remover without a storm.
const COLUMNS: &[Column] = &[
    ("scheme", |_, row| row.scheme.clone()),
    ("storm", |group, _| group.storm.clone()),
    ("threads", |group, _| group.threads.to_string()),
    ("rounds", |_, row| row.rounds.to_string()),
    ("faults_per_s", |_, row| number(row.faults_per_s.median)),
    ("pages_per_s", |_, row| number(row.pages_per_s.median)),
    ("ns_per_page", |_, row| number(row.ns_per_page.median)),
    ("p50_ns", |_, row| latency(row, |it| it.p50_ns)),
    ("p90_ns", |_, row| latency(row, |it| it.p90_ns)),
    ("p99_ns", |_, row| latency(row, |it| it.p99_ns)),
    ("p999_ns", |_, row| latency(row, |it| it.p999_ns)),
    ("max_ns", |_, row| latency(row, |it| Some(it.max_ns))),
    ("slow_path_share", |_, row| {
        number(row.slow_path_share.median)
    }),
    ("ratio", |_, row| ratio(row, |it| it.median)),
    ("ratio_lo", |_, row| ratio(row, |it| it.lo)),
    ("ratio_hi", |_, row| ratio(row, |it| it.hi)),
    ("remover_ops_per_s", |_, row| {
        remover(row, |it| it.ops_per_s.median)
    }),
    ("remover_p99_ns", |_, row| {
        remover_latency(row, |it| it.p99_ns)
    }),
    // From here on: what else a plot or a comparison may want.
    ("remover_p50_ns", |_, row| {
        remover_latency(row, |it| it.p50_ns)
    }),
    ("remover_max_ns", |_, row| {
        remover_latency(row, |it| Some(it.max_ns))
    }),
    ("remover_ratio", |_, row| remover_ratio(row, |it| it.median)),
    ("remover_ratio_lo", |_, row| remover_ratio(row, |it| it.lo)),
    ("remover_ratio_hi", |_, row| remover_ratio(row, |it| it.hi)),
    ("ns_per_page_min", |_, row| number(row.ns_per_page.min)),
    ("ns_per_page_max", |_, row| number(row.ns_per_page.max)),
    ("pages_per_s_min", |_, row| number(row.pages_per_s.min)),
    ("pages_per_s_max", |_, row| number(row.pages_per_s.max)),
    ("aa_ratio", |group, _| noise(group, |it| it.median)),
    ("aa_ratio_lo", |group, _| noise(group, |it| it.lo)),
    ("aa_ratio_hi", |group, _| noise(group, |it| it.hi)),
    ("ratio_coverage", |group, _| noise(group, |it| it.coverage)),
    ("samples", |_, row| row.totals.faults.to_string()),
    ("pages_mapped", |_, row| row.totals.pages_mapped.to_string()),
    ("skipped_locked", |_, row| {
        row.totals.skipped_locked.to_string()
    }),
    ("undone", |_, row| row.totals.undone.to_string()),
    ("slot_changed", |_, row| row.totals.slot_changed.to_string()),
    ("filled", |_, row| row.totals.filled.to_string()),
    ("fairness", |_, row| number(row.fairness.median)),
    ("transient_mapcount", |_, row| {
        remover(row, |it| it.transient_mapcount as f64)
    }),
    ("storm_threads", |group, _| group.storm_threads.to_string()),
    ("oversubscribed", |group, _| {
        group.oversubscribed.to_string()
    }),
    ("broken", |_, row| row.broken.to_string()),
    ("violations", |_, row| row.totals.violations.to_string()),
    ("gate_closed", |_, row| row.totals.gate_closed.to_string()),
    ("pages_per_s_lo", |_, row| {
        optional(row.pages_per_s_interval.map(|it| it.lo))
    }),
    ("pages_per_s_hi", |_, row| {
        optional(row.pages_per_s_interval.map(|it| it.hi))
    }),
    ("ns_per_page_lo", |_, row| {
        optional(row.ns_per_page_interval.map(|it| it.lo))
    }),
    ("ns_per_page_hi", |_, row| {
        optional(row.ns_per_page_interval.map(|it| it.hi))
    }),
];

/// The names of the columns, as [`tsv`] prints them.
pub const HEADER: fn() -> Vec<&'static str> = || COLUMNS.iter().map(|(name, _)| *name).collect();

/// The table, with a line of names above it. The baseline's second run isn't a line of its own:
/// what it says stands in the `aa_` columns of all lines of its group.
pub fn tsv(run: &Run) -> String {
    let mut out = HEADER().join("\t");
    out.push('\n');
    for group in &run.summary {
        for row in group
            .rows
            .iter()
            .filter(|row| row.variant == Variant::Plain)
        {
            let fields: Vec<_> = COLUMNS.iter().map(|(_, field)| field(group, row)).collect();
            writeln!(out, "{}", fields.join("\t")).expect("a string takes everything");
        }
    }
    out
}

/// Six significant digits: more than any measurement of time has.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "nan".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = (5 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

fn optional(value: Option<f64>) -> String {
    number(value.unwrap_or(f64::NAN))
}

fn latency(row: &Row, at: fn(&Latency) -> Option<u64>) -> String {
    optional(row.latency.as_ref().and_then(at).map(|ns| ns as f64))
}

/// The baseline's ratio to itself is 1; what that is worth is told by the `aa_` columns.
fn ratio(row: &Row, of: fn(&Interval) -> f64) -> String {
    match &row.ratio {
        None if row.baseline => number(1.0),
        ratio => optional(ratio.as_ref().map(of)),
    }
}

fn remover(row: &Row, of: fn(&RemoverSummary) -> f64) -> String {
    optional(row.remover.as_ref().map(of))
}

fn remover_latency(row: &Row, at: fn(&Latency) -> Option<u64>) -> String {
    let latency = row.remover.as_ref().and_then(|it| it.latency.as_ref());
    optional(latency.and_then(at).map(|ns| ns as f64))
}

fn remover_ratio(row: &Row, of: fn(&Interval) -> f64) -> String {
    let ratio = row.remover.as_ref().map(|it| &it.ratio);
    match ratio {
        Some(None) if row.baseline => number(1.0),
        ratio => optional(ratio.and_then(Option::as_ref).map(of)),
    }
}

fn noise(group: &GroupSummary, of: fn(&Interval) -> f64) -> String {
    let again = group.again();
    optional(again.and_then(|row| row.ratio.as_ref()).map(of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_that_programs_rely_on_come_first_and_none_comes_twice() {
        let names = HEADER();
        let promised = "scheme storm threads rounds faults_per_s pages_per_s ns_per_page p50_ns \
                        p90_ns p99_ns p999_ns max_ns slow_path_share ratio ratio_lo ratio_hi \
                        remover_ops_per_s remover_p99_ns";
        let promised: Vec<_> = promised.split(' ').collect();
        assert_eq!(names[..promised.len()], promised);
        let unique: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len());
    }

    #[test]
    fn numbers_have_six_digits_and_no_exponent() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.000_012_345_678, "0.0000123457"),
            (35.123_456_7, "35.1235"),
            (12_345_678.9, "12345679"),
            (100.0, "100"),
            (f64::NAN, "nan"),
            (f64::INFINITY, "nan"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
