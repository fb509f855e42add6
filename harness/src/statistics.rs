//! What is said about several rounds: their median, and how far apart they were.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Median, minimum and maximum over rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The middle value, or the mean of the two in the middle.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
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

/// The median of a few values and an interval for what it estimates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The median of the values.
    pub median: f64,
    /// The lower end.
    pub lo: f64,
    /// The upper end.
    pub hi: f64,
    /// How often intervals made like this one hold the true median, whatever the values'
    /// distribution.
    pub coverage: f64,
    /// The number of values.
    pub values: u32,
}

/// What an interval covers at least, where there are values enough.
pub const COVERAGE: f64 = 0.95;

impl Interval {
    /// The interval of the median that comes from the sign test: its ends are values, counted from
    /// both sides, and nothing is assumed but that the values are independent. With fewer than six
    /// it is the whole range, and covers less than 95 %. `None` without a value.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| !value.is_nan()).collect();
        values.sort_by(f64::total_cmp);
        let median = Spread::of(values.iter().copied())?.median;
        let count = values.len();
        // Of `count` tosses of a coin, at most `heads` are heads. As a logarithm, since a double
        // holds no probability of a thousand heads and more.
        let mut ln_term = count as f64 * 0.5_f64.ln();
        let mut at_most = ln_term.exp();
        let (mut dropped, mut outside) = (0, at_most);
        for heads in 1..count / 2 {
            ln_term += ((count - heads + 1) as f64 / heads as f64).ln();
            at_most += ln_term.exp();
            if 2.0 * at_most > 1.0 - COVERAGE {
                break;
            }
            (dropped, outside) = (heads, at_most);
        }
        Some(Self {
            median,
            lo: values[dropped],
            hi: values[count - 1 - dropped],
            coverage: 1.0 - 2.0 * outside,
            values: count as u32,
        })
    }

    /// Whether a value lies outside.
    pub fn excludes(&self, value: f64) -> bool {
        value < self.lo || value > self.hi
    }
}

/// Percentiles of latencies, in nanoseconds. One that rests on too few samples isn't given.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
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

/// The value at a quantile, if samples enough lie beyond it.
pub(crate) fn percentile(histogram: &Histogram<u64>, quantile: f64) -> Option<u64> {
    let beyond = histogram.len() as f64 * (1.0 - quantile);
    // A sample's worth of rounding: 1 - 0.999 isn't exactly a thousandth.
    (beyond + 1e-6 >= SAMPLES_BEYOND).then(|| histogram.value_at_quantile(quantile))
}

/// A histogram without its empty buckets, for keeping many.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        let mut histogram = crate::recorder::new_histogram();
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
    use crate::recorder::new_histogram;

    #[test]
    fn medians_of_odd_and_even_numbers_of_values() {
        let odd = Spread::of([3.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.median, odd.min, odd.max), (2.0, 1.0, 3.0));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 10.0]).unwrap().median, 3.0);
        assert_eq!(Spread::of([f64::NAN, 5.0]).unwrap().median, 5.0);
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn the_interval_of_a_median_has_the_coverage_of_the_sign_test() {
        // The textbook's table: of 10 values, the second from either end, 97.9 %.
        let ten = Interval::of((1..=10).map(f64::from)).unwrap();
        assert_eq!(
            (ten.median, ten.lo, ten.hi, ten.values),
            (5.5, 2.0, 9.0, 10)
        );
        assert!((ten.coverage - (1.0 - 22.0 / 1024.0)).abs() < 1e-12);
        // The second from either end of 8 values would hold the median in 93 of 100 cases only.
        let eight = Interval::of((1..=8).map(f64::from)).unwrap();
        assert_eq!((eight.lo, eight.hi), (1.0, 8.0));
        let six = Interval::of([6.0, 1.0, 5.0, 2.0, 4.0, 3.0]).unwrap();
        assert_eq!((six.lo, six.hi), (1.0, 6.0));
        assert!((six.coverage - 0.96875).abs() < 1e-12);
        let three = Interval::of([1.0, 2.0, 9.0]).unwrap();
        assert_eq!((three.lo, three.hi, three.coverage), (1.0, 9.0, 0.75));
        assert!(three.excludes(0.9) && !three.excludes(9.0));
        // The normal approximation: 5000 less 1.96 times 50, and half a value.
        let many = Interval::of((1..=10_000).map(f64::from)).unwrap();
        assert_eq!((many.lo, many.hi), (4902.0, 5099.0));
        assert!((0.95..0.953).contains(&many.coverage));
        let one = Interval::of([3.0]).unwrap();
        assert_eq!((one.lo, one.hi, one.coverage), (3.0, 3.0, 0.0));
        assert_eq!(Interval::of([f64::NAN]), None);
    }

    #[test]
    fn intervals_hold_the_true_median_as_often_as_they_say() {
        use rand::{RngExt, SeedableRng};
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(3);
        for (count, coverage) in [(6, 0.969), (10, 0.979), (20, 0.959)] {
            let trials = 20_000;
            let held = (0..trials).filter(|_| {
                // As skewed as latencies are; the true median is 1/2 to the fourth.
                let values = (0..count).map(|_| random.random::<f64>().powi(4));
                !Interval::of(values).unwrap().excludes(0.0625)
            });
            let share = f64::from(held.count() as u32) / f64::from(trials);
            // Four standard errors of a share near 0.97 in 20,000 trials.
            assert!((share - coverage).abs() < 0.006, "{count} values: {share}");
        }
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
    fn a_sparse_histogram_loses_nothing() {
        let mut histogram = new_histogram();
        for value in [1, 1, 77, 12_345, 9_999_999_999] {
            histogram.record(value).unwrap();
        }
        assert_eq!(Sparse::from(&histogram).expand(), histogram);
    }
}
