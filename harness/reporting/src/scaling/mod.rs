//! How throughput grows with the number of fault threads, scheme by scheme.

mod usl;

use std::collections::BTreeMap;

use measuring::rounds::{CellRound, Variant};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde::Serialize;

use crate::record::Run;

pub use usl::{FEWEST_POINTS, Usl};

/// A value with a 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// The lower end.
    pub lo: f64,
    /// The upper end.
    pub hi: f64,
}

/// The law fitted to one scheme under one storm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scaling {
    /// The storm.
    pub storm: String,
    /// The scheme.
    pub scheme: String,
    /// Whether it is known to be broken.
    pub broken: bool,
    /// The numbers of threads that it rests on.
    pub threads: Vec<u32>,
    /// The fit to the medians.
    pub law: Usl,
    /// Throughput of one thread, in pages per second.
    pub lambda: Estimate,
    /// Contention.
    pub sigma: Estimate,
    /// Coherency.
    pub kappa: Estimate,
    /// The number of threads with the highest throughput.
    pub peak: Estimate,
    /// The largest error of the fit at a measured point, as a share of what was measured there.
    pub worst_error: f64,
}

/// How far beyond the measured numbers of threads a law may be followed without saying so.
pub const REACH: f64 = 2.0;

impl Scaling {
    /// The largest measured number of threads.
    pub fn most_threads(&self) -> u32 {
        self.threads.last().copied().unwrap_or(0)
    }

    /// The peak in words: nothing is said of what lies beyond twice the measured range.
    pub fn peak_in_words(&self) -> String {
        let reach = REACH * f64::from(self.most_threads());
        if self.peak.value <= reach && self.peak.hi <= reach {
            let Estimate { value, lo, hi } = self.peak;
            format!("most at {value:.1} threads ({lo:.1}-{hi:.1})")
        } else {
            format!("no peak up to {reach:.0} threads, twice the most measured")
        }
    }
}

/// Resamples of the rounds.
const RESAMPLES: usize = 2_000;

/// The fits for every scheme and storm of a run that has numbers of threads enough, with CPUs for
/// all of them; `left_out` says in a line each why others have none.
pub fn of(run: &Run, left_out: &mut Vec<String>) -> Vec<Scaling> {
    let mut storms: Vec<&str> = run.summary.iter().map(|it| it.storm.as_str()).collect();
    storms.dedup();
    let mut scalings = Vec::new();
    for storm in storms {
        let groups = run.summary.iter().filter(|group| group.storm == storm);
        let (fit, shared): (Vec<_>, Vec<_>) = groups.partition(|group| !group.oversubscribed);
        let mut threads: Vec<u32> = fit.iter().map(|group| group.threads).collect();
        threads.sort_unstable();
        // No law is expected of a run at one number or two.
        if threads.len() + shared.len() < 3 {
            continue;
        }
        if threads.len() < FEWEST_POINTS {
            left_out.push(format!(
                "scaling under {storm}: a fit needs {FEWEST_POINTS} numbers of threads with a CPU \
                 for each, and there are {}",
                threads.len()
            ));
            continue;
        }
        let rows = fit[0].rows.iter();
        for row in rows.filter(|row| row.variant == Variant::Plain) {
            let cells = run.rounds.iter().filter(|cell| {
                cell.storm == storm
                    && cell.scheme == row.scheme
                    && cell.variant == Variant::Plain
                    && threads.contains(&cell.threads)
            });
            match fit_rounds(cells) {
                Some((law, resampled)) => scalings.push(scaling(
                    (storm, &row.scheme, row.broken),
                    &threads,
                    law,
                    &resampled,
                    run,
                )),
                None => left_out.push(format!(
                    "scaling of {} under {storm}: no round has all numbers of threads",
                    row.scheme
                )),
            }
        }
    }
    scalings
}

/// The law fitted to all rounds, and to resamples of them. A round is a whole sweep; those that
/// lack a number of threads don't count.
fn fit_rounds<'c>(cells: impl Iterator<Item = &'c CellRound>) -> Option<(Usl, Vec<Usl>)> {
    let mut rounds: BTreeMap<u32, Vec<(u32, f64)>> = BTreeMap::new();
    for cell in cells {
        let points = rounds.entry(cell.round).or_default();
        points.push((cell.threads, cell.pages_per_s));
    }
    let most = rounds.values().map(Vec::len).max()?;
    let rounds: Vec<_> = (rounds.into_values())
        .filter(|points| points.len() == most)
        .collect();
    let law = Usl::fit(&rounds.concat())?;
    // The same rounds give the same intervals at each reading.
    let mut random = Pcg64Mcg::seed_from_u64(rounds.len() as u64);
    let resampled = (0..RESAMPLES).filter_map(|_| {
        let drawn = (0..rounds.len()).map(|_| &rounds[random.random_range(0..rounds.len())]);
        let points: Vec<_> = drawn.flatten().copied().collect();
        Usl::fit(&points)
    });
    Some((law, resampled.collect()))
}

fn scaling(
    (storm, scheme, broken): (&str, &str, bool),
    threads: &[u32],
    law: Usl,
    resampled: &[Usl],
    run: &Run,
) -> Scaling {
    let estimate = |of: fn(&Usl) -> f64| {
        let mut values: Vec<f64> = resampled.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
        Estimate {
            value: of(&law),
            lo: at(0.025),
            hi: at(0.975),
        }
    };
    let groups = run.summary.iter().filter(|group| group.storm == storm);
    let errors = groups.filter_map(|group| {
        let plain = |row: &&measuring::summary::Row| {
            row.variant == Variant::Plain && row.scheme == scheme && !group.oversubscribed
        };
        let seen = group.rows.iter().find(plain)?.pages_per_s.median;
        Some((law.throughput(f64::from(group.threads)) / seen - 1.0).abs())
    });
    Scaling {
        storm: storm.to_owned(),
        scheme: scheme.to_owned(),
        broken,
        threads: threads.to_vec(),
        lambda: estimate(|law| law.lambda),
        sigma: estimate(|law| law.sigma),
        kappa: estimate(|law| law.kappa),
        peak: estimate(Usl::peak),
        worst_error: errors.fold(0.0, f64::max),
        law,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A run of which only what a fit looks at is there.
    pub(crate) fn run(numbers: &[u32], oversubscribed_from: u32, rounds: u32, seed: u64) -> Run {
        let law = Usl {
            lambda: 20e6,
            sigma: 0.04,
            kappa: 0.0015,
        };
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let mut cells = Vec::new();
        let spread = |value: f64| serde_json::json!({"median": value, "min": value, "max": value});
        let mut groups = Vec::new();
        for &threads in numbers {
            let pages_per_s = law.throughput(f64::from(threads));
            for round in 0..rounds {
                let noisy = pages_per_s * random.random_range(0.97..1.03);
                cells.push(serde_json::json!({
                    "round": round, "place": 0, "scheme": "page-locked", "variant": "plain",
                    "storm": "none", "threads": threads, "started_ns": 0, "faults_per_s": noisy / 16.0,
                    "pages_per_s": noisy, "ns_per_page": 1e9 / noisy, "arrived": null,
                    "latency": null, "slow_path_share": 0.0, "sigbus": 0, "oom": 0,
                    "pages_mapped": [16, 0], "skipped_locked": 0, "slot_changed": 0, "undone": 0,
                    "gate_closed": 0, "filled": 0, "fairness": 1.0, "fault_threads": [],
                    "remover": null, "beyond_range": 0, "start_skew_ns": 0, "violations": 0,
                    "violated": [], "unstable": false, "conditions": {
                        "stolen_ms": null, "involuntary_switches": 0, "migrations": null,
                        "lost_cpus": [], "frequency_change": null}
                }));
            }
            groups.push(serde_json::json!({
                "storm": "none", "threads": threads, "storm_threads": 0,
                "oversubscribed": threads >= oversubscribed_from, "rows": [{
                    "scheme": "page-locked", "broken": false, "baseline": true, "variant": "plain",
                    "rounds": rounds, "faults_per_s": spread(pages_per_s / 16.0),
                    "pages_per_s": spread(pages_per_s), "ns_per_page": spread(1e9 / pages_per_s),
                    "ratio": null, "verdict": null, "p50_ratio": null, "p50_verdict": null,
                    "latency": null, "slow_path_share": spread(0.0), "fairness": spread(1.0),
                    "totals": {"faults": 0, "pages_mapped": 0, "skipped_locked": 0,
                        "slot_changed": 0, "undone": 0, "gate_closed": 0, "filled": 0, "sigbus": 0,
                        "oom": 0, "violations": 0, "beyond_range": 0},
                    "remover": null, "arrived": null,
                    "unstable": {"rounds": 0, "causes": {}}, "start_skew_ns": spread(0.0)
                }]
            }));
        }
        let topology = machine_facts::topology::Topology::detect().unwrap();
        let environment = machine_facts::environment::Environment::capture(&topology);
        let json = serde_json::json!({
            "schema_version": 2, "complete": true, "ended": "all-rounds", "command": "x",
            "rerun": "x", "started": "2026-11-21T01:39:05.9Z", "environment": environment,
            "caveats": [], "left_out": [], "recording_ns": 9.0, "elapsed_s": 1.0,
            "stolen_s": null, "summary": groups, "rounds": cells, "configuration": {
                "schemes": [], "baseline": "page-locked", "rounds": {"fixed": rounds},
                "controls": [], "seed": 1, "mm": "private", "access": "sequential",
                "arrival": "closed", "rate_per_s": null, "storm_threads": 1, "cpus": [0],
                "duration_ns": 1, "warm_up_ns": 1, "sizes": {"pages": 256, "neighbour": false,
                    "orders": "0", "window_pages": 16, "readahead_pages": 16, "hole_pages": 64,
                    "fill_ns_per_page": 0}}
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_sweep_gives_the_law_that_it_follows_within_its_intervals() {
        const TRIALS: u64 = 30;
        let mut held = [0; 4];
        for seed in 0..TRIALS {
            let mut left_out = Vec::new();
            let run = run(&[1, 2, 4, 8, 16, 32], 99, 12, seed);
            let scalings = of(&run, &mut left_out);
            assert!(left_out.is_empty(), "{left_out:?}");
            let [scaling] = &scalings[..] else {
                panic!("{scalings:?}")
            };
            let estimates = [
                (scaling.lambda, 20e6),
                (scaling.sigma, 0.04),
                (scaling.kappa, 0.0015),
                (scaling.peak, (0.96_f64 / 0.0015).sqrt()),
            ];
            for (held, (estimate, truth)) in held.iter_mut().zip(estimates) {
                assert!(estimate.lo <= estimate.value && estimate.value <= estimate.hi);
                assert!((estimate.value / truth - 1.0).abs() < 0.3, "{estimate:?}");
                *held += u64::from(estimate.lo <= truth && truth <= estimate.hi);
            }
            assert!(scaling.worst_error < 0.04 && scaling.most_threads() == 32);
            assert!(
                scaling.peak_in_words().starts_with("most at 2"),
                "{scaling:?}"
            );
        }
        // Of 30 intervals of 95 %, fewer than 24 hold the truth once in ten thousand times.
        assert!(
            held.iter().all(|held| (24..=TRIALS).contains(held)),
            "{held:?}"
        );
    }

    #[test]
    fn a_peak_far_beyond_what_was_measured_is_not_claimed() {
        let scalings = of(&run(&[1, 2, 3, 4], 99, 12, 5), &mut Vec::new());
        let words = scalings[0].peak_in_words();
        assert_eq!(words, "no peak up to 8 threads, twice the most measured");
    }

    #[test]
    fn threads_that_share_cpus_are_no_points_of_a_law() {
        let mut left_out = Vec::new();
        assert!(of(&run(&[1, 2, 4, 8], 4, 3, 5), &mut left_out).is_empty());
        assert!(left_out[0].contains("there are 2"), "{left_out:?}");
        left_out.clear();
        assert!(of(&run(&[1, 2], 99, 3, 5), &mut left_out).is_empty());
        assert!(left_out.is_empty(), "no sweep was asked for");
    }
}
