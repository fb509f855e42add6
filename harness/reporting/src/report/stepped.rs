//! What is printed of made-up latencies that were read from clocks with coarse steps: through
//! recorder, histograms, summary and intervals, in rounds as a storm has them.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use machine_facts::clock::Clock;
use machine_facts::histogram::{STRETCH, new_histogram};
use machine_facts::recorder::Recorder;
use machine_facts::statistics::{Interval, Latency, Stretches, Verdict, least_shown};
use measuring::rounds::{CellRound, Control, Finished, Variant};
use measuring::summary::{Results, summarize};

use super::fixture::{Fixture, Made};

const STEPS_NS: [f64; 3] = [1.0, 10.0, 40.0];
const NS_PER_TICK: f64 = 0.5;
/// As few as a median over stretches takes, and some.
const FAULTS: usize = 25 * STRETCH as usize;
const ROUNDS: u32 = 8;
const TRIALS: u32 = 100;

/// A kind of latencies.
struct Kind {
    name: &'static str,
    draw: fn(&mut Pcg64Mcg) -> f64,
    /// By how much the machine's speed differs from cell to cell.
    wobble: f64,
}

const KINDS: [Kind; 6] = [
    Kind {
        name: "nearly constant",
        draw: |random| 70.0 + random.random::<f64>(),
        wobble: 0.003,
    },
    Kind {
        name: "bimodal",
        draw: |random| [72.0, 115.0][usize::from(random.random_bool(0.5))] + random.random::<f64>(),
        wobble: 0.003,
    },
    Kind {
        name: "long tail",
        draw: |random| match random.random_bool(0.001) {
            true => 5_000.0,
            false => 90.0 - 25.0 * random.random::<f64>().ln(),
        },
        wobble: 0.01,
    },
    Kind {
        name: "70 to 190 ns",
        draw: |random| 70.0 + 120.0 * random.random::<f64>() * random.random::<f64>(),
        wobble: 0.01,
    },
    // Multiples of each step, so that all faults begin in the same phase of it.
    Kind {
        name: "locked in phase",
        draw: |_| 80.0,
        wobble: 0.0,
    },
    Kind {
        name: "next to locked",
        draw: |_| 199.9,
        wobble: 0.0,
    },
];

/// A run of the baseline, twice, and of the baseline with a plant.
struct Trial {
    made: Made,
    random: Pcg64Mcg,
}

impl Trial {
    fn new() -> Self {
        let fixture = Fixture {
            schemes: vec!["page-locked"],
            groups: vec![("none", 1)],
            rounds: ROUNDS,
            controls: vec![Control::Planted(5.0)],
            ..Fixture::default()
        };
        Self {
            made: fixture.make(),
            random: Pcg64Mcg::seed_from_u64(15),
        }
    }

    /// The ratio of A/A, and that of the planted slowdown with its verdict. The true one is that
    /// of all latencies, and so of their quantiles.
    fn run(&mut self, kind: &Kind, step_ns: f64, plant: f64) -> [(Interval, Option<Verdict>); 2] {
        self.rows(kind, step_ns, plant, true)
    }

    /// The same of the plant alone and without stretches, as of an open loop.
    fn singly(&mut self, kind: &Kind, step_ns: f64, plant: f64) -> Interval {
        self.rows(kind, step_ns, plant, false)[1].0
    }

    fn rows(
        &mut self,
        kind: &Kind,
        step_ns: f64,
        plant: f64,
        in_stretches: bool,
    ) -> [(Interval, Option<Verdict>); 2] {
        let Made { run, plan, results } = &self.made;
        let mut read_stepped = Results::above(0, step_ns);
        let clock = Clock::of_ticks(NS_PER_TICK);
        let keys: Vec<_> = plan.keys_of(0).collect();
        for (key, cell) in keys.iter().cycle().zip(results.cells()) {
            let longer = match key.variant {
                Variant::Planted => 1.0 + plant,
                _ => 1.0,
            };
            let wobble = 1.0 + kind.wobble * (self.random.random::<f64>() - 0.5);
            let mut recorder = Recorder::new(FAULTS);
            let mut now = 1e6 + step_ns * self.random.random::<f64>();
            let read = |now: f64| ((now / step_ns).floor() * step_ns / NS_PER_TICK) as u64;
            for _ in 0..FAULTS {
                let start = read(now);
                now += (kind.draw)(&mut self.random) * longer * wobble;
                recorder.push(read(now) - start);
            }
            recorder.drain_in_a_row(&clock);
            let stretches = Stretches::of(&recorder.stretches, recorder.stretch);
            read_stepped.add(Finished {
                key: *key,
                cell: CellRound {
                    latency: Latency::of(&recorder.histogram),
                    stretches: stretches.filter(|_| in_stretches),
                    ..cell.clone()
                },
                faults: recorder.histogram,
                operations: new_histogram(),
            });
        }
        let group = &summarize(plan, &read_stepped, &run.configuration.setup)[0];
        [Variant::Again, Variant::Planted].map(|variant| {
            let row = group.rows.iter().find(|row| row.variant == variant);
            let row = row.expect("both are in the plan");
            (row.p50_ratio.expect("medians"), row.p50_verdict)
        })
    }
}

#[test]
fn the_true_ratio_of_medians_is_in_the_interval_whatever_the_clocks_step() {
    let mut trial = Trial::new();
    for kind in &KINDS {
        for step_ns in STEPS_NS {
            let (mut held, mut widths) = ([0; 2], 0.0);
            for number in 0..TRIALS {
                let plant = 0.16 * f64::from(number) / f64::from(TRIALS - 1);
                let [(again, _), (planted, _)] = trial.run(kind, step_ns, plant);
                held[0] += u32::from(!again.excludes(1.0));
                held[1] += u32::from(!planted.excludes(1.0 / (1.0 + plant)));
                widths += planted.width() / f64::from(TRIALS);
            }
            let name = kind.name;
            assert!(
                held.iter().all(|held| *held >= 93),
                "{name}, {step_ns} ns: {held:?}"
            );
            // It says something: a step of a stretch on either side of both, and the wobble.
            let most = 4.0 * step_ns / f64::from(STRETCH) / 70.0 + 0.06;
            assert!(widths < most, "{name}, {step_ns} ns: {widths}");
        }
    }
}

#[test]
fn what_a_step_hides_is_not_claimed_and_what_it_shows_is_found() {
    let mut trial = Trial::new();
    for kind in KINDS
        .iter()
        .filter(|kind| kind.wobble < 0.005 && kind.name != "bimodal")
    {
        for step_ns in STEPS_NS {
            let [(again, _), _] = trial.run(kind, step_ns, 0.0);
            let told = step_ns / f64::from(STRETCH) / 200.0;
            let least = least_shown(&again) - 1.0;
            assert!(
                least >= told && least < 0.03,
                "{}, {step_ns} ns: {least}",
                kind.name
            );
        }
        // What was planted on a clock of 10 ns, and not found or told wrong.
        for (plant, slower) in [
            (0.0, false),
            (0.03, true),
            (0.04, true),
            (0.05, true),
            (0.092, true),
        ] {
            let [_, (ratio, verdict)] = trial.run(kind, 10.0, plant);
            let is_slower = verdict == Some(Verdict::Slower);
            assert_eq!(is_slower, slower, "{}, {plant}: {ratio:?}", kind.name);
        }
    }
}

#[test]
fn medians_of_single_latencies_are_told_to_within_a_step() {
    let mut trial = Trial::new();
    for kind in &KINDS {
        for (step_ns, plant) in [(1.0, 0.092), (10.0, 0.03), (10.0, 0.092), (40.0, 0.16)] {
            let ratio = trial.singly(kind, step_ns, plant);
            let truth = 1.0 / (1.0 + plant);
            assert!(
                !ratio.excludes(truth),
                "{}, {step_ns} ns: {ratio:?}",
                kind.name
            );
        }
    }
}
