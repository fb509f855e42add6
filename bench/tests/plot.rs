//! `faultaround plot`, on runs that it makes itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultaround"));
    command
        .args(arguments)
        .output()
        .expect("the command starts")
}

fn stdout(output: &Output) -> String {
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    String::from_utf8(output.stdout.clone()).expect("output is text")
}

fn word(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// A small run, on one CPU that fault and storm threads share.
fn storm(out: &Path, more: &[&str]) -> PathBuf {
    let arguments = [
        "storm",
        "--cpus",
        "0",
        "--oversubscribe",
        "--storm",
        "none,punch-hole",
        "--threads",
        "1,2",
        "--scheme",
        "page-locked,fused-count,sketch",
        "--plant",
        "50%",
        "--rounds",
        "2",
        "--duration",
        "20ms",
        "--pages",
        "256",
        "--watch",
        "0s",
        "--out",
    ];
    stdout(&run(&[&arguments[..], &[word(out)], more].concat()));
    let mut entries = fs::read_dir(out).expect("a directory");
    entries.next().expect("a run").expect("an entry").path()
}

/// An error: status 2, and one line with all of this in it.
fn assert_refused(output: &Output, parts: &[&str]) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(output.stdout.is_empty());
    for part in parts {
        assert!(message.contains(part), "{message} lacks {part}");
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn a_run_becomes_figures_in_its_directory() {
    let out = tempfile::tempdir().unwrap();
    let directory = storm(out.path(), &[]);
    let printed = stdout(&run(&["plot", word(&directory)]));
    let plots = directory.join("plots");
    let names = names(&plots);
    let figures = [
        "latency-none-1",
        "latency-none-2",
        "latency-punch-hole-1",
        "latency-punch-hole-2",
        "threads-none",
        "threads-punch-hole",
    ];
    let expected = figures
        .iter()
        .flat_map(|it| [format!("{it}.png"), format!("{it}.svg")]);
    assert_eq!(
        names,
        expected.collect::<Vec<_>>(),
        "and nothing half written"
    );
    for name in &names {
        assert!(printed.contains(word(&plots.join(name))), "{printed}");
        let bytes = fs::read(plots.join(name)).unwrap();
        match name.ends_with("png") {
            true => assert!(bytes.starts_with(b"\x89PNG")),
            false => assert!(bytes.ends_with(b"</svg>\n")),
        }
    }
    for part in [
        "left out: windows: ",
        "left out: rates: ",
        "left out: breakdown: ",
    ] {
        assert!(printed.contains(part), "{printed}");
    }
    let svg = fs::read_to_string(plots.join("latency-none-1.svg")).unwrap();
    for part in [
        "without a storm, 1 fault thread",
        "sketch (broken)",
        "page-locked A/A",
        "256 pages",
        "2 rounds of 20 ms",
        "commit",
        "percentile",
    ] {
        assert!(svg.contains(part), "{part}");
    }
    let storm = fs::read_to_string(plots.join("threads-punch-hole.svg")).unwrap();
    assert!(storm.contains("OVERSUBSCRIBED") && storm.contains("Mpages/s"));
}

#[test]
fn runs_with_other_windows_and_rates_give_curves_over_them_and_others_are_named() {
    let out = tempfile::tempdir().unwrap();
    let of = |name: &str, more: &[&str]| storm(&out.path().join(name), more);
    let base = of("base", &[]);
    let window = of("window", &["--window", "4"]);
    let rate = of("rate", &["--rate", "50"]);
    let random = of("random", &["--window", "8", "--access", "random"]);
    let to = out.path().join("figures/here");
    let runs = [&base, &window, &rate, &random].map(|it| word(it));
    let arguments = [
        &["plot"][..],
        &runs,
        &["--format", "svg", "--out", word(&to)],
    ]
    .concat();
    let printed = stdout(&run(&arguments));
    let names = names(&to);
    assert!(names.iter().all(|it| it.ends_with(".svg")), "{names:?}");
    assert!(
        names.contains(&"windows-punch-hole-1.svg".to_owned()),
        "{names:?}"
    );
    let windows = fs::read_to_string(to.join("windows-none-1.svg")).unwrap();
    for part in [
        "window (pages)",
        ">4<",
        ">16<",
        "time in faults per page (ns)",
    ] {
        assert!(windows.contains(part), "{part}");
    }
    assert!(!windows.contains(">8<"), "its access differs");
    let left_out = |kind: &str, run: &Path, reason: &str| {
        let lines = printed.lines();
        let mut lines = lines.filter(|it| it.starts_with(&format!("left out: {kind}")));
        assert!(
            lines.any(|it| it.contains(word(run)) && it.contains(reason)),
            "{printed}"
        );
    };
    left_out("windows", &random, "access");
    left_out("windows", &rate, "storm rate");
    left_out("rates", &window, "window (4, not 16)");
    // 20 ms are too short for a p99.9 of every scheme; if it is there, so is its reason.
    let drawn = names.contains(&"rates-punch-hole-1.svg".to_owned());
    assert!(drawn || printed.contains("left out: rates-punch-hole-1: no curve has a p99.9"));
    assert!(!printed.contains("rates-none"), "{printed}");
}

#[test]
fn what_cannot_be_drawn_is_told_in_one_line_and_nothing_is_written() {
    let out = tempfile::tempdir().unwrap();
    let directory = storm(out.path(), &[]);
    let plot = |more: &[&str]| run(&[&["plot", word(&directory)], more].concat());

    assert_refused(&run(&["plot"]), &["RUN"]);
    let missing = out.path().join("nothing");
    assert_refused(&run(&["plot", word(&missing)]), &["nothing"]);
    assert_refused(&run(&["plot", word(out.path())]), &["no run.json"]);
    assert_refused(&plot(&[word(&missing)]), &["nothing"]);
    assert_refused(&plot(&["--format", "pdf"]), &["pdf", "svg", "png"]);
    assert_refused(&plot(&["--format", "svg,svg"]), &["svg", "twice"]);

    let file = out.path().join("a-file");
    fs::write(&file, "scheme\tstorm\n").unwrap();
    assert_refused(&plot(&["--out", word(&file)]), &["a-file", "directory"]);
    let below = file.join("plots");
    assert_refused(&plot(&["--out", word(&below)]), &["a-file", "directory"]);
    assert_refused(
        &plot(&["--breakdown", word(&file)]),
        &["a-file", "breakdown"],
    );
    assert_refused(&plot(&["--breakdown", word(&missing)]), &["nothing"]);

    let log = directory.join("punch-hole-2-fused-count-faults.hlog");
    let whole = fs::read(&log).unwrap();
    fs::write(&log, b"not a log\n").unwrap();
    assert_refused(&plot(&[]), &["fused-count-faults.hlog"]);
    fs::write(&log, whole).unwrap();
    let run_json = directory.join("run.json");
    let half = fs::read(&run_json).unwrap();
    fs::write(&run_json, &half[..half.len() / 2]).unwrap();
    assert_refused(&plot(&[]), &["run.json", "no JSON"]);
    assert!(!directory.join("plots").exists(), "nothing was drawn");
}
