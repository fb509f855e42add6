//! `faultaround report`, on runs that it makes itself.

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
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).expect("output is text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("messages are text")
}

/// A small run, on one CPU that fault and storm threads share; what it printed, and where it is.
fn storm(out: &Path) -> (String, PathBuf) {
    let arguments = [
        "storm",
        "--cpus",
        "0",
        "--oversubscribe",
        "--storm",
        "none,punch-hole",
        "--threads",
        "1",
        "--scheme",
        "page-locked,mapcount-recheck,sketch",
        "--plant",
        "50%",
        "--unrecorded",
        "--rounds",
        "3",
        "--duration",
        "20ms",
        "--pages",
        "256",
        "--out",
    ];
    let out_word = out.to_str().expect("a path of text");
    let printed = stdout(&run(&[&arguments[..], &[out_word]].concat()));
    let mut entries = fs::read_dir(out).expect("a directory");
    let directory = entries.next().expect("a run").expect("an entry").path();
    (printed, directory)
}

fn report(directory: &Path, more: &[&str]) -> Output {
    let directory = directory.to_str().expect("a path of text");
    run(&[&["report", directory], more].concat())
}

fn assert_fits_a_mail(text: &str) {
    assert!(text.is_ascii(), "{text}");
    for line in text.lines() {
        assert!(line.len() <= 72 && !line.ends_with(' '), "{line:?}");
    }
}

/// An error: status 2, and one line with all of this in it.
fn assert_refused(output: &Output, parts: &[&str]) {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(output.stdout.is_empty());
    for part in parts {
        assert!(message.contains(part), "{message} lacks {part}");
    }
}

#[test]
fn a_run_says_the_same_whenever_it_is_asked() {
    let out = tempfile::tempdir().unwrap();
    let (printed, directory) = storm(out.path());
    let text = stdout(&report(&directory, &[]));
    assert_fits_a_mail(&text);
    assert_eq!(
        fs::read_to_string(directory.join("report.txt")).unwrap(),
        text
    );
    let end = printed.strip_prefix(&text);
    let end = end.unwrap_or_else(|| panic!("storm printed {printed}, and report {text}"));
    assert!(end.starts_with("\nrun directory: "), "{end}");
    for part in [
        "sketch (broken)",
        "page-locked +50%",
        "page-locked unrec.",
        "by percentile",
        "OVERSUBSCRIBED",
        "closed loop",
        "bootstrap",
        "BROKEN",
        "caveat",
        "command",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }

    let all = stdout(&report(&directory, &["--plots", "all"]));
    assert_fits_a_mail(&all);
    assert!(all.contains("remover latency by percentile"), "{all}");
    let none = stdout(&report(&directory, &["--plots", "none"]));
    assert!(!none.contains("by percentile"), "{none}");

    let markdown = stdout(&report(&directory, &["--markdown"]));
    assert!(markdown.is_ascii() && markdown.contains("| sketch (broken) |"));
    assert!(markdown.contains("```\n") && markdown.contains("|---|---:|"));
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
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_faultaround"), &program).unwrap();
    let paste = |command: &str| {
        let mut shell = Command::new("sh");
        let shell = shell.args(["-c", command]).current_dir(out.path());
        shell.output().expect("a shell")
    };
    let program = program.to_str().unwrap().replace('\'', r"'\''");
    let small = "storm --cpus 0 --storm none --threads 1 --rounds 1 --duration 10ms --pages 256 \
                 --watch 0s --seed 7";
    let first = stdout(&paste(&format!("'{program}' {small} --out 'a b'")));
    assert_fits_a_mail(&first);
    let again = command_in(&first, "again");
    assert!(again.contains("\\\n"), "{again}");
    let second = stdout(&paste(&again));
    // Everything but where the results go is said in it.
    assert_eq!(command_in(&second, "again"), again);
    assert_eq!(
        command_in(&second, "command"),
        again.replacen("again  ", "command", 1)
    );
    let typed = command_in(&first, "command");
    assert!(
        stdout(&paste(&typed)).contains("run directory: a b/"),
        "{typed}"
    );
}

#[test]
fn a_short_report_of_the_reference_runs_is_at_most_120_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let runs = fs::read_dir(root.join("results/reference")).unwrap();
    let runs: Vec<_> = runs.map(|run| run.unwrap().path()).collect();
    let storms = runs.iter().filter(|run| run.join("run.json").exists());
    let mut read = 0;
    for run in storms {
        let short = stdout(&report(run, &["--short"]));
        assert_fits_a_mail(&short);
        assert!(short.lines().count() <= 120, "{}: {short}", run.display());
        let whole = stdout(&report(run, &[]));
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
    for other in [["--plots", "none"], ["--verdicts", "x"]] {
        let output = report(&runs[0], &["--short", other[0], other[1]]);
        assert_refused(&output, &["--short", other[0]]);
    }
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
    let named = ["--verdicts", file.to_str().unwrap()];
    let text = stdout(&report(&directory, &named));
    assert_fits_a_mail(&text);
    for part in [
        "ok page-locked: no violation in 1 of 1 scenarios, 33 executions, as declared",
        "VIOLATES sketch (broken): no-stale-pte in 1 of 1 scenarios",
        "UNCHECKED mapcount-recheck: not among the verdicts",
    ] {
        let words: Vec<_> = text.split_whitespace().collect();
        assert!(words.join(" ").contains(part), "{part}: {text}");
    }
    let before = stdout(&report(&directory, &[]));
    assert!(before.contains("NOT CHECKED in this run"), "{before}");
    // In the run's directory it is found without being named.
    fs::copy(&file, directory.join("verdicts.json")).unwrap();
    assert_eq!(stdout(&report(&directory, &[])), text);

    fs::write(&file, json("\"recheck_locked is relaxed\"")).unwrap();
    assert_refused(&report(&directory, &named), &["found.json", "changed code"]);
    fs::write(&file, "scheme\tscenario\n").unwrap();
    assert_refused(
        &report(&directory, &named),
        &["found.json", "faultaround check"],
    );
    fs::remove_file(&file).unwrap();
    assert_refused(&report(&directory, &named), &["found.json"]);
}

#[test]
fn a_calibration_has_neither_verdicts_nor_plots() {
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("calibration.json"), "{}").unwrap();
    for (option, value) in [
        ("--verdicts", "x"),
        ("--plots", "all"),
        ("--plots", "widest"),
        ("--short", ""),
    ] {
        let value = (!value.is_empty()).then_some(value);
        let arguments: Vec<&str> = std::iter::once(option).chain(value).collect();
        let output = report(out.path(), &arguments);
        assert_refused(&output, &[option, "holds a calibration"]);
    }
    // Without them it is read, as far as it goes.
    assert_refused(&report(out.path(), &[]), &["no calibration"]);
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
        for command in [&["--markdown"][..], &[]] {
            assert_refused(&report(&directory, command), &["run.json", part]);
        }
    }
    fs::write(&run_json, &whole).unwrap();
    let drawn = [
        "plot",
        directory.to_str().unwrap(),
        "--breakdown",
        "/dev/zero",
    ];
    assert_refused(&run(&drawn), &["/dev/zero", "never end"]);

    let log = directory.join("none-1-mapcount-recheck-faults.hlog");
    let latencies = fs::read(&log).unwrap();
    let lines: Vec<_> = latencies.split_inclusive(|byte| *byte == b'\n').collect();
    fs::write(&log, lines[..lines.len() - 1].concat()).unwrap();
    assert_refused(
        &report(&directory, &[]),
        &["mapcount-recheck-faults.hlog", "isn't whole"],
    );
    fs::write(&log, b"not a log\n").unwrap();
    assert_refused(&report(&directory, &[]), &["mapcount-recheck-faults.hlog"]);
    fs::remove_file(&log).unwrap();
    assert_refused(
        &report(&directory, &[]),
        &[
            "mapcount-recheck-faults.hlog",
            "a percentile plot is drawn of it: copy the whole run directory, or measure again with \
             faultaround storm; --plots none and --short do without",
        ],
    );
    // What isn't drawn needn't be there.
    let told = |files: &str| {
        let lacks = "the report's figures are whole without, but percentile plots and other tools \
                     lack these latencies: copy the whole run directory, or measure again with \
                     faultaround storm";
        for option in [&["--plots", "none"][..], &["--short"]] {
            let output = report(&directory, option);
            assert!(output.status.success());
            let line = format!("faultaround: files of this run {files}; {lacks}\n");
            assert_eq!(stderr(&output), line);
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

    let endless = ["--verdicts", "/dev/zero", "--plots", "none"];
    assert_refused(&report(&directory, &endless), &["/dev/zero", "never end"]);
    fs::remove_file(&run_json).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&run_json)
            .status()
            .unwrap()
            .success()
    );
    assert_refused(&report(&directory, &[]), &["run.json", "never end"]);

    assert_refused(&report(out.path(), &[]), &["no run.json"]);
    assert_refused(&report(&run_json, &[]), &["it is a file"]);
    assert_refused(&report(&out.path().join("nothing"), &[]), &["nothing"]);
    assert_refused(&run(&["report"]), &["RUN"]);
}
