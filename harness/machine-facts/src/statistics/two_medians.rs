//! The ratio of the medians of two runs, whose rounds don't belong to each other.

use super::Spread;
use super::interval::{
    COVERAGE, FEWEST, Interval, Method, expanded_tail, medians_of_resamples, quantile_from,
    range_coverage, sorted,
};

/// Outcomes of a median that are told apart: the chance of each is far below what lies beyond an
/// interval's end.
const OUTCOMES: usize = 300;

impl Interval {
    /// The median of `over` divided by that of `under`, with the 95 % percentile interval of the
    /// bootstrap: each is resampled on its own.
    ///
    /// As in [`Interval::bootstrap`], distributions are computed, not drawn, and percentiles are
    /// taken further out for few values, as far as the smaller of the two asks for. With fewer than
    /// six values of either it is the range of what the ratio can be, and covers less. `None`
    /// without a value of either.
    pub fn of_two_medians(
        over: impl IntoIterator<Item = f64>,
        under: impl IntoIterator<Item = f64>,
    ) -> Option<Self> {
        let (over, under) = (sorted(over), sorted(under));
        let median =
            Spread::of(over.iter().copied())?.median / Spread::of(under.iter().copied())?.median;
        let count = over.len().min(under.len());
        let (lo, hi, coverage) = if count < FEWEST {
            let lo = over[0] / under[under.len() - 1];
            let hi = over[over.len() - 1] / under[0];
            // Both ranges hold their medians.
            let coverage = range_coverage(over.len()) * range_coverage(under.len());
            (lo, hi, coverage.min(range_coverage(count)))
        } else {
            let tail = expanded_tail(count);
            let ratios = ratios(
                &thinned(medians_of_resamples(&over)),
                &thinned(medians_of_resamples(&under)),
            );
            let hi = quantile_from(ratios.iter().rev(), tail);
            (quantile_from(ratios.iter(), tail), hi, COVERAGE)
        };
        median.is_finite().then_some(Self {
            median,
            lo,
            hi,
            coverage,
            values: count as u32,
            method: Method::Bootstrap,
        })
    }
}

/// What one divided by the other can be, with its probability, in order.
fn ratios(over: &[(f64, f64)], under: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let pairs = over.iter().flat_map(|&(value, chance)| {
        let pairs = under.iter();
        pairs.map(move |&(other, with)| (value / other, chance * with))
    });
    let mut ratios: Vec<_> = pairs.collect();
    ratios.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    ratios
}

/// Neighbours taken together until there are few enough: each group as the one in its middle.
fn thinned(outcomes: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    if outcomes.len() <= OUTCOMES {
        return outcomes;
    }
    let step = 1.0 / OUTCOMES as f64;
    let mut thinned: Vec<(f64, f64)> = Vec::new();
    let mut group: Vec<(f64, f64)> = Vec::new();
    let mut chance = 0.0;
    for outcome in outcomes {
        group.push(outcome);
        chance += outcome.1;
        if chance >= step {
            thinned.push((group[group.len() / 2].0, chance));
            group.clear();
            chance = 0.0;
        }
    }
    if let Some(last) = group.get(group.len() / 2) {
        thinned.push((last.0, chance));
    }
    thinned
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn intervals_of_two_medians_hold_the_true_ratio_as_often_as_they_say() {
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(11);
        for (over, under) in [(10, 10), (6, 20), (15, 15)] {
            let trials = 1_500;
            let held = (0..trials).filter(|_| {
                // Skewed to the right, as times are; the true ratio of the medians is 2.
                let mut draw = |count: i32, scale: f64| -> Vec<f64> {
                    let values = 0..count;
                    values
                        .map(|_| scale * (1.0 + random.random::<f64>().powi(3)))
                        .collect()
                };
                let (over, under) = (draw(over, 2.0), draw(under, 1.0));
                !Interval::of_two_medians(over, under).unwrap().excludes(2.0)
            });
            let share = held.count() as f64 / f64::from(trials);
            assert!((0.95..0.998).contains(&share), "{over}, {under}: {share}");
        }
    }

    #[test]
    fn the_same_values_are_told_apart_by_nothing_and_different_ones_are() {
        let values: Vec<f64> = (0..10).map(|value| 100.0 + f64::from(value)).collect();
        let same = Interval::of_two_medians(values.clone(), values.clone()).unwrap();
        assert_eq!(same.median, 1.0);
        assert!(same.lo < 1.0 && same.hi > 1.0);
        assert!((same.lo * same.hi - 1.0).abs() < 1e-9, "as far up as down");
        let twice = values.iter().map(|value| value * 2.0);
        let twice = Interval::of_two_medians(twice, values.clone()).unwrap();
        assert!(twice.median == 2.0 && twice.lo > 1.8 && twice.hi < 2.2);
        let few = Interval::of_two_medians([2.0, 3.0, 4.0], values.clone()).unwrap();
        assert_eq!((few.lo, few.hi), (2.0 / 109.0, 4.0 / 100.0));
        assert!(few.coverage < COVERAGE);
        assert_eq!(Interval::of_two_medians([], values), None);
    }

    #[test]
    fn thinning_moves_an_interval_by_next_to_nothing() {
        let outcomes: Vec<(f64, f64)> = (0..5_000).map(|at| (f64::from(at), 0.0002)).collect();
        let thinned = thinned(outcomes.clone());
        assert!(thinned.len() <= OUTCOMES + 1);
        let sum: f64 = thinned.iter().map(|outcome| outcome.1).sum();
        assert!((sum - 1.0).abs() < 1e-9);
        for tail in [0.01, 0.3] {
            let of = |all: &[(f64, f64)]| quantile_from(all.iter(), tail);
            assert!((of(&outcomes) - of(&thinned)).abs() < 25.0);
        }
    }
}
