//! A straight line through what windows of several sizes cost.

use serde::{Deserialize, Serialize};

use machine_facts::statistics::{Interval, Spread};

/// `intercept + pages * slope`, fitted in each round by least squares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// What there is to pay without a page, in nanoseconds: the median over rounds and its
    /// interval.
    pub intercept_ns: Interval,
    /// What each page adds, in nanoseconds.
    pub page_ns: Interval,
    /// The share of the variance of the medians that the line explains.
    pub r_squared: f64,
    /// The medians that it goes through: pages, and nanoseconds.
    pub points: Vec<(u32, f64)>,
    /// The rounds' lines.
    #[serde(skip)]
    lines: Vec<Line>,
}

/// Which of a line's two figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Intercept,
    Slope,
}

impl Part {
    fn of(self, line: &Line) -> f64 {
        match self {
            Self::Intercept => line.intercept,
            Self::Slope => line.slope,
        }
    }
}

/// One round's line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    pub(super) intercept: f64,
    pub(super) slope: f64,
}

impl Line {
    /// The least squares' line through points; `None` if they don't lie beside each other.
    pub(super) fn through(points: &[(u32, f64)]) -> Option<Self> {
        let count = points.len() as f64;
        let mean = |of: &dyn Fn(&(u32, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(&|point| f64::from(point.0)), mean(&|point| point.1));
        let variance = mean(&|point| (f64::from(point.0) - x).powi(2));
        let covariance = mean(&|point| (f64::from(point.0) - x) * (point.1 - y));
        let slope = covariance / variance;
        slope.is_finite().then_some(Self {
            intercept: y - slope * x,
            slope,
        })
    }

    fn at(&self, pages: u32) -> f64 {
        self.intercept + self.slope * f64::from(pages)
    }
}

impl Fit {
    /// A part of the line of each round.
    pub(super) fn by_round(&self, part: Part) -> Vec<f64> {
        self.lines.iter().map(|line| part.of(line)).collect()
    }

    /// A part of this fit over the same of another, round by round.
    pub(super) fn ratio_to(&self, other: &Self, part: Part) -> Option<Interval> {
        let pairs = self.lines.iter().zip(&other.lines);
        Interval::bootstrap(pairs.map(|(own, other)| part.of(own) / part.of(other)))
    }

    /// The fit of rounds, each of which has measured the same numbers of pages.
    pub(super) fn of(rounds: &[Vec<(u32, f64)>]) -> Option<Self> {
        let lines: Vec<_> = rounds.iter().filter_map(|it| Line::through(it)).collect();
        let pages: Vec<u32> = rounds.first()?.iter().map(|point| point.0).collect();
        let median = |number: usize| {
            let values = rounds.iter().filter_map(|round| Some(round.get(number)?.1));
            Spread::of(values).map(|spread| spread.median)
        };
        let medians = (0..pages.len()).map(median).collect::<Option<Vec<_>>>()?;
        let points: Vec<_> = pages.into_iter().zip(medians).collect();
        let mean = points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64;
        let all: f64 = points.iter().map(|point| (point.1 - mean).powi(2)).sum();
        let line = Line::through(&points)?;
        let left = points
            .iter()
            .map(|point| (point.1 - line.at(point.0)).powi(2));
        Some(Self {
            intercept_ns: Interval::bootstrap(lines.iter().map(|line| line.intercept))?,
            page_ns: Interval::bootstrap(lines.iter().map(|line| line.slope))?,
            r_squared: 1.0 - left.sum::<f64>() / all,
            points,
            lines,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_again_and_outliers_of_single_rounds_are_not_in_it() {
        let round = |number: u32| {
            let disturbed = if number == 3 { 900.0 } else { 0.0 };
            let point = move |pages: u32| {
                let tilt = if pages == 8 { 1.0 } else { -0.25 };
                let noise = (f64::from(number % 3) - 1.0) * tilt;
                let late = if pages == 16 { disturbed } else { 0.0 };
                (pages, 740.0 + 120.0 * f64::from(pages) + noise + late)
            };
            [1, 2, 4, 8, 16].map(point).to_vec()
        };
        let rounds: Vec<_> = (0..15).map(round).collect();
        let fit = Fit::of(&rounds).unwrap();
        assert!((fit.intercept_ns.median - 740.0).abs() < 1.5, "{fit:?}");
        assert!((fit.page_ns.median - 120.0).abs() < 0.1, "{fit:?}");
        assert!(fit.page_ns.lo <= 120.0 && 120.0 <= fit.page_ns.hi);
        assert!(fit.r_squared > 0.999_9);
        assert_eq!(fit.points.len(), 5);
    }

    #[test]
    fn what_is_no_line_has_a_low_r_squared_and_one_size_has_no_fit() {
        let zigzag = vec![(1, 5.0), (2, 1.0), (4, 5.0), (8, 1.0), (16, 5.0)];
        assert!(Fit::of(&[zigzag]).unwrap().r_squared < 0.3);
        assert_eq!(Fit::of(&[vec![(4, 1.0)]]), None);
        assert_eq!(Fit::of(&[]), None);
    }
}
