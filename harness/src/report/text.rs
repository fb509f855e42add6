//! A run as plain text: ASCII, at most 72 columns, ready for a mail.

use std::fmt::Write;

use kernel_model::Orders;

use super::in_a_sentence;
use crate::cell::Setup;
use crate::machine::MmKind;
use crate::order::Access;
use crate::record::Run;
use crate::rounds::Variant;
use crate::statistics::{Interval, Latency};
use crate::summary::{GroupSummary, RATE_KEPT, Row};
use crate::topology::format_cpu_list;

/// The widest line.
pub const COLUMNS: usize = 72;

/// A remover whose speed, over that under the baseline, lies below this with all of its interval is said
/// in words to be slowed: by more than 1.5 times.
const SLOWED: f64 = 1.0 / 1.5;

/// The width of the column of names.
const NAMES: usize = 21;

/// Breaks text into lines of at most [`COLUMNS`]. The first begins with `head` as it is, the
/// others with as many spaces.
pub fn wrap(head: &str, text: &str) -> String {
    wrap_to(COLUMNS, head, text)
}

/// The same for lines of at most `columns`.
pub fn wrap_to(columns: usize, head: &str, text: &str) -> String {
    let mut out = head.to_owned();
    let mut column = head.len();
    let mut fresh = true;
    for word in text.split_whitespace() {
        if !fresh && column + 1 + word.len() > columns {
            out.push('\n');
            out.push_str(&" ".repeat(head.len()));
            column = head.len();
            fresh = true;
        }
        if !fresh {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
        fresh = false;
    }
    out.push('\n');
    out
}

/// The report.
pub fn text(run: &Run) -> String {
    let mut out = String::new();
    if !run.complete {
        let text = format!(
            "INCOMPLETE: the run was stopped; what follows rests on {} rounds.",
            run.rounds_done()
        );
        out.push_str(&wrap("", &text));
        out.push('\n');
    }
    for group in run.summary.iter().filter(|group| !group.rows.is_empty()) {
        write_group(&mut out, run, group);
    }
    write_method(&mut out, run);
    out
}

/// The label of a row: known-broken schemes carry that wherever they appear.
fn label(row: &Row) -> String {
    match (row.broken, row.variant != Variant::Plain) {
        (false, true) => format!("{} A/A", row.scheme),
        (true, true) => "  again (broken) A/A".to_owned(),
        (true, false) => format!("{} (broken)", row.scheme),
        (false, false) => row.scheme.clone(),
    }
}

/// The label in the column of names; one that is too long has a line of its own.
fn name(row: &Row) -> String {
    let label = label(row);
    match label.len() {
        0..=NAMES => format!("{label:NAMES$}"),
        _ => format!("{label}\n{:NAMES$}", ""),
    }
}

fn write_group(out: &mut String, run: &Run, group: &GroupSummary) {
    let plural = |count: u32| if count == 1 { "" } else { "s" };
    let mut title = format!(
        "{}: {} fault thread{}",
        group.storm,
        group.threads,
        plural(group.threads)
    );
    if group.storm_threads > 0 {
        let rate = run.configuration.setup.rate_per_s;
        let rate = rate.map_or("flat out".to_owned(), |rate| format!("{rate}/s"));
        let threads = group.storm_threads;
        let _ = write!(title, ", {threads} storm thread{}, {rate}", plural(threads));
    }
    if group.oversubscribed {
        title
            .push_str(" -- OVERSUBSCRIBED: threads share CPUs, these are not latencies of locking");
    }
    out.push_str(&wrap("== ", &title));
    write_throughput(out, group);
    write_latency(out, group);
    write_counts(out, group);
    if group.storm_threads > 0 {
        write_remover(out, run, group);
    }
    let violations: u64 = group.rows.iter().map(|row| row.totals.violations).sum();
    if violations > 0 {
        write_violations(out, run, group);
    }
    out.push('\n');
}

fn write_throughput(out: &mut String, group: &GroupSummary) {
    let _ = writeln!(
        out,
        "{:NAMES$}{:>8}{:>13}{:>9}{:>7}{:>13}",
        "mapping", "ns/page", "min-max", "Mpages/s", "ratio", "interval"
    );
    for row in &group.rows {
        let ns = &row.ns_per_page;
        let _ = writeln!(
            out,
            "{}{}{:>13}{}{}",
            name(row),
            fit(ns.median, 8),
            range(ns.min, ns.max),
            fit(row.pages_per_s.median / 1e6, 9),
            ratio(row, row.ratio.as_ref())
        );
    }
}

fn ratio(row: &Row, ratio: Option<&Interval>) -> String {
    match ratio {
        None if row.baseline => format!("{:>7}{:>13}", "1", "baseline"),
        None => format!("{:>7}{:>13}", "-", "-"),
        Some(ratio) => format!("{}{:>13}", fit(ratio.median, 7), range(ratio.lo, ratio.hi)),
    }
}

fn range(from: f64, to: f64) -> String {
    format!("{}-{}", fit(from, 6).trim(), fit(to, 6).trim())
}

fn write_latency(out: &mut String, group: &GroupSummary) {
    let _ = writeln!(
        out,
        "{:NAMES$}{:>7}{:>8}{:>8}{:>9}{:>10}{:>9}",
        "fault latency, ns", "p50", "p90", "p99", "p99.9", "max", "samples"
    );
    for row in &group.rows {
        let Some(latency) = &row.latency else {
            continue;
        };
        let _ = writeln!(
            out,
            "{}{}{}{}{}{}{}",
            name(row),
            percentile(latency.p50_ns, 7),
            percentile(latency.p90_ns, 8),
            percentile(latency.p99_ns, 8),
            percentile(latency.p999_ns, 9),
            percentile(Some(latency.max_ns), 10),
            whole(latency.count, 9)
        );
    }
}

fn write_counts(out: &mut String, group: &GroupSummary) {
    let _ = writeln!(
        out,
        "{:NAMES$}{:>10}{:>7}{:>6}{:>7}{:>7}{:>7}{:>7}",
        "fault path, per kf", "kfaults/s", "slow%", "bus%", "locked", "undone", "closed", "fair"
    );
    for row in &group.rows {
        let share = |count: u64, of: f64| count as f64 * of / row.totals.faults as f64;
        let _ = writeln!(
            out,
            "{}{:>10.1}{:>7.2}{:>6.2}{}{}{}{:>7.3}",
            name(row),
            row.faults_per_s.median / 1e3,
            row.slow_path_share.median * 100.0,
            share(row.totals.sigbus, 100.0),
            fit(share(row.totals.skipped_locked, 1e3), 7),
            fit(share(row.totals.undone, 1e3), 7),
            fit(share(row.totals.gate_closed, 1e3), 7),
            row.fairness.median
        );
    }
}

fn write_remover(out: &mut String, run: &Run, group: &GroupSummary) {
    let _ = writeln!(
        out,
        "{:NAMES$}{:>7}{:>7}{:>13}{:>7}{:>8}{:>9}",
        "remover, ns", "ops/s", "ratio", "interval", "p50", "p99", "max"
    );
    for row in &group.rows {
        let Some(remover) = &row.remover else {
            continue;
        };
        let at = |of: fn(&Latency) -> Option<u64>| remover.latency.as_ref().and_then(of);
        let _ = writeln!(
            out,
            "{}{}{}{}{}{}",
            name(row),
            whole(remover.ops_per_s.median as u64, 7),
            ratio(row, remover.ratio.as_ref()),
            percentile(at(|it| it.p50_ns), 7),
            percentile(at(|it| it.p99_ns), 8),
            percentile(at(|it| Some(it.max_ns)), 9)
        );
    }
    let removals = group
        .rows
        .iter()
        .filter(|row| row.variant == Variant::Plain)
        .filter_map(|row| {
            let remover = row.remover.as_ref()?;
            Some((row, remover))
        });
    let removals: Vec<_> = removals.collect();
    let per_op = removals.iter().map(|(row, remover)| {
        let folios = remover.folios_removed as f64 / remover.ops.max(1) as f64;
        format!("{} {}", label(row), fit(folios, 7).trim())
    });
    let per_op: Vec<_> = per_op.collect();
    out.push_str(&wrap("folios per operation ", &per_op.join(", ")));
    let transient = removals.iter().map(|(row, remover)| {
        let removed = whole(remover.folios_removed, 9);
        let removed = removed.trim();
        format!("{} {} of {removed}", label(row), remover.transient_mapcount)
    });
    let transient: Vec<_> = transient.collect();
    out.push_str(&wrap("transient-mapcount   ", &transient.join(", ")));
    let kept = removals.iter().filter(|(_, it)| it.busy + it.split > 0);
    let kept = kept.map(|(row, it)| format!("{} {} and {}", label(row), it.busy, it.split));
    let kept: Vec<_> = kept.collect();
    if !kept.is_empty() {
        out.push_str(&wrap("not frozen, split    ", &kept.join(", ")));
    }
    for (row, remover) in &removals {
        if let Some(ratio) = remover.ratio.as_ref().filter(|ratio| ratio.hi < SLOWED) {
            let text = format!(
                "{} slows the remover by {:.2} ({:.2}-{:.2})",
                label(row),
                1.0 / ratio.median,
                1.0 / ratio.hi,
                1.0 / ratio.lo
            );
            out.push_str(&wrap("SLOWED    ", &text));
        }
    }
    let Some(rate) = run.configuration.setup.rate_per_s else {
        return;
    };
    let slowest = removals.iter().map(|(_, remover)| remover.ops_per_s.median);
    let slowest = slowest.fold(f64::INFINITY, f64::min);
    if slowest < RATE_KEPT * rate {
        let text = format!(
            "the storm did not keep its rate ({slowest:.0} of {rate}/s): the remover's latencies \
             count what piled up, and its ratio isn't given"
        );
        out.push_str(&wrap("caveat    ", &text));
    }
}

fn write_violations(out: &mut String, run: &Run, group: &GroupSummary) {
    for row in group.rows.iter().filter(|row| row.totals.violations > 0) {
        let expected = if row.broken {
            "as expected"
        } else {
            "NOT EXPECTED"
        };
        let first = run.rounds.iter().find(|cell| {
            cell.scheme == row.scheme
                && cell.storm == group.storm
                && cell.threads == group.threads
                && !cell.violated.is_empty()
        });
        let first = first.map_or("", |cell| &cell.violated[0]);
        let text = format!(
            "{}: {} violations at rest, {expected}; the first: {first}",
            label(row),
            row.totals.violations
        );
        out.push_str(&wrap("violated  ", &text));
    }
}

fn write_method(out: &mut String, run: &Run) {
    let setup = &run.configuration.setup;
    let header = &run.header;
    for (name, value) in [
        ("machine", header.environment.headline()),
        ("build", header.environment.build_line()),
        ("sizes", sizes(setup)),
        ("method", method(run)),
        ("ratio", legend(run)),
        ("overhead", overhead(run)),
    ] {
        out.push_str(&wrap(&format!("{name:<9} "), &value));
    }
    for caveat in &header.caveats {
        out.push_str(&wrap("caveat    ", caveat));
    }
    for left_out in &header.left_out {
        out.push_str(&wrap("left out  ", left_out));
    }
    out.push_str(&wrap("again     ", &header.rerun));
    if let Some(sentence) = in_a_sentence(run) {
        out.push('\n');
        out.push_str(&wrap("", &sentence));
    }
}

fn sizes(setup: &Setup) -> String {
    let sizes = &setup.sizes;
    let mm = match setup.mm {
        MmKind::Private => "an mm for each fault thread (processes)",
        MmKind::Shared => "one mm for all fault threads (threads)",
    };
    let access = match setup.access {
        Access::Sequential => "sequential",
        Access::Random => "random",
    };
    let neighbour = match sizes.neighbour {
        true => " the storm hits as many more, which nobody maps and which it fills itself;",
        false => "",
    };
    let folios = match sizes.orders {
        Orders::All(order) => format!("folios of order {order}"),
        Orders::Mix => format!(
            "of each 256 of them 64 in folios of order {} each",
            Orders::MIX.map(|order| order.to_string()).join(", ")
        ),
    };
    format!(
        "{} pages of file, {folios};{neighbour} windows of {}, {access}; holes of {} pages; reads \
         of {} pages at {} ns each; {mm}",
        sizes.pages,
        sizes.window_pages,
        sizes.hole_pages,
        sizes.readahead_pages,
        sizes.fill_ns_per_page
    )
}

fn method(run: &Run) -> String {
    let setup = &run.configuration.setup;
    format!(
        "{} rounds, schemes interleaved in random order (seed {}), {} ms each after {} ms of \
         warm-up, threads pinned to CPUs {} in this order; medians over rounds, latencies of all \
         rounds together; only faults are timed, not the zaps between passes",
        run.rounds_done(),
        run.configuration.seed,
        setup.duration_ns / 1_000_000,
        setup.warm_up_ns / 1_000_000,
        format_cpu_list(&setup.cpus)
    )
}

fn legend(run: &Run) -> String {
    let rows = run.summary.iter().flat_map(|group| &group.rows);
    let coverage = rows.filter_map(|row| row.ratio.as_ref());
    let coverage = coverage.map(|ratio| ratio.coverage).fold(1.0, f64::min);
    let remover = match run.configuration.setup.rate_per_s {
        None => "the remover's ops/s",
        Some(_) => "the remover's speed by its p50",
    };
    format!(
        "to {}, round by round: pages/s (above 1 maps faster), and {remover} (below 1 slows it); \
         {:.1}% sign-test interval of the median. A/A is the same scheme run twice: differences \
         within its interval mean nothing",
        run.configuration.baseline,
        coverage * 100.0
    )
}

fn overhead(run: &Run) -> String {
    let rows = run.summary.iter().flat_map(|group| &group.rows);
    let skew = rows.map(|row| row.start_skew_ns.median).fold(0.0, f64::max);
    let stolen = match run.stolen_s {
        Some(stolen) => format!("{stolen:.2} s stolen by the hypervisor"),
        None => "stolen time isn't counted here".to_owned(),
    };
    format!(
        "clock and record cost {:.1} ns in each fault's latency; threads started within {skew:.0} \
         ns of each other (largest median); {stolen}; {:.0} s in all",
        run.header.recording_ns, run.elapsed_s
    )
}

fn percentile(ns: Option<u64>, width: usize) -> String {
    ns.map_or_else(|| format!("{:>width$}", "-"), |ns| whole(ns, width))
}

/// A count in a column, with a space before it.
fn whole(count: u64, width: usize) -> String {
    let text = count.to_string();
    if text.len() < width {
        format!("{text:>width$}")
    } else {
        fit(count as f64, width)
    }
}

/// A figure of four significant digits in a column, with a space before it: in thousands (k),
/// millions (M) and so on where it has no room.
fn fit(value: f64, width: usize) -> String {
    const UNITS: [(f64, &str); 5] = [(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")];
    let figure = |&(unit, letter): &(f64, &str)| {
        let value = value / unit;
        let digits = match value {
            value if value < 10.0 => 3,
            value if value < 100.0 => 2,
            value if value < 1000.0 => 1,
            _ => 0,
        };
        let digits = if letter.is_empty() {
            digits
        } else {
            digits.min(1)
        };
        format!("{value:.digits$}{letter}")
    };
    let mut figures = UNITS.iter().map(figure);
    let text = figures.find(|text| text.len() < width);
    format!("{:>width$}", text.as_deref().unwrap_or("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_text_keeps_its_words_its_head_and_its_width() {
        let text = "one two  three ".repeat(20);
        let wrapped = wrap("a   ", &text);
        assert!(wrapped.lines().all(|line| line.len() <= COLUMNS));
        assert!(wrapped.starts_with("a   one two"));
        let mut rest = wrapped.lines().skip(1);
        assert!(rest.all(|line| line.starts_with("    ") && !line.starts_with("     ")));
        let words = |text: &str| text.split_whitespace().count();
        assert_eq!(words(&wrapped), 1 + words(&text));
        assert_eq!(wrap("", "short"), "short\n");
    }

    #[test]
    fn figures_fit_their_columns() {
        for (value, text) in [
            (1.2345, " 1.234"),
            (123.45, " 123.5"),
            (12_345.0, " 12345"),
            (123_456.0, "123456"),
            (1_234_567.0, " 1235k"),
            (99_999_999.0, "100.0M"),
            (f64::NAN, "   NaN"),
        ] {
            assert_eq!(fit(value, 7), format!(" {text}"), "{value}");
        }
        for exponent in 0..19 {
            for width in [7, 8, 9] {
                let text = whole(10_u64.pow(exponent), width);
                assert!(text.len() == width && text.starts_with(' '), "{text:?}");
            }
        }
        assert!(range(123_456.0, 9_876_543.0).len() < 14);
    }
}
