//! `faultaround storm`: when a run ends, how faults arrive, controls, sweeps over threads, as its
//! users meet them.

mod support;

use std::path::Path;

use serde_json::Value;
use support::{Told, assert_has, run};

const STORM: &str = "storm --cpus 0 --storm none --pages 256 --scheme page-locked";

/// A small storm on one CPU, its results in `out`, with more options.
fn storm(out: &Path, more: &str) -> Told {
    run(&format!("{STORM} --out {} {more}", out.display()))
}

fn json(out: &Path, more: &str) -> Value {
    let watch = if more.contains("--watch") {
        ""
    } else {
        "--watch 10ms"
    };
    storm(out, &format!("--format json {more} {watch}")).json()
}

fn variants(run: &Value) -> Vec<&str> {
    let rows = run["summary"][0]["rows"].as_array().unwrap().iter();
    rows.map(|row| row["variant"].as_str().unwrap()).collect()
}

#[test]
fn what_comes_is_announced_in_the_number_that_it_has() {
    let out = tempfile::tempdir().unwrap();
    let announced = |more: &str| {
        let short = "--duration 10ms --watch 0s --format tsv ";
        storm(out.path(), &(short.to_owned() + more)).said
    };
    let one = announced("--rounds 1");
    let said = "1 scheme and a second run of the first x 1 load x 1 round on 1 CPU: ";
    assert_has(&one, &[said]);
    let two = announced("--rounds 2 --threads 1,2 --oversubscribe --plant 5%");
    let said = "1 scheme and 2 further runs of the first x 2 loads x 2 rounds on 1 CPU: ";
    assert_has(&two, &[said]);
}

#[test]
fn rounds_go_on_until_intervals_are_narrow_or_time_is_up_and_the_run_says_which() {
    let out = tempfile::tempdir().unwrap();
    let auto = "--rounds auto --duration 10ms";
    let auto = |more: &str| json(out.path(), &format!("{auto} {more}"));
    // Whatever the machine does, the upper end of an interval of 1% can't be reached in 200 ms,
    // which is less than ten rounds take.
    let limited = auto("--width 1% --limit 200ms");
    assert_eq!(limited["ended"], "time-limit");
    assert_eq!(limited["complete"], true);
    let narrow = auto("--width 100% --limit 10min");
    assert_eq!(narrow["ended"], "narrow");
    let rounds = narrow["summary"][0]["rows"][1]["rounds"].as_u64().unwrap();
    assert!(rounds >= 10, "{rounds}");
    let ratio = &narrow["summary"][0]["rows"][1]["ratio"];
    let (lo, hi) = (ratio["lo"].as_f64().unwrap(), ratio["hi"].as_f64().unwrap());
    assert!(hi / lo < 2.0, "{lo}-{hi}");
    assert_eq!(narrow["configuration"]["rounds"]["auto"]["width"], 1.0);
    let fixed = json(out.path(), "--rounds 2 --duration 10ms");
    assert_eq!(fixed["ended"], "all-rounds");
}

#[test]
fn controls_are_rows_of_their_own_beside_the_baseline() {
    let out = tempfile::tempdir().unwrap();
    let words = "--rounds 2 --duration 10ms --plant 50% --unrecorded";
    let run = json(out.path(), words);
    let expected = ["plain", "again", "planted", "unrecorded"];
    assert_eq!(variants(&run), expected);
    let rows = run["summary"][0]["rows"].as_array().unwrap();
    assert!(rows[2]["latency"]["count"].is_u64());
    assert!(rows[3]["latency"].is_null() && rows[3]["totals"]["faults"].as_u64() > Some(0));
    let rerun = run["rerun"].as_str().unwrap();
    assert_has(rerun, &["--plant 50%", "--unrecorded"]);
    let plain = json(out.path(), "--rounds 1 --duration 10ms");
    assert_eq!(variants(&plain), expected[..2]);
}

#[test]
fn an_open_loop_is_named_and_says_what_share_of_its_faults_arrived() {
    let out = tempfile::tempdir().unwrap();
    let words = "--rounds 1 --duration 50ms --arrival poisson:1000000000";
    let run = json(out.path(), words);
    assert_eq!(run["configuration"]["arrival"], "poisson:1000000000");
    // No machine takes a fault per nanosecond.
    let arrived = run["rounds"][0]["arrived"].as_f64().unwrap();
    assert!(arrived > 0.0 && arrived < 0.5, "{arrived}");
    let closed = json(out.path(), "--rounds 1 --duration 10ms");
    assert!(closed["rounds"][0]["arrived"].is_null());
}

#[test]
fn a_range_of_threads_is_a_group_for_each() {
    let out = tempfile::tempdir().unwrap();
    let words = "--rounds 1 --duration 10ms --threads 1..3 --oversubscribe";
    let run = json(out.path(), words);
    let groups = run["summary"].as_array().unwrap().iter();
    let threads: Vec<_> = groups.map(|group| group["threads"].as_u64()).collect();
    assert_eq!(threads, [Some(1), Some(2), Some(3)]);
    assert!(run["rerun"].as_str().unwrap().contains("--threads 1..3"));
    // As many as there are CPUs, and there is one.
    let run = json(out.path(), "--rounds 1 --duration 10ms --threads 1..");
    assert_eq!(run["summary"].as_array().unwrap().len(), 1);
}

#[test]
fn a_run_says_what_was_counted_what_was_found_and_how_noisy_its_cpus_are() {
    let out = tempfile::tempdir().unwrap();
    let run = json(out.path(), "--rounds 1 --duration 10ms --event r1");
    let names = |of: &Value| -> Vec<String> {
        let of = of.as_array().unwrap().iter();
        of.map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let mut asked = names(&run["counters"]["counted"]);
    for reason in run["counters"]["not_counted"].as_array().unwrap() {
        asked.extend(names(&reason["events"]));
        assert!(!reason["why"].as_str().unwrap().is_empty());
    }
    asked.sort();
    let all = "branch_misses context_switches cpu_migrations cycles instructions llc_misses \
               page_faults r0001";
    assert_eq!(asked.join(" "), all);
    let readings = run["rounds"][0]["counters"].as_array().unwrap().iter();
    let names: Vec<_> = readings.map(|it| it["name"].as_str().unwrap()).collect();
    let in_order = "cycles instructions llc_misses branch_misses page_faults context_switches \
                    cpu_migrations r0001";
    assert_eq!(names.join(" "), in_order);
    assert!(run["findings"].as_array().unwrap().len() > 20);
    assert!(run["clock_step"]["ns"].as_f64() > Some(0.0));
    assert_eq!(run["noise"][0]["cpu"], 0);
    assert!(run["noise"][0]["reads"].as_u64() > Some(0));
    let unwatched = "--rounds 1 --duration 10ms --watch 0s";
    let run = json(out.path(), unwatched);
    assert_eq!(run["noise"].as_array().unwrap().len(), 0);
}
