//! What a cell gave in a round.

use hdrhistogram::Histogram;
use kernel_model::FaultCounters;
use machine_facts::conditions::Conditions;
use machine_facts::counters::Readings;
use machine_facts::histogram::new_histogram;
use machine_facts::not_a_number;
use machine_facts::statistics::{Latency, Stretches};
use serde::{Deserialize, Serialize};

use super::plan::Key;
use crate::cell::{Cell, FaultThread, Measured, Setup};
use crate::control::Variant;

/// One fault thread's part of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ThreadShare {
    /// The CPU that it was pinned to.
    pub cpu: u32,
    /// Its faults.
    pub faults: u64,
    /// The time that it spent in them.
    pub in_faults_ns: u64,
}

/// What removers did in a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemoverRound {
    /// Operations that ended.
    pub ops: u64,
    /// Operations per second of measured time.
    #[serde(deserialize_with = "not_a_number::read")]
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
    /// What the storm threads' counters read, together.
    #[serde(default)]
    pub counters: Readings,
}

/// What one cell gave in one round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CellRound {
    /// The round, from 0.
    pub round: u32,
    /// The place in the round's order, from 0.
    pub place: u32,
    /// The scheme.
    pub scheme: String,
    /// As what it ran.
    #[serde(default)]
    pub variant: Variant,
    /// The storm; with [`CALIBRATED`](super::CALIBRATED) at its end where the model carried the
    /// kernel's remaining work.
    pub storm: String,
    /// The number of fault threads.
    pub threads: u32,
    /// When it started, in nanoseconds from the start of the run.
    pub started_ns: u64,
    /// Faults per second of time in faults (of all time, where threads share CPUs), summed over
    /// threads.
    #[serde(deserialize_with = "not_a_number::read")]
    pub faults_per_s: f64,
    /// Pages mapped per second of the same time, summed over threads.
    #[serde(deserialize_with = "not_a_number::read")]
    pub pages_per_s: f64,
    /// Time in faults over pages mapped.
    #[serde(deserialize_with = "not_a_number::read")]
    pub ns_per_page: f64,
    /// Of the faults that were meant to start, the share that did; `None` in a closed loop.
    pub arrived: Option<f64>,
    /// The faults' latency, from the intended start where there is a rate; `None` without any.
    pub latency: Option<Latency>,
    /// The median over stretches of faults in a row; `None` in an open loop, without latencies, and
    /// in runs from before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stretches: Option<Stretches>,
    /// Faults that fell to the slow path over all faults.
    #[serde(deserialize_with = "not_a_number::read")]
    pub slow_path_share: f64,
    /// Faults past the end of the file or on a page with bad memory, for which Linux sends SIGBUS;
    /// they are among those of the slow path.
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
    #[serde(deserialize_with = "not_a_number::read")]
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
    /// What the fault threads' counters read, together.
    #[serde(default)]
    pub counters: Readings,
    /// What happened to the threads meanwhile.
    pub conditions: Conditions,
    /// Whether any of that makes the round unstable.
    pub unstable: bool,
}

/// A cell's result with its histograms.
#[derive(Debug)]
pub struct Finished {
    /// Which cell of the plan it is.
    pub key: Key,
    /// The figures.
    pub cell: CellRound,
    /// The faults' latencies.
    pub faults: Histogram<u64>,
    /// The operations' latencies.
    pub operations: Histogram<u64>,
}

/// Where in a run a result belongs.
pub(super) struct CellPlace {
    pub(super) cell: Cell,
    pub(super) load: String,
    pub(super) key: Key,
    pub(super) round: u32,
    pub(super) place: u32,
    pub(super) started_ns: u64,
}

/// A rate; 0 if there was no time.
fn per_s(count: u64, ns: u64) -> f64 {
    count as f64 * 1e9 / ns.max(1) as f64
}

/// Of the faults that were meant to start at this rate, the share that did.
fn arrived(threads: &[FaultThread], rate_per_s: f64) -> f64 {
    let per_thread = rate_per_s / threads.len() as f64;
    let active_s = threads.iter().map(|thread| thread.active_ns as f64 / 1e9);
    let faults: u64 = threads.iter().map(|thread| thread.faults).sum();
    faults as f64 / (active_s.sum::<f64>() * per_thread)
}

/// Brings what the threads of a cell have brought home into one result.
pub(super) fn finish(measured: Measured, place: CellPlace, setup: &Setup) -> Finished {
    let threads = &measured.fault_threads;
    // A thread that shares its CPU is fast while it runs; what counts is how far all come.
    let shared = setup.is_oversubscribed(place.cell.storm, place.cell.fault_threads);
    let time_of = |thread: &FaultThread| match shared {
        true => setup.duration_ns,
        false => thread.in_faults_ns,
    };
    let (mut faults, mut stretches) = (new_histogram(), new_histogram());
    for thread in threads {
        faults += &thread.histogram;
        stretches += &thread.stretches;
    }
    let stretch = threads.iter().map(|thread| thread.stretch).min();
    let sum = |count: fn(&FaultCounters) -> u64| -> u64 {
        threads.iter().map(|thread| count(&thread.counters)).sum()
    };
    let in_faults_ns: u64 = threads.iter().map(|thread| thread.in_faults_ns).sum();
    let pages_mapped = [sum(|count| count.mapped), sum(|count| count.mapped_slowly)];
    let rates: Vec<f64> = (threads.iter())
        .map(|thread| per_s(thread.faults, time_of(thread)))
        .collect();
    let slowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let fastest = rates.iter().copied().fold(0.0, f64::max);
    let pages = |thread: &FaultThread| thread.counters.mapped + thread.counters.mapped_slowly;

    let count: u64 = threads.iter().map(|thread| thread.faults).sum();

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
        counters: Readings::sum(measured.storm_threads.iter().map(|it| &it.readings)),
    });
    let beyond_faults: u64 = threads.iter().map(|thread| thread.beyond).sum();
    let beyond_operations: u64 = (measured.storm_threads.iter())
        .map(|thread| thread.beyond)
        .sum();
    let cell = CellRound {
        round: place.round,
        place: place.place,
        scheme: place.cell.subject.name().to_owned(),
        variant: place.key.variant,
        storm: place.load,
        threads: place.cell.fault_threads,
        started_ns: place.started_ns,
        faults_per_s: rates.iter().sum(),
        pages_per_s: (threads.iter())
            .map(|thread| per_s(pages(thread), time_of(thread)))
            .sum(),
        ns_per_page: in_faults_ns as f64 / pages_mapped.iter().sum::<u64>() as f64,
        arrived: setup
            .arrival
            .rate_per_s()
            .map(|rate| arrived(threads, rate)),
        latency: Latency::of(&faults),
        stretches: Stretches::of(&stretches, stretch.unwrap_or(1)),
        slow_path_share: sum(|count| count.slow_faults) as f64 / count as f64,
        sigbus: sum(FaultCounters::bus),
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
                faults: thread.faults,
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
        counters: Readings::sum(threads.iter().map(|thread| &thread.readings)),
        unstable: measured.conditions.is_unstable(),
        conditions: measured.conditions,
    };
    Finished {
        key: place.key,
        cell,
        faults,
        operations,
    }
}

#[cfg(test)]
mod tests {
    use kernel_model::fault_around::Schemes;
    use kernel_model::platform::Native;

    use super::*;
    use crate::cell::measure;
    use crate::fixture::a_moment;
    use machine_facts::cancel::Cancel;
    use machine_facts::clock::Clock;
    use machine_facts::topology::allowed_cpus;

    /// A machine check and the end of the file are one signal to a process.
    #[test]
    fn faults_that_end_in_a_signal_are_counted_together() {
        let scheme = Schemes::<Native>::named("page-locked").unwrap();
        let (cell, setup) = a_moment(scheme.into(), allowed_cpus().unwrap());
        let mut measured = measure(&cell, &setup, 1, &Clock::new(), &Cancel::default()).unwrap();
        let counters = &mut measured.fault_threads[0].counters;
        (counters.sigbus, counters.hwpoison) = (2, 3);
        let place = CellPlace {
            cell,
            load: "none".to_owned(),
            key: Key {
                group: 0,
                scheme: 0,
                variant: Variant::Plain,
            },
            round: 0,
            place: 0,
            started_ns: 0,
        };
        assert_eq!(finish(measured, place, &setup).cell.sigbus, 5);
    }
}
