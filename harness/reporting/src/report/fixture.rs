//! Runs for tests: made of figures that a test chooses, summed up as real ones are.

use kernel_model::fault_around::Schemes;
use kernel_model::platform::Native;
use machine_facts::conditions::Conditions;
use machine_facts::histogram::new_histogram;
use machine_facts::statistics::Latency;
use measuring::arrival::Arrival;
use measuring::cell::{Setup, Subject};
use measuring::fixture::{removals, round_of};
use measuring::rounds::{
    CellRound, Control, Ended, Finished, Group, Key, Plan, RemoverRound, Rounds,
};
use measuring::storms::Storms;
use measuring::summary::Results;

use super::labels::storm_of;
use super::{Extras, text};
use crate::record::Run;

/// What a run is made of.
pub(crate) struct Fixture {
    /// Schemes, the baseline first.
    pub(crate) schemes: Vec<&'static str>,
    /// Storms and numbers of threads.
    pub(crate) groups: Vec<(&'static str, u32)>,
    pub(crate) rounds: u32,
    pub(crate) controls: Vec<Control>,
    /// How fast a cell is, 1 being the baseline, by the name of its files, load and round.
    pub(crate) speed: fn(&str, &str, u32) -> f64,
    /// The same of the remover.
    pub(crate) remover: fn(&str, &str, u32) -> f64,
    /// Faults and operations of the remover in a cell.
    pub(crate) samples: [u64; 2],
    pub(crate) conditions: fn(&str, u32) -> Conditions,
    pub(crate) arrival: Arrival,
    /// The share of faults that arrive.
    pub(crate) arrived: f64,
}

/// A bit of noise, the same for all cells of a round and different from round to round.
pub(crate) fn jitter(round: u32) -> f64 {
    1.0 + f64::from(round * 7 % 5) / 1e3
}

impl Default for Fixture {
    fn default() -> Self {
        Self {
            schemes: vec!["page-locked", "folio-batched", "mapcount-recheck"],
            groups: vec![("none", 1), ("punch-hole", 1)],
            rounds: 10,
            controls: Vec::new(),
            speed: |cell, _, round| match cell {
                "mapcount-recheck" => 2.0,
                "page-locked-again" | "folio-batched" => jitter(round + 1) / jitter(round),
                "page-locked-planted" => 0.95,
                "page-locked-unrecorded" => 1.25,
                _ => 1.0,
            },
            remover: |cell, _, round| match cell {
                "page-locked" => 1.0,
                _ => jitter(round + 1) / jitter(round),
            },
            samples: [20_000, 1_000],
            conditions: |_, _| Conditions::default(),
            arrival: Arrival::Closed,
            arrived: 1.0,
        }
    }
}

/// A run with all that it was made from.
pub(crate) struct Made {
    pub(crate) run: Run,
    pub(crate) plan: Plan,
    pub(crate) results: Results,
}

impl Made {
    /// The same figures as if the running kernel had given them.
    pub(crate) fn of_the_kernel(mut self) -> Self {
        for file in &mut self.run.configuration.schemes {
            file.kernel = true;
            file.lineage = format!("what {} is", file.name);
        }
        self.run.configuration.setup.sizes.refill = true;
        self.run.header.sigbus_ns = Some(2026.0);
        self.run.header.environment.kernel.release = Some("6.18.0-test".to_owned());
        self
    }
}

impl Fixture {
    /// The run.
    pub(crate) fn make(&self) -> Made {
        let schemes = self.schemes.iter();
        let schemes = schemes.map(|name| Schemes::<Native>::named(name).unwrap());
        let groups = self.groups.iter().map(|&(load, fault_threads)| {
            let (storm, calibrated) = storm_of(load);
            Group {
                storm: Storms::<Native>::named(storm).unwrap(),
                fault_threads,
                calibrated,
            }
        });
        let plan = Plan {
            subjects: schemes.map(Subject::from).collect(),
            groups: groups.collect(),
            rounds: Rounds::Fixed(self.rounds),
            controls: self.controls.clone(),
            seed: 1,
        };
        let setup = Setup {
            arrival: self.arrival,
            ..measuring::fixture::setup()
        };
        let mut results = Results::default();
        for round in 0..self.rounds {
            for group in 0..plan.groups.len() {
                for key in plan.keys_of(group) {
                    results.add(self.cell(&plan, key, round));
                }
            }
        }
        let run = Run::new(
            &crate::fixture::header(),
            &plan,
            &setup,
            &results,
            Some(Ended::AllRounds),
        );
        Made { run, plan, results }
    }

    fn cell(&self, plan: &Plan, key: Key, round: u32) -> Finished {
        let cell = plan.cell(key);
        let scheme = cell.subject.name();
        let load = plan.groups[key.group].load();
        let name = format!("{scheme}{}", key.variant.suffix());
        let speed = (self.speed)(&name, &load, round) * jitter(round);
        let remover_speed = (self.remover)(&name, &load, round) * jitter(round);
        let histogram = |speed: f64, count: u64| {
            let mut histogram = new_histogram();
            for (share, ns) in [(0.8, 600_000.0), (0.15, 900_000.0), (0.05, 6_000_000.0)] {
                let samples = (count as f64 * share).round() as u64;
                histogram.saturating_record_n((ns / speed) as u64, samples);
            }
            histogram
        };
        let [fault_count, operation_count] = self.samples;
        let faults = histogram(speed, fault_count);
        let storms = !cell.storm.removers().is_empty();
        let operations = match storms {
            true => histogram(remover_speed, operation_count),
            false => new_histogram(),
        };
        let ns_per_page = 40.0 / speed;
        let remover = storms.then(|| RemoverRound {
            latency: Latency::of(&operations),
            folios_removed: 64 * operation_count,
            pages_removed: 64 * operation_count,
            ..removals(operation_count, 5.0 * operation_count as f64)
        });
        let conditions = (self.conditions)(&name, round);
        let figures = CellRound {
            storm: load,
            faults_per_s: 1e9 / ns_per_page / 16.0,
            pages_per_s: 1e9 / ns_per_page,
            ns_per_page,
            arrived: self.arrival.rate_per_s().map(|_| self.arrived),
            latency: Latency::of(&faults),
            pages_mapped: [16 * fault_count, 0],
            remover,
            start_skew_ns: 10,
            unstable: conditions.is_unstable(),
            conditions,
            ..round_of(&cell, key.variant, round)
        };
        Finished {
            key,
            cell: figures,
            faults,
            operations,
        }
    }
}

/// The report without where its lines end, which a sentence doesn't depend on.
pub(super) fn unfolded(run: &Run) -> String {
    let text = text(run, &Extras::default()).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
