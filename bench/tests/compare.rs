//! `faultaround compare`, on runs that it makes itself.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{Told, assert_fits, assert_has, only, run, table, unwrapped};

fn storm(out: &Path, more: &str) -> PathBuf {
    let line = "storm --cpus 0 --storm none --threads 1 --rounds 6 --duration 10ms --pages 256";
    run(&format!("{line} {more} --out {}", out.display())).text();
    only(out)
}

fn compare(a: &Path, b: &Path, more: &str) -> Told {
    run(&format!("compare {} {} {more}", a.display(), b.display()))
}

#[test]
fn two_runs_stand_side_by_side_and_what_cannot_be_compared_is_marked() {
    let [first, second] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let a = storm(first.path(), "--scheme page-locked,mapcount-recheck");
    let b = storm(second.path(), "--scheme page-locked,sketch --window 8");

    let same = compare(&a, &a, "").text();
    assert!(same.contains("differ in nothing but"), "{same}");
    assert!(!same.contains("NOT COMPARABLE"), "{same}");
    for line in same
        .lines()
        .filter(|line| line.starts_with("mapcount-recheck"))
    {
        assert!(line.contains("  0.0%") && line.ends_with(" ~"), "{line}");
    }

    let text = compare(&a, &b, "").text();
    for text in [&same, &text] {
        assert_fits(text, 72);
    }
    assert_has(
        &unwrapped(&text),
        &[
            "NOT COMPARABLE window: 16 against 8",
            "only in A mapcount-recheck in none x1",
            "only in B sketch (broken) in none x1",
            "Nothing is comparable",
        ],
    );
    let rows = text.lines().filter(|line| line.starts_with("page-locked"));
    let rows: Vec<_> = rows.collect();
    assert!(
        !rows.is_empty() && rows.iter().all(|row| row.ends_with(" n/c")),
        "{text}"
    );

    let tsv = compare(&a, &a, "--format tsv").text();
    assert!(table(&tsv).len() > 10, "{tsv}");
    let json = compare(&a, &b, "--format json").json();
    assert_eq!(json["comparable"], "nothing");
    assert_eq!(json["differences"][0]["what"], "window");
    assert!(json["groups"][0]["metrics"][0]["rows"][0]["verdict"].is_null());
}

#[test]
fn runs_that_cannot_be_read_are_told_in_one_line() {
    let out = tempfile::tempdir().unwrap();
    let good = storm(out.path(), "--scheme page-locked");
    let bad = tempfile::tempdir().unwrap();
    let refused = |a: &Path, b: &Path, part: &str| compare(a, b, "").refused(&[part]);
    refused(&good, bad.path(), "no run.json");
    refused(bad.path(), &good, "no run.json");
    let json = fs::read_to_string(good.join("run.json")).unwrap();
    fs::write(bad.path().join("run.json"), &json[..json.len() - 9]).unwrap();
    refused(&good, bad.path(), "no JSON");
    fs::write(bad.path().join("run.json"), "{\"schema_version\": 77}").unwrap();
    refused(&good, bad.path(), "newer");
    run(&format!("compare {}", good.display())).refused(&[]);
}
