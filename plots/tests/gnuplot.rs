//! The gnuplot scripts, over a small run, where gnuplot is installed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hdrhistogram::Histogram;
use reporting::report::HEADER;
use reporting::results::write_hgrm;

/// Two sound schemes, and a broken one.
const SCHEMES: [(&str, bool); 3] = [
    ("page-locked", false),
    ("fused-count", false),
    ("sketch", true),
];

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("gnuplot")
        .join(name)
}

/// `None`, and said so, where there is no gnuplot.
fn gnuplot(name: &str, parameters: &str) -> Option<Output> {
    let mut command = Command::new("gnuplot");
    command.arg("-e").arg(parameters).arg(script(name));
    match command.output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("skipped: gnuplot isn't there to draw {name}: {error}");
            None
        }
    }
}

fn line(scheme: &str, broken: bool, storm: &str, threads: u32, scale: f64) -> String {
    let rate = if storm == "none" {
        f64::NAN
    } else {
        scale * 1000.0
    };
    let number = |value: f64| match value.is_nan() {
        true => "nan".to_owned(),
        false => value.to_string(),
    };
    let ns = scale * 30.0;
    let fields = BTreeMap::from([
        ("scheme", scheme.to_owned()),
        ("storm", storm.to_owned()),
        ("threads", threads.to_string()),
        ("broken", broken.to_string()),
        ("variant", "plain".to_owned()),
        ("samples", "20000".to_owned()),
        (
            "remover_samples",
            if rate.is_nan() { "0" } else { "500" }.to_owned(),
        ),
        ("remover_ops_per_s", number(rate)),
        // Too few faults, in the slowest run.
        (
            "p999_ns",
            number(if scale < 5.0 {
                9000.0 * scale
            } else {
                f64::NAN
            }),
        ),
        ("ns_per_page", number(ns)),
        ("ns_per_page_lo", number(ns - 2.0)),
        ("ns_per_page_hi", number(ns + 2.0)),
        ("pages_per_s", number(1e9 / ns)),
        ("pages_per_s_lo", number(1e9 / (ns + 2.0))),
        ("pages_per_s_hi", number(1e9 / (ns - 2.0))),
        ("aa_ratio", "1.01".to_owned()),
    ]);
    let columns = HEADER();
    for column in fields.keys() {
        assert!(columns.contains(column), "summary.tsv has no {column}");
    }
    let fields = columns
        .iter()
        .map(|column| fields.get(column).map_or("nan", String::as_str));
    fields.collect::<Vec<_>>().join("\t") + "\n"
}

/// A run: what scripts read of one, with a control among the lines.
fn run(directory: &Path, scale: f64) {
    fs::create_dir_all(directory).unwrap();
    let mut table = HEADER().join("\t") + "\n";
    for (storm, threads) in [("none", 1), ("none", 2), ("punch-hole", 1)] {
        for (at, (scheme, broken)) in SCHEMES.into_iter().enumerate() {
            let scale = scale * (1.0 + 0.2 * at as f64);
            table += &line(scheme, broken, storm, threads, scale);
            let suffix = if broken { "-broken" } else { "" };
            let variants: &[&str] = if at == 0 { &["", "-again"] } else { &[""] };
            for variant in variants {
                for side in ["faults", "remover"] {
                    let name = format!("{storm}-{threads}-{scheme}{suffix}{variant}-{side}.hgrm");
                    hgrm(
                        &directory.join(name),
                        if side == "faults" { 20_000 } else { 500 },
                    );
                }
            }
        }
        let control = line("page-locked-planted", false, storm, threads, scale);
        table += &control.replace("\tplain", "\tplanted");
    }
    fs::write(directory.join("summary.tsv"), table).unwrap();
}

fn hgrm(path: &Path, samples: u64) {
    let mut latencies = Histogram::<u64>::new_with_bounds(1, 10_000_000_000, 3).unwrap();
    for at in 1..=samples {
        latencies.record(200 + 100_000 / at).unwrap();
    }
    let mut table = Vec::new();
    write_hgrm(&mut table, &latencies, 1.0, 5).unwrap();
    fs::write(path, table).unwrap();
}

fn assert_draws(name: &str, parameters: &str, out: &Path, words: &[&str]) {
    let parameters = format!("{parameters}; out='{}'", out.display());
    let Some(output) = gnuplot(name, &parameters) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    assert_eq!(said, "", "{name}");
    let picture = fs::read(out).unwrap();
    if out.extension().is_some_and(|it| it == "png") {
        assert!(picture.starts_with(b"\x89PNG"), "{name}");
        assert!(picture.len() > 5000, "{name}: {} bytes", picture.len());
        return;
    }
    let picture = String::from_utf8(picture).unwrap();
    assert!(picture.trim_end().ends_with("</svg>"), "{name}");
    for word in words {
        assert!(picture.contains(word), "{name} lacks {word}");
    }
    assert!(!picture.contains("planted"), "{name} draws a control");
    // Lines or bars: what an empty figure lacks.
    assert!(picture.matches("<path").count() > 20, "{name}");
}

#[test]
fn each_script_draws_without_a_word() {
    let place = tempfile::tempdir().unwrap();
    let (one, two) = (place.path().join("one"), place.path().join("two"));
    run(&one, 1.0);
    run(&two, 1.5);
    let poor = place.path().join("poor");
    run(&poor, 5.0);
    let (run, runs) = (
        format!("run='{}'", one.display()),
        format!("runs='{} {}'", one.display(), two.display()),
    );
    let steps = place.path().join("steps.tsv");
    fs::write(&steps, breakdown()).unwrap();
    let broken = "sketch (broken)";
    let cases: [(&str, String, &[&str]); 7] = [
        (
            "latency.gp",
            run.clone(),
            &["page-locked A/A", broken, "99.9"],
        ),
        (
            "latency.gp",
            format!("{run}; storm='punch-hole'; threads=1"),
            &["remover", "punch-hole"],
        ),
        (
            "threads.gp",
            run.clone(),
            &["Mpages/s", broken, "fault threads"],
        ),
        (
            "threads.gp",
            format!("{run}; storm='punch-hole'"),
            &["fused-count", broken],
        ),
        (
            "windows.gp",
            format!("{runs}; windows='4 16'; storm='punch-hole'"),
            &["window (pages)", broken],
        ),
        (
            "rates.gp",
            runs.replace("two'", &format!("two {}'", poor.display())),
            &["operations/s", broken],
        ),
        (
            "breakdown.gp",
            format!("table='{}'", steps.display()),
            &["mapcount_inc", "other steps", "rest", broken],
        ),
    ];
    for (at, (name, parameters, words)) in cases.iter().enumerate() {
        for ending in ["svg", "png"] {
            let out = place.path().join(format!("{at}.{ending}"));
            assert_draws(name, parameters, &out, words);
        }
    }
}

fn breakdown() -> String {
    let mut table =
        "scheme\tbroken\tstep\tkind\tstands_for\ttimes_per_fault\tns_per_fault\tns_lo\t\
                     ns_hi\tcoverage\tturns\tshare\ttold_apart\n"
            .to_owned();
    for (scheme, broken) in SCHEMES {
        for (step, kind, ns, share, told_apart) in [
            ("slot_load", "needed", "nan", "nan", "nan"),
            ("mapcount_inc", "rmw", "60", "0.3", "true"),
            ("slot_reload", "check", "2", "0.01", "true"),
            ("total", "whole", "200", "1", "nan"),
        ] {
            table += &format!(
                "{scheme}\t{broken}\t{step}\t{kind}\tx\t16\t{ns}\t{ns}\t{ns}\t0.96\t9\t{share}\t\
                 {told_apart}\n"
            );
        }
    }
    table
}

#[test]
fn what_cannot_be_drawn_is_said_and_fails() {
    let place = tempfile::tempdir().unwrap();
    let one = place.path().join("one");
    run(&one, 1.0);
    let run = format!("run='{}'", one.display());
    for (name, parameters, part) in [
        ("latency.gp", "x=1".to_owned(), "give run="),
        ("latency.gp", format!("{run}; threads=7"), "7 fault threads"),
        ("threads.gp", format!("{run}; storm='calm'"), "calm"),
        (
            "windows.gp",
            "runs='a b'; windows='4'".to_owned(),
            "2 runs and 1 windows",
        ),
        ("rates.gp", "runs='a'".to_owned(), "two at least"),
        ("breakdown.gp", "x=1".to_owned(), "give table="),
    ] {
        let out = place.path().join("out.svg");
        let Some(output) = gnuplot(name, &format!("{parameters}; out='{}'", out.display())) else {
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{name}");
        assert!(said.contains(part), "{name}: {said}");
    }
}
