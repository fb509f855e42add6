//! What a patch would bring: the sound schemes on the calibrated model, against the one that the
//! kernel has.

use kernel_model::Orders;
use kernel_model::fault_around::{FaultAround, Schemes};
use kernel_model::platform::Native;
use machine_facts::statistics::{Interval, Verdict};
use measuring::cell::{CellError, Setup, Subject};
use measuring::rounds::{
    self, CALIBRATED, Finished, Group, Observer, Plan, Rounds, Stopped, Variant,
};
use measuring::storms::Storms;
use measuring::summary::{Results, summarize};
use serde::{Deserialize, Serialize};

use super::Stage;

/// What one scheme would make of a fault of the kernel's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Projected {
    /// The scheme; the kernel's own, run a second time, is among them: what it gets is noise.
    pub scheme: String,
    /// Whether it is that.
    pub again: bool,
    /// The order of the folios.
    pub order: u8,
    /// Processes that fault on the file.
    pub threads: u32,
    /// Rounds that this rests on.
    pub rounds: u32,
    /// The median fault's time under the kernel's scheme over that under this one.
    pub speed: Interval,
    /// What may be said of that.
    pub verdict: Option<Verdict>,
    /// The same ratio on the bare model: the most that locking could matter.
    pub bare: Option<Interval>,
    /// Pages mapped per second, over those of the kernel's scheme.
    pub pages_per_s: Option<Interval>,
    /// The median fault under this scheme, in nanoseconds.
    pub p50_ns: Option<u64>,
    /// The same under the kernel's scheme, in the same rounds.
    pub own_p50_ns: Option<u64>,
}

/// Collects cells.
struct Collector<'a, 'b> {
    results: Results,
    stage: &'a mut Stage<'b>,
}

impl Observer for Collector<'_, '_> {
    fn cell_begins(&mut self, _round: u32, _scheme: &str, _storm: &str, _threads: u32) {}

    fn cell_ended(&mut self, finished: Finished) {
        self.results.add(finished);
    }

    fn round_ended(&mut self, _round: u32) -> Result<(), String> {
        self.stage.watcher.round_over();
        Ok(())
    }

    fn widest_interval(&self) -> f64 {
        f64::INFINITY
    }
}

/// Runs the sound schemes over folios of one order: alone, calibrated and bare, and calibrated with
/// all CPUs on the same pages. Returns what there is of that, and why there isn't more.
pub(super) fn run(
    stage: &mut Stage<'_>,
    setup: &Setup,
    order: u8,
    rounds: u32,
) -> (Vec<Projected>, Result<(), CellError>) {
    let mut schemes: Vec<&'static dyn FaultAround<Native>> = Schemes::ALL
        .iter()
        .copied()
        .filter(|scheme| scheme.about().verdict.is_sound())
        .collect();
    let own = stage.scheme.clone();
    schemes.sort_by_key(|scheme| scheme.about().name != own);
    let all = setup.cpus.len() as u32;
    let mut threads = vec![1, all];
    threads.dedup();
    let group = |(fault_threads, calibrated)| Group {
        storm: Storms::<Native>::named("none").expect("a storm of the registry"),
        fault_threads,
        calibrated,
    };
    let mut loads: Vec<_> = threads.into_iter().map(|it| (it, true)).collect();
    loads.push((1, false));
    let plan = Plan {
        subjects: schemes.into_iter().map(Subject::from).collect(),
        groups: loads.into_iter().map(group).collect(),
        rounds: Rounds::Fixed(rounds),
        controls: Vec::new(),
        seed: stage.seed,
    };
    let mut setup = setup.clone();
    setup.sizes.orders = Orders::All(order);
    let what = format!("schemes on folios of order {order}");
    stage.watcher.part_begins(&what, rounds);
    let (clock, cancel) = (stage.clock, stage.cancel);
    let mut collector = Collector {
        results: Results::above(0, clock.step().ns),
        stage,
    };
    let ended = match rounds::run(&plan, &setup, clock, cancel, &mut collector) {
        Ok(_) => Ok(()),
        Err(Stopped::Cell(error)) => Err(error),
        Err(Stopped::Observer(line)) => Err(CellError::Observer(line)),
    };
    let summary = summarize(&plan, &collector.results, &setup);
    let (calibrated, bare): (Vec<_>, Vec<_>) = summary
        .into_iter()
        .partition(|group| group.storm.ends_with(CALIBRATED));
    let rows = calibrated.into_iter().flat_map(|group| {
        let threads = group.threads;
        let own = group.rows.iter().find(|row| row.baseline);
        let own = own.and_then(|row| row.latency?.p50_ns);
        let rows = group.rows.into_iter();
        rows.map(move |row| (threads, own, row))
    });
    let projected = rows.filter_map(|(threads, own_p50_ns, row)| {
        let mut bare = bare.iter().filter(|group| group.threads == threads);
        let bare = bare.next().and_then(|group| {
            let mut rows = group.rows.iter();
            rows.find(|it| (&it.scheme, it.variant) == (&row.scheme, row.variant))
        });
        Some(Projected {
            again: row.variant == Variant::Again,
            order,
            threads,
            rounds: row.rounds,
            speed: row.p50_ratio?,
            bare: bare.and_then(|row| row.p50_ratio),
            verdict: row.p50_verdict,
            pages_per_s: row.ratio,
            p50_ns: row.latency.and_then(|latency| latency.p50_ns),
            own_p50_ns,
            scheme: row.scheme,
        })
    });
    (projected.collect(), ended)
}
