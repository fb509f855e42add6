//! The median of a few values and an interval for what it estimates.

use serde::{Deserialize, Serialize};

use super::Spread;

/// The median of a few values and an interval for what it estimates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The median of the values.
    pub median: f64,
    /// The lower end.
    pub lo: f64,
    /// The upper end.
    pub hi: f64,
    /// How often intervals made like this one are meant to hold the true median.
    pub coverage: f64,
    /// The number of values.
    pub values: u32,
    /// How it was made.
    pub method: Method,
}

/// How an interval was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Percentiles of the bootstrap distribution of the median.
    Bootstrap,
    /// Order statistics, by the sign test.
    SignTest,
}

/// What an interval covers at least, where there are values enough.
pub const COVERAGE: f64 = 0.95;

/// With fewer values, not even their whole range holds the median with 95 %.
pub const FEWEST: usize = 6;

/// Student's 97.5 % points, from 1 degree of freedom on.
const STUDENT: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

/// The 97.5 % point of the normal distribution.
const NORMAL: f64 = 1.959_964;

impl Interval {
    /// The percentile interval of the bootstrap for the median, at 95 %.
    ///
    /// The distribution of the median of a resample is computed, not drawn, so that the same values
    /// always give the same interval. Its percentiles are taken further out than 2.5 % and 97.5 %
    /// for few values, by the factor that makes the same interval of a mean Student's (Hesterberg,
    /// "What Teachers Should Know About the Bootstrap", 2015: expanded percentile interval);
    /// without that, ten values cover 93 %.
    ///
    /// With fewer than six values it is their whole range, and covers less. `None` without a value.
    pub fn bootstrap(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values = sorted(values);
        let median = Spread::of(values.iter().copied())?.median;
        let count = values.len();
        let (lo, hi, coverage) = if count < FEWEST {
            (values[0], values[count - 1], range_coverage(count))
        } else {
            let tail = expanded_tail(count);
            let medians = medians_of_resamples(&values);
            let hi = quantile_from(medians.iter().rev(), tail);
            (quantile_from(medians.iter(), tail), hi, COVERAGE)
        };
        Some(Self {
            median,
            lo,
            hi,
            coverage,
            values: count as u32,
            method: Method::Bootstrap,
        })
    }

    /// The interval of the median that comes from the sign test: its ends are values, counted from
    /// both sides, and nothing is assumed but that the values are independent. With fewer than six
    /// it is the whole range, and covers less than 95 %. `None` without a value.
    pub fn sign_test(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values = sorted(values);
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
            method: Method::SignTest,
        })
    }

    /// Whether a value lies outside.
    pub fn excludes(&self, value: f64) -> bool {
        value < self.lo || value > self.hi
    }

    /// How wide it is, for an interval of ratios: 0.05 if its upper end is 5 % above its lower one.
    pub fn width(&self) -> f64 {
        self.hi / self.lo - 1.0
    }

    /// The interval of the inverse ratio.
    pub fn inverse(&self) -> Self {
        Self {
            median: 1.0 / self.median,
            lo: 1.0 / self.hi,
            hi: 1.0 / self.lo,
            ..*self
        }
    }
}

pub(super) fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().filter(|value| !value.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// How often the range of so many values holds the median.
pub(super) fn range_coverage(count: usize) -> f64 {
    1.0 - 2.0 * 0.5_f64.powi(count as i32)
}

/// What lies beyond each end of an expanded percentile interval.
pub(super) fn expanded_tail(count: usize) -> f64 {
    let student = STUDENT.get(count - 2).copied().unwrap_or_else(|| {
        // Cornish and Fisher's first term, good to three digits from here on.
        NORMAL + (NORMAL.powi(3) + NORMAL) / (4.0 * (count - 1) as f64)
    });
    let count = count as f64;
    normal_tail((count / (count - 1.0)).sqrt() * student)
}

/// What the normal distribution has above `z`, to seven digits (Abramowitz and Stegun, 26.2.17).
fn normal_tail(z: f64) -> f64 {
    const TERMS: [f64; 5] = [
        0.319_381_530,
        -0.356_563_782,
        1.781_477_937,
        -1.821_255_978,
        1.330_274_429,
    ];
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let series = TERMS.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * series
}

/// The median of a resample of sorted values: what it can be, with its probability, in order.
pub(super) fn medians_of_resamples(values: &[f64]) -> Vec<(f64, f64)> {
    let count = values.len();
    let half = count / 2;
    let share = |index: usize| index as f64 / count as f64;
    // The draw of this rank (from 1) is the value with this index.
    let is = |rank: usize, index: usize| {
        at_least_of(count, rank, share(index + 1)) - at_least_of(count, rank, share(index))
    };
    // The middle draws' indices have a standard deviation of half the root of their number: what
    // is eight of them away never happens.
    let reach = 4 * (count as f64).sqrt() as usize + 4;
    let indices = half.saturating_sub(reach)..count.min(half + reach);
    if !count.is_multiple_of(2) {
        let median = |index| (values[index], is(half + 1, index));
        return indices.map(median).collect();
    }
    // The two in the middle are the values i < j if half of the draws are at most i, one of them i
    // itself, and the others at least j, one of them j itself.
    let ln_all_and_one =
        |to: f64, without: f64| half as f64 * to.ln() + (-(without / to).powi(half as i32)).ln_1p();
    let ln_choose = (1..=half).map(|k| ((half + k) as f64 / k as f64).ln());
    let ln_choose: f64 = ln_choose.sum();
    let mut medians = Vec::new();
    for i in indices.clone() {
        let lower = ln_choose + ln_all_and_one(share(i + 1), share(i));
        let mut apart = 0.0;
        for j in i + 1..indices.end {
            let upper = ln_all_and_one(share(count - j), share(count - j - 1));
            let chance = (lower + upper).exp();
            apart += chance;
            medians.push((f64::midpoint(values[i], values[j]), chance));
        }
        medians.push((values[i], (is(half, i) - apart).max(0.0)));
    }
    medians.sort_by(|one, other| one.0.total_cmp(&other.0));
    // Pairs with the same middle are one outcome.
    medians.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        kept.1 += if same { next.1 } else { 0.0 };
        same
    });
    medians
}

/// The chance of at least `wanted` of `count` draws that succeed with this chance each.
fn at_least_of(count: usize, wanted: usize, chance: f64) -> f64 {
    if chance <= 0.0 || chance >= 1.0 {
        return if chance >= 1.0 { 1.0 } else { 0.0 };
    }
    let (ln_hit, ln_miss) = (chance.ln(), (1.0 - chance).ln());
    let mut ln_choose = 0.0;
    let mut sum = 0.0;
    for hits in 0..=count {
        if hits > 0 {
            ln_choose += ((count - hits + 1) as f64 / hits as f64).ln();
        }
        if hits >= wanted {
            sum += (ln_choose + hits as f64 * ln_hit + (count - hits) as f64 * ln_miss).exp();
        }
    }
    sum.min(1.0)
}

/// The last value, coming from one end, that has no more than `tail` up to itself: what an odd
/// number of values leaves to choose is chosen on the safe side.
pub(super) fn quantile_from<'m>(
    mut medians: impl Iterator<Item = &'m (f64, f64)>,
    tail: f64,
) -> f64 {
    let first = medians.next().map_or((f64::NAN, 0.0), |first| *first);
    let (mut end, mut sum) = first;
    for &(value, chance) in medians {
        sum += chance;
        if sum > tail {
            break;
        }
        end = value;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_median_has_the_coverage_of_the_sign_test() {
        // The textbook's table: of 10 values, the second from either end, 97.9 %.
        let ten = Interval::sign_test((1..=10).map(f64::from)).unwrap();
        assert_eq!(
            (ten.median, ten.lo, ten.hi, ten.values),
            (5.5, 2.0, 9.0, 10)
        );
        assert!((ten.coverage - (1.0 - 22.0 / 1024.0)).abs() < 1e-12);
        // The second from either end of 8 values would hold the median in 93 of 100 cases only.
        let eight = Interval::sign_test((1..=8).map(f64::from)).unwrap();
        assert_eq!((eight.lo, eight.hi), (1.0, 8.0));
        let six = Interval::sign_test([6.0, 1.0, 5.0, 2.0, 4.0, 3.0]).unwrap();
        assert_eq!((six.lo, six.hi), (1.0, 6.0));
        assert!((six.coverage - 0.96875).abs() < 1e-12);
        let three = Interval::sign_test([1.0, 2.0, 9.0]).unwrap();
        assert_eq!((three.lo, three.hi, three.coverage), (1.0, 9.0, 0.75));
        assert!(three.excludes(0.9) && !three.excludes(9.0));
        // The normal approximation: 5000 less 1.96 times 50, and half a value.
        let many = Interval::sign_test((1..=10_000).map(f64::from)).unwrap();
        assert_eq!((many.lo, many.hi), (4902.0, 5099.0));
        assert!((0.95..0.953).contains(&many.coverage));
        let one = Interval::sign_test([3.0]).unwrap();
        assert_eq!((one.lo, one.hi, one.coverage), (3.0, 3.0, 0.0));
        assert_eq!(Interval::sign_test([f64::NAN]), None);
    }

    #[test]
    fn sign_test_intervals_hold_the_true_median_as_often_as_they_say() {
        use rand::{RngExt, SeedableRng};
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(3);
        for (count, coverage) in [(6, 0.969), (10, 0.979), (20, 0.959)] {
            let trials = 20_000;
            let held = (0..trials).filter(|_| {
                // As skewed as latencies are; the true median is 1/2 to the fourth.
                let values = (0..count).map(|_| random.random::<f64>().powi(4));
                !Interval::sign_test(values).unwrap().excludes(0.0625)
            });
            let share = f64::from(held.count() as u32) / f64::from(trials);
            // Four standard errors of a share near 0.97 in 20,000 trials.
            assert!((share - coverage).abs() < 0.006, "{count} values: {share}");
        }
    }

    #[test]
    fn the_bootstrap_of_a_median_has_the_distribution_that_drawing_gives() {
        use rand::{RngExt, SeedableRng};
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(3);
        for count in [6, 7, 10, 11] {
            let values: Vec<f64> = (0..count).map(|value| f64::from(value).powi(2)).collect();
            let computed = medians_of_resamples(&values);
            let sum: f64 = computed.iter().map(|(_, chance)| chance).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{count}: {sum}");
            let draws = 40_000;
            let drawn = (0..draws).map(|_| {
                let resample = (0..count).map(|_| values[random.random_range(0..values.len())]);
                Spread::of(resample).unwrap().median
            });
            let drawn: Vec<f64> = drawn.collect();
            for at in [
                values[1],
                values[count as usize / 2],
                values[count as usize - 2],
            ] {
                let share = drawn.iter().filter(|median| **median <= at).count();
                let share = share as f64 / f64::from(draws);
                let chances = computed.iter().filter(|(median, _)| *median <= at);
                let chance: f64 = chances.map(|(_, chance)| chance).sum();
                // Four standard errors of one half.
                assert!(
                    (share - chance).abs() < 0.01,
                    "{count}, {at}: {share}, {chance}"
                );
            }
        }
    }

    #[test]
    fn bootstrap_intervals_hold_the_true_median_as_often_as_they_say() {
        use rand::{RngExt, SeedableRng};
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(7);
        for count in [6, 8, 10, 11, 20, 41] {
            let trials = 8_000;
            let held = (0..trials).filter(|_| {
                let values = (0..count).map(|_| random.random::<f64>().powi(4));
                !Interval::bootstrap(values).unwrap().excludes(0.0625)
            });
            let share = held.count() as f64 / f64::from(trials);
            // Plain percentiles hold it in 91 to 94 of 100 cases.
            assert!((0.945..0.993).contains(&share), "{count} values: {share}");
        }
    }

    #[test]
    fn a_bootstrap_interval_lies_around_the_median_and_shrinks() {
        let of = |count: i32| Interval::bootstrap((1..=count).map(f64::from)).unwrap();
        assert_eq!((of(3).lo, of(3).hi, of(3).coverage), (1.0, 3.0, 0.75));
        let (ten, many) = (of(10), of(1000));
        assert_eq!((ten.median, ten.values, ten.coverage), (5.5, 10, COVERAGE));
        // As far above as below, the distribution of whole numbers being what it is.
        assert!((ten.lo + ten.hi - 11.0).abs() < 1e-9, "{ten:?}");
        assert!((1.0..=2.5).contains(&ten.lo), "{ten:?}");
        // The normal approximation: 500 less 1.96 times 15.8, and half a value.
        assert!(
            (many.lo - 469.5).abs() < 2.0 && (many.hi - 531.5).abs() < 2.0,
            "{many:?}"
        );
        assert!(many.width() > 0.12 && many.width() < 0.14);
        assert_eq!(ten.inverse().lo, 1.0 / ten.hi);
        assert_eq!(Interval::bootstrap([f64::NAN]), None);
    }

    #[test]
    fn the_tail_of_the_normal_distribution_is_that_of_the_tables() {
        for (z, tail) in [(1.959_964, 0.025), (2.575_829, 0.005), (0.0, 0.5)] {
            assert!((normal_tail(z) - tail).abs() < 1e-6, "{z}");
        }
        // Student's point for 9 degrees of freedom, times the root of 10/9.
        assert!((expanded_tail(10) - 0.008_55).abs() < 1e-4);
        assert!((expanded_tail(100_000) - 0.025).abs() < 1e-4);
    }
}
