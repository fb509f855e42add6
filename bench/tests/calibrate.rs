//! `faultaround calibrate`, and storms that carry what it found.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use running_kernel::host::FileKind;
use serde_json::Value;

fn faultaround(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultaround"));
    command.args(arguments).output().unwrap()
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// The only directory in `out` whose name ends like this.
fn directory(out: &Path, label: &str) -> PathBuf {
    let entries = fs::read_dir(out)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut found = entries.filter(|path| path.to_string_lossy().ends_with(label));
    let path = found.next().expect("a directory");
    assert_eq!(found.next(), None);
    path
}

fn is_refused(output: &Output, because: &str) {
    let (stdout, stderr) = said(output);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(
        (stdout.as_str(), stderr.lines().count()),
        ("", 1),
        "{stderr}"
    );
    assert!(stderr.contains(because), "{stderr}");
}

/// The median of one figure of a fit over folios of one page.
fn fitted(calibration: &Value, side: &str, figure: &str) -> f64 {
    let mut costs = calibration["faults"].as_array().unwrap().iter();
    let is = |cost: &&Value| cost["side"] == side && cost["order"] == 0;
    let cost = costs.find(is).expect("a fit");
    cost["fit"][figure]["median"].as_f64().unwrap()
}

fn loops_were_brought_to_the_kernels_length(calibration: &Value) {
    let [kernel, bare, calibrated] =
        ["kernel", "bare", "calibrated"].map(|side| fitted(calibration, side, "intercept_ns"));
    assert!(bare < 0.5 * kernel, "{bare}, {kernel}");
    assert!(
        (0.5..2.0).contains(&(calibrated / kernel)),
        "{calibrated}, {kernel}"
    );
}

fn locks_matter_less_where_there_is_other_work(calibration: &Value) {
    let mut projected = calibration["projected"].as_array().unwrap().iter();
    let fused = projected.find(|it| it["scheme"] == "fused-count" && it["threads"] == 1);
    let fused = fused.expect("a projection");
    let [bare, calibrated] =
        ["bare", "speed"].map(|model| fused[model]["median"].as_f64().unwrap());
    assert!(bare > calibrated, "{bare}, {calibrated}");
    let own = fused["own_p50_ns"].as_u64().expect("the kernel's scheme");
    let kernel = fitted(calibration, "kernel", "intercept_ns");
    assert!(own as f64 > kernel / 2.0, "{own}, {kernel}");
}

/// One test: calibrations take a while.
#[test]
fn a_calibration_is_measured_kept_printed_again_and_carried() {
    let out = tempfile::tempdir().unwrap();
    let place = out.path().to_str().unwrap();
    let short = [
        "--rounds",
        "2",
        "--duration",
        "10ms",
        "--pages",
        "512",
        "--seed",
        "1",
    ];
    let mut calibrate = vec!["calibrate", "--out", place];
    match FileKind::in_dir(place, 1) {
        Ok(_) => calibrate.extend(["--dir", place]),
        Err(error) => eprintln!("without files in a directory: {error}"),
    }
    let output = faultaround(&[&calibrate[..], &short[..]].concat());
    let (printed, stderr) = said(&output);
    assert!(output.status.success(), "{stderr}");
    let directory_of = directory(out.path(), "-calibration");
    let report = fs::read_to_string(directory_of.join("report.txt")).unwrap();
    assert!(printed.starts_with(&report), "{printed}");
    assert!(report.lines().all(|line| line.len() <= 72), "{report}");
    for part in [
        "what a fault costs",
        "memfd",
        "what the kernel does beyond",
        "what a patch would",
    ] {
        assert!(report.contains(part), "{part:?} is not in\n{report}");
    }
    let again = faultaround(&["report", directory_of.to_str().unwrap()]);
    assert_eq!(said(&again).0, report);

    let file = directory_of.join("calibration.json");
    let recorded: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    loops_were_brought_to_the_kernels_length(&recorded["calibration"]);
    locks_matter_less_where_there_is_other_work(&recorded["calibration"]);

    // Every fault is dearer by what it carries: that is far more than a bare fault takes.
    let file = file.to_str().unwrap();
    let scheme = [
        "storm",
        "--scheme",
        "page-locked",
        "--storm",
        "none",
        "--threads",
        "1",
    ];
    let calibrated = ["--calibrated", file, "--watch", "0s", "--out", place];
    let output = faultaround(&[&scheme[..], &calibrated[..], &short[..]].concat());
    let (printed, stderr) = said(&output);
    assert!(output.status.success(), "{stderr}");
    let run = directory(out.path(), "-storm").join("run.json");
    let run: Value = serde_json::from_str(&fs::read_to_string(run).unwrap()).unwrap();
    let ns_per_page = |load: &str| {
        let mut groups = run["summary"].as_array().unwrap().iter();
        let group = groups.find(|group| group["storm"] == load).expect("a load");
        group["rows"][0]["ns_per_page"]["median"].as_f64().unwrap()
    };
    let (bare, laden) = (ns_per_page("none"), ns_per_page("none-calibrated"));
    assert!(laden > 1.2 * bare, "{bare}, {laden}");
    assert!(run["calibration"]["calibration"]["carried"]["turns"]["fault"].as_f64() > Some(0.0));
    assert!(printed.contains("calibrated"), "{printed}");

    let storm = |file: &str| faultaround(&[&scheme[..], &["--calibrated", file]].concat());
    is_refused(&storm("/nowhere/at/all"), "faultaround calibrate");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut changed = recorded.clone();
        change(&mut changed);
        let path = out.path().join("changed.json");
        fs::write(&path, changed.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let elsewhere = changed(&|it| it["environment"]["processor"]["model"] = "Another CPU".into());
    is_refused(&storm(&elsewhere), "Another CPU");

    // Without its loop a fault is far cheaper than the kernel's.
    let drifted = changed(&|it| {
        it["calibration"]["carried"]["turns"]["fault"] = 0.0.into();
        it["environment"]["kernel"]["release"] = "9.9.9".into();
    });
    let drifted = ["--calibrated", &drifted, "--watch", "0s", "--out", place];
    let output = faultaround(&[&scheme[..], &drifted[..], &short[..]].concat());
    let printed = said(&output).0;
    let printed: String = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "calibrated on Linux 9.9.9",
        "isn't what it was when it was calibrated",
    ] {
        assert!(printed.contains(part), "{part:?} is not in {printed}");
    }
    let alone = changed(&|it| it["calibration"]["carried"]["turns"]["page"] = (-5.0).into());
    is_refused(&storm(&alone), "-5 turns of page");
    let mut wrong = vec![
        ("--rounds", "auto", "a whole number"),
        ("--format", "tsv", "text or json"),
    ];
    let memory = recorded["environment"]["memory_bytes"].as_u64();
    if memory.is_some_and(|bytes| bytes >> 30 < 64) {
        wrong.push(("--pages", "16777216", "fewer --pages"));
    }
    for (option, value, because) in wrong {
        is_refused(
            &faultaround(&["calibrate", "--out", place, option, value]),
            because,
        );
    }
    is_refused(
        &faultaround(&["calibrate", "--dir", "/nowhere/at/all"]),
        "/nowhere/at/all",
    );
}

/// Ctrl-C under storms, which take so long that nothing else ends them.
#[test]
fn a_calibration_that_is_stopped_keeps_what_it_found() {
    let out = tempfile::tempdir().unwrap();
    let place = out.path().to_str().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultaround"));
    command.args(["calibrate", "--rounds", "2", "--duration", "600s"]);
    command.args(["--watch", "0s", "--out", place]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let storms = lines.find(|line| line.as_ref().unwrap().starts_with("storms on the kernel"));
    assert!(storms.is_some(), "{:?}", child.wait_with_output());
    let mut kill = Command::new("kill");
    kill.args(["-INT", &child.id().to_string()]);
    assert!(kill.status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let (printed, _) = said(&output);
    assert!(printed.starts_with("INCOMPLETE"), "{printed}");
    let directory = directory(out.path(), "-calibration.partial");
    let again = said(&faultaround(&["report", directory.to_str().unwrap()])).0;
    assert!(printed.starts_with(&again), "{again}");
    for part in ["memfd", "calibrated, order 0", "for each operation"] {
        assert!(again.contains(part), "{part:?} is not in {again}");
    }
}
