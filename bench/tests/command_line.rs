//! The `faultaround` command as its users meet it.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use kernel_model::fault_around::Schemes;
use kernel_model::platform::Native;
use support::{
    More, PROGRAM, Told, all_refused, assert_empty, assert_fits, assert_has, faultaround, names,
    only, run, table,
};

/// A small storm, with its results in `out`.
fn quick(out: &Path, more: &str) -> Told {
    let line = "storm --rounds 2 --pages 256 --out";
    run(&format!("{line} {} {more}", out.display()))
}

#[test]
fn bad_input_is_told_in_one_line_with_status_2() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let in_a_file = file.path().join("results").display().to_string();
    run(&format!("storm --out {in_a_file}")).refused(&[&in_a_file, "Not a directory"]);
    all_refused(&[
        "storm --scheme page-lock | page-lock | mapcount-recheck",
        "storm --storm hail | hail | punch-hole",
        "storm --threads 0 | 0 | --threads | from 1",
        "storm --threads -1 | -1 | from 1",
        "storm --threads 1,1 | twice | --threads",
        "storm --threads 4000 | 4000 | CPUs | --oversubscribe",
        "storm --storm-threads 0 | 0 | from 1",
        "storm --pages 100 | 100 | multiple of --window 16 | 96 or 112",
        "storm --pages 0 | 0 | from 1",
        "storm --pages 16777216 --threads 1 --window 24 | 24 | power of two",
        "storm --hole 8 | 8 | multiple of --window 16",
        "storm --hole 8192 | 8192 | 4096",
        "storm --cpus 60000 | 60000 | isn't available",
        "storm --cpus 0,0 | 0 | twice",
        "storm --cpus  | empty",
        "storm --cpus -1 | -1",
        "storm --rate -5 | -5 | above 0",
        "storm --rate 0 | 0 | above 0",
        "storm --duration 300 | 300 | unit",
        "storm --rounds 0 | 0 | from 1",
        "storm --seed x | x | --seed",
        "storm --mm both | both | private",
        "storm --format xml | xml | tsv",
        "storm --out /proc/x | /proc/x",
        "storm --scheme sketch,sketch | sketch | twice",
        "storm --without recheck_locked | --without",
        "audit --without x | x | recheck_mapping",
        "audit --storm none | none | nothing to audit",
        "audit --rate 5 | --rate",
        "audit --threads 1,2 | 1,2 | whole number",
        "storm --mm shared --threads 2 --pages 16 --storm none --oversubscribe | 2 threads | 1 windows",
        "storm --schedule page/fault/migrate/A1 | --schedule",
        "audit --schedule page/fault/migrate/A1 | one --scheme | one --storm",
        "audit --scheme sketch --schedule page/fault/migrate/A1 | one --scheme | one --storm",
        "audit --schedule page/fault/leave/A1 | --schedule | leave",
        "storm --seed -1 | -1 | from 0",
        "storm --duration -300ms | -300ms | from 10ms",
        "storm --pages 15 | 15 | 16 is",
        "storm --rate \n\n | control character",
        "storm --hammer | --hammer",
        "breakdown --storm none | --storm",
        "breakdown --threads 1 | --threads",
        "breakdown --mm private | --mm",
        "breakdown --without pte_none | --without",
        "breakdown --pages 100 | 100 | 96 or 112",
        "breakdown --scheme x | x | page-locked",
        "storm --cpus 60000 | --cpus",
        "storm --calibrated /dev/zero | --calibrated | never end",
        "storm --rounds auto --width 0% | --width | 0.1%",
        "storm --plant -0% | --plant | from 0%",
        "storm --readahead 3 | --readahead | power of two",
        "storm --storm none --refill | --refill | --storm none",
        "storm --storm none --neighbour | --neighbour",
        "storm --storm none --readahead 4 | --readahead",
        "storm --storm none --fill-ns 4 | --fill-ns",
        "storm --storm none --rate 4 | --rate",
        "storm --storm none --hole 16 | --hole",
        "storm --storm none --storm-threads 2 | --storm-threads",
        "audit --schedule page/fault/migrate/A1 --seed 1 | --schedule | --seed",
        "breakdown --rounds auto | auto | whole number",
        "breakdown --hole 16 | --hole",
        "host --window 16 | --window",
        "host --write 4k | --dir",
        "calibrate --threads 1 | --threads",
        "check --weaken | --weaken",
        "storm --audit | --audit",
        "storm --rounds some | some | auto",
        "storm --width 5% | --rounds auto",
        "storm --rounds 3 --limit 5s | --rounds auto",
        "storm --rounds auto --width x | x | from 0.1% to 100%",
        "storm --rounds auto --limit 5 | 5 | with its unit",
        "storm --arrival open | open | poisson:R",
        "storm --arrival fixed:-3 | fixed:-3 | from 1",
        "storm --plant five | five | from 0% to 100%",
        "storm --threads 2..1 | 2..1 | smaller",
        "storm --threads 1..2,2 | 2 | twice",
        "storm --cpus 0 --threads 1..64 | CPUs | --oversubscribe",
        "storm --event cycle | cycle | rNNN",
        "storm --event rxyz | rxyz",
        "storm --watch 1us | 1us",
        "thunder",
    ]);
    Command::new(PROGRAM).told().refused(&[]);
}

/// What a shell makes of a command: `$0` is the program.
fn shell(script: &str, line: &str) -> Told {
    let mut command = Command::new("sh");
    command.args(["-c", script, PROGRAM]);
    command.with(line).told()
}

#[test]
fn more_than_memory_is_refused_before_anything_begins() {
    let out = tempfile::tempdir().unwrap();
    let place = out.path().to_str().unwrap();
    let limited = "ulimit -v 600000; exec \"$0\" \"$@\" --pages 16777216 --scheme page-locked";
    for mode in [
        format!("storm --storm none --threads 1 --watch 0s --out {place}"),
        "audit --storm punch-hole".to_owned(),
        "breakdown".to_owned(),
    ] {
        shell(limited, &mode).refused(&["ulimit -v", "fewer --pages"]);
    }
    assert_empty(out.path());
}

#[test]
fn a_small_stack_and_a_closed_output_are_told_from_success() {
    let small = shell("ulimit -s 64; exec \"$0\" list", "");
    assert!(!small.text().is_empty());
    shell("exec \"$0\" list >&-", "").refused(&[]);
    shell("exec \"$0\" list >/dev/null", "").text();
    let long = run(&format!("storm --seed {}", "9".repeat(5_000))).said;
    assert!(long.len() < 400 && long.contains("--seed"), "{long}");
}

#[test]
fn help_and_lists_are_output() {
    for line in ["--help", "storm --help", "list", "--version"] {
        let told = run(line);
        assert_eq!(told.said, "", "{line}");
        assert!(!told.text().is_empty(), "{line}");
    }
}

#[test]
fn the_version_names_the_commit() {
    let version = run("--version").text();
    assert_eq!(
        version.trim_end(),
        format!("faultaround {}", machine_facts::environment::BUILD)
    );
    assert!(version.contains(" (commit "), "{version}");
}

/// How many schemes run unless they are named.
fn sound() -> usize {
    let all = Schemes::<Native>::ALL.iter();
    all.filter(|scheme| scheme.about().verdict.is_sound())
        .count()
}

#[test]
fn a_run_prints_its_table_and_nothing_else_and_leaves_its_directory() {
    let out = tempfile::tempdir().unwrap();
    let told = quick(out.path(), "--duration 10ms --cpus 0 --format tsv");
    assert_has(&told.said, &["left out: storm punch-hole"]);
    let text = told.text();
    let lines = table(&text);
    assert_eq!(lines.len(), 1 + sound(), "on one CPU: {text}");
    let of = |line: usize, name: &str| {
        let column = lines[0]
            .iter()
            .position(|field| *field == name)
            .expect(name);
        lines[line][column]
    };
    assert_eq!((of(1, "scheme"), of(1, "ratio")), ("page-locked", "1"));
    assert_eq!((of(2, "scheme"), of(2, "storm")), ("folio-batched", "none"));
    assert_eq!((of(2, "rounds"), of(2, "remover_p99_ns")), ("2", "nan"));
    assert!(of(2, "ns_per_page").parse::<f64>().unwrap() > 0.0);

    let directory = only(out.path());
    assert!(directory.to_str().unwrap().ends_with("-storm"));
    assert_eq!(
        fs::read_to_string(directory.join("summary.tsv")).unwrap(),
        text
    );
    let json = fs::read(directory.join("run.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(
        (&json["complete"], &json["schema_version"]),
        (&true.into(), &2.into())
    );
    // The schemes and the baseline again, twice each.
    let cells = 2 * (sound() + 1);
    assert_eq!(json["rounds"].as_array().unwrap().len(), cells);
    assert!(json["environment"]["kernel"]["release"].is_string());
    let report = fs::read_to_string(directory.join("report.txt")).unwrap();
    assert_fits(&report, 72);
    let names = names(&directory);
    for scheme in ["page-locked", "page-locked-again", "mapcount-recheck"] {
        for kind in ["hgrm", "hlog"] {
            assert!(
                names.contains(&format!("none-1-{scheme}-faults.{kind}")),
                "{names:?}"
            );
        }
    }
}

#[test]
fn a_storm_is_measured_on_both_sides_and_labelled_when_threads_share_a_cpu() {
    let out = tempfile::tempdir().unwrap();
    let line = "--duration 200ms --cpus 0 --oversubscribe --storm punch-hole --threads 1 \
                --format json --scheme page-locked,sketch";
    let json = quick(out.path(), line).json();
    let group = &json["summary"][0];
    assert_eq!(group["oversubscribed"], true);
    let rows = group["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert!(
        rows.iter()
            .all(|row| row["remover"]["ops"].as_u64().unwrap() > 0)
    );
    assert_eq!(
        (&rows[2]["scheme"], &rows[2]["broken"]),
        (&"sketch".into(), &true.into())
    );
    let report = fs::read_to_string(only(out.path()).join("report.txt")).unwrap();
    assert_has(&report, &["OVERSUBSCRIBED", "\nsketch (broken) "]);
}

#[test]
fn output_that_nobody_reads_is_no_failure() {
    let mut child = faultaround("list").spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
