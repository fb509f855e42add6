//! One storm with one number of fault threads.

use std::collections::BTreeMap;

use machine_facts::conditions::Cause;
use machine_facts::statistics::{Interval, Verdict};
use measuring::rounds::Variant;
use measuring::summary::{GroupSummary, RATE_KEPT, Row};

use super::labels::{label, title};
use super::measure::{Measure, mark};
use super::{counters, latency, remover};
use crate::document::{Block, Document, NOTHING_TOLD, Table, fit, interval, range};
use crate::record::Run;

pub(super) fn add(out: &mut Document, run: &Run, group: &GroupSummary) {
    out.push(Block::Heading(title(run, group)));
    out.push(Block::Table(mapping(run, group)));
    out.push(Block::Table(latency::percentiles(run, group)));
    out.push(Block::Table(latency::medians(run, group)));
    for measure in [Measure::Mapping, Measure::Median, Measure::Remover] {
        add_untold(out, run, group, measure);
    }
    out.push(Block::Table(counts(run, group)));
    add_sigbus(out, run, group);
    if group.storm_threads > 0 {
        remover::add(out, run, group);
    }
    counters::add(out, run, group);
    if let Some(text) = unstable(run, group.rows.iter()) {
        out.note("unstable", text);
    }
    add_arrived(out, run, group);
    add_violations(out, run, group);
}

fn mapping(run: &Run, group: &GroupSummary) -> Table {
    let mut table = Table::new("mapping").columns(&[
        ("ns/page", 8),
        ("min-max", 13),
        ("Mpages/s", 9),
        ("ratio", 7),
        ("interval ", 14),
    ]);
    for row in &group.rows {
        let ns = &row.ns_per_page;
        let [ratio, interval] = ratio(row, row.ratio.as_ref(), row.verdict);
        table.row(
            label(run, row),
            vec![
                fit(ns.median, 8),
                range(ns.min, ns.max),
                fit(row.pages_per_s.median / 1e6, 9),
                ratio,
                interval,
            ],
        );
    }
    table
}

/// A ratio of a row to the baseline in columns of 7 and 14, the second with a mark.
pub(super) fn ratio(row: &Row, ratio: Option<&Interval>, verdict: Option<Verdict>) -> [String; 2] {
    match ratio {
        None if row.baseline => ["1".to_owned(), "baseline ".to_owned()],
        None => ["-".to_owned(), "- ".to_owned()],
        Some(ratio) => {
            let interval = interval(ratio);
            [fit(ratio.median, 7), format!("{interval}{}", mark(verdict))]
        }
    }
}

/// Rows of which a ratio's interval says nothing.
fn add_untold(out: &mut Document, run: &Run, group: &GroupSummary, measure: Measure) {
    let untold = group.rows.iter().filter(|row| {
        let ratio = measure.ratio(row).filter(|ratio| ratio.values > 1);
        ratio.is_some_and(|ratio| ratio.width().is_nan() || ratio.width() + 1.0 > NOTHING_TOLD)
    });
    let (told, untold): (Vec<&Row>, Vec<&Row>) = untold.partition(|row| {
        measure
            .verdict(row)
            .is_some_and(|verdict| verdict != Verdict::NotToldApart)
    });
    let what = measure.in_words(run);
    for (rows, text) in [
        (untold, "nothing can be told"),
        (told, "no more than a direction can be told"),
    ] {
        if !rows.is_empty() {
            let labels: Vec<_> = rows.iter().map(|row| label(run, row)).collect();
            let text = format!(
                "{text} of {} by {what}: the interval's ends are more than {NOTHING_TOLD} times apart",
                labels.join(", ")
            );
            out.note(&format!(">{NOTHING_TOLD}x"), text);
        }
    }
}

fn counts(run: &Run, group: &GroupSummary) -> Table {
    let mut table = Table::new("fault path, per kf").columns(&[
        ("kfaults/s", 10),
        ("slow%", 7),
        ("bus%", 6),
        ("locked", 7),
        ("undone", 7),
        ("closed", 7),
        ("fair", 7),
    ]);
    for row in &group.rows {
        let share = |count: u64, of: f64| count as f64 * of / row.totals.faults as f64;
        let counted = |text: String| match run.configuration.is_file(&row.scheme) {
            // The kernel doesn't tell.
            true => "-".to_owned(),
            false => text,
        };
        table.row(
            label(run, row),
            vec![
                fit(row.faults_per_s.median / 1e3, 8),
                counted(percent(row.slow_path_share.median * 100.0)),
                percent(share(row.totals.sigbus, 100.0)),
                counted(fit(share(row.totals.skipped_locked, 1e3), 7)),
                counted(fit(share(row.totals.undone, 1e3), 7)),
                counted(fit(share(row.totals.gate_closed, 1e3), 7)),
                fairness(row.fairness.median),
            ],
        );
    }
    table
}

/// Of no faults at all there is none.
fn fairness(of: f64) -> String {
    match of.is_finite() {
        true => format!("{of:.3}"),
        false => "-".to_owned(),
    }
}

/// Of no faults at all there is no share.
fn percent(share: f64) -> String {
    match share.is_finite() {
        true => format!("{share:.2}"),
        false => "-".to_owned(),
    }
}

/// What the touches behind bus% cost: they map nothing, and are in the figures.
fn add_sigbus(out: &mut Document, run: &Run, group: &GroupSummary) {
    let any = group.rows.iter().any(|row| row.totals.sigbus > 0);
    if let Some(ns) = run.header.sigbus_ns.filter(|_| any) {
        let text = format!(
            "each touch counted in bus% took {} ns (median before the run): the fault, the signal, \
             its handler and the way back",
            fit(ns, 9)
        );
        out.note("bus%", text);
    }
}

/// How many rounds of these rows were unstable, and why; `None` if none was.
pub(super) fn unstable<'a>(run: &Run, rows: impl Iterator<Item = &'a Row>) -> Option<String> {
    let (mut unstable, mut all) = (0, 0);
    let mut causes: BTreeMap<Cause, u32> = BTreeMap::new();
    for row in rows {
        unstable += row.unstable.rounds;
        all += row.rounds;
        for (cause, rounds) in &row.unstable.causes {
            *causes.entry(*cause).or_default() += rounds;
        }
    }
    let causes = causes.iter();
    let causes: Vec<_> = causes
        .map(|(cause, rounds)| format!("{} {rounds}", cause.in_words()))
        .collect();
    (unstable > 0).then(|| {
        format!(
            "{unstable} of {all} {} rounds, all kept: {}",
            run.configuration.noun(),
            causes.join(", ")
        )
    })
}

/// A backlog's latencies grow for as long as one measures.
fn add_arrived(out: &mut Document, run: &Run, group: &GroupSummary) {
    let behind = group.rows.iter().filter_map(|row| {
        let arrived = row.arrived?.median;
        let behind = arrived < RATE_KEPT;
        behind.then(|| format!("{} {:.0}%", label(run, row), arrived * 100.0))
    });
    let behind: Vec<_> = behind.collect();
    if !behind.is_empty() {
        let text = format!(
            "faults did not keep the rate of arrival, and their latencies count the backlog: {} \
             of them started",
            behind.join(", ")
        );
        out.note("caveat", text);
    }
}

fn add_violations(out: &mut Document, run: &Run, group: &GroupSummary) {
    for row in group.rows.iter().filter(|row| row.totals.violations > 0) {
        let expected = if row.broken {
            "as expected"
        } else {
            "NOT EXPECTED"
        };
        let first = run.rounds.iter().find(|cell| {
            cell.scheme == row.scheme
                && cell.variant == row.variant
                && cell.storm == group.storm
                && cell.threads == group.threads
                && !cell.violated.is_empty()
        });
        let first = first.map_or("", |cell| &cell.violated[0]);
        let text = format!(
            "{}: {} violations at rest, {expected}; the first: {first}",
            label(run, row),
            row.totals.violations
        );
        out.note("violated", text);
    }
}

/// The rows that stand for schemes.
pub(super) fn plain(group: &GroupSummary) -> impl Iterator<Item = &Row> {
    let rows = group.rows.iter();
    rows.filter(|row| row.variant == Variant::Plain)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, unfolded};

    #[test]
    fn intervals_that_tell_nothing_are_not_printed_as_if_they_did() {
        let run = |rounds, speed| Fixture {
            rounds,
            speed,
            ..Fixture::default()
        };
        let single = unfolded(&run(1, Fixture::default().speed).make().run);
        assert!(single.contains("2.000 one round~"), "{single}");
        assert!(single.contains("Of the one round here there is none"));
        assert!(
            single.contains(
                "page-locked by pages mapped per second of time in faults: 1 round can't"
            )
        );
        let wild = run(10, |cell, load, round| match cell {
            "mapcount-recheck" | "page-locked-again" => [0.05, 3.0][round as usize % 2],
            _ => (Fixture::default().speed)(cell, load, round),
        });
        let wild = unfolded(&wild.make().run);
        assert!(wild.contains(">10x~"), "{wild}");
        let row = ">10x nothing can be told of page-locked A/A, mapcount-recheck by pages mapped per second";
        assert!(wild.contains(row), "{wild}");
        let least = wild.split("least that can show").nth(1).unwrap();
        assert!(least.trim_start().starts_with(">10x"), "{least}");
    }
}
