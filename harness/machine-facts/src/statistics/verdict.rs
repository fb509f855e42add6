//! What may be said in words about a ratio.

use serde::{Deserialize, Serialize};

use super::{COVERAGE, Interval};

/// What a ratio to the baseline shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Above 1, by more than the baseline differs from itself.
    Faster,
    /// Below 1, by more than that.
    Slower,
    /// Neither can be claimed.
    NotToldApart,
}

impl Verdict {
    /// In words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::NotToldApart => "not told apart",
        }
    }
}

/// No smaller difference is claimed, however narrow intervals are: where code happens to lie in
/// memory makes as much.
pub const SMALLEST: f64 = 1.01;

/// How far from 1 a ratio must lie to show something, as a factor: the A/A spread, or [`SMALLEST`].
pub fn least_shown(noise: &Interval) -> f64 {
    noise.hi.max(1.0 / noise.lo).max(SMALLEST)
}

/// A ratio shows something if its interval covers 95 %, which takes six rounds, and excludes 1 by
/// more than the A/A spread: its nearer end is further from 1 than the further end of the interval
/// of the baseline's ratio to itself, and than [`SMALLEST`]. Without such a ratio nothing is shown.
pub fn verdict(ratio: &Interval, noise: Option<&Interval>) -> Verdict {
    let Some(noise) = noise.filter(|noise| noise.coverage >= COVERAGE) else {
        return Verdict::NotToldApart;
    };
    let spread = least_shown(noise);
    if ratio.coverage < COVERAGE {
        Verdict::NotToldApart
    } else if ratio.lo > spread {
        Verdict::Faster
    } else if ratio.hi < 1.0 / spread {
        Verdict::Slower
    } else {
        Verdict::NotToldApart
    }
}

#[cfg(test)]
mod tests {
    use super::super::Method;
    use super::*;

    fn interval(lo: f64, hi: f64) -> Interval {
        Interval {
            median: f64::midpoint(lo, hi),
            lo,
            hi,
            coverage: COVERAGE,
            values: 10,
            method: Method::Bootstrap,
        }
    }

    #[test]
    fn a_difference_must_exclude_one_by_more_than_the_noise_on_either_side() {
        let of = |lo, hi, noise: (f64, f64)| {
            verdict(&interval(lo, hi), Some(&interval(noise.0, noise.1)))
        };
        assert_eq!(of(1.8, 2.0, (0.98, 1.03)), Verdict::Faster);
        assert_eq!(of(0.8, 0.9, (0.98, 1.03)), Verdict::Slower);
        assert_eq!(of(0.9, 1.1, (0.98, 1.03)), Verdict::NotToldApart, "holds 1");
        assert_eq!(
            of(1.01, 1.2, (0.98, 1.03)),
            Verdict::NotToldApart,
            "within the noise"
        );
        // The noise went down; it may as well go up.
        assert_eq!(of(1.04, 1.2, (0.9, 1.0)), Verdict::NotToldApart);
        assert_eq!(of(0.96, 0.98, (1.01, 1.05)), Verdict::NotToldApart);
        assert_eq!(of(1.12, 1.2, (0.9, 1.0)), Verdict::Faster);
        assert_eq!(
            of(1.005, 1.006, (1.0, 1.0)),
            Verdict::NotToldApart,
            "too little"
        );
        assert_eq!(of(1.011, 1.012, (1.0, 1.0)), Verdict::Faster);
    }

    #[test]
    fn too_few_rounds_show_nothing_and_neither_does_a_run_without_its_control() {
        let few = Interval {
            coverage: 0.5,
            values: 2,
            ..interval(2.0, 2.1)
        };
        let quiet = interval(0.99, 1.01);
        assert_eq!(verdict(&few, Some(&quiet)), Verdict::NotToldApart);
        assert_eq!(
            verdict(&interval(2.0, 2.1), Some(&few)),
            Verdict::NotToldApart
        );
        assert_eq!(verdict(&interval(2.0, 2.1), None), Verdict::NotToldApart);
    }
}
