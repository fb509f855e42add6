//! `faultaround check` as its users meet it.
#![cfg(feature = "check")]

mod support;

use kernel_model::fault_around::Schemes;
use kernel_model::platform::Native;
use support::{Told, all_refused, assert_fits, assert_has, run, table};

/// What a command printed and said, and its status.
fn told(line: &str) -> (String, String, i32) {
    let Told { text, said, status } = run(line);
    (text, said, status.expect("no signal"))
}

#[test]
fn verdicts_are_printed_and_exit_0_says_that_they_are_the_declared_ones() {
    let line = "check --scenario fault-vs-thread,fault-vs-punch --bound 2";
    let (text, messages, status) = told(line);
    assert_eq!((status, messages.as_str()), (0, ""), "{text}");
    assert_fits(&text, 72);
    let declared = ["page-locked: declared sound", "sketch: declared BROKEN"];
    assert_has(&text, &declared);
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
    let found_by_none = "check --scheme sketch --scenario fault-vs-punch --bound 0";
    let (text, _, status) = told(found_by_none);
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("; NOT AS DECLARED:"), "{text}");
    assert!(text.contains("1 verdict from 1 execution in"), "{text}");
}

#[test]
fn what_is_changed_is_said_and_is_to_be_caught() {
    let changed = |change: &str| {
        let cell = "check --scheme mapcount-recheck --scenario fault-vs-punch --bound 2";
        told(&format!("{cell} {change}"))
    };
    let (text, _, status) = changed("--with remover_lock_mb=none --trace");
    assert_eq!(status, 0, "{text}");
    assert!(
        text.starts_with("CHANGED CODE: remover_lock_mb is relaxed\n"),
        "{text}"
    );
    assert!(text.contains("the change was caught in 1."), "{text}");
    assert!(text.contains("NO smp_mb() [remover_lock_mb]"), "{text}");
    let (text, _, status) = changed("--without recheck_mapping");
    assert_eq!(status, 0, "{text}");
    assert!(
        text.starts_with("CHANGED CODE: without recheck_mapping\n"),
        "{text}"
    );
    let (text, _, status) = changed("--with slot_load=relaxed");
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("the change was NOT noticed."), "{text}");
    // A scheme that is broken unchanged catches nothing.
    let broken = "check --scenario fault-vs-punch --bound 2 --with mapcount_dec=relaxed --trace";
    let (text, _, status) = told(broken);
    assert_eq!(status, 1, "{text}");
    assert_eq!(text.matches("unchanged").count(), 2, "{text}");
    assert!(text.contains("the change was NOT noticed."), "{text}");
    assert!(!text.contains("CPU0"), "{text}");
}

#[test]
fn tables_are_for_machines() {
    let cells = "check --scheme sketch,page-locked --scenario fault-vs-punch,crowd --bound 2";
    let tsv = run(&format!("{cells} --format tsv")).text();
    let rows = table(&tsv);
    assert_eq!(rows.len(), 5);
    let head = ["family", "scheme", "scenario", "declared", "verdict"];
    assert_eq!(rows[0][..5], head);
    let sound = [
        "fault-around",
        "page-locked",
        "fault-vs-punch",
        "ok",
        "ok",
        "true",
    ];
    assert_eq!(rows[1][..6], sound);
    assert_eq!(rows[3][4], "no-stale-pte");
    assert_eq!(rows[2][8], "shuttle");

    let json = run(&format!("{cells} --format json")).json();
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
    let cell = "weaken --scheme mapcount-recheck --scenario fault-vs-punch --bound 2";
    let text = run(&format!("{cell} --trace")).text();
    assert_fits(&text, 75);
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

    let tsv = run(&format!("{cell} --format tsv")).text();
    let row = tsv
        .lines()
        .find(|line| line.contains("\trecheck_locked\t"))
        .expect("a row");
    let row: Vec<&str> = row.split('\t').collect();
    assert_eq!(row[3..6], ["acquire", "acquire", "acquire"]);
    assert_eq!(row[6..9], ["relaxed", "fault-vs-punch", "no-stale-pte"]);
    // Where nobody removes anything, nothing of it is needed; and that it was asked there is said.
    let quiet = "weaken --scheme mapcount-recheck --scenario fault-vs-fault";
    let text = run(quiet).text();
    assert_eq!(text.matches("fault-vs-fault ALONE").count(), 2, "{text}");
    let json = run(&format!("{quiet} --format json")).json();
    assert_eq!(json[0]["scheme"], "mapcount-recheck");
    assert_eq!(json[0]["complete"], true);
    assert_eq!(json[0]["sites"][0]["needs"], "none");
}

#[test]
fn bad_input_is_told_in_one_line_with_status_2() {
    all_refused(&[
        "check --scheme x | x | mapcount-recheck",
        "check --scenario x | x | fault-vs-punch",
        "check --scenario crowd,crowd | crowd | twice",
        "check --bound -1 | -1 | none",
        "check --bound all | all | none",
        "check --schedules 0 | 0 | from 1",
        "check --limit 5 | 5 | unit",
        "check --with recheck_locked | recheck_locked | relaxed",
        "check --with nothing=relaxed | nothing | recheck_locked",
        "check --with recheck_locked=strong | strong | acquire",
        "check --with slot_store=acquire | slot_store | release | weaker",
        "check --with recheck_locked=relaxed --scheme page-locked | recheck_locked",
        "check --without luck | luck | recheck_mapping",
        "weaken --scheme sketch | sketch | sound",
        "weaken --scenario crowd | crowd | random",
        "weaken --with slot_load=relaxed | --with",
        "check --trace --format json | --trace | json",
        "check --trace --show x | x | transient-mapcount",
        "check --show transient-mapcount | --trace",
        "check --with slot_load=relaxed --scenario crowd | crowd | random",
        "check --with ref_put=acquire,ref_put=none | ref_put | twice",
        "litmus /nowhere | /nowhere | tools/memory-model",
        "litmus --herd7 herd7 | DIR",
        "check --format xml | xml | tsv",
    ]);
}
