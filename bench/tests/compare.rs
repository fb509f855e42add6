//! `faultaround compare`, on runs that it makes itself.

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

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("messages are text")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).expect("output is text")
}

fn storm(out: &Path, more: &[&str]) -> PathBuf {
    let arguments = [
        "storm",
        "--cpus",
        "0",
        "--storm",
        "none",
        "--threads",
        "1",
        "--rounds",
        "6",
        "--duration",
        "10ms",
        "--pages",
        "256",
        "--out",
    ];
    let out_word = out.to_str().expect("a path of text");
    stdout(&run(&[&arguments[..], &[out_word], more].concat()));
    let mut entries = fs::read_dir(out).expect("a directory");
    entries.next().expect("a run").expect("an entry").path()
}

fn compare(a: &Path, b: &Path, more: &[&str]) -> Output {
    let [a, b] = [a, b].map(|path| path.to_str().expect("a path of text"));
    run(&[&["compare", a, b], more].concat())
}

#[test]
fn two_runs_stand_side_by_side_and_what_cannot_be_compared_is_marked() {
    let schemes = ["--scheme", "page-locked,mapcount-recheck"];
    let [first, second] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let a = storm(first.path(), &schemes);
    let b = storm(
        second.path(),
        &["--scheme", "page-locked,sketch", "--window", "8"],
    );

    let same = stdout(&compare(&a, &a, &[]));
    assert!(same.contains("differ in nothing but"), "{same}");
    assert!(!same.contains("NOT COMPARABLE"), "{same}");
    for line in same
        .lines()
        .filter(|line| line.starts_with("mapcount-recheck"))
    {
        assert!(line.contains("  0.0%") && line.ends_with(" ~"), "{line}");
    }

    let text = stdout(&compare(&a, &b, &[]));
    for text in [&same, &text] {
        assert!(text.is_ascii(), "{text}");
        assert!(text.lines().all(|line| line.len() <= 72), "{text}");
    }
    for part in [
        "NOT COMPARABLE window: 16 against 8",
        "only in A mapcount-recheck in none x1",
        "only in B sketch (broken) in none x1",
        "Nothing is comparable",
    ] {
        let words: Vec<_> = text.split_whitespace().collect();
        assert!(words.join(" ").contains(part), "{part}: {text}");
    }
    let rows = text.lines().filter(|line| line.starts_with("page-locked"));
    let rows: Vec<_> = rows.collect();
    assert!(
        !rows.is_empty() && rows.iter().all(|row| row.ends_with(" n/c")),
        "{text}"
    );

    let tsv = stdout(&compare(&a, &a, &["--format", "tsv"]));
    let lines: Vec<Vec<&str>> = tsv.lines().map(|line| line.split('\t').collect()).collect();
    assert!(lines.len() > 10 && lines.iter().all(|fields| fields.len() == lines[0].len()));
    let json = stdout(&compare(&a, &b, &["--format", "json"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["comparable"], "nothing");
    assert_eq!(json["differences"][0]["what"], "window");
    assert!(json["groups"][0]["metrics"][0]["rows"][0]["verdict"].is_null());
}

#[test]
fn runs_that_cannot_be_read_are_told_in_one_line() {
    let out = tempfile::tempdir().unwrap();
    let good = storm(out.path(), &["--scheme", "page-locked"]);
    let bad = tempfile::tempdir().unwrap();
    let refused = |a: &Path, b: &Path, part: &str| {
        let output = compare(a, b, &[]);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(
            message.contains(part) && output.stdout.is_empty(),
            "{message}"
        );
    };
    refused(&good, bad.path(), "no run.json");
    refused(bad.path(), &good, "no run.json");
    let json = fs::read_to_string(good.join("run.json")).unwrap();
    fs::write(bad.path().join("run.json"), &json[..json.len() - 9]).unwrap();
    refused(&good, bad.path(), "no JSON");
    fs::write(bad.path().join("run.json"), "{\"schema_version\": 77}").unwrap();
    refused(&good, bad.path(), "newer");
    let output = run(&["compare", good.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}
