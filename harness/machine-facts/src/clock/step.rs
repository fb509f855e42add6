//! By how much a clock's reading advances at once.
//!
//! A counter may stand still between two of its steps, however finely its ticks are counted: the
//! TSC of AMD's Zen steps at 100 MHz, arm64's generic timer at what the firmware chose. A latency
//! is the difference of two readings, so that it is a multiple of the step, and off by up to one.

use std::collections::BTreeMap;
use std::hint::black_box;

use serde::{Deserialize, Serialize};

use super::{Clock, Ticks};

/// A clock's step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// In ticks of the counter: a fraction where a counter of another frequency is told in ticks
    /// that are rounded.
    pub ticks: f64,
    /// In nanoseconds.
    pub ns: f64,
}

/// Pairs of readings that are looked at.
const PAIRS: u32 = 20_000;
/// The time between the two of a pair is drawn out by up to so many turns of a loop, so that a fine
/// clock doesn't show the same difference each time.
const TURNS: u32 = 32;
/// Differences beyond this multiple of the middle one have an interruption in them.
const INTERRUPTED: f64 = 4.0;
/// Of the others, the share that must be multiples of a step.
const AGREE: f64 = 0.98;
/// From this many ticks on, a step may be one that was rounded to ticks.
const ROUNDED: f64 = 8.0;

impl Clock {
    /// Measures the step, in about a millisecond.
    pub fn step(&self) -> Step {
        let pairs = (0..PAIRS).map(|pair| {
            let start = self.now();
            let mut chain = start;
            for _ in 0..pair % TURNS {
                chain = black_box(chain.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            }
            self.now() - start
        });
        let ticks = step_of(pairs);
        Step {
            ticks,
            ns: ticks * self.calibration.ns_per_tick,
        }
    }
}

/// The largest step of which differences of readings are multiples, but for those that were
/// interrupted. One tick where there is none, and where nothing is left to tell it from.
fn step_of(differences: impl Iterator<Item = Ticks>) -> f64 {
    let mut seen: BTreeMap<Ticks, u32> = BTreeMap::new();
    for ticks in differences.filter(|ticks| *ticks > 0) {
        *seen.entry(ticks).or_default() += 1;
    }
    let middle = seen.values().sum::<u32>() / 2;
    let mut before = 0;
    let median = seen.iter().find_map(|(ticks, times)| {
        before += times;
        (before > middle).then_some(*ticks)
    });
    let Some(median) = median else {
        return 1.0;
    };
    seen.retain(|ticks, _| *ticks as f64 <= INTERRUPTED * median as f64);
    let all: u32 = seen.values().sum();
    let agree = |step: f64, off: f64| {
        let agreeing = seen.iter().filter(|(ticks, _)| {
            let multiple = (**ticks as f64 / step).round();
            multiple > 0.0 && (**ticks as f64 - step * multiple).abs() <= off
        });
        let agreeing: u32 = agreeing.map(|(_, times)| times).sum();
        f64::from(agreeing) >= AGREE * f64::from(all)
    };
    // What the shortest difference that is no stray one may be a multiple of. A step that was
    // rounded shows as two values, and is their mean.
    let usual = |times: u32| f64::from(times) >= (1.0 - AGREE) / 2.0 * f64::from(all);
    let shortest = seen.iter().find(|(_, times)| usual(**times));
    let shortest = shortest.map_or(median, |(ticks, _)| *ticks);
    let (times, sum) =
        seen.range(shortest..=shortest + 1)
            .fold((0.0, 0.0), |(times, sum), (ticks, more)| {
                let more = f64::from(*more);
                (times + more, sum + more * *ticks as f64)
            });
    let mean: f64 = sum / times;
    let parts = (1..).map(|part| mean / f64::from(part));
    let mut rounded = parts.take_while(|step| *step >= ROUNDED);
    let exact = (1..=shortest.min(ROUNDED as Ticks)).rev();
    let mut exact = exact.map(|step| step as f64);
    let found = rounded.find(|step| agree(*step, 1.0));
    found
        .or_else(|| exact.find(|step| agree(*step, 0.0)))
        .unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    /// What is seen of a clock whose reading is `floor(time / step)` steps, told in whole ticks, by
    /// reads that are 20 to 75 ticks apart. One pair in twenty is interrupted.
    fn seen(step: f64) -> Vec<Ticks> {
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(5);
        let mut now = 1e6;
        let mut read = |apart: f64| {
            now += apart;
            ((now / step).floor() * step).round() as Ticks
        };
        (0..5_000)
            .map(|_| {
                let start = read(random.random_range(0.0..100.0));
                let interrupted = random.random_bool(0.05);
                let apart = match interrupted {
                    true => random.random_range(1e3..1e5),
                    false => random.random_range(20.0..75.0),
                };
                read(apart) - start
            })
            .collect()
    }

    #[test]
    fn a_step_is_found_whether_reads_are_quicker_or_slower_than_it() {
        // The TSC in ticks; Zen's; one read in less than a step; 24 MHz in rounded nanoseconds.
        for step in [1.0, 2.0, 3.0, 10.0, 26.0, 40.0, 1e9 / 24e6, 100.0] {
            let found = step_of(seen(step).into_iter());
            assert!((found / step - 1.0).abs() < 0.01, "{step}: {found}");
        }
        assert_eq!(step_of([0, 0].into_iter()), 1.0, "a clock that stands");
    }

    #[test]
    fn this_clock_has_a_step_of_which_its_readings_are_multiples() {
        let clock = Clock::new();
        let step = clock.step();
        assert!(step.ticks >= 1.0, "{step:?}");
        let (mut last, mut multiples) = (clock.now(), 0);
        for _ in 0..1_000 {
            let now = clock.now();
            let steps = (now - last) as f64 / step.ticks;
            multiples += u32::from((steps - steps.round()).abs() * step.ticks <= 1.0);
            last = now;
        }
        assert!(multiples > 900, "{step:?}: {multiples}");
    }
}
