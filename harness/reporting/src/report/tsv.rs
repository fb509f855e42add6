//! One line per scheme, storm and number of threads, for programs.

use std::fmt::Write;

use machine_facts::counters::Event;
use machine_facts::statistics::{Interval, Latency, Verdict};
use measuring::rounds::Variant;
use measuring::summary::{GroupSummary, RemoverSummary, Row};

use crate::document::number;
use crate::record::Run;

/// A column: its name and what stands in it.
type Column = (&'static str, fn(&Run, &GroupSummary, &Row) -> String);

/// The columns. Those that programs rely on come first and keep their places; `nan` stands where
/// there is nothing to tell: a percentile of too few samples, a remover without a storm.
const COLUMNS: &[Column] = &[
    ("scheme", |_, _, row| {
        format!("{}{}", row.scheme, row.variant.suffix())
    }),
    ("storm", |_, group, _| group.storm.clone()),
    ("threads", |_, group, _| group.threads.to_string()),
    ("rounds", |_, _, row| row.rounds.to_string()),
    ("faults_per_s", |_, _, row| number(row.faults_per_s.median)),
    ("pages_per_s", |_, _, row| number(row.pages_per_s.median)),
    ("ns_per_page", |_, _, row| number(row.ns_per_page.median)),
    ("p50_ns", |_, _, row| latency(row, |it| it.p50_ns)),
    ("p90_ns", |_, _, row| latency(row, |it| it.p90_ns)),
    ("p99_ns", |_, _, row| latency(row, |it| it.p99_ns)),
    ("p999_ns", |_, _, row| latency(row, |it| it.p999_ns)),
    ("max_ns", |_, _, row| latency(row, |it| Some(it.max_ns))),
    ("slow_path_share", |run, _, row| {
        counted(run, row, |row| number(row.slow_path_share.median))
    }),
    ("ratio", |_, _, row| ratio(row, |it| it.median)),
    ("ratio_lo", |_, _, row| ratio(row, |it| it.lo)),
    ("ratio_hi", |_, _, row| ratio(row, |it| it.hi)),
    ("remover_ops_per_s", |_, _, row| {
        remover(row, |it| it.ops_per_s.median)
    }),
    ("remover_p99_ns", |_, _, row| {
        remover_latency(row, |it| it.p99_ns)
    }),
    // From here on: what else a plot or a comparison may want.
    ("remover_p50_ns", |_, _, row| {
        remover_latency(row, |it| it.p50_ns)
    }),
    ("remover_max_ns", |_, _, row| {
        remover_latency(row, |it| Some(it.max_ns))
    }),
    ("remover_ratio", |_, _, row| {
        remover_ratio(row, |it| it.median)
    }),
    ("remover_ratio_lo", |_, _, row| {
        remover_ratio(row, |it| it.lo)
    }),
    ("remover_ratio_hi", |_, _, row| {
        remover_ratio(row, |it| it.hi)
    }),
    ("ns_per_page_min", |_, _, row| number(row.ns_per_page.min)),
    ("ns_per_page_max", |_, _, row| number(row.ns_per_page.max)),
    ("pages_per_s_min", |_, _, row| number(row.pages_per_s.min)),
    ("pages_per_s_max", |_, _, row| number(row.pages_per_s.max)),
    ("aa_ratio", |_, group, _| noise(group, |it| it.median)),
    ("aa_ratio_lo", |_, group, _| noise(group, |it| it.lo)),
    ("aa_ratio_hi", |_, group, _| noise(group, |it| it.hi)),
    ("ratio_coverage", |_, group, _| {
        noise(group, |it| it.coverage)
    }),
    ("samples", |_, _, row| row.totals.faults.to_string()),
    ("pages_mapped", |_, _, row| {
        row.totals.pages_mapped.to_string()
    }),
    ("skipped_locked", |run, _, row| {
        counted(run, row, |row| row.totals.skipped_locked.to_string())
    }),
    ("undone", |run, _, row| {
        counted(run, row, |row| row.totals.undone.to_string())
    }),
    ("slot_changed", |run, _, row| {
        counted(run, row, |row| row.totals.slot_changed.to_string())
    }),
    ("filled", |run, _, row| {
        counted(run, row, |row| row.totals.filled.to_string())
    }),
    ("fairness", |_, _, row| number(row.fairness.median)),
    ("transient_mapcount", |run, _, row| {
        counted(run, row, |row| {
            remover(row, |it| it.transient_mapcount as f64)
        })
    }),
    ("storm_threads", |_, group, _| {
        group.storm_threads.to_string()
    }),
    ("oversubscribed", |_, group, _| {
        group.oversubscribed.to_string()
    }),
    ("broken", |_, _, row| row.broken.to_string()),
    ("violations", |run, _, row| {
        counted(run, row, |row| row.totals.violations.to_string())
    }),
    ("gate_closed", |run, _, row| {
        counted(run, row, |row| row.totals.gate_closed.to_string())
    }),
    ("pages_per_s_lo", |_, _, row| {
        optional(row.pages_per_s_interval.map(|it| it.lo))
    }),
    ("pages_per_s_hi", |_, _, row| {
        optional(row.pages_per_s_interval.map(|it| it.hi))
    }),
    ("ns_per_page_lo", |_, _, row| {
        optional(row.ns_per_page_interval.map(|it| it.lo))
    }),
    ("ns_per_page_hi", |_, _, row| {
        optional(row.ns_per_page_interval.map(|it| it.hi))
    }),
    ("variant", |_, _, row| variant(row.variant).to_owned()),
    ("ratio_verdict", |_, _, row| verdict(row.verdict)),
    ("p50_ratio", |_, _, row| p50_ratio(row, |it| it.median)),
    ("p50_ratio_lo", |_, _, row| p50_ratio(row, |it| it.lo)),
    ("p50_ratio_hi", |_, _, row| p50_ratio(row, |it| it.hi)),
    ("p50_ratio_verdict", |_, _, row| verdict(row.p50_verdict)),
    ("remover_verdict", |_, _, row| {
        verdict(row.remover.as_ref().and_then(|it| it.verdict))
    }),
    ("remover_samples", |_, _, row| {
        let latency = row.remover.as_ref().and_then(|it| it.latency);
        latency.map_or(0, |latency| latency.count).to_string()
    }),
    ("unstable_rounds", |_, _, row| {
        row.unstable.rounds.to_string()
    }),
    ("arrival", |run, _, _| {
        run.configuration.setup.arrival.to_string()
    }),
    ("arrived", |_, _, row| {
        optional(row.arrived.map(|share| share.median))
    }),
    ("sigbus", |_, _, row| row.totals.sigbus.to_string()),
    ("kernel", |run, _, row| {
        run.configuration.is_file(&row.scheme).to_string()
    }),
    ("stretch_p50_ns", |_, _, row| {
        optional(row.stretch_p50_ns.map(|it| it.median))
    }),
    ("clock_step_ns", |run, _, _| {
        optional(run.header.clock_step.map(|step| step.ns))
    }),
];

/// The names of the columns, as [`tsv`] prints them.
pub const HEADER: fn() -> Vec<&'static str> = || COLUMNS.iter().map(|(name, _)| *name).collect();

/// The table, with a line of names above it. The baseline's second run isn't a line of its own:
/// what it says stands in the `aa_` columns of all lines of its group.
///
/// After the columns of [`HEADER`] come two for each event that was asked for, whether or not it
/// was counted: `<event>_per_fault` and `<event>_per_page`.
pub fn tsv(run: &Run) -> String {
    let events = events(run);
    let mut out = HEADER().join("\t");
    for event in &events {
        write!(out, "\t{event}_per_fault\t{event}_per_page").expect("a string takes everything");
    }
    out.push('\n');
    for group in &run.summary {
        for row in group
            .rows
            .iter()
            .filter(|row| row.variant != Variant::Again)
        {
            let mut fields: Vec<_> = COLUMNS
                .iter()
                .map(|(_, field)| field(run, group, row))
                .collect();
            for event in &events {
                let totals = &row.totals;
                fields.push(optional(row.counters.per(event, totals.faults)));
                fields.push(optional(row.counters.per(event, totals.pages_mapped)));
            }
            writeln!(out, "{}", fields.join("\t")).expect("a string takes everything");
        }
    }
    out
}

/// The standard events, and those that were asked for beside them.
fn events(run: &Run) -> Vec<String> {
    let mut events: Vec<_> = Event::STANDARD.iter().map(Event::name).collect();
    let counters = &run.header.counters;
    let not_counted = counters.not_counted.iter().flat_map(|it| &it.events);
    for event in counters.counted.iter().chain(not_counted) {
        if !events.contains(event) {
            events.push(event.clone());
        }
    }
    events
}

/// What the running kernel doesn't tell is missing from its rows.
fn counted(run: &Run, row: &Row, text: fn(&Row) -> String) -> String {
    match run.configuration.is_file(&row.scheme) {
        true => number(f64::NAN),
        false => text(row),
    }
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

/// The baseline's ratio to itself is 1.
fn p50_ratio(row: &Row, of: fn(&Interval) -> f64) -> String {
    match &row.p50_ratio {
        None if row.baseline => number(1.0),
        ratio => optional(ratio.as_ref().map(of)),
    }
}

fn variant(variant: Variant) -> &'static str {
    match variant {
        Variant::Plain => "plain",
        Variant::Again => "again",
        Variant::Planted => "planted",
        Variant::Unrecorded => "unrecorded",
    }
}

/// As in JSON; `nan` where there is nothing to say, as of the baseline.
fn verdict(verdict: Option<Verdict>) -> String {
    let word = match verdict {
        None => "nan",
        Some(Verdict::Faster) => "faster",
        Some(Verdict::Slower) => "slower",
        Some(Verdict::NotToldApart) => "not-told-apart",
    };
    word.to_owned()
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
}
