//! When operations are meant to start: closed loop, or open loop at a rate.

use std::fmt;
use std::str::FromStr;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

use machine_facts::clock::{Clock, Ticks};

/// How faults come to a fault thread.
///
/// In a closed loop a long fault delays those that would have come meanwhile, and none of them
/// counts it (coordinated omission). With a rate each has a moment at which it is meant to start,
/// and its latency counts from there.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Arrival {
    /// Each as soon as the one before has ended.
    #[default]
    Closed,
    /// At random: so many per second and cell, with exponential times between them.
    Poisson(f64),
    /// So many per second and cell, evenly.
    Fixed(f64),
}

impl Arrival {
    /// Faults per second that all fault threads of a cell together are meant to start.
    pub fn rate_per_s(self) -> Option<f64> {
        match self {
            Self::Closed => None,
            Self::Poisson(rate) | Self::Fixed(rate) => Some(rate),
        }
    }
}

impl fmt::Display for Arrival {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => out.write_str("closed"),
            Self::Poisson(rate) => write!(out, "poisson:{rate}"),
            Self::Fixed(rate) => write!(out, "fixed:{rate}"),
        }
    }
}

impl From<Arrival> for String {
    fn from(arrival: Arrival) -> Self {
        arrival.to_string()
    }
}

/// The fastest arrivals that can be asked for, per second.
pub const FASTEST: f64 = 1e9;

impl FromStr for Arrival {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?}: allowed are closed, poisson:R and fixed:R, with R from 1 to \
                 {FASTEST:.0} faults per second"
            )
        };
        if text == "closed" {
            return Ok(Self::Closed);
        }
        let (name, rate) = text.split_once(':').ok_or_else(wrong)?;
        let rate: f64 = rate.parse().map_err(|_| wrong())?;
        if !(1.0..=FASTEST).contains(&rate) {
            return Err(wrong());
        }
        match name {
            "poisson" => Ok(Self::Poisson(rate)),
            "fixed" => Ok(Self::Fixed(rate)),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Arrival {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Between two intended starts, in ticks.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// There are none.
    Closed,
    Fixed(f64),
    Poisson(f64),
}

/// The intended starts of one thread's operations.
#[derive(Debug)]
pub(crate) struct Schedule {
    next: f64,
    step: Step,
}

impl Schedule {
    /// Thread `number` of `threads`, which take turns, so that together they keep the rate evenly.
    pub(crate) fn new(
        arrival: Arrival,
        number: u32,
        threads: u32,
        start: Ticks,
        clock: &Clock,
    ) -> Self {
        let second = clock.ticks(1_000_000_000) as f64;
        let interval = |rate: f64| second / rate * f64::from(threads);
        let (step, turn) = match arrival {
            Arrival::Closed => (Step::Closed, 0.0),
            Arrival::Fixed(rate) => {
                let turn = interval(rate) * f64::from(number) / f64::from(threads);
                (Step::Fixed(interval(rate)), turn)
            }
            // The sum of independent Poisson processes is one.
            Arrival::Poisson(rate) => (Step::Poisson(interval(rate)), 0.0),
        };
        Self {
            next: start as f64 + turn,
            step,
        }
    }

    /// The next intended start; `None` in a closed loop, where that is when it comes to it.
    #[inline]
    pub(crate) fn next(&mut self, random: &mut Pcg64Mcg) -> Option<Ticks> {
        let step = match self.step {
            Step::Closed => return None,
            Step::Fixed(interval) => interval,
            // One minus, since 0 may be drawn and 1 never is.
            Step::Poisson(mean) => -mean * (1.0 - random.random::<f64>()).ln(),
        };
        let intended = self.next as Ticks;
        self.next += step;
        Some(intended)
    }

    /// Takes a time out of the schedule: all that is to come comes as much later.
    pub(crate) fn pause(&mut self, ticks: Ticks) {
        self.next += ticks as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn what_is_printed_is_read_back_and_anything_else_is_refused() {
        for text in ["closed", "poisson:1000", "fixed:2.5", "fixed:1000000000"] {
            let arrival: Arrival = text.parse().unwrap();
            assert_eq!(arrival.to_string(), text);
        }
        for text in [
            "open",
            "poisson",
            "poisson:",
            "poisson:0",
            "fixed:-1",
            "fixed:inf",
            "fixed:NaN",
            "fixed:1e10",
            "uniform:5",
        ] {
            let line = text.parse::<Arrival>().unwrap_err();
            assert!(line.contains(text) && line.contains("poisson:R"), "{line}");
        }
    }

    fn starts(arrival: Arrival, number: u32, threads: u32, count: usize) -> Vec<f64> {
        let clock = Clock::new();
        let mut random = Pcg64Mcg::seed_from_u64(u64::from(number));
        let mut schedule = Schedule::new(arrival, number, threads, 1_000, &clock);
        let starts = (0..count).map(|_| schedule.next(&mut random).unwrap());
        starts.map(|start| clock.ns(start - 1_000) as f64).collect()
    }

    #[test]
    fn threads_take_turns_at_a_fixed_rate() {
        let fixed = Arrival::Fixed(1_000_000.0);
        let (one, other) = (starts(fixed, 0, 2, 50), starts(fixed, 1, 2, 50));
        for (index, (one, other)) in one.iter().zip(&other).enumerate() {
            assert!((one - 2_000.0 * index as f64).abs() < 3.0, "{one}");
            assert!((other - one - 1_000.0).abs() < 3.0, "{one}, {other}");
        }
    }

    #[test]
    fn poisson_arrivals_have_their_rate_and_the_spread_of_exponential_times() {
        let starts = starts(Arrival::Poisson(500_000.0), 0, 2, 40_001);
        let gaps: Vec<f64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>();
        let deviation = (variance / gaps.len() as f64).sqrt();
        // 4 us each for one of two threads; five standard errors.
        assert!((mean / 4_000.0 - 1.0).abs() < 0.025, "{mean}");
        assert!((deviation / mean - 1.0).abs() < 0.05, "{deviation}");
        let short = gaps.iter().filter(|gap| **gap < mean * 0.693).count();
        assert!(
            (short as f64 / gaps.len() as f64 - 0.5).abs() < 0.02,
            "{short}"
        );
    }

    #[test]
    fn a_pause_moves_what_is_to_come_and_nothing_else() {
        let clock = Clock::new();
        let mut random = Pcg64Mcg::seed_from_u64(0);
        let mut schedule = Schedule::new(Arrival::Fixed(1e6), 0, 1, 0, &clock);
        let first = schedule.next(&mut random).unwrap();
        schedule.pause(12_345);
        let second = schedule.next(&mut random).unwrap();
        let interval = clock.ticks(1_000);
        assert!((second - first).abs_diff(12_345 + interval) <= 2);
    }
}
