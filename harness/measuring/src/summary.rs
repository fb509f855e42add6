//! What the rounds of a run amount to, scheme by scheme under each storm.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use machine_facts::conditions::Cause;
use machine_facts::counters::Readings;
use machine_facts::histogram::new_histogram;
use machine_facts::statistics::{
    Interval, Known, Latency, Sparse, Spread, Verdict, known, verdict,
};
use serde::{Deserialize, Serialize};

use crate::cell::Setup;
use crate::rounds::{CellRound, Finished, Key, Plan, Variant};

/// All that a run has measured so far.
#[derive(Debug, Default)]
pub struct Results {
    cells: Vec<Kept>,
    floor_ns: u64,
    step_ns: f64,
}

/// A cell's result, its histograms packed.
#[derive(Debug)]
struct Kept {
    key: Key,
    cell: CellRound,
    faults: Sparse,
    operations: Sparse,
}

impl Results {
    /// Nothing yet. Median latencies below `floor_ns` won't be compared: they are in the noise of
    /// the machine. Of others, what a clock that steps by `step_ns` can't tell is in the intervals.
    pub fn above(floor_ns: u64, step_ns: f64) -> Self {
        Self {
            cells: Vec::new(),
            floor_ns,
            step_ns,
        }
    }

    /// Adds a cell.
    pub fn add(&mut self, finished: Finished) {
        self.cells.push(Kept {
            key: finished.key,
            cell: finished.cell,
            faults: Sparse::from(&finished.faults),
            operations: Sparse::from(&finished.operations),
        });
    }

    /// The cells in the order in which they ran.
    pub fn cells(&self) -> impl Iterator<Item = &CellRound> {
        self.cells.iter().map(|kept| &kept.cell)
    }

    fn of(&self, key: Key) -> impl Iterator<Item = &Kept> {
        self.cells.iter().filter(move |kept| kept.key == key)
    }

    /// One cell's latencies round by round: those of faults, and those of operations.
    pub fn histograms(
        &self,
        key: Key,
    ) -> impl Iterator<Item = (&CellRound, Histogram<u64>, Histogram<u64>)> {
        self.of(key)
            .map(|kept| (&kept.cell, kept.faults.expand(), kept.operations.expand()))
    }

    /// One cell's latencies over all rounds: those of faults, and those of operations.
    pub fn merged(&self, key: Key) -> (Histogram<u64>, Histogram<u64>) {
        let mut merged = (new_histogram(), new_histogram());
        for kept in self.of(key) {
            kept.faults.add_to(&mut merged.0);
            kept.operations.add_to(&mut merged.1);
        }
        merged
    }
}

/// Schemes that are compared with each other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GroupSummary {
    /// The storm that they were under, as [`Group::load`](crate::rounds::Group::load) has it.
    pub storm: String,
    /// The number of fault threads.
    pub threads: u32,
    /// The number of storm threads.
    pub storm_threads: u32,
    /// Whether threads had to share CPUs.
    pub oversubscribed: bool,
    /// The baseline, its second run, and the others.
    pub rows: Vec<Row>,
}

/// One scheme under one storm.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// The scheme.
    pub scheme: String,
    /// Whether it is known to be broken.
    pub broken: bool,
    /// Whether it is what the others are compared with.
    pub baseline: bool,
    /// As what it ran: itself, the baseline's second run (A/A), or a control.
    pub variant: Variant,
    /// Rounds that this rests on.
    pub rounds: u32,
    /// Faults per second of time in faults (of all time, where threads share CPUs), summed over
    /// threads.
    pub faults_per_s: Spread,
    /// Pages mapped per second of the same time, summed over threads.
    pub pages_per_s: Spread,
    /// Time in faults over pages mapped, in nanoseconds.
    pub ns_per_page: Spread,
    /// The interval of the median of `pages_per_s`.
    pub pages_per_s_interval: Option<Interval>,
    /// The interval of the median of `ns_per_page`.
    pub ns_per_page_interval: Option<Interval>,
    /// `pages_per_s` over the baseline's, round by round: above 1 is faster. `None` for the
    /// baseline itself.
    pub ratio: Option<Interval>,
    /// What may be said of that ratio; `None` for the baseline and its second run.
    pub verdict: Option<Verdict>,
    /// The baseline's median latency over this one's, round by round: above 1 is faster. Hardly
    /// touched by what the machine does to a few faults in a thousand. In a closed loop the median
    /// is over stretches of faults in a row
    /// ([`Stretches`](machine_facts::statistics::Stretches)). What the clock's step leaves open is
    /// in the interval. `None` for the baseline itself, and where a median is below the noise
    /// floor.
    pub p50_ratio: Option<Interval>,
    /// What may be said of that ratio.
    pub p50_verdict: Option<Verdict>,
    /// The median latency over stretches of faults in a row, in nanoseconds per fault; `None`
    /// without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stretch_p50_ns: Option<Spread>,
    /// Latencies of the faults of all rounds.
    pub latency: Option<Latency>,
    /// Faults that fell to the slow path over all faults.
    pub slow_path_share: Spread,
    /// The slowest thread's rate over the fastest one's.
    pub fairness: Spread,
    /// Counts over all rounds.
    pub totals: Totals,
    /// The remover's side; `None` without a storm.
    pub remover: Option<RemoverSummary>,
    /// Of the faults that were meant to start, the share that did; `None` in a closed loop.
    pub arrived: Option<Spread>,
    /// What the fault threads' counters read in all rounds, together.
    #[serde(default)]
    pub counters: Readings,
    /// How many rounds were unstable, and why.
    pub unstable: Unstable,
    /// From the first thread's start to the last one's, in nanoseconds.
    pub start_skew_ns: Spread,
}

/// Rounds in which something happened that was none of the scheme's doing. They are in all figures.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Unstable {
    /// How many of the row's rounds.
    pub rounds: u32,
    /// In how many of them each thing happened; more than one may in the same round.
    pub causes: BTreeMap<Cause, u32>,
}

impl Unstable {
    fn of<'c>(cells: impl Iterator<Item = &'c CellRound>) -> Self {
        let mut unstable = Self::default();
        for causes in cells.map(|cell| cell.conditions.causes()) {
            unstable.rounds += u32::from(!causes.is_empty());
            for cause in causes {
                *unstable.causes.entry(cause).or_default() += 1;
            }
        }
        unstable
    }
}

/// Counts over all rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Faults.
    pub faults: u64,
    /// Pages that they mapped.
    pub pages_mapped: u64,
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
    /// Faults past the end of the file or on a page with bad memory.
    pub sigbus: u64,
    /// Faults that found no frame.
    pub oom: u64,
    /// Violations of invariants that the audits at rest found.
    pub violations: u64,
    /// Latencies beyond the histograms' range of 10 s.
    pub beyond_range: u64,
}

/// A storm's side of a row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RemoverSummary {
    /// Operations per second.
    pub ops_per_s: Spread,
    /// How fast the remover is against the baseline, round by round; below 1, the scheme slows it.
    /// Flat out `ops_per_s` over the baseline's; at a rate, which all keep, the baseline's median
    /// latency over this one. `None` for the baseline itself.
    pub ratio: Option<Interval>,
    /// What may be said of that ratio.
    pub verdict: Option<Verdict>,
    /// Latencies of the operations of all rounds.
    pub latency: Option<Latency>,
    /// Operations.
    pub ops: u64,
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
    /// What the storm threads' counters read in all rounds, together.
    #[serde(default)]
    pub counters: Readings,
}

impl GroupSummary {
    /// The baseline's second run (A/A), if it is there by now.
    pub fn again(&self) -> Option<&Row> {
        self.rows.iter().find(|row| row.variant == Variant::Again)
    }

    /// Fills in what may be said of the ratios.
    fn judge(&mut self) {
        let again = self.again();
        let noise = again.and_then(|row| row.ratio);
        let p50_noise = again.and_then(|row| row.p50_ratio);
        let again = again.and_then(|row| row.remover.as_ref());
        let remover_noise = again.and_then(|remover| remover.ratio);
        let others = |row: &&mut Row| row.variant != Variant::Again;
        for row in self.rows.iter_mut().filter(others) {
            row.verdict = row.ratio.map(|ratio| verdict(&ratio, noise.as_ref()));
            let p50_ratio = row.p50_ratio;
            row.p50_verdict = p50_ratio.map(|ratio| verdict(&ratio, p50_noise.as_ref()));
            if let Some(remover) = &mut row.remover {
                let ratio = remover.ratio;
                remover.verdict = ratio.map(|ratio| verdict(&ratio, remover_noise.as_ref()));
            }
        }
    }
}

/// A storm that starts this share of the operations that it was meant to has kept its rate.
pub const RATE_KEPT: f64 = 0.95;

/// Sums a run up, group by group in the order of its plan. Rows of which no round is there yet
/// are left out.
pub fn summarize(plan: &Plan, results: &Results, setup: &Setup) -> Vec<GroupSummary> {
    let rows_of = |group| -> Vec<Row> {
        plan.keys_of(group)
            .filter_map(|key| row(plan, results, setup, key))
            .collect()
    };
    let summary = |(number, group): (usize, &crate::rounds::Group)| {
        let mut summary = GroupSummary {
            storm: group.load(),
            threads: group.fault_threads,
            storm_threads: setup.storm_threads_of(group.storm),
            oversubscribed: setup.is_oversubscribed(group.storm, group.fault_threads),
            rows: rows_of(number),
        };
        summary.judge();
        summary
    };
    plan.groups.iter().enumerate().map(summary).collect()
}

/// How wide the widest interval of a ratio of pages per second is; infinite where there is none
/// yet.
pub fn widest_interval(plan: &Plan, results: &Results) -> f64 {
    let keys = (0..plan.groups.len()).flat_map(|group| plan.keys_of(group));
    let others = keys.filter(|key| *key != plan.baseline_of(key.group));
    let widths = others.map(|key| {
        let interval = ratio(plan, results, key, &over_base(|cell| cell.pages_per_s));
        interval.map_or(f64::INFINITY, |interval| interval.width())
    });
    widths.fold(0.0, f64::max)
}

/// The ratio to the baseline, round by round, of what is told of the baseline's cell and of this
/// one. Only rounds that both have: an interrupted run's last one may lack either.
fn ratio(
    plan: &Plan,
    results: &Results,
    key: Key,
    of: &dyn Fn([&CellRound; 2]) -> Known,
) -> Option<Interval> {
    let baseline = plan.baseline_of(key.group);
    let base: BTreeMap<u32, &CellRound> = (results.of(baseline))
        .map(|base| (base.cell.round, &base.cell))
        .collect();
    let pairs = results.of(key).filter_map(|kept| {
        let base = base.get(&kept.cell.round)?;
        Some(of([base, &kept.cell]))
    });
    Interval::of_known(pairs.filter(Known::is_finite)).filter(|_| key != baseline)
}

/// The ratio of a figure in which no step of the clock is to be seen.
fn over_base(value: impl Fn(&CellRound) -> f64) -> impl Fn([&CellRound; 2]) -> Known {
    move |[base, cell]| Known::exactly(value(cell) / value(base))
}

impl Results {
    /// The first median over the second, that is, how much faster the second is; nothing of medians
    /// that aren't there or are below the floor.
    fn speed(&self, latencies: [Option<&Latency>; 2]) -> Known {
        let [base, cell] = latencies.map(|latency| known(self.p50_ns(latency), self.step_ns));
        base.over(cell)
    }

    /// The same of faults: by their stretches where both have them.
    fn fault_speed(&self, cells: [&CellRound; 2]) -> Known {
        let latencies = cells.map(|cell| cell.latency.as_ref());
        let compared = latencies.iter().all(|it| self.p50_ns(*it).is_some());
        match cells.map(|cell| cell.stretches) {
            [Some(base), Some(cell)] if compared => {
                base.known(self.step_ns).over(cell.known(self.step_ns))
            }
            _ => self.speed(latencies),
        }
    }

    /// A median that isn't below the floor.
    fn p50_ns(&self, latency: Option<&Latency>) -> Option<u64> {
        let p50_ns = latency.and_then(|latency| latency.p50_ns);
        p50_ns.filter(|p50_ns| *p50_ns >= self.floor_ns)
    }
}

fn row(plan: &Plan, results: &Results, setup: &Setup, key: Key) -> Option<Row> {
    let cells: Vec<&CellRound> = results.of(key).map(|kept| &kept.cell).collect();
    let first = *cells.first()?;
    // Not a number where there is nothing to divide by, as when a thread never got its CPU.
    let spread = |value: fn(&CellRound) -> f64| {
        Spread::of(cells.iter().map(|cell| value(cell))).unwrap_or(Spread::NONE)
    };
    let sum = |count: fn(&CellRound) -> u64| -> u64 { cells.iter().map(|cell| count(cell)).sum() };
    let ratio = |of: &dyn Fn([&CellRound; 2]) -> Known| ratio(plan, results, key, of);
    let (faults, operations) = results.merged(key);
    let removals = cells.iter().filter_map(|cell| cell.remover.as_ref());
    let removals: Vec<_> = removals.collect();
    let ops_per_s = |cell: &CellRound| {
        let remover = cell.remover.as_ref();
        remover.map_or(f64::NAN, |remover| remover.ops_per_s)
    };
    let remover_speed = |cells: [&CellRound; 2]| match setup.rate_per_s {
        None => over_base(ops_per_s)(cells),
        // A backlog's latencies say nothing about one operation.
        Some(rate) if cells.iter().any(|cell| ops_per_s(cell) < RATE_KEPT * rate) => Known::NOT,
        Some(_) => {
            let removers = cells.map(|cell| cell.remover.as_ref());
            results.speed(removers.map(|remover| remover.and_then(|it| it.latency.as_ref())))
        }
    };
    Some(Row {
        scheme: first.scheme.clone(),
        broken: plan.subjects[key.scheme].is_broken(),
        baseline: key == plan.baseline_of(key.group),
        variant: key.variant,
        rounds: cells.len() as u32,
        faults_per_s: spread(|cell| cell.faults_per_s),
        pages_per_s: spread(|cell| cell.pages_per_s),
        ns_per_page: spread(|cell| cell.ns_per_page),
        pages_per_s_interval: Interval::bootstrap(cells.iter().map(|cell| cell.pages_per_s)),
        ns_per_page_interval: Interval::bootstrap(cells.iter().map(|cell| cell.ns_per_page)),
        ratio: ratio(&over_base(|cell| cell.pages_per_s)),
        verdict: None,
        p50_ratio: ratio(&|cells| results.fault_speed(cells)),
        stretch_p50_ns: Spread::of(cells.iter().filter_map(|it| Some(it.stretches?.p50_ns))),
        p50_verdict: None,
        latency: Latency::of(&faults),
        slow_path_share: spread(|cell| cell.slow_path_share),
        fairness: spread(|cell| cell.fairness),
        totals: Totals {
            faults: sum(|cell| cell.fault_threads.iter().map(|it| it.faults).sum()),
            pages_mapped: sum(|cell| cell.pages_mapped.iter().sum()),
            skipped_locked: sum(|cell| cell.skipped_locked),
            slot_changed: sum(|cell| cell.slot_changed),
            undone: sum(|cell| cell.undone),
            gate_closed: sum(|cell| cell.gate_closed),
            filled: sum(|cell| cell.filled),
            sigbus: sum(|cell| cell.sigbus),
            oom: sum(|cell| cell.oom),
            violations: sum(|cell| cell.violations),
            beyond_range: sum(|cell| cell.beyond_range),
        },
        remover: Spread::of(cells.iter().map(|cell| ops_per_s(cell))).map(|spread| {
            RemoverSummary {
                ops_per_s: spread,
                ratio: ratio(&remover_speed),
                verdict: None,
                latency: Latency::of(&operations),
                ops: removals.iter().map(|round| round.ops).sum(),
                folios_removed: removals.iter().map(|round| round.folios_removed).sum(),
                pages_removed: removals.iter().map(|round| round.pages_removed).sum(),
                skipped_locked: removals.iter().map(|round| round.skipped_locked).sum(),
                busy: removals.iter().map(|round| round.busy).sum(),
                split: removals.iter().map(|round| round.split).sum(),
                unmapped_singly: removals.iter().map(|round| round.unmapped_singly).sum(),
                transient_mapcount: removals.iter().map(|round| round.transient_mapcount).sum(),
                counters: Readings::sum(removals.iter().map(|round| &round.counters)),
            }
        }),
        arrived: Spread::of(cells.iter().filter_map(|cell| cell.arrived)),
        counters: Readings::sum(cells.iter().map(|cell| &cell.counters)),
        unstable: Unstable::of(cells.iter().copied()),
        start_skew_ns: spread(|cell| cell.start_skew_ns as f64),
    })
}
