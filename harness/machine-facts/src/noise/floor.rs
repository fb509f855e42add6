//! What was seen of a CPU, and what follows from it.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::gaps::Gaps;
use crate::clock::Clock;
use crate::histogram::{HIGHEST_NS, LOWEST_NS, new_histogram};
use crate::statistics::percentile;

/// Gaps above this are the machine's, not the clock's: a thousand cycles and more, which no read
/// takes. In nanoseconds.
pub const LONG_NS: u64 = 1_000;

/// Lengths above which gaps are counted, in nanoseconds: an interrupt, a longer one or a switch to
/// another task, a time slice or a hypervisor's.
const THRESHOLDS_NS: [u64; 3] = [LONG_NS, 10_000, 100_000];

/// What comes so often in a watch, on average, goes unseen in one of twenty: `ln(20)`, known as the
/// rule of three.
const UNSEEN: f64 = 3.0;

/// What a CPU takes from the thread that runs on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// The CPU.
    pub cpu: u32,
    /// The time between the first read and the last, in nanoseconds, but for what noting took.
    pub watched_ns: u64,
    /// Gaps between two reads.
    pub reads: u64,
    /// Half of the gaps were no longer, in nanoseconds: the cost of a read.
    pub p50_ns: Option<u64>,
    /// 99 %; as all of these, only if ten samples lie beyond.
    pub p99_ns: Option<u64>,
    /// 99.9 %.
    pub p999_ns: Option<u64>,
    /// 99.99 %.
    pub p9999_ns: Option<u64>,
    /// The longest gap.
    pub max_ns: u64,
    /// How many gaps were longer than 1, 10 and 100 us.
    pub gaps: Vec<GapsOver>,
    /// The part of the time watched that went into gaps above [`LONG_NS`]: from 0 to 1.
    pub lost_share: f64,
}

/// Gaps above a length.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GapsOver {
    /// The length in nanoseconds.
    pub over_ns: u64,
    /// How many there were in the watch.
    pub count: u64,
    /// The same per second watched.
    pub per_s: f64,
}

impl Floor {
    /// What gaps say of a CPU, and all of them in nanoseconds.
    pub(super) fn of(cpu: u32, gaps: &Gaps, clock: &Clock) -> (Self, Histogram<u64>) {
        let mut histogram = new_histogram();
        let mut over = THRESHOLDS_NS.map(|_| 0);
        let (mut watched, mut lost) = (0.0, 0.0);
        let mut longest = 0;
        for (ticks, count) in gaps.counts() {
            let ns = clock.ns(ticks);
            // Only gaps of 10 s and more don't fit.
            histogram.saturating_record_n(ns.clamp(LOWEST_NS, HIGHEST_NS), count);
            // Converted for all of them: a read of some ticks would lose a lot to rounding.
            let time = clock.ns(ticks.saturating_mul(count)) as f64;
            watched += time;
            longest = ns;
            for (threshold, over) in THRESHOLDS_NS.iter().zip(&mut over) {
                *over += if ns > *threshold { count } else { 0 };
            }
            lost += if ns > LONG_NS { time } else { 0.0 };
        }
        let seconds = watched / 1e9;
        let per = |whole: f64, part: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let counted = THRESHOLDS_NS.iter().zip(over);
        let floor = Self {
            cpu,
            watched_ns: watched as u64,
            reads: histogram.len(),
            p50_ns: percentile(&histogram, 0.5),
            p99_ns: percentile(&histogram, 0.99),
            p999_ns: percentile(&histogram, 0.999),
            p9999_ns: percentile(&histogram, 0.9999),
            max_ns: longest,
            gaps: counted
                .map(|(&over_ns, count)| GapsOver {
                    over_ns,
                    count,
                    per_s: per(seconds, count as f64),
                })
                .collect(),
            lost_share: per(watched, lost),
        };
        (floor, histogram)
    }

    /// The share of operations that a gap above [`LONG_NS`] hits, if each takes `latency_ns` of its
    /// own: from 0 to 1. See [the model](super).
    ///
    /// Where no gap was seen, so many are assumed as would stay unseen in one watch out of twenty;
    /// where nothing was watched, 1 is all there is to say.
    pub fn hit_share(&self, latency_ns: u64) -> f64 {
        // The rate while the thread runs, since that is when its operations do.
        let running = self.watched_ns as f64 * (1.0 - self.lost_share);
        if running <= 0.0 {
            return 1.0;
        }
        let long = self.gaps.iter().find(|gaps| gaps.over_ns == LONG_NS);
        let seen = long.map_or(0, |gaps| gaps.count) as f64;
        let rate = if seen > 0.0 { seen } else { UNSEEN } / running;
        // 1 - exp(-x), for an x so small that 1 would swallow it.
        -(-rate * latency_ns as f64).exp_m1()
    }

    /// The percentile of operations of a length beyond which the machine alone explains the tail: a
    /// difference between schemes there is none.
    pub fn blameless_percentile(&self, latency_ns: u64) -> f64 {
        100.0 * (1.0 - self.hit_share(latency_ns))
    }

    /// How many gaps above a length there were per second; 0 for a length that isn't counted.
    pub fn per_s_over(&self, over_ns: u64) -> f64 {
        let gaps = self.gaps.iter().find(|gaps| gaps.over_ns == over_ns);
        gaps.map_or(0.0, |gaps| gaps.per_s)
    }
}

/// The floor of the CPU that loses most of its time; of several that lose as much, the one with the
/// longest gap.
pub fn worst(floors: &[Floor]) -> Option<&Floor> {
    floors.iter().max_by(|one, other| {
        let lost = one.lost_share.total_cmp(&other.lost_share);
        lost.then(one.max_ns.cmp(&other.max_ns))
    })
}

/// Latencies under this aren't to be compared: the p99.9 of gaps on the worst of the CPUs, in
/// nanoseconds. `None` if none was watched for long enough.
pub fn least_comparable_ns(floors: &[Floor]) -> Option<u64> {
    floors.iter().filter_map(|floor| floor.p999_ns).max()
}

/// The floors in words, a sentence for each CPU, of any length.
pub fn lines(floors: &[Floor]) -> Vec<String> {
    floors.iter().map(line).collect()
}

fn line(floor: &Floor) -> String {
    let Floor { cpu, reads, .. } = floor;
    let (Some(p50), Some(p999)) = (floor.p50_ns, floor.p999_ns) else {
        return format!("CPU {cpu}: watched for too short a time, {reads} clock reads");
    };
    format!(
        "CPU {cpu}: back-to-back clock reads {p50} ns apart (p50), {p999} ns (p99.9), longest gap \
         {}; per second, {:.0} gaps over 1 us and {:.0} over 10 us, which took {} of the time",
        time(floor.max_ns),
        floor.per_s_over(LONG_NS),
        floor.per_s_over(10_000),
        percent(floor.lost_share),
    )
}

/// A length of time with a unit that keeps it short: two digits at least where there are so many.
pub fn time(ns: u64) -> String {
    let tenths = |ns: u64, unit: u64| format!("{}.{}", ns / unit, ns % unit * 10 / unit);
    match ns {
        0..10_000 => format!("{ns} ns"),
        10_000..1_000_000 => format!("{} us", ns / 1_000),
        1_000_000..10_000_000 => format!("{} ms", tenths(ns, 1_000_000)),
        10_000_000..10_000_000_000 => format!("{} ms", ns / 1_000_000),
        _ => format!("{} s", ns / 1_000_000_000),
    }
}

/// A share, with as many digits as make a small one more than 0.
pub fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    match percent {
        0.0 => "0 %".to_owned(),
        ..0.001 => "under 0.001 %".to_owned(),
        ..0.1 => format!("{percent:.3} %"),
        ..10.0 => format!("{percent:.2} %"),
        _ => format!("{percent:.0} %"),
    }
}
