//! Calibrations of made-up figures.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kernel_model::Orders;
use kernel_model::platform::{TURN, Work};

use super::burden::{self, Carried, Measured, Need};
use super::fidelity::{Compared, Fidelity};
use super::file::{CalibrationError, FILE, Recorded, SCHEMA_VERSION};
use super::fit::Fit;
use super::flush::Flush;
use super::projection::Projected;
use super::removal::{CASES, Removals, SIZES};
use super::{Calibration, FaultCost, RemovalCost, Side, report};
use crate::report::fixture;
use crate::statistics::{Interval, Verdict};

/// A fit whose rounds all lie on one line.
fn line(once: f64, page: f64, sizes: &[u32]) -> Option<Fit> {
    let point = |pages: &u32| (*pages, once + page * f64::from(*pages));
    let round: Vec<_> = sizes.iter().map(point).collect();
    Fit::of(&vec![round; 8])
}

/// What a side's faults and removals cost: of small folios, of large ones, of holes that aren't
/// mapped and of those that are; and a fault on a missing page.
fn side(small: [f64; 2], large: [f64; 2], hole: [f64; 2], mapped: [f64; 2], slow: f64) -> Measured {
    const WINDOWS: [u32; 3] = [1, 4, 16];
    let fits = CASES.iter().map(|case| {
        let [once, page] = if case.mapped { mapped } else { hole };
        line(once, page, &SIZES)
    });
    Measured {
        small: line(small[0], small[1], &WINDOWS),
        large: line(large[0], large[1], &WINDOWS),
        removals: Some(Removals {
            fits: fits.collect(),
            slow_ns: vec![slow; 8],
        }),
    }
}

fn kernel() -> Measured {
    side(
        [740.0, 120.0],
        [900.0, 17.0],
        [1400.0, 270.0],
        [4700.0, 480.0],
        2400.0,
    )
}

fn bare() -> Measured {
    side(
        [20.0, 35.0],
        [70.0, 8.0],
        [100.0, 64.0],
        [110.0, 80.0],
        180.0,
    )
}

fn interval(median: f64) -> Interval {
    Interval::bootstrap([median * 0.98, median, median * 1.02, median, median, median]).unwrap()
}

fn flush() -> Flush {
    Flush {
        remover_ns: interval(2500.0),
        interrupted_ns: interval(5700.0),
    }
}

#[test]
fn what_remains_is_the_difference_and_is_shared_out_without_being_counted_twice() {
    let carried = burden::remaining(&kernel(), &bare(), Some(&flush()));
    let remaining = |work| carried.remaining_ns[burden::name_of(work)];
    for (work, ns) in [
        (Work::Fault, 720.0),
        (Work::Page, 9.0),
        // A page of a folio of its own costs 85 more, of which 9 are the page's.
        (Work::Range, 76.0),
        // A fault that finds nothing is a fault first.
        (Work::Slow, 2220.0 - 720.0),
        (Work::Removal, 1300.0),
        (Work::RemovedFolio, 206.0),
        (Work::ZappedPage, 210.0 - 16.0),
        (Work::Flush, 3300.0 - 10.0 + 2500.0),
        (Work::Flushed, 5700.0),
    ] {
        assert!(
            (remaining(work) - ns).abs() < 1e-6,
            "{work:?}: {}",
            remaining(work)
        );
    }
}

#[test]
fn a_model_that_is_dearer_than_the_kernel_carries_nothing() {
    let carried = burden::remaining(&bare(), &kernel(), None);
    assert!(
        carried.remaining_ns.values().all(|ns| *ns == 0.0),
        "{carried:?}"
    );
    let none = burden::remaining(&Measured::default(), &bare(), None);
    assert!(none.remaining_ns.values().all(|ns| *ns == 0.0), "{none:?}");
}

#[test]
fn loops_are_corrected_until_the_model_costs_what_the_kernel_does() {
    let (kernel, bare) = (kernel(), bare());
    let mut carried = burden::remaining(&kernel, &bare, Some(&flush()));
    // The CPU does a third of each loop beside what is around it; a turn alone takes 2 ns.
    const NS_PER_TURN: f64 = 2.0;
    const SEEN: f64 = 0.66;
    carried.guess(NS_PER_TURN);
    let burdened = |carried: &Carried| {
        let ns = |work| carried.turns[burden::name_of(work)] * NS_PER_TURN * SEEN;
        let fault = ns(Work::Fault);
        side(
            [20.0 + fault, 35.0 + ns(Work::Range) + ns(Work::Page)],
            [70.0 + fault + ns(Work::Range), 8.0 + ns(Work::Page)],
            [100.0 + ns(Work::Removal), 64.0 + ns(Work::RemovedFolio)],
            [
                110.0 + ns(Work::Removal) + ns(Work::Flush),
                80.0 + ns(Work::RemovedFolio) + ns(Work::ZappedPage),
            ],
            180.0 + fault + ns(Work::Slow),
        )
    };
    for _ in 0..12 {
        let now = burdened(&carried);
        burden::correct(&mut carried, &kernel, &now, Some(&flush()), NS_PER_TURN);
    }
    for (name, wanted) in &carried.remaining_ns {
        if name != burden::name_of(Work::Flushed) {
            let is = carried.turns[name] * NS_PER_TURN * SEEN;
            assert!(
                (is - wanted).abs() <= 0.01 * wanted + 0.1,
                "{name}: {is}, not {wanted}"
            );
        }
    }
    let burden = carried.burden();
    let turns = carried.turns[burden::name_of(Work::Page)];
    assert_eq!(burden[Work::Page], (turns * f64::from(TURN)).round() as u32);
}

#[test]
fn loops_are_those_of_the_time_in_which_the_machine_had_least_else_to_do() {
    let need = |time_ns: f64, fault: f64| Need {
        time_ns,
        turns: BTreeMap::from([("fault".to_owned(), fault)]),
    };
    let fast = [need(2000.0, 100.0), need(2010.0, 104.0)];
    let slow = |turns| need(3300.0, turns);
    let [one, other] = fast.clone();
    let needs = vec![
        need(1000.0, 7.0),
        slow(150.0),
        one,
        slow(160.0),
        slow(140.0),
        other,
        slow(1.0),
    ];
    assert_eq!(burden::undisturbed(needs)["fault"], 102.0);
    assert_eq!(burden::mean(&fast)["fault"], 102.0);
    assert_eq!(burden::undisturbed(vec![slow(5.0)])["fault"], 5.0);
}

/// A calibration as it might be.
fn recorded() -> Recorded {
    let header = fixture::header();
    let made = fixture::Fixture::default().make();
    let cost = |of: &str, side, order, fit: Option<Fit>| FaultCost {
        of: of.to_owned(),
        side,
        order,
        fit: fit.unwrap(),
    };
    let row = |what: &str, unit: &str, ratio: f64, goal| Compared {
        what: what.to_owned(),
        unit: unit.to_owned(),
        kernel: interval(25_175.0),
        calibrated: interval(25_175.0 * ratio),
        bare: interval(4869.0),
        ratio: interval(ratio),
        goal,
    };
    let projected = |scheme: &str, again, order, speed, verdict| Projected {
        scheme: scheme.to_owned(),
        again,
        order,
        threads: 1,
        rounds: 20,
        speed: interval(speed),
        verdict: Some(verdict),
        bare: Some(interval(2.0)),
        pages_per_s: None,
        p50_ns: Some(2000),
        own_p50_ns: Some(2500),
    };
    let removals = kernel().removals.unwrap();
    let mut carried = burden::remaining(&kernel(), &bare(), Some(&flush()));
    carried.guess(2.0);
    Recorded {
        schema_version: SCHEMA_VERSION,
        command: "faultaround calibrate".to_owned(),
        rerun: "cargo run --release -- calibrate --seed 1".to_owned(),
        started: Timestamp::UNIX_EPOCH,
        environment: header.environment,
        caveats: vec!["a caveat".to_owned()],
        files: vec![("memfd".to_owned(), "tmpfs".to_owned())],
        setup: made.run.configuration.setup,
        seed: 1,
        elapsed_s: 60.0,
        stolen_s: None,
        noise: Vec::new(),
        calibration: Calibration {
            complete: true,
            fit_rounds: 40,
            scheme: "folio-batched".to_owned(),
            faults: vec![
                cost("memfd", Side::Kernel, 0, kernel().small),
                cost("folio-batched", Side::Bare, 0, bare().small),
            ],
            removals: vec![RemovalCost {
                call: CASES[0].call.to_owned(),
                mapped: CASES[0].mapped,
                side: Side::Kernel,
                fit: removals.fits[0].clone().unwrap(),
            }],
            flush: Some(flush()),
            carried,
            fidelity: Some(Fidelity {
                rate_per_s: 2000.0,
                hole_pages: 64,
                rounds: 20,
                missing: vec!["fault, punch-hole".to_owned()],
                rows: vec![
                    row("a page, order 0", "ns", 1.04, Some(0.1)),
                    row("fault, truncate", "", 1.4, Some(0.25)),
                ],
                order: [["a", "b"], ["b", "a"]].map(|it| it.map(str::to_owned).to_vec()),
                contradicted: vec!["a and b".to_owned()],
            }),
            projected: vec![
                projected("folio-batched", true, 0, 1.0, Verdict::NotToldApart),
                projected("fused-count", false, 0, 1.25, Verdict::Faster),
                projected("page-locked", false, 0, 0.8, Verdict::Slower),
                projected("fused-count", false, 4, 1.01, Verdict::NotToldApart),
            ],
        },
    }
}

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
fn what_a_calibration_is_not_of_is_said() {
    let mut recorded = recorded();
    let mut here = recorded.environment.clone();
    let [caveat] = &recorded.unlike(&here, Orders::All(0))[..] else {
        panic!("the fixture's CPU is unknown");
    };
    assert!(caveat.contains("can't be told"), "{caveat}");
    here.processor.model = Some("A CPU".to_owned());
    assert!(recorded.unlike(&here, Orders::All(0)).is_empty());
    for orders in [Orders::All(4), Orders::Mix] {
        let [caveat] = &recorded.unlike(&here, orders)[..] else {
            panic!("{orders:?}");
        };
        assert!(caveat.contains("without large folios"), "{caveat}");
    }
    let mut large = recorded.calibration.faults[0].clone();
    large.order = 4;
    recorded.calibration.faults.push(large);
    assert!(recorded.unlike(&here, Orders::Mix).is_empty());
    let mut newer = here.clone();
    newer.kernel.release = Some("9.9.9".to_owned());
    let caveats = recorded.unlike(&newer, Orders::All(0));
    assert!(
        caveats.len() == 1 && caveats[0].ends_with("this is 9.9.9"),
        "{caveats:?}"
    );
    recorded.calibration.flush = None;
    let caveats = recorded.unlike(&here, Orders::All(0));
    assert!(
        caveats.len() == 1 && caveats[0].contains("on one CPU"),
        "{caveats:?}"
    );
}

#[test]
fn what_no_calibration_finds_is_not_carried() {
    let refused = |because: &str, change: &dyn Fn(&mut Calibration)| {
        let mut recorded = recorded();
        change(&mut recorded.calibration);
        let error = recorded.may_be_carried(&recorded.environment).unwrap_err();
        let line = error.to_string();
        assert!(line.contains(because) && !line.contains('\n'), "{line}");
    };
    let turns = |work: Work, turns: f64| {
        move |it: &mut Calibration| {
            let name = burden::name_of(work).to_owned();
            it.carried.turns.insert(name, turns);
        }
    };
    recorded().may_be_carried(&recorded().environment).unwrap();
    refused("-5 turns of fault", &turns(Work::Fault, -5.0));
    refused("turns of page, where 0 to 10000", &turns(Work::Page, 1e6));
    refused("NaN turns of slow", &turns(Work::Slow, f64::NAN));
    refused("stopped before its loops", &|it| it.carried.turns.clear());
    refused("no turns of range", &|it| {
        it.carried.turns.remove(burden::name_of(Work::Range));
    });
    refused("\"foo\" is no sound scheme", &|it| {
        it.scheme = "foo".to_owned()
    });
    refused("\"sketch\" is no sound scheme", &|it| {
        it.scheme = "sketch".to_owned();
    });
    refused("a window of 3 pages", &|it| {
        it.faults[0].fit.points[0].0 = 3
    });
    // One CPU has no other to interrupt.
    let mut alone = recorded();
    let flushed = burden::name_of(Work::Flushed);
    alone.calibration.carried = burden::remaining(&kernel(), &bare(), None);
    alone.calibration.carried.guess(2.0);
    assert!(!alone.calibration.carried.turns.contains_key(flushed));
    alone.may_be_carried(&alone.environment).unwrap();
    assert!(!report::text(&alone).contains("\nflushed"));
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
