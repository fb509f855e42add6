//! `faultaround report`, on runs that it makes itself.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{More, PROGRAM, Told, assert_fits, assert_has, only, run, unwrapped};

/// A small run, on one CPU that fault and storm threads share; what it printed, and where it is.
fn storm(out: &Path) -> (String, PathBuf) {
    let line = "storm --cpus 0 --oversubscribe --storm none,punch-hole --threads 1 --plant 50% \
                --scheme page-locked,mapcount-recheck,sketch --unrecorded --rounds 3 \
                --duration 20ms --pages 256 --out";
    let printed = run(&format!("{line} {}", out.display())).text();
    (printed, only(out))
}

fn report(directory: &Path, more: &str) -> Told {
    run(&format!("report {} {more}", directory.display()))
}

#[test]
fn a_run_says_the_same_whenever_it_is_asked() {
    let out = tempfile::tempdir().unwrap();
    let (printed, directory) = storm(out.path());
    let text = report(&directory, "").text();
    assert_fits(&text, 72);
    assert_eq!(
        fs::read_to_string(directory.join("report.txt")).unwrap(),
        text
    );
    let end = printed.strip_prefix(&text);
    let end = end.unwrap_or_else(|| panic!("storm printed {printed}, and report {text}"));
    assert!(end.starts_with("\nrun directory: "), "{end}");
    assert_has(
        &text,
        &[
            "sketch (broken)",
            "page-locked +50%",
            "page-locked unrec.",
            "OVERSUBSCRIBED",
            "closed loop",
            "bootstrap",
            "BROKEN",
            "caveat",
            "command",
        ],
    );

    // Which percentiles can be drawn hangs on how much a busy machine let through.
    assert_fits(&report(&directory, "--plots all").text(), 72);
    let none = report(&directory, "--plots none").text();
    assert!(!none.contains("by percentile"), "{none}");

    let markdown = report(&directory, "--markdown").text();
    assert!(markdown.is_ascii() && markdown.contains("| sketch (broken) |"));
    assert!(markdown.contains("|---|---:|"));
}

/// The command of a report under this name, with its lines as they are.
fn command_in(text: &str, name: &str) -> String {
    let start = text.find(&format!("\n{name:<9} ")).expect(name) + 11;
    let mut lines = text[start..].split_inclusive('\n');
    let mut command = String::new();
    while command.is_empty() || command.ends_with("\\\n") {
        command.push_str(lines.next().expect("it ends"));
    }
    command
}

#[test]
fn what_runs_the_same_again_can_be_pasted_into_a_shell() {
    let out = tempfile::tempdir().unwrap();
    // Installed under another name, and in a place that has to be quoted.
    let program = out.path().join("it's here \u{e9}");
    std::os::unix::fs::symlink(PROGRAM, &program).unwrap();
    let paste = |command: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(out.path());
        shell.told().text()
    };
    let program = program.to_str().unwrap().replace('\'', r"'\''");
    let small = "storm --cpus 0 --storm none --threads 1 --rounds 1 --duration 10ms --pages 256 \
                 --watch 0s --seed 7";
    let first = paste(&format!("'{program}' {small} --out 'a b'"));
    assert_fits(&first, 72);
    let again = command_in(&first, "again");
    assert!(again.contains("\\\n"), "{again}");
    let second = paste(&again);
    // Everything but where the results go is said in it.
    assert_eq!(command_in(&second, "again"), again);
    assert_eq!(
        command_in(&second, "command"),
        again.replacen("again  ", "command", 1)
    );
    let typed = command_in(&first, "command");
    assert_has(&paste(&typed), &["run directory: a b/"]);
}

#[test]
fn a_short_report_of_the_reference_runs_is_at_most_120_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let runs = fs::read_dir(root.join("results/reference")).unwrap();
    let runs: Vec<_> = runs.map(|run| run.unwrap().path()).collect();
    let storms = runs.iter().filter(|run| run.join("run.json").exists());
    let mut read = 0;
    for run in storms {
        let short = report(run, "--short").text();
        assert_fits(&short, 72);
        assert!(short.lines().count() <= 120, "{}: {short}", run.display());
        let whole = report(run, "").text();
        let caveats = |text: &str| text.matches("\ncaveat  ").count();
        assert!(caveats(&short) > 0 && caveats(&short) <= caveats(&whole));
        assert!(
            short.starts_with(whole.split("\n== ").next().unwrap()),
            "{short}"
        );
        assert_eq!(command_in(&short, "again"), command_in(&whole, "again"));
        read += 1;
    }
    assert!(read > 0, "{runs:?}");
    report(&runs[0], "--short --plots none").refused(&["--short", "--plots"]);
    report(&runs[0], "--short --verdicts x").refused(&["--short", "--verdicts"]);
}

#[test]
fn what_check_found_stands_in_the_report() {
    let out = tempfile::tempdir().unwrap();
    let (_, directory) = storm(out.path());
    let verdict = |scheme: &str, verdict: &str| {
        format!(
            r#"{{"scheme":"{scheme}","scenario":"fault-vs-punch","verdict":"{verdict}",
                "as_declared":true,"executions":33}}"#
        )
    };
    let json = |changes: &str| {
        let (good, bad) = (
            verdict("page-locked", "ok"),
            verdict("sketch", "no-stale-pte"),
        );
        format!(r#"{{"complete":true,"changes":[{changes}],"verdicts":[{good},{bad}]}}"#)
    };
    let file = out.path().join("found.json");
    fs::write(&file, json("")).unwrap();
    let named = format!("--verdicts {}", file.display());
    let text = report(&directory, &named).text();
    assert_fits(&text, 72);
    assert_has(
        &unwrapped(&text),
        &[
            "ok page-locked: no violation in 1 of 1 scenarios, 33 executions, as declared",
            "VIOLATES sketch (broken): no-stale-pte in 1 of 1 scenarios",
            "UNCHECKED mapcount-recheck: not among the verdicts",
        ],
    );
    let before = report(&directory, "").text();
    assert!(before.contains("NOT CHECKED in this run"), "{before}");
    // In the run's directory it is found without being named.
    fs::copy(&file, directory.join("verdicts.json")).unwrap();
    assert_eq!(report(&directory, "").text(), text);

    fs::write(&file, json("\"recheck_locked is relaxed\"")).unwrap();
    report(&directory, &named).refused(&["found.json", "changed code"]);
    fs::write(&file, "scheme\tscenario\n").unwrap();
    report(&directory, &named).refused(&["found.json", "faultaround check"]);
    fs::remove_file(&file).unwrap();
    report(&directory, &named).refused(&["found.json"]);
}

#[test]
fn a_calibration_has_neither_verdicts_nor_plots() {
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("calibration.json"), "{}").unwrap();
    for options in ["--verdicts x", "--plots all", "--plots widest", "--short"] {
        let option = options.split(' ').next().unwrap();
        report(out.path(), options).refused(&[option, "holds a calibration"]);
    }
    // Without them it is read, as far as it goes.
    report(out.path(), "").refused(&["no calibration"]);
}

#[test]
fn a_run_that_cannot_be_read_is_told_in_one_line() {
    let out = tempfile::tempdir().unwrap();
    let (_, directory) = storm(out.path());
    let run_json = directory.join("run.json");
    let whole = fs::read_to_string(&run_json).unwrap();
    let version = "\"schema_version\":2";
    assert!(whole.contains(version));
    for (contents, part) in [
        (&whole[..whole.len() / 2], "no JSON"),
        ("", "no JSON"),
        ("{}", "schema_version"),
        ("[1, 2]", "schema_version"),
        (
            &*whole.replacen(version, "\"schema_version\":99", 1),
            "newer",
        ),
        (
            &*whole.replacen(version, "\"schema_version\":1", 1),
            "older",
        ),
        (&*whole.replacen("\"baseline\"", "\"basis\"", 1), "baseline"),
        (
            &*whole.replacen("\"recording_ns\":", "\"recording_ns\":1e308,\"more\":", 1),
            "recording_ns is",
        ),
    ] {
        fs::write(&run_json, contents).unwrap();
        for option in ["--markdown", ""] {
            report(&directory, option).refused(&["run.json", part]);
        }
    }
    fs::write(&run_json, &whole).unwrap();
    let drawn = format!("plot {} --breakdown /dev/zero", directory.display());
    run(&drawn).refused(&["/dev/zero", "never end"]);

    let log = directory.join("none-1-mapcount-recheck-faults.hlog");
    let latencies = fs::read(&log).unwrap();
    let lines: Vec<_> = latencies.split_inclusive(|byte| *byte == b'\n').collect();
    fs::write(&log, lines[..lines.len() - 1].concat()).unwrap();
    report(&directory, "").refused(&["mapcount-recheck-faults.hlog", "isn't whole"]);
    fs::write(&log, b"not a log\n").unwrap();
    report(&directory, "").refused(&["mapcount-recheck-faults.hlog"]);
    fs::remove_file(&log).unwrap();
    report(&directory, "").refused(&[
        "mapcount-recheck-faults.hlog",
        "a percentile plot is drawn of it: copy the whole run directory, or measure again with \
             faultaround storm; --plots none and --short do without",
    ]);
    // What isn't drawn needn't be there.
    let told = |files: &str| {
        let lacks = "the report's figures are whole without, but percentile plots and other tools \
                     lack these latencies: copy the whole run directory, or measure again with \
                     faultaround storm";
        for option in ["--plots none", "--short"] {
            let told = report(&directory, option);
            let line = format!("faultaround: files of this run {files}; {lacks}\n");
            assert_eq!((told.status, told.said), (Some(0), line));
        }
    };
    let name = "none-1-mapcount-recheck-faults.hlog";
    told(&format!("are missing: {name}"));
    std::os::unix::fs::symlink(&log, &log).unwrap();
    let looped = "Too many levels of symbolic links (os error 40)";
    told(&format!("can't be read: {name} ({looped})"));
    for other in ["page-locked", "mapcount-recheck", "sketch-broken"] {
        fs::remove_file(directory.join(format!("none-1-{other}-faults.hgrm"))).unwrap();
    }
    told(&format!(
        "are missing: none-1-page-locked-faults.hgrm, none-1-mapcount-recheck-faults.hgrm, and 1 \
         more; some can't be read: {name} ({looped})"
    ));

    let endless = "--verdicts /dev/zero --plots none";
    report(&directory, endless).refused(&["/dev/zero", "never end"]);
    fs::remove_file(&run_json).unwrap();
    let fifo = Command::new("mkfifo").arg(&run_json).status();
    assert!(fifo.unwrap().success());
    report(&directory, "").refused(&["run.json", "never end"]);

    report(out.path(), "").refused(&["no run.json"]);
    report(&run_json, "").refused(&["it is a file"]);
    report(&out.path().join("nothing"), "").refused(&["nothing"]);
    run("report").refused(&["RUN"]);
}
