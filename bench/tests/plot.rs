//! `faultaround plot`, on runs that it makes itself.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{assert_has, names, only, run};

/// A small run, on one CPU that fault and storm threads share.
fn storm(out: &Path, more: &str) -> PathBuf {
    let line = "storm --cpus 0 --oversubscribe --storm none,punch-hole --threads 1,2 --plant 50% \
                --scheme page-locked,fused-count,sketch --rounds 2 --duration 20ms --pages 256 \
                --watch 0s";
    run(&format!("{line} {more} --out {}", out.display())).text();
    only(out)
}

#[test]
fn a_run_becomes_figures_in_its_directory() {
    let out = tempfile::tempdir().unwrap();
    let directory = storm(out.path(), "");
    let printed = run(&format!("plot {}", directory.display())).text();
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
    // On a busy machine a cell may have too few faults for any percentile.
    let is_drawn = |it: &&&str| !printed.contains(&format!("left out: {it}: too few faults"));
    let expected = figures
        .iter()
        .filter(is_drawn)
        .flat_map(|it| [format!("{it}.png"), format!("{it}.svg")]);
    assert_eq!(
        names,
        expected.collect::<Vec<_>>(),
        "and nothing half written"
    );
    for name in &names {
        assert_has(&printed, &[plots.join(name).to_str().unwrap()]);
        let bytes = fs::read(plots.join(name)).unwrap();
        match name.ends_with("png") {
            true => assert!(bytes.starts_with(b"\x89PNG")),
            false => assert!(bytes.ends_with(b"</svg>\n")),
        }
    }
    assert_has(
        &printed,
        &[
            "left out: windows: ",
            "left out: rates: ",
            "left out: breakdown: ",
        ],
    );
    if is_drawn(&&"latency-none-1") {
        let svg = fs::read_to_string(plots.join("latency-none-1.svg")).unwrap();
        assert_has(
            &svg,
            &[
                "without a storm, 1 fault thread",
                "sketch (broken)",
                "page-locked A/A",
                "256 pages",
                "2 rounds of 20 ms",
                "commit",
                "percentile",
            ],
        );
    }
    let storm = fs::read_to_string(plots.join("threads-punch-hole.svg")).unwrap();
    assert!(storm.contains("OVERSUBSCRIBED") && storm.contains("Mpages/s"));
}

#[test]
fn runs_with_other_windows_and_rates_give_curves_over_them_and_others_are_named() {
    let out = tempfile::tempdir().unwrap();
    let of = |name: &str, more: &str| storm(&out.path().join(name), more);
    let base = of("base", "");
    let window = of("window", "--window 4");
    let rate = of("rate", "--rate 50");
    let random = of("random", "--window 8 --access random");
    let to = out.path().join("figures/here");
    let runs = [&base, &window, &rate, &random].map(|it| it.to_str().unwrap());
    let line = format!("plot {} --format svg,gnuplot --out", runs.join(" "));
    let printed = run(&format!("{line} {}", to.display())).text();
    let names = names(&to);
    assert!(
        names
            .iter()
            .all(|it| it.ends_with(".svg") || it.ends_with(".gp")),
        "{names:?}"
    );
    assert!(
        names.contains(&"windows-punch-hole-1.svg".to_owned()),
        "{names:?}"
    );
    let windows = fs::read_to_string(to.join("windows-none-1.svg")).unwrap();
    assert_has(
        &windows,
        &[
            "window (pages)",
            ">4<",
            ">16<",
            "time in faults per page (ns)",
        ],
    );
    assert!(!windows.contains(">8<"), "its access differs");
    let left_out = |kind: &str, run: &Path, reason: &str| {
        let lines = printed.lines();
        let mut lines = lines.filter(|it| it.starts_with(&format!("left out: {kind}")));
        assert!(
            lines.any(|it| it.contains(run.to_str().unwrap()) && it.contains(reason)),
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
    let directory = storm(out.path(), "");
    let plot = |more: &str| run(&format!("plot {} {more}", directory.display()));
    let missing = out.path().join("nothing").display().to_string();

    run("plot").refused(&["RUN"]);
    run(&format!("plot {missing}")).refused(&["nothing"]);
    run(&format!("plot {}", out.path().display())).refused(&["no run.json"]);
    plot(&missing).refused(&["nothing"]);
    plot("--format pdf").refused(&["pdf", "svg", "png"]);
    plot("--format svg,svg").refused(&["svg", "twice"]);

    let file = out.path().join("a-file").display().to_string();
    fs::write(&file, "scheme\tstorm\n").unwrap();
    plot(&format!("--out {file}")).refused(&["a-file", "directory"]);
    plot(&format!("--out {file}/plots")).refused(&["a-file", "directory"]);
    plot(&format!("--breakdown {file}")).refused(&["a-file", "breakdown"]);
    plot(&format!("--breakdown {missing}")).refused(&["nothing"]);

    let log = directory.join("punch-hole-2-fused-count-faults.hlog");
    let whole = fs::read(&log).unwrap();
    fs::write(&log, b"not a log\n").unwrap();
    plot("").refused(&["fused-count-faults.hlog"]);
    fs::write(&log, whole).unwrap();
    let run_json = directory.join("run.json");
    let half = fs::read(&run_json).unwrap();
    fs::write(&run_json, &half[..half.len() / 2]).unwrap();
    plot("").refused(&["run.json", "no JSON"]);
    assert!(!directory.join("plots").exists(), "nothing was drawn");
}
