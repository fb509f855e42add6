//! `faultaround check` as its users meet it.
#![cfg(all(feature = "loom", feature = "shuttle"))]

use kernel_model::fault_around::Schemes;
use kernel_model::platform::Native;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

fn check(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultaround"));
    command.arg("check").args(arguments);
    command.output().expect("the command starts")
}

/// Output, messages and status.
fn told(arguments: &[&str]) -> (String, String, i32) {
    let output = check(arguments);
    let text = |bytes| String::from_utf8(bytes).expect("output is text");
    let status = output.status.code().expect("no signal");
    (text(output.stdout), text(output.stderr), status)
}

#[test]
fn verdicts_are_printed_and_exit_0_says_that_they_are_the_declared_ones() {
    let (text, messages, status) = told(&[
        "--scenario",
        "fault-vs-thread,fault-vs-punch",
        "--bound",
        "2",
    ]);
    assert_eq!((status, messages.as_str()), (0, ""), "{text}");
    assert!(text.is_ascii());
    for line in text.lines() {
        assert!(line.len() <= 72, "{line}");
    }
    for scheme in ["page-locked: declared sound", "sketch: declared BROKEN"] {
        assert!(text.contains(scheme), "{text}");
    }
    let ok = text
        .lines()
        .filter(|line| line.contains(" executions, bound 2)"));
    let all = Schemes::<Native>::ALL.iter().map(|it| it.about().verdict);
    let sound = all.filter(|verdict| verdict.is_sound()).count();
    // The controls pass where threads fault, and one of them under a hole, too.
    assert_eq!(ok.count(), 2 * sound + 4, "{text}");
    let violating = text
        .lines()
        .filter(|line| line.contains("VIOLATES no-stale-pte (execution "));
    assert_eq!(violating.count(), 2, "{text}");
    assert!(
        text.contains(&format!("{} verdicts from ", 2 * sound + 6))
            && text.contains(", all as declared."),
        "{text}"
    );
    assert!(!text.contains("NOT AS DECLARED"), "{text}");
}

#[test]
fn a_broken_scheme_that_passes_is_a_failure() {
    let found_by_none = [
        "--scheme",
        "sketch",
        "--scenario",
        "fault-vs-punch",
        "--bound",
        "0",
    ];
    let (text, _, status) = told(&found_by_none);
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("; NOT AS DECLARED:"), "{text}");
    assert!(text.contains("1 verdict from 1 execution in"), "{text}");
}

#[test]
fn what_is_changed_is_said_and_is_to_be_caught() {
    let changed = |change: &[&str]| {
        let cell = [
            "--scheme",
            "mapcount-recheck",
            "--scenario",
            "fault-vs-punch",
            "--bound",
            "2",
        ];
        told(&[&cell[..], change].concat())
    };
    let (text, _, status) = changed(&["--with", "remover_lock_mb=none", "--trace"]);
    assert_eq!(status, 0, "{text}");
    assert!(
        text.starts_with("CHANGED CODE: remover_lock_mb is relaxed\n"),
        "{text}"
    );
    assert!(text.contains("the change was caught in 1."), "{text}");
    assert!(text.contains("NO smp_mb() [remover_lock_mb]"), "{text}");
    let (text, _, status) = changed(&["--without", "recheck_mapping"]);
    assert_eq!(status, 0, "{text}");
    assert!(
        text.starts_with("CHANGED CODE: without recheck_mapping\n"),
        "{text}"
    );
    let (text, _, status) = changed(&["--with", "slot_load=relaxed"]);
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("the change was NOT noticed."), "{text}");
    // A scheme that is broken unchanged catches nothing.
    let (text, _, status) = told(&[
        "--scenario",
        "fault-vs-punch",
        "--bound",
        "2",
        "--with",
        "mapcount_dec=relaxed",
        "--trace",
    ]);
    assert_eq!(status, 1, "{text}");
    assert_eq!(text.matches("unchanged").count(), 2, "{text}");
    assert!(text.contains("the change was NOT noticed."), "{text}");
    assert!(!text.contains("CPU0"), "{text}");
}

#[test]
fn tables_are_for_machines() {
    let cells = [
        "--scheme",
        "sketch,page-locked",
        "--scenario",
        "fault-vs-punch,crowd",
        "--bound",
        "2",
    ];
    let (tsv, _, status) = told(&[&cells[..], &["--format", "tsv"]].concat());
    assert_eq!(status, 0, "{tsv}");
    let rows: Vec<Vec<&str>> = tsv.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows.len(), 5);
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{tsv}");
    assert_eq!(rows[0][..4], ["scheme", "scenario", "declared", "verdict"]);
    assert_eq!(
        rows[1][..5],
        ["page-locked", "fault-vs-punch", "ok", "ok", "true"]
    );
    assert_eq!(rows[3][3], "no-stale-pte");
    assert_eq!(rows[2][7], "shuttle");

    let (json, _, _) = told(&[&cells[..], &["--format", "json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["complete"], true);
    let verdicts = json["verdicts"].as_array().expect("verdicts");
    assert_eq!(verdicts.len(), 4);
    let broken = &verdicts[2];
    assert_eq!(broken["scheme"], "sketch");
    assert_eq!(broken["verdict"], "no-stale-pte");
    assert_eq!(broken["as_declared"], true);
    assert!(broken["detail"].as_str().unwrap().contains("still mapped"));
}

#[test]
fn orderings_are_weakened_and_what_breaks_is_shown() {
    let cell = [
        "--weaken",
        "--scheme",
        "mapcount-recheck",
        "--scenario",
        "fault-vs-punch",
    ];
    let quick = ["--bound", "2"];
    let (text, _, status) = told(&[&cell[..], &quick, &["--trace"]].concat());
    assert_eq!(status, 0, "{text}");
    for line in text.lines() {
        assert!(line.len() <= 75, "{line}");
    }
    let row = |site: &str| -> Vec<String> {
        let line = text.lines().find(|line| line.starts_with(site));
        let words = line.unwrap_or_else(|| panic!("no {site} in\n{text}"));
        words.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(
        row("mapcount_inc_mb"),
        ["mapcount_inc_mb", "full", "full", "full", "no-stale-pte"]
    );
    assert_eq!(
        row("remover_lock_mb"),
        ["remover_lock_mb", "full", "full", "full", "no-stale-pte"]
    );
    assert_eq!(
        row("slot_load"),
        ["slot_load", "acquire", "relaxed", "relaxed", "-"]
    );
    assert!(text.contains("stands for smp_mb__after_atomic()"), "{text}");
    assert!(text.contains("\njointly: "), "{text}");
    assert!(
        text.contains("mapcount-recheck in fault-vs-punch, remover_lock_mb acqrel:"),
        "{text}"
    );

    let (tsv, _, _) = told(&[&cell[..], &quick, &["--format", "tsv"]].concat());
    let row = tsv
        .lines()
        .find(|line| line.contains("\trecheck_locked\t"))
        .expect("a row");
    let row: Vec<&str> = row.split('\t').collect();
    assert_eq!(row[3..6], ["acquire", "acquire", "acquire"]);
    assert_eq!(row[6..9], ["relaxed", "fault-vs-punch", "no-stale-pte"]);
    // Where nobody removes anything, nothing of it is needed; and that it was asked there is said.
    let quiet = [
        "--weaken",
        "--scheme",
        "mapcount-recheck",
        "--scenario",
        "fault-vs-fault",
    ];
    let (text, _, status) = told(&quiet);
    assert_eq!(status, 0, "{text}");
    assert_eq!(text.matches("fault-vs-fault ALONE").count(), 2, "{text}");
    let (json, _, _) = told(&[&quiet[..], &["--format", "json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json[0]["scheme"], "mapcount-recheck");
    assert_eq!(json[0]["complete"], true);
    assert_eq!(json[0]["sites"][0]["needs"], "none");
}

#[test]
fn bad_input_is_told_in_one_line_with_status_2() {
    for (arguments, parts) in [
        (&["--scheme", "x"][..], &["x", "mapcount-recheck"][..]),
        (&["--scenario", "x"], &["x", "fault-vs-punch"]),
        (&["--scenario", "crowd,crowd"], &["crowd", "twice"]),
        (&["--bound", "-1"], &["-1", "none"]),
        (&["--bound", "all"], &["all", "none"]),
        (&["--schedules", "0"], &["0", "from 1"]),
        (&["--limit", "5"], &["5", "unit"]),
        (
            &["--with", "recheck_locked"],
            &["recheck_locked", "relaxed"],
        ),
        (
            &["--with", "nothing=relaxed"],
            &["nothing", "recheck_locked"],
        ),
        (&["--with", "recheck_locked=strong"], &["strong", "acquire"]),
        (
            &["--with", "slot_store=acquire"],
            &["slot_store", "release", "weaker"],
        ),
        (
            &[
                "--with",
                "recheck_locked=relaxed",
                "--scheme",
                "page-locked",
            ],
            &["recheck_locked"],
        ),
        (&["--without", "luck"], &["luck", "recheck_mapping"]),
        (&["--weaken", "--scheme", "sketch"], &["sketch", "sound"]),
        (&["--weaken", "--scenario", "crowd"], &["crowd", "random"]),
        (
            &["--weaken", "--with", "slot_load=relaxed"],
            &["--with", "--weaken"],
        ),
        (&["--trace", "--format", "json"], &["--trace", "json"]),
        (&["--trace", "--show", "x"], &["x", "transient-mapcount"]),
        (&["--show", "transient-mapcount"], &["--trace"]),
        (
            &["--with", "slot_load=relaxed", "--scenario", "crowd"],
            &["crowd", "random"],
        ),
        (
            &["--with", "ref_put=acquire,ref_put=none"],
            &["ref_put", "twice"],
        ),
        (
            &["--litmus", "/nowhere"],
            &["/nowhere", "tools/memory-model"],
        ),
        (&["--herd7", "herd7"], &["--litmus"]),
        (&["--format", "xml"], &["xml", "tsv"]),
    ] {
        let (text, messages, status) = told(arguments);
        assert_eq!(
            (status, text.as_str()),
            (2, ""),
            "{arguments:?}: {messages}"
        );
        assert_eq!(messages.lines().count(), 1, "{arguments:?}: {messages}");
        for part in parts {
            assert!(
                messages.contains(part),
                "{part} of {arguments:?} in {messages}"
            );
        }
    }
}

/// A herd7 that knows its version and what each test declares; `but` comes first, with the test's
/// name in `$name`. Returns the arguments for it, and the directory, whose model is of 6.1 or 6.12.
fn fake_herd7(cat: &str, but: &str) -> (tempfile::TempDir, [String; 4]) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("linux-kernel.cfg"), "").unwrap();
    fs::write(directory.path().join("linux-kernel.cat"), cat).unwrap();
    let path = directory.path().join("herd7");
    let says = format!(
        r#"#!/bin/sh
[ "$1" = -version ] && echo "7.57, Rev: none" && exit
[ "$1 $2" = "-conf linux-kernel.cfg" ] && [ -f "$2" ] || exit 1
name=$(sed -n 's/^C //p' "$3")
{but}
sed -n 's/^ \* Flag: /Flag /p' "$3"
echo "Observation $name $(sed -n 's/^ \* Result: //p' "$3") 0 7"
"#
    );
    fs::write(&path, says).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let arguments = [
        "--litmus".to_owned(),
        directory.path().to_str().unwrap().to_owned(),
        "--herd7".to_owned(),
        path.to_str().unwrap().to_owned(),
    ];
    (directory, arguments)
}

const CAT_6_12: &str = "let rmw-sequence = (rf ; rmw)*\n";

#[test]
fn litmus_tests_are_judged_by_the_model_that_is_there() {
    let of = |cat| {
        let (_directory, arguments) = fake_herd7(cat, "");
        told(&arguments.each_ref().map(String::as_str))
    };
    let (text, messages, status) = of(CAT_6_12);
    assert_eq!((status, messages.as_str()), (0, ""), "{text}");
    assert!(text.starts_with("herd7 7.57, the memory model of Linux 6.12\n"));
    assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 72));
    let all = kernel_model::litmus::ALL.len();
    assert!(text.contains(&format!("\n{all} as expected.")), "{text}");
    assert!(
        text.contains("\n    flag data-race: as expected\n"),
        "{text}"
    );
    // The same answers are not those of the older model.
    let (text, _, status) = of("let prop = 0\n");
    assert_eq!(status, 1, "{text}");
    assert!(text.starts_with("herd7 7.57, the memory model of Linux 6.1\n"));
    for line in text
        .lines()
        .filter(|line| line.contains("Never     NOT AS EXPECTED"))
    {
        assert!(line.contains("-otherflag+"), "{line}");
    }
    assert!(text.contains(", 2 NOT AS EXPECTED."), "{text}");
}

#[test]
fn litmus_tests_go_on_after_one_that_fails() {
    let lexer =
        r#"[ $name = page-locked+trylock+lock ] && echo "File \"$3\": Lex error" >&2 && exit 2"#;
    let flags = r#"[ $name = recheck+inc-acqrecheck+lockmb ] && echo "Flag data-race"
[ $name = recheck-plain+incmb-acqrecheck+lockmb ] && echo "Observation $name Never 0 7" && exit"#;
    let (_directory, arguments) = fake_herd7(CAT_6_12, lexer);
    let arguments = arguments.each_ref().map(String::as_str);
    let (text, messages, status) = told(&arguments);
    assert_eq!(status, 2, "{text}");
    assert!(
        messages.contains("no result for 1 of ") && messages.lines().count() == 1,
        "{messages}"
    );
    let failed = "NO RESULT\n    herd7 says: File \"page-locked+trylock+lock.litmus\": Lex error\n";
    assert!(text.contains(failed), "{text}");
    let all = kernel_model::litmus::ALL.len();
    assert!(
        text.contains(&format!("{} as expected, 1 WITHOUT A RESULT.", all - 1)),
        "{text}"
    );

    let (_directory, arguments) = fake_herd7(CAT_6_12, &format!("{lexer}\n{flags}"));
    let arguments = arguments.each_ref().map(String::as_str);
    let (text, messages, status) = told(&arguments);
    assert_eq!((status, messages.as_str()), (1, ""), "{text}");
    for judged in [
        "recheck+inc-acqrecheck+lockmb                Sometimes as expected\n    flag data-race: NOT AS",
        "recheck-plain+incmb-acqrecheck+lockmb        Never     as expected\n    no flag data-race: NOT AS",
    ] {
        assert!(text.contains(judged), "{text}");
    }
    let (tsv, _, status) = told(&[&arguments[..], &["--format", "tsv"]].concat());
    assert_eq!(status, 1);
    let rows: Vec<Vec<&str>> = tsv.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows.len(), all + 1);
    let columns = "schemes test model expected observed flags as_expected";
    assert_eq!(rows[0].join(" "), columns);
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{tsv}");
    assert_eq!(rows[1][2..], ["Linux 6.12", "Never", "nan", "", "false"]);
    assert_eq!(
        rows.iter().filter(|row| row[6] == "false").count(),
        3,
        "{tsv}"
    );
    let (json, _, _) = told(&[&arguments[..], &["--format", "json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["herd7"], "7.57");
    assert_eq!(json["complete"], true);
    assert_eq!(json["litmus"][0]["observed"], "nan");
    assert!(
        json["litmus"][0]["complaint"]
            .as_str()
            .unwrap()
            .contains("Lex error")
    );
    let plain = |it: &&serde_json::Value| it["test"] == "recheck+inc-acqrecheck+lockmb";
    let plain = json["litmus"]
        .as_array()
        .unwrap()
        .iter()
        .find(plain)
        .unwrap();
    assert_eq!(plain["flags"][0], "data-race");

    let (_directory, arguments) = fake_herd7(CAT_6_12, "");
    let (_, messages, status) = told(&["--litmus", &arguments[1], "--herd7", "/nowhere/herd7"]);
    assert_eq!((status, messages.lines().count()), (2, 1), "{messages}");
}

#[test]
fn ctrl_c_keeps_the_litmus_tests_that_were_run() {
    let but = r#"[ $name = page-locked+trylock+lock ] || { echo $$ >pid; exec sleep 600; }"#;
    let (directory, arguments) = fake_herd7(CAT_6_12, but);
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultaround"));
    command
        .arg("check")
        .args(arguments)
        .args(["--format", "tsv"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let mut rows = BufReader::new(child.stdout.take().unwrap()).lines();
    // A test is told as soon as it was run; the next one runs for good.
    let first = rows.nth(1).unwrap().unwrap();
    assert!(first.contains("\tpage-locked+trylock+lock\t"), "{first}");
    let herd7 = loop {
        match fs::read_to_string(directory.path().join("pid")) {
            Ok(pid) if pid.ends_with('\n') => break pid,
            _ => thread::sleep(Duration::from_millis(1)),
        }
    };
    let pid = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(killed.success());
    assert_eq!(rows.count(), 0);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let messages = String::from_utf8(output.stderr).unwrap();
    assert!(messages.contains("interrupted: 1 of "), "{messages}");
    let herd7 = Path::new("/proc").join(herd7.trim());
    assert!(!herd7.exists(), "{herd7:?}");
}

#[test]
fn a_real_herd7_reads_and_confirms_some() {
    let Ok(model) = std::env::var("LINUX_MEMORY_MODEL") else {
        eprintln!("skipped: LINUX_MEMORY_MODEL names no tools/memory-model");
        return;
    };
    if Command::new("herd7").arg("-version").output().is_err() {
        eprintln!("skipped: no herd7 on PATH");
        return;
    }
    let (text, messages, status) =
        told(&["--litmus", &model, "--scheme", "invalidate-only,sketch"]);
    assert_eq!((status, messages.as_str()), (0, ""), "{text}");
}

#[test]
fn ctrl_c_keeps_the_verdicts_that_were_reached() {
    let large = [
        "check",
        "--scheme",
        "page-locked",
        "--scenario",
        "zap-vs-punch-and-refill,two-faults-vs-punch",
        "--bound",
        "100",
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultaround"));
    command
        .args(large)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().expect("the command starts");
    // When it has had so much of the CPUs the small one is done, and the large one isn't by far.
    let pid = child.id().to_string();
    let cpu_ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        let (_, fields) = stat.rsplit_once(") ").expect("its name is in brackets");
        let fields: Vec<_> = fields.split(' ').collect();
        let ticks = |field: &str| field.parse::<u64>().expect("a number");
        ticks(fields[11]) + ticks(fields[12])
    };
    while cpu_ticks() < 300 {
        thread::sleep(Duration::from_millis(20));
    }
    let killed = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(killed.success());
    let since = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(since.elapsed() < Duration::from_secs(60));
    let (text, messages) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert_eq!(output.status.code(), Some(130), "{text}{messages}");
    assert!(text.contains("zap-vs-punch-and-refill ok ("), "{text}");
    assert!(!text.contains("two-faults-vs-punch"), "{text}");
    assert!(
        messages.contains("interrupted: 1 of 2 verdicts were reached"),
        "{messages}"
    );
}
