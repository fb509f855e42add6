//! A run as plain text: ASCII, at most 72 columns, ready for a mail.

use std::fmt::Write;

use super::in_a_sentence;
use crate::cell::Setup;
use crate::machine::MmKind;
use crate::order::Access;
use crate::record::Run;
use crate::statistics::{Interval, Latency};
use crate::summary::{GroupSummary, Row};
use crate::topology::format_cpu_list;

/// The widest line.
pub const COLUMNS: usize = 72;

/// The width of the column of names.
const NAMES: usize = 21;

/// Breaks text into lines of at most [`COLUMNS`]. The first begins with `head` as it is, the
/// others with as many spaces.
pub fn wrap(head: &str, text: &str) -> String {
    let mut out = head.to_owned();
    let mut column = head.len();
    let mut fresh = true;
    for word in text.split_whitespace() {
        if !fresh && column + 1 + word.len() > COLUMNS {
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
pub fn text(run: &Run<'_>) -> String {
    let mut out = String::new();
    if !run.complete {
        let wanted = run.configuration.rounds;
        let text = format!(
            "INCOMPLETE: the run was stopped; what follows rests on fewer than {wanted} rounds."
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
    match (row.broken, row.again) {
        (_, true) => format!("{} A/A", row.scheme),
        (true, false) => format!("{} (broken)", row.scheme),
        (false, false) => row.scheme.to_owned(),
    }
}

fn write_group(out: &mut String, run: &Run<'_>, group: &GroupSummary) {
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
        write_remover(out, group);
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
        let range = format!(
            "{}-{}",
            short(row.ns_per_page.min),
            short(row.ns_per_page.max)
        );
        let _ = writeln!(
            out,
            "{:NAMES$}{:>8}{:>13}{:>9.2}{}",
            label(row),
            short(row.ns_per_page.median),
            range,
            row.pages_per_s.median / 1e6,
            ratio(row.ratio.as_ref())
        );
    }
}

fn ratio(ratio: Option<&Interval>) -> String {
    match ratio {
        None => format!("{:>7}{:>13}", "1", "baseline"),
        Some(ratio) => {
            let interval = format!("{}-{}", short(ratio.lo), short(ratio.hi));
            format!("{:>7}{interval:>13}", short(ratio.median))
        }
    }
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
            "{:NAMES$}{:>7}{:>8}{:>8}{:>9}{:>10}{:>9}",
            label(row),
            latency.p50_ns,
            percentile(latency.p90_ns),
            percentile(latency.p99_ns),
            percentile(latency.p999_ns),
            latency.max_ns,
            count(latency.count)
        );
    }
}

fn write_counts(out: &mut String, group: &GroupSummary) {
    let _ = writeln!(
        out,
        "{:NAMES$}{:>10}{:>7}{:>7}{:>10}{:>10}{:>7}",
        "fault path", "kfaults/s", "slow%", "bus%", "locked/kf", "undone/kf", "fair"
    );
    for row in &group.rows {
        let share = |count: u64, of: f64| count as f64 * of / row.totals.faults as f64;
        let _ = writeln!(
            out,
            "{:NAMES$}{:>10.1}{:>7.2}{:>7.2}{:>10.3}{:>10.3}{:>7.3}",
            label(row),
            row.faults_per_s.median / 1e3,
            row.slow_path_share.median * 100.0,
            share(row.totals.sigbus, 100.0),
            share(row.totals.skipped_locked, 1e3),
            share(row.totals.undone, 1e3),
            row.fairness.median
        );
    }
}

fn write_remover(out: &mut String, group: &GroupSummary) {
    let _ = writeln!(
        out,
        "{:NAMES$}{:>7}{:>7}{:>13}{:>7}{:>8}{:>9}",
        "remover, ns", "ops/s", "ratio", "interval", "p50", "p99", "max"
    );
    for row in &group.rows {
        let Some(remover) = &row.remover else {
            continue;
        };
        let at =
            |of: fn(&Latency) -> Option<u64>| percentile(remover.latency.as_ref().and_then(of));
        let _ = writeln!(
            out,
            "{:NAMES$}{:>7.0}{}{:>7}{:>8}{:>9}",
            label(row),
            remover.ops_per_s.median,
            ratio(remover.ratio.as_ref()),
            at(|it| Some(it.p50_ns)),
            at(|it| it.p99_ns),
            at(|it| Some(it.max_ns))
        );
    }
    let transient = group
        .rows
        .iter()
        .filter(|row| !row.again)
        .filter_map(|row| {
            let remover = row.remover.as_ref()?;
            Some(format!(
                "{} {} of {}",
                label(row),
                remover.transient_mapcount,
                count(remover.folios_removed)
            ))
        });
    let transient: Vec<_> = transient.collect();
    let text = format!("of folios removed: {}", transient.join(", "));
    out.push_str(&wrap("transient-mapcount   ", &text));
}

fn write_violations(out: &mut String, run: &Run<'_>, group: &GroupSummary) {
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

fn write_method(out: &mut String, run: &Run<'_>) {
    let setup = run.configuration.setup;
    let header = run.header;
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
    format!(
        "{} pages of file, windows of {}, {access}; holes of {} pages; reads of {} pages at {} ns \
         each; {mm}",
        sizes.pages,
        sizes.window_pages,
        sizes.hole_pages,
        sizes.readahead_pages,
        sizes.fill_ns_per_page
    )
}

fn method(run: &Run<'_>) -> String {
    let setup = run.configuration.setup;
    format!(
        "{} rounds, schemes interleaved in random order (seed {}), {} ms each after {} ms of \
         warm-up, threads pinned to CPUs {} in this order; medians over rounds, latencies of all \
         rounds together; only faults are timed, not the zaps between passes",
        run.configuration.rounds,
        run.configuration.seed,
        setup.duration_ns / 1_000_000,
        setup.warm_up_ns / 1_000_000,
        format_cpu_list(&setup.cpus)
    )
}

fn legend(run: &Run<'_>) -> String {
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

fn overhead(run: &Run<'_>) -> String {
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

fn percentile(ns: Option<u64>) -> String {
    ns.map_or("-".to_owned(), |ns| ns.to_string())
}

/// Four significant digits in a few columns.
fn short(value: f64) -> String {
    let digits = match value {
        value if value < 10.0 => 3,
        value if value < 100.0 => 2,
        value if value < 1000.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// A count in a few columns.
fn count(count: u64) -> String {
    match count {
        0..100_000 => count.to_string(),
        100_000..10_000_000 => format!("{:.1}k", count as f64 / 1e3),
        _ => format!("{:.1}M", count as f64 / 1e6),
    }
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
        for value in [1.2345, 12.345, 123.45, 1234.5, 99_999.0] {
            assert!(short(value).len() <= 6, "{}", short(value));
        }
        assert_eq!(
            (count(99_999), count(123_456)),
            ("99999".into(), "123.5k".into())
        );
        assert_eq!(count(123_456_789), "123.5M");
    }
}
