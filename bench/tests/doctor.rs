//! `faultaround doctor` as its users meet it.

mod support;

use serde_json::Value;
use support::processes::{Running, wait_for};
use support::{Told, all_refused, assert_fits, faultaround, run, table};

fn doctor(options: &str) -> Told {
    let told = run(&format!("doctor {options}"));
    assert_eq!(told.said, "");
    told
}

fn json(options: &str) -> (Value, Option<i32>) {
    let told = doctor(&format!("{options} --format json"));
    (serde_json::from_str(&told.text).expect("JSON"), told.status)
}

#[test]
fn the_exit_status_is_the_verdict_and_the_verdict_comes_from_the_findings() {
    let (examination, status) = json("--watch 20ms");
    let findings = examination["findings"].as_array().unwrap();
    let spoils = findings.iter().any(|it| it["verdict"] == "spoils");
    assert_eq!(examination["fit"], !spoils);
    assert_eq!(status, Some(i32::from(spoils)));
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
    let Told { text, status, .. } = doctor("--watch 20ms");
    assert_fits(&text, 72);
    for fact in ["hypervisor", "clock step", "line transfer", "noise floor"] {
        let mut lines = text.lines();
        let said = lines.any(|line| line.get(7..).is_some_and(|it| it.starts_with(fact)));
        assert!(said, "{fact}: {text}");
    }
    let last = text.lines().last().unwrap();
    let verdict = if status == Some(0) {
        "fit: "
    } else {
        "unfit: "
    };
    assert!(last.starts_with(verdict), "{last}");
    let spoiling = text.lines().filter(|line| line.starts_with("SPOILS "));
    assert!(
        last.contains(&format!(" {} finding", spoiling.count())),
        "{last}"
    );
}

#[test]
fn a_table_has_a_line_for_each_fact() {
    let text = doctor("--format tsv --watch 0s").text;
    let rows = table(&text);
    assert_eq!(rows[0], ["fact", "verdict", "found", "spoils", "mend"]);
    assert_eq!(rows.len(), 1 + 24, "no noise floor without a watch");
    for row in &rows[1..] {
        assert!(["fit", "note", "spoils"].contains(&row[1]), "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
    }
}

#[test]
fn only_the_cpus_that_are_named_are_looked_at() {
    let (all, _) = json("--watch 0s");
    assert_eq!(all["noise"].as_array().unwrap().len(), 0);
    let used = all["environment"]["processor"]["cpus_used"].as_str();
    let last = used.unwrap().split([',', '-']).next_back().unwrap();
    let (one, _) = json(&format!("--cpus {last} --watch 20ms"));
    assert_eq!(one["environment"]["processor"]["cpus_used"], last);
    let watched = one["noise"].as_array().unwrap();
    assert_eq!(watched.len(), 1);
    assert_eq!(watched[0]["cpu"].to_string(), last);
}

#[test]
fn bad_input_is_told_in_one_line_with_status_2() {
    all_refused(&[
        "doctor --cpus 60000 | 60000 | isn't available",
        "doctor --cpus 0,0 | 0 | twice",
        "doctor --cpus  | empty",
        "doctor --cpus -1 | -1",
        "doctor --watch 500 | 500 | --watch | unit | 0s",
        "doctor --watch -1s | -1s | 10ms",
        "doctor --format xml | xml | tsv",
        "doctor patient | patient",
    ]);
}

#[test]
fn an_interrupt_ends_the_watch() {
    let child = Running::of(faultaround("doctor --watch 1h"));
    // Until it has a handler for SIGINT, the second signal.
    let status = format!("/proc/{}/status", child.id());
    let caught = || {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))?;
        let mask = u64::from_str_radix(mask.trim(), 16).unwrap_or(0);
        (mask & 2 != 0).then_some(())
    };
    assert!(wait_for(caught).is_some());
    child.signal("-INT");
    assert_eq!(child.told().status, Some(130));
}
