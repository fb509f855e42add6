//! Calibrations of made-up figures, as they are told.

use running_kernel::calibration::fixture::{on_one_cpu, recorded};
use running_kernel::calibration::*;

use super as report;

#[test]
fn a_report_fits_a_mail_and_says_what_was_met_and_what_was_not() {
    let text = report::text(&recorded());
    let too_wide: Vec<_> = text.lines().filter(|line| line.len() > 72).collect();
    assert!(too_wide.is_empty(), "{too_wide:#?}");
    let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "memfd 740.0 740.0-740.0 120.0 120.0-120.0 1.0000",
        "zapped-page 194.0",
        "1 of 2 met (+); 0 by the median alone, the interval reaching beyond or unknown (?); 1 not (!)",
        "40 rounds of fits (once, a page, a missing page), 20 rounds of storms",
        "missing fault, punch-hole: in some round nothing was recorded",
        "~ not told apart from folio-batched",
        "kernel a < b; model b < a. NOT the same: a and b",
        "fused-count -50.0 -20.0 -21.6 -18.4",
        "page-locked -50.0 +25.0",
        "of 16 order-0 pages (2500 ns under folio-batched) alone, fused-count would bring most: -20.0% (",
        "of one order-4 folio (2500 ns under folio-batched) alone, no scheme is told to be faster than what the kernel has",
        "no file with folios of 16 pages was measured",
        "again cargo run --release -- calibrate --seed 1",
    ] {
        assert!(words.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(
        text.lines()
            .any(|line| line.contains("a page, order 0") && line.ends_with('+'))
    );
    assert!(
        text.lines()
            .any(|line| line.contains("fault, truncate") && line.ends_with('!'))
    );
    assert!(report::markdown(&recorded()).contains("| a page, order 0 ns |"));
}

#[test]
fn of_one_cpu_no_interrupts_are_told() {
    assert!(report::text(&recorded()).contains("\nflushed"));
    assert!(!report::text(&on_one_cpu()).contains("\nflushed"));
}

#[test]
fn a_calibration_that_was_stopped_says_what_it_lacks_and_one_cpu_has_no_storms() {
    let words = |change: &dyn Fn(&mut Calibration)| {
        let mut recorded = recorded();
        change(&mut recorded.calibration);
        let text = report::text(&recorded);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(!words(&|_| ()).contains("INCOMPLETE"));
    let stopped = words(&|it| {
        it.complete = false;
        it.carried.turns.clear();
        it.fidelity = None;
        it.projected.clear();
    });
    assert!(
        stopped.starts_with("INCOMPLETE: the calibration was stopped; the loops that stand"),
        "{stopped}"
    );
    let alone = words(&|it| {
        if let Some(fidelity) = &mut it.fidelity {
            fidelity.order = [vec!["none x1".to_owned()], vec!["none x1".to_owned()]];
            fidelity.rounds = 2;
        }
        for it in &mut it.projected {
            it.rounds = 2;
        }
    });
    for part in [
        "storms not measured: they, and a second process, take a second CPU",
        "2 rounds of storms; where there are fewer than six",
        "After 2 rounds nothing can be told apart.",
    ] {
        assert!(alone.contains(part), "{part:?} is not in {alone}");
    }
    assert!(!alone.contains("would bring most"), "{alone}");
    assert!(!alone.contains(" x how many times"), "{alone}");
}

#[test]
fn a_calibration_is_read_back_and_anything_else_is_refused_in_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    let is_refused = |contents: &str, because: &str| {
        std::fs::write(&path, contents).unwrap();
        let error = Recorded::read(&path).unwrap_err().to_string();
        assert!(error.contains(because) && !error.contains('\n'), "{error}");
    };
    is_refused("not json", "no calibration");
    is_refused("{}", "schema_version");
    is_refused("{\"schema_version\": 7}", "its version is 7");
    is_refused("{\"schema_version\": 1}", "missing field");
    let missing = Recorded::read(&directory.path().join("none")).unwrap_err();
    assert!(
        missing.to_string().contains("faultaround calibrate"),
        "{missing}"
    );

    let recorded = recorded();
    std::fs::write(&path, serde_json::to_string(&recorded).unwrap()).unwrap();
    assert!(Recorded::is_in(directory.path()));
    for given in [path.as_path(), directory.path()] {
        let read = Recorded::read(given).unwrap();
        assert_eq!(report::text(&read), report::text(&recorded));
        assert_eq!(
            read.calibration.carried.burden(),
            recorded.calibration.carried.burden()
        );
    }
    let mut elsewhere = recorded.environment.clone();
    recorded.may_be_carried(&elsewhere).unwrap();
    elsewhere.processor.model = Some("Another CPU".to_owned());
    let refused = recorded.may_be_carried(&elsewhere).unwrap_err();
    assert!(matches!(refused, CalibrationError::OtherMachine { .. }));
    assert!(refused.to_string().contains("Another CPU"));
}
