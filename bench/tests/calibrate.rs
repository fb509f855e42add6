//! `faultaround calibrate`, and storms that carry what it found.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};

use running_kernel::host::FileKind;
use serde_json::Value;
use support::processes::signal;
use support::{Told, assert_fits, assert_has, faultaround, labelled, run, unwrapped};

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
    let short = "--rounds 2 --duration 10ms --pages 512 --seed 1";
    let mut calibrate = format!("calibrate --out {place} {short}");
    match FileKind::in_dir(place, 1) {
        Ok(_) => calibrate += &format!(" --dir {place}"),
        Err(error) => eprintln!("without files in a directory: {error}"),
    }
    let printed = run(&calibrate).text();
    let directory = labelled(out.path(), "-calibration");
    let report = fs::read_to_string(directory.join("report.txt")).unwrap();
    assert!(printed.starts_with(&report), "{printed}");
    assert_fits(&report, 72);
    assert_has(
        &report,
        &[
            "what a fault costs",
            "memfd",
            "what the kernel does beyond",
            "what a patch would",
        ],
    );
    let again = run(&format!("report {}", directory.display())).text();
    assert_eq!(again, report);

    let file = directory.join("calibration.json");
    let recorded: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    loops_were_brought_to_the_kernels_length(&recorded["calibration"]);
    locks_matter_less_where_there_is_other_work(&recorded["calibration"]);

    // Every fault is dearer by what it carries: that is far more than a bare fault takes.
    let file = file.to_str().unwrap();
    let storm = |file: &str, more: &str| {
        let line = "storm --scheme page-locked --storm none --threads 1 --calibrated";
        run(&format!("{line} {file} {more}"))
    };
    let short_storm = format!("--watch 0s --out {place} {short}");
    let printed = storm(file, &short_storm).text();
    let run_json = labelled(out.path(), "-storm").join("run.json");
    let carried: Value = serde_json::from_str(&fs::read_to_string(run_json).unwrap()).unwrap();
    // Half of the faults are on their CPU from start to end, whatever runs beside them.
    let p50_ns = |load: &str| {
        let mut groups = carried["summary"].as_array().unwrap().iter();
        let group = groups.find(|group| group["storm"] == load).expect("a load");
        group["rows"][0]["latency"]["p50_ns"].as_f64().unwrap()
    };
    let (bare, laden) = (p50_ns("none"), p50_ns("none-calibrated"));
    assert!(laden > 1.2 * bare, "{bare}, {laden}");
    assert!(
        carried["calibration"]["calibration"]["carried"]["turns"]["fault"].as_f64() > Some(0.0)
    );
    assert!(printed.contains("calibrated"), "{printed}");

    storm("/nowhere/at/all", "").refused(&["faultaround calibrate"]);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut changed = recorded.clone();
        change(&mut changed);
        let path = out.path().join("changed.json");
        fs::write(&path, changed.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let elsewhere = changed(&|it| it["environment"]["processor"]["model"] = "Another CPU".into());
    storm(&elsewhere, "").refused(&["Another CPU"]);

    // Without its loop a fault is far cheaper than the kernel's.
    let drifted = changed(&|it| {
        it["calibration"]["carried"]["turns"]["fault"] = 0.0.into();
        it["environment"]["kernel"]["release"] = "9.9.9".into();
    });
    let printed = storm(&drifted, &short_storm).text;
    let on = "calibrated on Linux 9.9.9";
    let drift = "isn't what it was when it was calibrated";
    assert_has(&unwrapped(&printed), &[on, drift]);
    let alone = changed(&|it| it["calibration"]["carried"]["turns"]["page"] = (-5.0).into());
    storm(&alone, "").refused(&["-5 turns of page"]);
    let calibrate = |options: &str| run(&format!("calibrate --out {place} {options}"));
    calibrate("--rounds auto").refused(&["a whole number"]);
    calibrate("--format tsv").refused(&["text or json"]);
    let memory = recorded["environment"]["memory_bytes"].as_u64();
    if memory.is_some_and(|bytes| bytes >> 30 < 64) {
        calibrate("--pages 16777216").refused(&["fewer --pages"]);
    }
    calibrate("--dir /nowhere/at/all").refused(&["/nowhere/at/all"]);
}

/// Ctrl-C under storms, which take so long that nothing else ends them.
#[test]
fn a_calibration_that_is_stopped_keeps_what_it_found() {
    let out = tempfile::tempdir().unwrap();
    let line = "calibrate --rounds 2 --duration 600s --watch 0s --out";
    let mut command = faultaround(&format!("{line} {}", out.path().display()));
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let storms = lines.find(|line| line.as_ref().unwrap().starts_with("storms on the kernel"));
    assert!(storms.is_some(), "{:?}", child.wait_with_output());
    signal("-INT", child.id().into());
    let told = Told::of(child.wait_with_output().unwrap());
    assert_eq!(told.status, Some(130), "{told:?}");
    let printed = told.text;
    assert!(printed.starts_with("INCOMPLETE"), "{printed}");
    let directory = labelled(out.path(), "-calibration.partial");
    let again = run(&format!("report {}", directory.display())).text();
    assert!(printed.starts_with(&again), "{again}");
    assert_has(
        &again,
        &["memfd", "calibrated, order 0", "for each operation"],
    );
}
