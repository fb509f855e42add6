//! Axes: from values to places, and the ticks.

use crate::chart::{Axis, Scale, Ticks};

/// An axis with its range.
pub(super) struct Range {
    scale: Scale,
    /// Ends, in the scale's own measure.
    from: f64,
    to: f64,
    /// By rising value.
    pub(super) ticks: Vec<Tick>,
    /// Whether the first and the last value keep away from the panel's edges.
    pub(super) inset: bool,
}

/// A tick.
pub(super) struct Tick {
    /// Its value.
    pub(super) value: f64,
    /// None for a line that only helps to count.
    pub(super) label: Option<String>,
}

impl Range {
    /// The range of an axis that is to show these values.
    pub(super) fn of(axis: &Axis, values: impl Iterator<Item = f64>) -> Self {
        let chosen = match &axis.ticks {
            Ticks::At(values) => values.as_slice(),
            _ => &[],
        };
        let values = values.chain(chosen.iter().copied());
        let shown = values.filter(|it| measure(axis.scale, *it).is_some());
        let ends = shown.fold(None, |ends: Option<(f64, f64)>, it| {
            let (low, high) = ends.unwrap_or((it, it));
            Some((low.min(it), high.max(it)))
        });
        let (low, high) = ends.unwrap_or(match axis.scale {
            Scale::Log => (1.0, 10.0),
            _ => (0.0, 0.9),
        });
        let (low, high, mut ticks) = match axis.scale {
            Scale::Linear => linear(low, high),
            Scale::Chosen => (low, high, Vec::new()),
            Scale::Log if chosen.is_empty() => logarithmic(low, high),
            Scale::Log => (low, high, Vec::new()),
            Scale::Percentile => percentiles(high),
        };
        if let Ticks::At(values) = &axis.ticks {
            ticks = values.iter().map(|it| (*it, true)).collect();
            ticks.sort_by(|one, other| one.0.total_cmp(&other.0));
        }
        let label = |value: f64| match (axis.scale, &axis.ticks) {
            (Scale::Percentile, _) => percent(value),
            (_, Ticks::Nanoseconds) => duration(value),
            _ => number(value),
        };
        let ticks = ticks.into_iter().map(|(value, labelled)| Tick {
            value,
            label: labelled.then(|| label(value)),
        });
        let end = |value| measure(axis.scale, value).unwrap_or(0.0);
        Self {
            scale: axis.scale,
            from: end(low),
            to: end(high),
            ticks: ticks.collect(),
            inset: axis.scale == Scale::Chosen || !chosen.is_empty(),
        }
    }

    /// Where a value is, from 0 to 1. None for what the scale doesn't show.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        let at = measure(self.scale, value)?;
        if self.to <= self.from {
            return Some(0.5);
        }
        Some((at - self.from) / (self.to - self.from))
    }
}

/// Decades of a logarithmic axis that each have a label; of more, only some have.
const DECADES: f64 = 9.0;

/// A value in the scale's own measure.
fn measure(scale: Scale, value: f64) -> Option<f64> {
    let shown = match scale {
        Scale::Linear | Scale::Chosen => true,
        Scale::Log => value > 0.0,
        Scale::Percentile => (0.0..1.0).contains(&value),
    };
    (shown && value.is_finite()).then(|| match scale {
        Scale::Linear | Scale::Chosen => value,
        Scale::Log => value.log10(),
        Scale::Percentile => -(1.0 - value).log10(),
    })
}

type Ends = (f64, f64, Vec<(f64, bool)>);

/// From a round number to a round number with 0 among them, so that lengths can be compared.
fn linear(low: f64, high: f64) -> Ends {
    let (low, high) = (low.min(0.0), high.max(0.0));
    let span = if high > low { high - low } else { 1.0 };
    let rough = span / 5.0;
    let ten = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|it| it * ten);
    let step = step.into_iter().find(|it| *it >= rough * 0.999);
    let step = step.unwrap_or(10.0 * ten);
    let (first, last) = ((low / step).floor(), (high / step).ceil().max(1.0));
    let ticks = (0..=(last - first) as usize).map(|it| ((first + it as f64) * step, true));
    (first * step, last * step, ticks.collect())
}

/// From a 1, 2 or 5 to another, with labels at all of them or at powers of ten alone.
fn logarithmic(low: f64, high: f64) -> Ends {
    // A little further in each direction than the decades that the values are in.
    let from = low.log10().floor() as i32;
    let to = high.log10().floor() as i32 + 1;
    let steps = (from..=to).flat_map(|ten| [1.0, 2.0, 5.0].map(|it| it * 10_f64.powi(ten)));
    let steps: Vec<f64> = steps.collect();
    let close = 1.0 + 1e-9;
    let first = steps.iter().rposition(|it| *it <= low * close).unwrap_or(0);
    let last = steps.iter().position(|it| *it * close >= high);
    let last = last.unwrap_or(steps.len() - 1).max(first + 1);
    let steps = &steps[first..=last.min(steps.len() - 1)];
    let (low, high) = (steps[0], steps[steps.len() - 1]);
    let few = high / low <= 60.0;
    // Labels cover each other where there are more decades than a panel has room for.
    let decades = high.log10() - low.log10();
    let each = (decades / DECADES).ceil().max(1.0);
    let is_ten = |it: f64| (it.log10() - it.log10().round()).abs() < 1e-9;
    let is_labelled = |it: f64| is_ten(it) && it.log10().round().rem_euclid(each) == 0.0;
    let ticks = steps.iter().filter(|it| each == 1.0 || is_labelled(**it));
    let ticks = ticks.map(|it| (*it, few || is_labelled(*it)));
    (low, high, ticks.collect())
}

/// From 0 to the last quantile that is to be shown.
fn percentiles(high: f64) -> Ends {
    let high = high.max(0.9);
    let nines = (1..=12).map(|it| 1.0 - 0.1_f64.powi(it));
    let ticks = [0.0, 0.5].into_iter().chain(nines);
    let ticks = ticks.filter(|it| *it <= high).map(|it| (it, true));
    (0.0, high, ticks.collect())
}

/// A quantile in percent.
fn percent(quantile: f64) -> String {
    let nines = (-(1.0 - quantile).log10()).round() as usize;
    format!("{:.*}", nines.saturating_sub(2), 100.0 * quantile)
}

/// Nanoseconds in the unit that suits them.
pub(crate) fn duration(ns: f64) -> String {
    for (unit, size) in [("s", 1e9), ("ms", 1e6), ("µs", 1e3)] {
        if ns >= size * (1.0 - 1e-9) {
            return format!("{} {unit}", plain(ns / size));
        }
    }
    format!("{} ns", plain(ns))
}

/// A number in few letters.
pub(crate) fn number(value: f64) -> String {
    for (unit, size) in [("M", 1e6), ("k", 1e4)] {
        if value.abs() >= size {
            let by = if unit == "k" { 1e3 } else { size };
            return format!("{}{unit}", plain(value / by));
        }
    }
    plain(value)
}

fn plain(value: f64) -> String {
    // Nothing that was measured, but a file may have it.
    if value.abs() >= 1e6 {
        return format!("{value:.2e}");
    }
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(scale: Scale, ticks: Ticks, values: &[f64]) -> (Range, Vec<String>) {
        let label = String::new();
        let axis = Axis {
            label,
            scale,
            ticks,
        };
        let range = Range::of(&axis, values.iter().copied());
        let labels = range.ticks.iter().filter_map(|it| it.label.clone());
        let labels = labels.collect();
        (range, labels)
    }

    #[test]
    fn a_linear_axis_has_0_and_round_numbers() {
        let (range, labels) = range(Scale::Linear, Ticks::Numbers, &[12.0, 50.5]);
        assert_eq!(labels, ["0", "20", "40", "60"]);
        assert_eq!(range.place(0.0), Some(0.0));
        assert_eq!(range.place(60.0), Some(1.0));
        let (below, labels) = self::range(Scale::Linear, Ticks::Numbers, &[-0.9, 139.0]);
        assert_eq!(labels, ["-50", "0", "50", "100", "150"]);
        assert_eq!(below.place(-50.0), Some(0.0));
    }

    #[test]
    fn a_logarithmic_axis_ends_at_1_2_or_5() {
        let (range, labels) = range(Scale::Log, Ticks::Nanoseconds, &[210.0, 4800.0]);
        assert_eq!(labels, ["200 ns", "500 ns", "1 µs", "2 µs", "5 µs"]);
        assert_eq!(range.place(200.0), Some(0.0));
        assert!((range.place(1000.0).unwrap() - 0.5).abs() < 1e-9);
        assert_eq!(range.place(0.0), None);
        let (_, labels) = self::range(Scale::Log, Ticks::Nanoseconds, &[33.0, 4e6]);
        assert_eq!(labels, ["100 ns", "1 µs", "10 µs", "100 µs", "1 ms"]);
        let (one, labels) = self::range(Scale::Log, Ticks::Nanoseconds, &[1000.0]);
        assert_eq!(labels, ["1 µs", "2 µs"]);
        assert_eq!(one.place(1000.0), Some(0.0));
        let (_, labels) = self::range(Scale::Log, Ticks::Numbers, &[1.0, 1e20]);
        assert_eq!(labels.len(), 7, "every third decade: {labels:?}");
    }

    #[test]
    fn each_nine_takes_as_much_as_the_one_before() {
        let (range, labels) = range(Scale::Percentile, Ticks::Numbers, &[0.0, 0.9999]);
        assert_eq!(labels, ["0", "50", "90", "99", "99.9", "99.99"]);
        for (quantile, place) in [(0.0, 0.0), (0.9, 0.25), (0.99, 0.5), (0.999, 0.75)] {
            assert!((range.place(quantile).unwrap() - place).abs() < 1e-6);
        }
        assert_eq!(range.place(1.0), None);
    }

    #[test]
    fn chosen_values_have_their_ticks_and_no_others() {
        let at = Ticks::At(vec![4.0, 1.0, 2.0]);
        let (range, labels) = range(Scale::Log, at, &[]);
        assert_eq!(labels, ["1", "2", "4"]);
        assert!(range.inset);
        assert!((range.place(2.0).unwrap() - 0.5).abs() < 1e-9);
        let (one, _) = self::range(Scale::Chosen, Ticks::At(vec![3.0]), &[]);
        assert_eq!(one.place(3.0), Some(0.5));
    }

    #[test]
    fn nothing_to_show_is_no_panic() {
        for scale in [Scale::Linear, Scale::Chosen, Scale::Log, Scale::Percentile] {
            let (range, _) = range(scale, Ticks::Numbers, &[f64::NAN]);
            assert!(range.place(0.5).is_some_and(f64::is_finite));
        }
    }
}
