//! Interleaved rounds: every cell once in each round, in a seeded random order.
//!
//! Cells that are compared with each other, the schemes under one storm with one number of
//! threads, come one right after the other; the order of these groups and the order within each
//! are drawn anew for each round. The baseline runs twice in each group, under two names: what
//! comes out between those two is noise, and nothing less than it means anything.

use hdrhistogram::Histogram;
use kernel_model::fault_around::FaultAround;
use kernel_model::platform::Native;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;
use serde::Serialize;

use crate::cancel::Cancel;
use crate::cell::{Cell, CellError, FaultThread, Measured, Setup, measure};
use crate::clock::Clock;
use crate::recorder::new_histogram;
use crate::statistics::Latency;
use crate::storms::Storm;

/// One storm and one number of fault threads, under which all schemes are compared.
#[derive(Clone, Copy)]
pub struct Group {
    /// The storm.
    pub storm: &'static dyn Storm<Native>,
    /// The number of fault threads.
    pub fault_threads: u32,
}

/// What a run measures.
#[derive(Clone)]
pub struct Plan {
    /// The schemes, the baseline first.
    pub schemes: Vec<&'static dyn FaultAround<Native>>,
    /// Where they are compared, in the order of the tables.
    pub groups: Vec<Group>,
    /// How often.
    pub rounds: u32,
    /// Where every random choice comes from.
    pub seed: u64,
}

impl Plan {
    /// Cells in a round: every scheme in every group, and the baseline once more.
    pub fn cells_per_round(&self) -> usize {
        self.groups.len() * (self.schemes.len() + 1)
    }

    /// Cells in all rounds.
    pub fn cells(&self) -> usize {
        self.cells_per_round() * self.rounds as usize
    }

    /// A group's cells in the order of tables: the baseline, its second run, the others.
    pub fn keys_of(&self, group: usize) -> impl Iterator<Item = Key> {
        let key = move |scheme, again| Key {
            group,
            scheme,
            again,
        };
        [key(0, false), key(0, true)]
            .into_iter()
            .chain((1..self.schemes.len()).map(move |scheme| key(scheme, false)))
    }

    /// The cell that the others of a group are compared with.
    pub fn baseline_of(&self, group: usize) -> Key {
        Key {
            group,
            scheme: 0,
            again: false,
        }
    }

    /// The cells of a round in the order in which they run.
    fn order(&self, round: u32) -> Vec<Key> {
        let mut random = Pcg64Mcg::seed_from_u64(self.seed ^ (u64::from(round) << 32));
        let mut groups: Vec<usize> = (0..self.groups.len()).collect();
        groups.shuffle(&mut random);
        let mut order = Vec::with_capacity(self.cells_per_round());
        for group in groups {
            let first = order.len();
            order.extend(self.keys_of(group));
            order[first..].shuffle(&mut random);
        }
        order
    }
}

/// Names a cell of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Index into [`Plan::groups`].
    pub group: usize,
    /// Index into [`Plan::schemes`].
    pub scheme: usize,
    /// Whether it is the baseline's second run (A/A).
    pub again: bool,
}

/// One fault thread's part of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ThreadShare {
    /// The CPU that it was pinned to.
    pub cpu: u32,
    /// Its faults.
    pub faults: u64,
    /// The time that it spent in them.
    pub in_faults_ns: u64,
}

/// What removers did in a cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RemoverRound {
    /// Operations that ended.
    pub ops: u64,
    /// Operations per second of measured time.
    pub ops_per_s: f64,
    /// Their latency; `None` without any.
    pub latency: Option<Latency>,
    /// Folios taken out of the page cache.
    pub folios_removed: u64,
    /// Pages of those folios.
    pub pages_removed: u64,
    /// Folios whose lock could not be had at once.
    pub skipped_locked: u64,
    /// Folios that could not be frozen, since somebody held a reference.
    pub busy: u64,
    /// Large folios that were split.
    pub split: u64,
    /// Folios that had to be unmapped one by one.
    pub unmapped_singly: u64,
    /// Folios with a mapcount above 0 at the point of removal.
    pub transient_mapcount: u64,
}

/// What one cell gave in one round.
#[derive(Debug, Clone, Serialize)]
pub struct CellRound {
    /// The round, from 0.
    pub round: u32,
    /// The place in the round's order, from 0.
    pub place: u32,
    /// The scheme.
    pub scheme: &'static str,
    /// Whether it is the baseline's second run (A/A).
    pub again: bool,
    /// The storm.
    pub storm: &'static str,
    /// The number of fault threads.
    pub threads: u32,
    /// When it started, in nanoseconds from the start of the run.
    pub started_ns: u64,
    /// Faults per second of time in faults (of all time, where threads share CPUs), summed over
    /// threads.
    pub faults_per_s: f64,
    /// Pages mapped per second of the same time, summed over threads.
    pub pages_per_s: f64,
    /// Time in faults over pages mapped.
    pub ns_per_page: f64,
    /// The faults' latency; `None` without any.
    pub latency: Option<Latency>,
    /// Faults that fell to the slow path over all faults.
    pub slow_path_share: f64,
    /// Faults past the end of the file (SIGBUS); they are among those of the slow path.
    pub sigbus: u64,
    /// Faults that found no frame.
    pub oom: u64,
    /// Pages mapped by fault-around, and by the slow path.
    pub pages_mapped: [u64; 2],
    /// Pages that fault-around left out because they were locked.
    pub skipped_locked: u64,
    /// Speculative references dropped because the slot or the mapping had changed.
    pub slot_changed: u64,
    /// Mapcounts taken back after a re-check.
    pub undone: u64,
    /// Windows given up because a remover was at that part of the file.
    pub gate_closed: u64,
    /// Pages read.
    pub filled: u64,
    /// The slowest thread's rate over the fastest one's.
    pub fairness: f64,
    /// The fault threads one by one.
    pub fault_threads: Vec<ThreadShare>,
    /// The storm's side; `None` if there was none.
    pub remover: Option<RemoverRound>,
    /// Latencies beyond the histograms' range of 10 s.
    pub beyond_range: u64,
    /// From the first thread's start to the last one's.
    pub start_skew_ns: u64,
    /// Violations of invariants that the audit at rest found, and the first of them in words.
    pub violations: u64,
    /// The first violations in words.
    pub violated: Vec<String>,
    /// Which cell of the plan it is.
    #[serde(skip)]
    pub key: Key,
}

/// A cell's result with its histograms.
#[derive(Debug)]
pub struct Finished {
    /// The figures.
    pub cell: CellRound,
    /// The faults' latencies.
    pub faults: Histogram<u64>,
    /// The operations' latencies.
    pub operations: Histogram<u64>,
}

/// Follows a run.
pub trait Observer {
    /// A cell has begun.
    fn cell_begins(&mut self, round: u32, scheme: &str, storm: &str, threads: u32);
    /// A cell has ended. An error stops the run.
    fn cell_ended(&mut self, finished: Finished);
    /// All cells of a round have ended.
    ///
    /// # Errors
    /// What keeps the run from going on, in a line.
    fn round_ended(&mut self, round: u32) -> Result<(), String>;
}

/// Why a run ended before its last round.
#[derive(Debug)]
pub enum Stopped {
    /// A cell could not be measured.
    Cell(CellError),
    /// The observer didn't want to go on.
    Observer(String),
}

/// Runs a plan.
///
/// # Errors
/// See [`Stopped`]; the observer has seen all cells that came before.
pub fn run(
    plan: &Plan,
    setup: &Setup,
    clock: &Clock,
    cancel: &Cancel,
    observer: &mut dyn Observer,
) -> Result<(), Stopped> {
    let start = clock.now();
    for round in 0..plan.rounds {
        for (place, key) in plan.order(round).into_iter().enumerate() {
            if cancel.is_requested() {
                return Err(Stopped::Cell(CellError::Interrupted));
            }
            let Group {
                storm,
                fault_threads,
            } = plan.groups[key.group];
            let cell = Cell {
                scheme: plan.schemes[key.scheme],
                storm,
                fault_threads,
            };
            let name = cell.scheme.about().name;
            observer.cell_begins(round, name, storm.about().name, fault_threads);
            let seed = plan.seed ^ u64::from(round) << 40 ^ (key.group as u64) << 20;
            let started_ns = clock.ns(clock.now() - start);
            let measured = measure(cell, setup, seed, clock, cancel).map_err(Stopped::Cell)?;
            let place = place as u32;
            observer.cell_ended(finish(
                measured,
                CellPlace {
                    cell,
                    key,
                    round,
                    place,
                    started_ns,
                },
                setup,
            ));
        }
        observer.round_ended(round).map_err(Stopped::Observer)?;
    }
    Ok(())
}

/// Where in a run a result belongs.
struct CellPlace {
    cell: Cell,
    key: Key,
    round: u32,
    place: u32,
    started_ns: u64,
}

/// A rate; 0 if there was no time.
fn per_s(count: u64, ns: u64) -> f64 {
    count as f64 * 1e9 / ns.max(1) as f64
}

fn finish(measured: Measured, place: CellPlace, setup: &Setup) -> Finished {
    let threads = &measured.fault_threads;
    // A thread that shares its CPU is fast while it runs; what counts is how far all come.
    let shared = setup.is_oversubscribed(place.cell.storm, place.cell.fault_threads);
    let time_of = |thread: &FaultThread| match shared {
        true => setup.duration_ns,
        false => thread.in_faults_ns,
    };
    let mut faults = new_histogram();
    for thread in threads {
        faults += &thread.histogram;
    }
    let sum = |count: fn(&kernel_model::FaultCounters) -> u64| -> u64 {
        threads.iter().map(|thread| count(&thread.counters)).sum()
    };
    let in_faults_ns: u64 = threads.iter().map(|thread| thread.in_faults_ns).sum();
    let pages_mapped = [sum(|count| count.mapped), sum(|count| count.mapped_slowly)];
    let rates: Vec<f64> = (threads.iter())
        .map(|thread| per_s(thread.histogram.len(), time_of(thread)))
        .collect();
    let slowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let fastest = rates.iter().copied().fold(0.0, f64::max);
    let pages = |thread: &FaultThread| thread.counters.mapped + thread.counters.mapped_slowly;

    let mut operations = new_histogram();
    for thread in &measured.storm_threads {
        operations += &thread.histogram;
    }
    let removals = |count: fn(&kernel_model::RemovalCounters) -> u64| -> u64 {
        let threads = measured.storm_threads.iter();
        threads.map(|thread| count(&thread.counters)).sum()
    };
    let storms = !place.cell.storm.removers().is_empty();
    let remover = storms.then(|| RemoverRound {
        ops: operations.len(),
        ops_per_s: per_s(operations.len(), setup.duration_ns),
        latency: Latency::of(&operations),
        folios_removed: removals(|count| count.removed),
        pages_removed: removals(|count| count.removed_pages),
        skipped_locked: removals(|count| count.skipped_locked),
        busy: removals(|count| count.busy),
        split: removals(|count| count.split),
        unmapped_singly: removals(|count| count.unmapped_singly),
        transient_mapcount: removals(|count| count.transient_mapcount),
    });
    let beyond_faults: u64 = threads.iter().map(|thread| thread.beyond).sum();
    let beyond_operations: u64 = (measured.storm_threads.iter())
        .map(|thread| thread.beyond)
        .sum();
    let cell = CellRound {
        round: place.round,
        place: place.place,
        scheme: place.cell.scheme.about().name,
        again: place.key.again,
        storm: place.cell.storm.about().name,
        threads: place.cell.fault_threads,
        started_ns: place.started_ns,
        faults_per_s: rates.iter().sum(),
        pages_per_s: (threads.iter())
            .map(|thread| per_s(pages(thread), time_of(thread)))
            .sum(),
        ns_per_page: in_faults_ns as f64 / pages_mapped.iter().sum::<u64>() as f64,
        latency: Latency::of(&faults),
        slow_path_share: sum(|count| count.slow_faults) as f64 / faults.len() as f64,
        sigbus: sum(|count| count.sigbus),
        oom: sum(|count| count.oom),
        pages_mapped,
        skipped_locked: sum(|count| count.skipped_locked),
        slot_changed: sum(|count| count.slot_changed),
        undone: sum(|count| count.undone),
        gate_closed: sum(|count| count.gate_closed),
        filled: sum(|count| count.filled),
        fairness: slowest / fastest,
        fault_threads: (threads.iter())
            .map(|thread| ThreadShare {
                cpu: thread.cpu,
                faults: thread.histogram.len(),
                in_faults_ns: thread.in_faults_ns,
            })
            .collect(),
        remover,
        beyond_range: beyond_faults + beyond_operations,
        start_skew_ns: measured.start_skew_ns,
        violations: measured.violation_count,
        violated: measured
            .violations
            .iter()
            .map(ToString::to_string)
            .collect(),
        key: place.key,
    };
    Finished {
        cell,
        faults,
        operations,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storms::Storms;
    use kernel_model::fault_around::Schemes;
    use std::collections::BTreeSet;

    fn plan() -> Plan {
        let schemes = Schemes::<Native>::ALL[..2].to_vec();
        let group = |storm, fault_threads| Group {
            storm: Storms::<Native>::named(storm).unwrap(),
            fault_threads,
        };
        Plan {
            schemes,
            groups: vec![group("none", 1), group("none", 2), group("punch-hole", 1)],
            rounds: 3,
            seed: 11,
        }
    }

    #[test]
    fn a_round_has_every_cell_once_and_the_baseline_twice_with_groups_kept_together() {
        let plan = plan();
        for round in 0..plan.rounds {
            let order = plan.order(round);
            assert_eq!(order.len(), plan.cells_per_round());
            for chunk in order.chunks(3) {
                assert!(chunk.iter().all(|key| key.group == chunk[0].group));
                assert_eq!(chunk.iter().filter(|key| key.scheme == 0).count(), 2);
                assert_eq!(chunk.iter().filter(|key| key.again).count(), 1);
            }
        }
    }

    #[test]
    fn groups_and_schemes_both_take_turns_at_coming_first() {
        let plan = plan();
        let firsts = |first: fn(&[Key]) -> Key| -> BTreeSet<(usize, usize, bool)> {
            let orders = (0..40).map(|round| first(&plan.order(round)));
            orders
                .map(|key| (key.group, key.scheme, key.again))
                .collect()
        };
        let groups: BTreeSet<_> = firsts(|order| order[0]).iter().map(|key| key.0).collect();
        assert_eq!(groups.len(), plan.groups.len());
        // Within group 0, wherever it comes.
        let in_group = |order: &[Key]| *order.iter().find(|key| key.group == 0).unwrap();
        assert_eq!(firsts(in_group).len(), plan.schemes.len() + 1);
    }

    #[test]
    fn the_order_comes_from_the_seed_and_changes_from_round_to_round() {
        let plan = plan();
        let orders: Vec<_> = (0..6).map(|round| plan.order(round)).collect();
        assert_eq!(orders[0], plan.order(0));
        assert!(orders.iter().any(|order| *order != orders[0]));
        let other = Plan { seed: 12, ..plan };
        assert!((0..6).any(|round| other.order(round) != orders[round as usize]));
    }
}
