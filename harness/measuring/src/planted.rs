//! A planted slowdown: a loop of known length, for seeing whether a run would notice one.

use std::hint::black_box;

use machine_facts::clock::Clock;

/// A loop that takes a given time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plant {
    turns: u32,
    ticks_per_turn: f64,
}

/// Turns of the loop that is timed.
const TIMED: u32 = 4096;
/// How often it is; the quickest counts, since nothing but a disturbance makes it slower.
const TIMES: usize = 64;

/// Steps in which a planted loop is brought to its length.
pub(crate) const CALIBRATIONS: u64 = 4;

impl Plant {
    /// A loop that makes a fault longer by a share of it, from what `medians` tells of faults
    /// without a loop and with one, step by step.
    pub(crate) fn lengthening<E>(
        share: f64,
        clock: &Clock,
        mut medians: impl FnMut(u64, &Self) -> Result<(f64, f64), E>,
    ) -> Result<Self, E> {
        let mut plant = Self::of(0.0, clock);
        for step in 0..CALIBRATIONS {
            let (plain, planted) = medians(step, &plant)?;
            plant = plant.longer(plain * (1.0 + share) - planted);
        }
        Ok(plant)
    }

    /// A loop of this length in ticks of the clock, to the nearest turn of a few cycles.
    pub(crate) fn of(ticks: f64, clock: &Clock) -> Self {
        let timed = Self {
            turns: TIMED,
            ticks_per_turn: 1.0,
        };
        let quickest = (0..TIMES).map(|_| {
            let start = clock.now();
            black_box(timed.grow(black_box(1)));
            clock.now() - start
        });
        let ticks_per_turn = quickest.min().unwrap_or(1).max(1) as f64 / f64::from(TIMED);
        Self {
            turns: 0,
            ticks_per_turn,
        }
        .longer(ticks)
    }

    /// A loop that is so much longer; shorter, if that is negative. What a CPU does of a fault and
    /// of the loop after it at the same time makes a loop of some length an addition of less: only
    /// what came of it tells by how much to correct it.
    pub(crate) fn longer(self, ticks: f64) -> Self {
        let turns = f64::from(self.turns) + ticks / self.ticks_per_turn;
        Self {
            turns: turns.round().clamp(0.0, f64::from(u32::MAX)) as u32,
            ..self
        }
    }

    /// Takes its time, from when `seed` is known; returns 0, no sooner.
    #[inline(always)]
    pub(crate) fn grow(&self, seed: u64) -> u64 {
        let mut chain = seed;
        for _ in 0..self.turns {
            // A multiplication that waits for the one before it.
            chain = black_box(chain.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        }
        // The compiler doesn't know what the chain holds.
        black_box(chain) & black_box(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_as_long_as_it_was_asked_to_be() {
        let clock = Clock::new();
        let quickest = |plant: Plant| {
            let times = (0..200).map(|_| {
                let start = clock.now();
                black_box(plant.grow(black_box(1)));
                clock.now() - start
            });
            times.min().unwrap() as f64
        };
        // A CPU that changes its speed between a loop's making and its run spoils a look or two; a
        // loop that is made wrong is wrong in all of them.
        let longer: Vec<f64> = (0..9)
            .map(|_| {
                let one = quickest(Plant::of(20_000.0, &clock));
                let three = quickest(Plant::of(60_000.0, &clock));
                // The longer less the shorter, so that the clock's own reads don't count.
                (three - one) / 40_000.0
            })
            .collect();
        let right = longer.iter().filter(|it| (0.8..1.25).contains(*it));
        assert!(right.count() >= 2, "{longer:?}");
        let plant = Plant::of(20_000.0, &clock);
        let back = plant.longer(40_000.0).longer(-40_000.0);
        assert!(back.turns.abs_diff(plant.turns) <= 1);
        assert_eq!(plant.longer(-1e9).turns, 0);
        assert_eq!(Plant::of(0.0, &clock).turns, 0);
        assert_eq!(Plant::of(1_000.0, &clock).grow(7), 0);
    }

    #[test]
    fn a_fault_is_as_much_longer_as_it_was_asked_to_be() {
        const FAULT: f64 = 40_000.0;
        let clock = Clock::new();
        // A CPU that does a part of the loop beside the fault.
        let with = |plant: &Plant| FAULT + 0.7 * f64::from(plant.turns) * plant.ticks_per_turn;
        for share in [0.0, 0.05, 1.0, 9.0] {
            let medians = |_, plant: &Plant| Ok::<_, ()>((FAULT, with(plant)));
            let plant = Plant::lengthening(share, &clock, medians).unwrap();
            let longer = with(&plant) / FAULT - 1.0;
            let turn = plant.ticks_per_turn / FAULT;
            assert!(
                (longer - share).abs() <= 0.02 * share + turn,
                "{share}: {longer}"
            );
        }
        let failed = Plant::lengthening(1.0, &clock, |step, _| match step {
            0 => Ok((FAULT, FAULT)),
            _ => Err("no more"),
        });
        assert_eq!(failed.unwrap_err(), "no more");
    }
}
