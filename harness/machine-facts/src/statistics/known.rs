//! Values that a clock tells only to within its step.

use super::Interval;

/// A value, and between what the truth lies for certain.
///
/// What a step does is no noise: it may be the same in all rounds, so that more of them tell no
/// more. An interval of such values therefore reaches from that of their lower ends to that of
/// their upper ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// What is told.
    pub value: f64,
    /// The truth is at least this.
    pub lo: f64,
    /// The truth is at most this.
    pub hi: f64,
}

impl Known {
    /// What isn't known at all.
    pub const NOT: Self = Self::within(f64::NAN, 0.0);

    /// Told to within so much on either side.
    pub const fn within(value: f64, off: f64) -> Self {
        Self {
            value,
            lo: value - off,
            hi: value + off,
        }
    }

    /// Told as it is.
    pub const fn exactly(value: f64) -> Self {
        Self::within(value, 0.0)
    }

    /// One divided by another. Of one that may be 0 nothing is known.
    pub fn over(self, under: Self) -> Self {
        if under.hi > 0.0 && under.lo <= 0.0 {
            return Self::NOT;
        }
        Self {
            value: self.value / under.value,
            lo: self.lo / under.hi,
            hi: self.hi / under.lo,
        }
    }

    /// Whether it is a number, with numbers on either side.
    pub fn is_finite(&self) -> bool {
        self.lo.is_finite() && self.hi.is_finite() && self.value.is_finite()
    }
}

/// The lower ends, the values and the upper ends of several.
fn ends(all: &[Known]) -> [impl Iterator<Item = f64> + '_; 3] {
    let of = |end: fn(&Known) -> f64| all.iter().map(end);
    [of(|it| it.lo), of(|it| it.value), of(|it| it.hi)]
}

impl Interval {
    /// [`Interval::bootstrap`] of values that are known to within something.
    pub fn of_known(values: impl IntoIterator<Item = Known>) -> Option<Self> {
        let values: Vec<Known> = values.into_iter().collect();
        let [lo, value, hi] = ends(&values).map(Self::bootstrap);
        Some(Self {
            lo: lo?.lo,
            hi: hi?.hi,
            ..value?
        })
    }

    /// [`Interval::of_two_medians`] of values that are known to within something.
    pub fn of_two_known(over: &[Known], under: &[Known]) -> Option<Self> {
        let ([lo, value, hi], [under_lo, under_value, under_hi]) = (ends(over), ends(under));
        Some(Self {
            lo: Self::of_two_medians(lo, under_hi)?.lo,
            hi: Self::of_two_medians(hi, under_lo)?.hi,
            ..Self::of_two_medians(value, under_value)?
        })
    }
}
