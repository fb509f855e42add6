//! What is said about several rounds: their median, how far apart they were, and what of that is
//! noise.

mod interval;
mod known;
mod two_medians;
mod verdict;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::histogram::STRETCH;
use crate::not_a_number;

pub use interval::FEWEST;
pub use interval::{COVERAGE, Interval, Method};
pub use known::Known;
pub use verdict::{SMALLEST, Verdict, least_shown, verdict};

/// Median, minimum and maximum over rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The middle value, or the mean of the two in the middle.
    #[serde(deserialize_with = "not_a_number::read")]
    pub median: f64,
    /// The smallest.
    #[serde(deserialize_with = "not_a_number::read")]
    pub min: f64,
    /// The largest.
    #[serde(deserialize_with = "not_a_number::read")]
    pub max: f64,
}

impl Spread {
    /// That of no values.
    pub const NONE: Self = Self {
        median: f64::NAN,
        min: f64::NAN,
        max: f64::NAN,
    };

    /// Of values in any order; `None` if there are none. Values that aren't numbers don't count.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| !value.is_nan()).collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Self { median, min, max })
    }
}

/// Percentiles of latencies, in nanoseconds. One that rests on too few samples isn't given.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Samples.
    pub count: u64,
    /// The mean.
    pub mean_ns: f64,
    /// The median; from 20 samples on.
    pub p50_ns: Option<u64>,
    /// 90 %; from 100 samples on.
    pub p90_ns: Option<u64>,
    /// 99 %; from 1,000 samples on.
    pub p99_ns: Option<u64>,
    /// 99.9 %; from 10,000 samples on.
    pub p999_ns: Option<u64>,
    /// The longest.
    pub max_ns: u64,
}

/// Samples that must lie beyond a percentile for it to be given.
const SAMPLES_BEYOND: f64 = 10.0;

impl Latency {
    /// Of a histogram; `None` if it is empty.
    pub fn of(histogram: &Histogram<u64>) -> Option<Self> {
        if histogram.is_empty() {
            return None;
        }
        let at = |quantile| percentile(histogram, quantile);
        Some(Self {
            count: histogram.len(),
            mean_ns: histogram.mean(),
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
            max_ns: histogram.max(),
        })
    }
}

/// The value at a quantile, if samples enough lie beyond it: ten.
pub fn percentile(histogram: &Histogram<u64>, quantile: f64) -> Option<u64> {
    let beyond = histogram.len() as f64 * (1.0 - quantile);
    // A sample's worth of rounding: 1 - 0.999 isn't exactly a thousandth.
    (beyond + 1e-6 >= SAMPLES_BEYOND).then(|| histogram.value_at_quantile(quantile))
}

/// The median time of stretches of faults, each of which began when the one before it ended (see
/// [`STRETCH`]).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stretches {
    /// Faults in a stretch; the fewest, where threads had different ones.
    pub faults: u32,
    /// Stretches.
    pub count: u64,
    /// Their median, in nanoseconds per fault.
    pub p50_ns: f64,
}

impl Stretches {
    /// Of a histogram of [`STRETCH`] faults each; `None` with fewer than 20, as for any median.
    pub fn of(histogram: &Histogram<u64>, faults: u32) -> Option<Self> {
        let p50_ns = percentile(histogram, 0.5)?;
        Some(Self {
            faults,
            count: histogram.len(),
            p50_ns: histogram.median_equivalent(p50_ns) as f64 / f64::from(STRETCH),
        })
    }

    /// The median as far as a clock of this step tells it: a step for each stretch, a nanosecond of
    /// rounding for as many faults as [`STRETCH`] has, and half a bucket.
    pub fn known(&self, step_ns: f64) -> Known {
        let off = step_ns / f64::from(self.faults) + 1.0 / f64::from(STRETCH);
        Known::within(self.p50_ns, off + self.p50_ns * HALF_A_BUCKET)
    }
}

/// Half the width of a histogram's bucket, as a share of what lies in it, at most.
const HALF_A_BUCKET: f64 = 1.0 / 2048.0;

/// A percentile of single latencies as far as a clock of this step tells it: a step on either side,
/// whatever its phase, and what rounding and buckets do. Nothing is known of one that isn't there.
pub fn known(percentile_ns: Option<u64>, step_ns: f64) -> Known {
    percentile_ns.map_or(Known::NOT, |ns| {
        let ns = ns as f64;
        Known::within(ns, step_ns + 1.0 + 2.0 * HALF_A_BUCKET * ns)
    })
}

/// A histogram without its empty buckets, for keeping many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sparse(Vec<(u64, u64)>);

impl From<&Histogram<u64>> for Sparse {
    fn from(histogram: &Histogram<u64>) -> Self {
        let recorded = histogram.iter_recorded();
        Self(
            recorded
                .map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
                .collect(),
        )
    }
}

impl Sparse {
    /// The histogram, with all its buckets.
    pub fn expand(&self) -> Histogram<u64> {
        let mut histogram = crate::histogram::new_histogram();
        self.add_to(&mut histogram);
        histogram
    }

    /// Adds its counts to a histogram.
    pub fn add_to(&self, histogram: &mut Histogram<u64>) {
        for &(value, count) in &self.0 {
            histogram.saturating_record_n(value, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::new_histogram;

    #[test]
    fn medians_of_odd_and_even_numbers_of_values() {
        let odd = Spread::of([3.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.median, odd.min, odd.max), (2.0, 1.0, 3.0));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 10.0]).unwrap().median, 3.0);
        assert_eq!(Spread::of([f64::NAN, 5.0]).unwrap().median, 5.0);
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn percentiles_need_ten_samples_beyond_them() {
        let mut histogram = new_histogram();
        assert_eq!(Latency::of(&histogram), None);
        for value in 1..=19 {
            histogram.record(value).unwrap();
        }
        assert_eq!(Latency::of(&histogram).unwrap().p50_ns, None);
        for value in 20..=999 {
            histogram.record(value).unwrap();
        }
        let latency = Latency::of(&histogram).unwrap();
        assert_eq!(
            (latency.p50_ns, latency.p90_ns, latency.p99_ns),
            (Some(500), Some(900), None)
        );
        histogram.record(1_000).unwrap();
        let latency = Latency::of(&histogram).unwrap();
        assert_eq!((latency.p99_ns, latency.p999_ns), (Some(990), None));
        for _ in 0..9_000 {
            histogram.record(1_500).unwrap();
        }
        assert_eq!(Latency::of(&histogram).unwrap().p999_ns, Some(1_500));
    }

    #[test]
    fn a_latency_is_within_a_step_of_what_was_read_in_each_phase() {
        let step = 40;
        for (phase, ns) in (0..step).flat_map(|phase| (150..250).map(move |ns| (phase, ns))) {
            let read = known(Some((phase + ns) / step * step), step as f64);
            assert!(
                read.lo <= ns as f64 && ns as f64 <= read.hi,
                "{read:?}: {ns} from {phase}"
            );
        }
    }

    #[test]
    fn a_sparse_histogram_loses_nothing() {
        let mut histogram = new_histogram();
        for value in [1, 1, 77, 12_345, 9_999_999_999] {
            histogram.record(value).unwrap();
        }
        assert_eq!(Sparse::from(&histogram).expand(), histogram);
    }
}
