//! `faultaround doctor` as its users meet it.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

fn doctor(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultaround"));
    command.arg("doctor").args(arguments);
    command
}

/// Output, messages and status.
fn told(arguments: &[&str]) -> (String, String, i32) {
    let output = doctor(arguments).output().expect("the command starts");
    let text = |bytes| String::from_utf8(bytes).expect("output is text");
    let status = output.status.code().expect("no signal");
    (text(output.stdout), text(output.stderr), status)
}

fn json(arguments: &[&str]) -> (Value, i32) {
    let arguments = [arguments, &["--format", "json"]].concat();
    let (text, messages, status) = told(&arguments);
    assert_eq!(messages, "");
    (serde_json::from_str(&text).expect("JSON"), status)
}

#[test]
fn the_exit_status_is_the_verdict_and_the_verdict_comes_from_the_findings() {
    let (examination, status) = json(&["--watch", "20ms"]);
    let findings = examination["findings"].as_array().unwrap();
    let spoils = findings.iter().any(|it| it["verdict"] == "spoils");
    assert_eq!(examination["fit"], !spoils);
    assert_eq!(status, i32::from(spoils));
    // Tests are built with assertions unless somebody says --release.
    let build = &findings[0];
    assert_eq!(build["fact"], "build");
    assert_eq!(build["verdict"] == "spoils", cfg!(debug_assertions));
    for finding in findings {
        let said = [&finding["spoils"], &finding["mend"]];
        let fit = finding["verdict"] == "fit";
        assert!(said.iter().all(|said| said.is_null() == fit), "{finding}");
    }
    // The watched CPUs are those of the environment.
    let watched = examination["noise"].as_array().unwrap();
    let used = &examination["environment"]["processor"]["logical_cpus_used"];
    assert_eq!(used, watched.len());
    for floor in watched {
        assert!(floor["reads"].as_u64().unwrap() > 0, "{floor}");
        assert_eq!(floor["gaps"].as_array().unwrap().len(), 3);
    }
}

#[test]
fn text_fits_a_mail_and_ends_with_the_verdict() {
    let (text, messages, status) = told(&["--watch", "20ms"]);
    assert_eq!(messages, "");
    assert!(text.is_ascii());
    for line in text.lines() {
        assert!(line.len() <= 72, "{line}");
    }
    for fact in ["hypervisor", "clock step", "line transfer", "noise floor"] {
        let mut lines = text.lines();
        let said = lines.any(|line| line.get(7..).is_some_and(|it| it.starts_with(fact)));
        assert!(said, "{fact}: {text}");
    }
    let last = text.lines().last().unwrap();
    let verdict = if status == 0 { "fit: " } else { "unfit: " };
    assert!(last.starts_with(verdict), "{last}");
    let spoiling = text.lines().filter(|line| line.starts_with("SPOILS "));
    assert!(
        last.contains(&format!(" {} finding", spoiling.count())),
        "{last}"
    );
}

#[test]
fn a_table_has_a_line_for_each_fact() {
    let (table, messages, _) = told(&["--format", "tsv", "--watch", "0s"]);
    assert_eq!(messages, "");
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("fact\tverdict\tfound\tspoils\tmend"));
    let rows: Vec<Vec<_>> = lines.map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows.len(), 24, "no noise floor without a watch");
    for row in rows {
        assert_eq!(row.len(), 5);
        assert!(["fit", "note", "spoils"].contains(&row[1]), "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
    }
}

#[test]
fn only_the_cpus_that_are_named_are_looked_at() {
    let (all, _) = json(&["--watch", "0s"]);
    assert_eq!(all["noise"].as_array().unwrap().len(), 0);
    let used = all["environment"]["processor"]["cpus_used"].as_str();
    let last = used.unwrap().split([',', '-']).next_back().unwrap();
    let (one, _) = json(&["--cpus", last, "--watch", "20ms"]);
    assert_eq!(one["environment"]["processor"]["cpus_used"], last);
    let watched = one["noise"].as_array().unwrap();
    assert_eq!(watched.len(), 1);
    assert_eq!(watched[0]["cpu"].to_string(), last);
}

#[test]
fn bad_input_is_told_in_one_line_with_status_2() {
    for (arguments, parts) in [
        (&["--cpus", "60000"][..], &["60000", "isn't available"][..]),
        (&["--cpus", "0,0"], &["0", "twice"]),
        (&["--cpus", ""], &["empty"]),
        (&["--cpus", "-1"], &["-1"]),
        (&["--watch", "500"], &["500", "--watch", "unit", "0s"]),
        (&["--watch", "-1s"], &["-1s", "10ms"]),
        (&["--format", "xml"], &["xml", "tsv"]),
        (&["patient"], &["patient"]),
    ] {
        let (out, messages, status) = told(arguments);
        assert_eq!((status, out.as_str()), (2, ""), "{arguments:?}");
        assert_eq!(messages.lines().count(), 1, "{messages}");
        for part in parts {
            assert!(messages.contains(part), "{arguments:?}: {messages}");
        }
    }
}

#[test]
fn an_interrupt_ends_the_watch() {
    let mut command = doctor(&["--watch", "1h"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let pid = child.id().to_string();
    // Until it has a handler for SIGINT, the second signal.
    let status = format!("/proc/{pid}/status");
    let caught = || {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        mask.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap_or(0) & 2 != 0)
    };
    while !caught() {
        thread::sleep(Duration::from_millis(5));
    }
    let kill = Command::new("kill").args(["-INT", &pid]).status();
    assert!(kill.expect("kill starts").success());
    let status = child.wait().expect("the command ends");
    assert_eq!(status.code(), Some(130));
}
