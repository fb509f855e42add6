//! A breakdown as text for a mail and as a table for programs.

use std::fmt::Write;

use jiff::Timestamp;
use machine_facts::environment::Environment;
use machine_facts::statistics::Interval;
use machine_facts::text::{COLUMNS, wrap, wrap_command};
use measuring::breakdown::{Breakdown, PROBE_SHARE, Setup, StepCost, Visit};
use measuring::machine::orders_in_words;
use serde::Serialize;

use crate::document::number;

/// All that there is to say.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    /// Whether all turns came to their end.
    pub complete: bool,
    /// Those that did.
    pub turns: u32,
    /// What was asked for.
    pub setup: &'a Setup,
    /// The machine and the build.
    pub environment: &'a Environment,
    /// What about them spoils a measurement.
    pub caveats: Vec<String>,
    /// A command that runs the same again.
    pub rerun: String,
    /// When it began (UTC).
    pub started: Timestamp,
    /// One for each scheme.
    pub breakdowns: &'a [Breakdown],
}

/// The widths of the columns of figures.
const TIMES: usize = 5;
const NS: usize = 7;
const RANGE: usize = 13;
const SHARE: usize = 6;
/// What is left of a line for words.
const WORDS: usize = COLUMNS - NS - RANGE - SHARE;

/// What is measured or reckoned of a fault as a whole.
fn whole(of: &Breakdown) -> [(&'static str, &'static str, f64, Option<&Interval>); 6] {
    [
        (
            "A/A",
            "the total, measured again",
            of.again.median,
            Some(&of.again),
        ),
        ("sum", "of the steps", of.sum_ns, None),
        (
            "rest",
            "walk, PTEs, calls, and what overlaps",
            of.rest_ns,
            None,
        ),
        (
            "total",
            "the fault, probed",
            of.total.median,
            Some(&of.total),
        ),
        (
            "native",
            "the fault without the probe",
            of.native.median,
            Some(&of.native),
        ),
        (
            "probe",
            "total less native",
            of.probe.median,
            Some(&of.probe),
        ),
    ]
}

/// The report: ASCII, in lines that fit a mail.
pub fn text(report: &Report<'_>) -> String {
    let mut out = String::new();
    if !report.complete {
        let text = format!(
            "INCOMPLETE: the run was stopped; what follows rests on {} of {} turns.",
            report.turns, report.setup.turns
        );
        out.push_str(&wrap("", &text));
        out.push('\n');
    }
    for breakdown in report.breakdowns {
        write_breakdown(&mut out, breakdown, report.setup);
        out.push('\n');
    }
    for (name, value) in [
        ("costs", costs(report)),
        ("sum", sum()),
        ("method", method(report)),
        ("date", date(report.started)),
        ("machine", report.environment.headline()),
        ("build", report.environment.build_line()),
    ] {
        out.push_str(&wrap(&format!("{name:<9} "), &value));
    }
    for caveat in &report.caveats {
        out.push_str(&wrap("caveat    ", caveat));
    }
    out.push_str(&wrap_command("again     ", &report.rerun));
    out
}

fn date(started: Timestamp) -> String {
    started.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn label(breakdown: &Breakdown) -> String {
    match breakdown.broken {
        true => format!("{} (broken)", breakdown.scheme),
        false => breakdown.scheme.to_owned(),
    }
}

fn write_breakdown(out: &mut String, breakdown: &Breakdown, setup: &Setup) {
    let total = breakdown.total.median;
    let title = format!(
        "{}: {} ns per fault of {} pages, {} the probe's",
        label(breakdown),
        figure(total),
        setup.window_pages,
        figure(breakdown.probe.median)
    );
    out.push_str(&wrap("== ", &title));
    let measured = breakdown
        .steps
        .iter()
        .filter_map(|cost| Some((&cost.step, cost.told_apart, cost.ns.as_ref()?)));
    let names = measured.clone().map(|(step, ..)| step.name.len()).max();
    let names = names.unwrap_or(0).max("step".len());
    let words = WORDS.saturating_sub(names + 1 + TIMES);
    let _ = writeln!(
        out,
        "{:<names$} {:<words$}{:>TIMES$}{:>NS$}{:>RANGE$}{:>SHARE$}",
        "step", "stands for", "times", "ns", "interval", "%"
    );
    let row = |what: &str, mark: &str, ns: f64, interval: Option<&Interval>| {
        let range = interval.map_or_else(String::new, |it| {
            format!("{}..{}", figure(it.lo), figure(it.hi))
        });
        let share = figure(100.0 * ns / total);
        let ns = format!("{mark}{}", figure(ns));
        format!("{what:<WORDS$}{ns:>NS$}{range:>RANGE$}{share:>SHARE$}\n")
    };
    for (step, told_apart, ns) in measured {
        let what = format!(
            "{:<names$} {:<words$}{:>TIMES$}",
            step.name,
            cut(&step.stands_for, words),
            count(step.times_per_fault)
        );
        let mark = if told_apart { "" } else { "~" };
        out.push_str(&row(&what, mark, ns.median, Some(ns)));
    }
    for (name, what, ns, interval) in whole(breakdown) {
        out.push_str(&row(&format!("{name} ({what})"), "", ns, interval));
    }
    let probe = breakdown.probe.median / breakdown.native.median;
    if probe > PROBE_SHARE {
        let text = format!(
            "the probe costs {:.0}% of the native fault here: the layout of code, and the steps' \
             ns may hold some of it; build or run again",
            100.0 * probe
        );
        out.push_str(&wrap("CAVEAT: ", &text));
    }
    let needed = breakdown.steps.iter().filter(|cost| cost.ns.is_none());
    let needed: Vec<String> = needed
        .map(|StepCost { step, .. }| format!("{} {}", step.name, count(step.times_per_fault)))
        .collect();
    if !needed.is_empty() {
        out.push_str(&wrap("in the rest: ", &needed.join(", ")));
    }
}

/// As much of the words as fits, up to where an explanation begins, in ASCII.
fn cut(words: &str, width: usize) -> String {
    let end = [": ", ", "]
        .iter()
        .filter_map(|sign| words.find(sign))
        .min();
    let words = &words[..end.unwrap_or(words.len())];
    let words: String = words
        .chars()
        .map(|letter| if letter.is_ascii() { letter } else { '?' })
        .collect();
    // A column of words ends with a space.
    match words.len() < width {
        true => words,
        false => format!("{}.. ", &words[..width.saturating_sub(3).min(words.len())]),
    }
}

/// Nanoseconds, to a tenth where that fits.
fn figure(ns: f64) -> String {
    // Columns are as wide as a quiet machine wants; on a busy one figures have fewer digits.
    let digits = usize::from((-99.95..999.95).contains(&ns));
    let text = format!("{ns:.digits$}");
    if text == "-0.0" {
        "0.0".to_owned()
    } else {
        text
    }
}

/// How often, which is mostly a whole number.
fn count(times: f64) -> String {
    let digits = usize::from(times.fract() != 0.0);
    format!("{times:.digits$}")
}

fn costs(report: &Report<'_>) -> String {
    let coverage = report
        .breakdowns
        .first()
        .map_or(0.0, |it| it.total.coverage);
    format!(
        "a step's ns are what a fault saves when that step alone is made cheap: an atomic \
         read-modify-write becomes a plain load and store, a spinlock a plain store, a barrier or \
         a check goes. Medians over turns of the difference within the turn, {:.1}% sign-test \
         intervals; ~ is not told apart from 0 or from A/A. % is of the total",
        100.0 * coverage
    )
}

fn sum() -> String {
    "steps overlap: what hides behind another costs nothing here, and what two wait for together \
     goes only with both. So they don't add up, and the rest may be below 0. A few ns either way \
     can be the layout of code and branches"
        .to_owned()
}

fn method(report: &Report<'_>) -> String {
    let setup = report.setup;
    let visit = match setup.visit {
        Visit::Passes(1) => "a pass".to_owned(),
        Visit::Passes(passes) => format!("{passes} passes"),
        Visit::Ns(ns) => format!("{} ms of passes", ns / 1_000_000),
    };
    format!(
        "one thread on CPU {}; {} pages of file in folios of order {}, all cached, PTE tables \
         installed, windows of {}, sequential; zaps between passes not timed. {} turns of everything once, scheme by scheme \
         in random order (seed {}), {visit} each after one to warm up, their median. The probe \
         compares each step with the one that is cheap: in the total as in the steps, not in native",
        setup.cpu,
        setup.pages,
        orders_in_words(setup.orders),
        setup.window_pages,
        report.turns,
        setup.seed
    )
}

/// A line for each step of each scheme, and for what else there is of it. Columns keep their
/// places; `nan` stands where there is nothing to tell.
pub fn tsv(report: &Report<'_>) -> String {
    let environment = report.environment;
    let (machine, build) = (environment.headline(), environment.build_line());
    let started = date(report.started);
    let mut out = String::from(
        "scheme\tbroken\tstep\tkind\tstands_for\ttimes_per_fault\tns_per_fault\tns_lo\tns_hi\t\
         coverage\tturns\tshare\ttold_apart\tmachine\tbuild\tstarted\n",
    );
    for breakdown in report.breakdowns {
        let mut line = |what: [&str; 6], ns: f64, interval: Option<&Interval>| {
            let [name, kind, stands_for, times, turns, told_apart] = what;
            let of = |of: fn(&Interval) -> f64| number(interval.map_or(f64::NAN, of));
            let _ = writeln!(
                out,
                "{}\t{}\t{name}\t{kind}\t{stands_for}\t{times}\t{}\t{}\t{}\t{}\t{turns}\t{}\t{told_apart}\t\
                 {machine}\t{build}\t{started}",
                breakdown.scheme,
                breakdown.broken,
                number(ns),
                of(|it| it.lo),
                of(|it| it.hi),
                of(|it| it.coverage),
                number(ns / breakdown.total.median),
            );
        };
        let turns = breakdown.total.values.to_string();
        for StepCost {
            step,
            ns,
            told_apart,
        } in &breakdown.steps
        {
            let times = number(step.times_per_fault);
            let told_apart = ns.map_or_else(|| number(f64::NAN), |_| told_apart.to_string());
            let what = [
                step.name,
                step.kind.name(),
                &step.stands_for,
                &times,
                &turns,
                &told_apart,
            ];
            line(what, ns.map_or(f64::NAN, |ns| ns.median), ns.as_ref());
        }
        for (name, what, ns, interval) in whole(breakdown) {
            let what = [name, "whole", what, "nan", &turns, "nan"];
            line(what, ns, interval);
        }
    }
    out
}
