//! How far the calibrated model is from the kernel where it was not calibrated: under storms.

use std::collections::BTreeMap;

use kernel_model::fault_around::Schemes;
use kernel_model::platform::Native;
use machine_facts::histogram::new_histogram;
use machine_facts::statistics::{COVERAGE, Interval, SMALLEST};
use measuring::cell::{Cell, CellError, Measured, Setup, Subject, measure};
use measuring::storms::Storms;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

use super::Stage;

/// One figure of the kernel's and the models'.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// What it is.
    pub what: String,
    /// Its unit; nothing for a ratio.
    pub unit: String,
    /// The kernel's.
    pub kernel: Interval,
    /// The calibrated model's.
    pub calibrated: Interval,
    /// The bare model's.
    pub bare: Interval,
    /// The calibrated model's over the kernel's, round by round.
    pub ratio: Interval,
    /// By how much that may be off, and be what the model is meant to be; `None` without a goal.
    pub goal: Option<f64>,
}

impl Compared {
    /// Whether it is within its goal, if it has one.
    pub fn met(&self) -> Option<Met> {
        let goal = self.goal?;
        let is_within = |ratio: f64| (ratio - 1.0).abs() <= goal;
        Some(if !is_within(self.ratio.median) {
            Met::No
        } else if self.ratio.coverage >= COVERAGE
            && is_within(self.ratio.lo)
            && is_within(self.ratio.hi)
        {
            Met::Yes
        } else {
            Met::Median
        })
    }
}

/// Whether something is within a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// With all of its interval.
    Yes,
    /// By its median; the interval reaches beyond, or there are too few rounds for one.
    Median,
    /// Not even so.
    No,
}

/// The model's distance from the kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fidelity {
    /// Operations per second that storms started, on the kernel and on the models.
    pub rate_per_s: f64,
    /// Pages that each removed.
    pub hole_pages: u32,
    /// Rounds of storms that this rests on.
    pub rounds: u32,
    /// The figures.
    pub rows: Vec<Compared>,
    /// Those that would have been there if something had been recorded in every round.
    pub missing: Vec<String>,
    /// The loads in the order of their cost per fault, the cheapest first: on the kernel, and on
    /// the calibrated model.
    pub order: [Vec<String>; 2],
    /// Loads that are told apart on both, the one way on the kernel and the other way on the model.
    pub contradicted: Vec<String>,
}

/// A load: a storm, and so many fault threads.
type Load = (&'static str, u32);

/// The sides that are compared, in the order of [`Compared`]'s figures.
const SIDES: usize = 3;

/// What a cell gave.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    fault_ns: f64,
    operation_ns: f64,
}

/// Runs all loads on the kernel's file and on both models, by turns, with rounds of random order.
/// Returns what the whole rounds came to, and why there weren't more.
pub(super) fn run(
    stage: &mut Stage<'_>,
    file: &Subject,
    setup: &Setup,
    rounds: u32,
    random: &mut Pcg64Mcg,
) -> (Fidelity, Result<(), CellError>) {
    let cpus = setup.cpus.len() as u32;
    let mut loads: Vec<Load> = vec![("none", 1)];
    if cpus > 1 {
        loads.extend([("none", 2), ("punch-hole", 0), ("punch-hole", 1)]);
        loads.extend([("truncate", 0), ("truncate", 1)]);
    }
    let scheme = Schemes::<Native>::named(&stage.scheme).expect("a scheme of the registry");
    let sides = [
        (file, false),
        (&Subject::from(scheme), true),
        (&Subject::from(scheme), false),
    ];
    let mut cells: Vec<(Load, usize)> = loads
        .iter()
        .flat_map(|load| (0..SIDES).map(move |side| (*load, side)))
        .collect();
    let mut samples: BTreeMap<(Load, usize), Vec<Sample>> = BTreeMap::new();
    stage
        .watcher
        .part_begins("storms on the kernel and the model", rounds);
    let mut whole = 0;
    let mut ended = Ok(());
    'rounds: for round in 0..rounds {
        cells.shuffle(random);
        for &(load, side) in &cells {
            let (subject, calibrated) = sides[side];
            let cell = Cell {
                subject: subject.clone(),
                calibrated,
                storm: Storms::named(load.0).expect("a storm of the registry"),
                fault_threads: load.1,
                control: None,
            };
            let seed = stage.seed ^ u64::from(round) << 40;
            match measure(&cell, setup, seed, stage.clock, stage.cancel) {
                Ok(measured) => {
                    let of_cell = samples.entry((load, side)).or_default();
                    of_cell.push(Sample::of(&measured));
                }
                Err(error) => {
                    ended = Err(error);
                    break 'rounds;
                }
            }
        }
        whole += 1;
        stage.watcher.round_over();
    }
    for of_cell in samples.values_mut() {
        of_cell.truncate(whole as usize);
    }
    (sum_up(&samples, &loads, setup, whole), ended)
}

impl Sample {
    fn of(measured: &Measured) -> Self {
        let threads = &measured.fault_threads;
        let faults: u64 = threads.iter().map(|thread| thread.faults).sum();
        let in_faults: u64 = threads.iter().map(|thread| thread.in_faults_ns).sum();
        let mut operations = new_histogram();
        for thread in &measured.storm_threads {
            // From the real begin: what piles up behind a lost CPU isn't the remover's.
            operations += &thread.service;
        }
        let none = operations.is_empty();
        Self {
            fault_ns: in_faults as f64 / faults as f64,
            operation_ns: if none {
                f64::NAN
            } else {
                operations.value_at_quantile(0.5) as f64
            },
        }
    }
}

/// The goal for what storms do.
const STORM_GOAL: f64 = 0.25;

/// A row of what each side, in the order of [`Compared`]'s figures, gave in each round; nothing if
/// there is no figure in some round.
pub(super) fn compare(
    what: &str,
    unit: &str,
    goal: Option<f64>,
    of: &dyn Fn(usize) -> Vec<f64>,
) -> Option<Compared> {
    let sides: Vec<Vec<f64>> = (0..SIDES).map(of).collect();
    let ratio = sides[1]
        .iter()
        .zip(&sides[0])
        .map(|(model, kernel)| model / kernel);
    Some(Compared {
        what: what.to_owned(),
        unit: unit.to_owned(),
        kernel: Interval::bootstrap(sides[0].iter().copied())?,
        calibrated: Interval::bootstrap(sides[1].iter().copied())?,
        bare: Interval::bootstrap(sides[2].iter().copied())?,
        ratio: Interval::bootstrap(ratio)?,
        goal,
    })
}

fn sum_up(
    samples: &BTreeMap<(Load, usize), Vec<Sample>>,
    loads: &[Load],
    setup: &Setup,
    rounds: u32,
) -> Fidelity {
    let values = |load: Load, side: usize, of: fn(&Sample) -> f64| -> Vec<f64> {
        let samples = samples.get(&(load, side));
        samples.into_iter().flatten().map(of).collect()
    };
    let mut missing = Vec::new();
    let mut compared = |what: &str, unit: &str, goal, of: &dyn Fn(usize) -> Vec<f64>| {
        let row = compare(what, unit, goal, of);
        if row.is_none() && rounds > 0 {
            missing.push(what.to_owned());
        }
        row
    };
    let fault = |sample: &Sample| sample.fault_ns;
    let operation = |sample: &Sample| sample.operation_ns;
    let over = |above: Load, below: Load, side, of: fn(&Sample) -> f64| {
        let pairs = values(above, side, of)
            .into_iter()
            .zip(values(below, side, of));
        pairs.map(|(above, below)| above / below).collect()
    };
    let alone = format!("{} pages, alone", setup.sizes.window_pages);
    let mut rows = vec![compared(&alone, "ns", None, &|side| {
        values(("none", 1), side, fault)
    })];
    if loads.contains(&("none", 2)) {
        let both = "fault, 2 processes";
        rows.push(compared(both, "", None, &|side| {
            over(("none", 2), ("none", 1), side, fault)
        }));
    }
    let calls = ["punch-hole", "truncate"].into_iter();
    for call in calls.filter(|call| loads.contains(&(*call, 1))) {
        let faults = format!("fault, {call}");
        rows.push(compared(&faults, "", Some(STORM_GOAL), &|side| {
            over((call, 1), ("none", 1), side, fault)
        }));
        let removals = format!("{call}, alone");
        rows.push(compared(&removals, "ns", None, &|side| {
            values((call, 0), side, operation)
        }));
        let removals = format!("{call}, faults");
        rows.push(compared(&removals, "", Some(STORM_GOAL), &|side| {
            over((call, 1), (call, 0), side, operation)
        }));
    }
    let order = [0, 1].map(|side| {
        let faulting = loads.iter().filter(|load| load.1 > 0);
        let cost = |load: &Load| Interval::bootstrap(values(*load, side, fault));
        let mut costs: Vec<_> = faulting
            .filter_map(|load| Some((cost(load)?.median, format!("{} x{}", load.0, load.1))))
            .collect();
        costs.sort_by(|left, right| left.0.total_cmp(&right.0));
        costs.into_iter().map(|(_, name)| name).collect()
    });
    let ratio = |(above, below): (Load, Load), side| {
        let ratios: Vec<f64> = over(above, below, side, fault);
        Interval::bootstrap(ratios)
    };
    let name = |load: &Load| format!("{} x{}", load.0, load.1);
    let contradicted = pairs(loads).filter(|pair| {
        let signs = [0, 1].map(|side| ratio(*pair, side).map_or(0, |it| sign(&it)));
        signs[0] * signs[1] < 0
    });
    let contradicted =
        contradicted.map(|(one, other)| format!("{} and {}", name(&one), name(&other)));
    Fidelity {
        contradicted: contradicted.collect(),
        rate_per_s: setup.rate_per_s.unwrap_or(f64::INFINITY),
        hole_pages: setup.sizes.hole_pages,
        rounds,
        rows: rows.into_iter().flatten().collect(),
        missing,
        order,
    }
}

/// Each two loads that have faults.
fn pairs(loads: &[Load]) -> impl Iterator<Item = (Load, Load)> {
    let faulting = loads.iter().filter(|load| load.1 > 0);
    let all = faulting.clone().enumerate();
    all.flat_map(move |(at, one)| {
        faulting
            .clone()
            .skip(at + 1)
            .map(move |other| (*one, *other))
    })
}

/// Whether a ratio is above 1, below it, or not told apart from it.
fn sign(ratio: &Interval) -> i32 {
    match ratio {
        ratio if ratio.coverage < COVERAGE => 0,
        ratio if ratio.lo > SMALLEST => 1,
        ratio if ratio.hi < 1.0 / SMALLEST => -1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOADS: [Load; 3] = [("none", 1), ("none", 2), ("truncate", 0)];

    /// Eight rounds in which faults take so long on the kernel and on both models: alone, and
    /// beside a second process.
    fn found(kernel: [f64; 2], model: [f64; 2]) -> Fidelity {
        let mut samples = BTreeMap::new();
        for (side, times) in [kernel, model, model].into_iter().enumerate() {
            for (load, fault_ns) in LOADS.into_iter().zip(times) {
                let sample = |round: u32| Sample {
                    fault_ns: fault_ns * (1.0 + f64::from(round % 2) / 1000.0),
                    operation_ns: f64::NAN,
                };
                samples.insert((load, side), (0..8).map(sample).collect());
            }
        }
        sum_up(&samples, &LOADS[..2], &measuring::fixture::setup(), 8)
    }

    #[test]
    fn ratios_are_of_the_model_to_the_kernel_and_slow_downs_of_a_load_to_being_alone() {
        let found = found([2000.0, 3000.0], [1000.0, 1200.0]);
        let [alone, both] = &found.rows[..] else {
            panic!("{:?}", found.rows);
        };
        assert!((alone.ratio.median - 0.5).abs() < 1e-9, "{alone:?}");
        assert!((both.kernel.median - 1.5).abs() < 1e-9, "{both:?}");
        assert!((both.ratio.median - 0.8).abs() < 1e-9, "{both:?}");
        assert_eq!((alone.met(), both.met()), (None, None));
        let goal = |ratios: [f64; 8]| Compared {
            goal: Some(0.25),
            ratio: Interval::bootstrap(ratios).unwrap(),
            ..both.clone()
        };
        assert_eq!(
            [0.76, 1.24, 0.74, 1.26].map(|it| goal([it; 8]).met().unwrap()),
            [Met::Yes, Met::Yes, Met::No, Met::No]
        );
        let wide = [0.5, 0.6, 0.9, 1.0, 1.0, 1.1, 1.6, 1.8];
        assert_eq!(goal(wide).met(), Some(Met::Median));
        let few = Compared {
            ratio: Interval::bootstrap([1.0; 2]).unwrap(),
            ..goal(wide)
        };
        assert_eq!(few.met(), Some(Met::Median));
        let told = |ratios: &[f64]| sign(&Interval::bootstrap(ratios.iter().copied()).unwrap());
        assert_eq!((told(&[1.5; 2]), told(&[1.5; 8])), (0, 1));
    }

    #[test]
    fn a_row_without_a_figure_in_some_round_is_missed_and_the_others_stay() {
        let found = found([f64::NAN, 3000.0], [1000.0, 1200.0]);
        assert_eq!(found.rows, []);
        assert_eq!(found.missing, ["16 pages, alone", "fault, 2 processes"]);
    }

    #[test]
    fn only_loads_that_are_told_apart_both_ways_contradict() {
        assert!(found([2.0, 3.0], [2.0, 2.5]).contradicted.is_empty());
        assert!(found([2.0, 3.0], [2.0, 1.999]).contradicted.is_empty());
        let other_way = found([2.0, 3.0], [2.0, 1.5]);
        assert_eq!(other_way.contradicted, ["none x1 and none x2"]);
        assert_eq!(
            other_way.order,
            [["none x1", "none x2"], ["none x2", "none x1"]]
        );
    }
}
