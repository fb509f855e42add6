//! `faultaround host --calibrate`, and storms that carry what it found.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::host::FileKind;

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
    let mut calibrate = vec!["host", "--calibrate", "--out", place];
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

    // Every fault is dearer by what it carries: that is far more than a bare fault takes.
    let file = directory_of.join("calibration.json");
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
    let run: serde_json::Value = serde_json::from_str(&fs::read_to_string(run).unwrap()).unwrap();
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
    is_refused(&storm("/nowhere/at/all"), "host --calibrate");
    let elsewhere = out.path().join("elsewhere.json");
    let mut changed: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    changed["environment"]["processor"]["model"] = "Another CPU".into();
    fs::write(&elsewhere, changed.to_string()).unwrap();
    is_refused(&storm(elsewhere.to_str().unwrap()), "Another CPU");
    is_refused(
        &faultaround(&["host", "--calibrate", "--rounds", "auto"]),
        "takes a number",
    );
    is_refused(
        &faultaround(&["host", "--calibrate", "--dir", "/nowhere/at/all"]),
        "/nowhere/at/all",
    );
}
