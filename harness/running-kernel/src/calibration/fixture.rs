//! A calibration of made-up figures, for tests here and in the crates above.

use std::path::Path;

use jiff::Timestamp;
use machine_facts::environment::Environment;
use machine_facts::statistics::{Interval, Verdict};
use machine_facts::topology::Topology;

use super::burden::{self, Measured};
use super::fidelity::{Compared, Fidelity};
use super::file::{Recorded, SCHEMA_VERSION};
use super::fit::Fit;
use super::flush::Flush;
use super::projection::Projected;
use super::removal::{CASES, Removals, SIZES};
use super::{Calibration, FaultCost, RemovalCost, Side};

/// A fit whose rounds all lie on one line.
pub(super) fn line(once: f64, page: f64, sizes: &[u32]) -> Option<Fit> {
    let point = |pages: &u32| (*pages, once + page * f64::from(*pages));
    let round: Vec<_> = sizes.iter().map(point).collect();
    Fit::of(&vec![round; 8])
}

/// What a side's faults and removals cost: of small folios, of large ones, of holes that aren't
/// mapped and of those that are; and a fault on a missing page.
pub(super) fn side(
    small: [f64; 2],
    large: [f64; 2],
    hole: [f64; 2],
    mapped: [f64; 2],
    slow: f64,
) -> Measured {
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

pub(super) fn kernel() -> Measured {
    side(
        [740.0, 120.0],
        [900.0, 17.0],
        [1400.0, 270.0],
        [4700.0, 480.0],
        2400.0,
    )
}

pub(super) fn bare() -> Measured {
    side(
        [20.0, 35.0],
        [70.0, 8.0],
        [100.0, 64.0],
        [110.0, 80.0],
        180.0,
    )
}

pub(super) fn interval(median: f64) -> Interval {
    Interval::bootstrap([median * 0.98, median, median * 1.02, median, median, median]).unwrap()
}

pub(super) fn flush() -> Flush {
    Flush {
        remover_ns: interval(2500.0),
        interrupted_ns: interval(5700.0),
    }
}

/// A calibration as it might be.
pub fn recorded() -> Recorded {
    // Of a machine that isn't there nothing is known, on whatever machine tests run.
    let topology = Topology::detect().unwrap();
    let environment = Environment::capture_from(Path::new("/nowhere"), &topology);
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
        environment,
        caveats: vec!["a caveat".to_owned()],
        files: vec![("memfd".to_owned(), "tmpfs".to_owned())],
        setup: measuring::fixture::setup(),
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

/// The same on a machine with one CPU, where no interrupts for flushes are.
pub fn on_one_cpu() -> Recorded {
    let mut alone = recorded();
    alone.calibration.flush = None;
    alone.calibration.carried = burden::remaining(&kernel(), &bare(), None);
    alone.calibration.carried.guess(2.0);
    alone
}
