//! Recording latencies without disturbing what is timed: a ring in ticks while a pass runs,
//! drained into an HDR histogram in nanoseconds between passes.

use hdrhistogram::Histogram;

use crate::clock::{Clock, Ticks};

/// The shortest latency that a histogram tells apart.
pub const LOWEST_NS: u64 = 1;
/// The longest; anything above is recorded as this, and counted.
pub const HIGHEST_NS: u64 = 10_000_000_000;
/// Significant decimal digits.
pub const DIGITS: u8 = 3;

/// An empty latency histogram: 1 ns to 10 s with 3 significant digits.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, DIGITS)
        .expect("the bounds are constants that the format allows")
}

/// One thread's latencies.
#[derive(Debug)]
pub struct Recorder {
    ring: Vec<Ticks>,
    /// All that were drained.
    pub histogram: Histogram<u64>,
    /// Latencies beyond [`HIGHEST_NS`].
    pub beyond: u64,
}

impl Recorder {
    /// A recorder with room for `pass` latencies between two drains.
    pub fn new(pass: usize) -> Self {
        Self {
            ring: Vec::with_capacity(pass),
            histogram: new_histogram(),
            beyond: 0,
        }
    }

    /// Notes a latency.
    #[inline(always)]
    pub fn push(&mut self, ticks: Ticks) {
        self.ring.push(ticks);
    }

    /// Room for as many latencies as a pass has, to be filled from its start: a store each, where
    /// [`push`](Self::push) looks at a length and writes it, too. [`keep`](Self::keep) says how
    /// many it became.
    #[inline]
    pub fn room(&mut self) -> &mut [Ticks] {
        self.ring.resize(self.ring.capacity(), 0);
        &mut self.ring
    }

    /// The first so many of [`room`](Self::room) were filled.
    #[inline]
    pub fn keep(&mut self, filled: usize) {
        self.ring.truncate(filled);
    }

    /// Brings what was noted into the histogram. Not to be done while anything is timed.
    pub fn drain(&mut self, clock: &Clock) {
        for ticks in self.ring.drain(..) {
            let ns = clock.ns(ticks);
            self.beyond += u64::from(ns > HIGHEST_NS);
            self.histogram.saturating_record(ns.max(LOWEST_NS));
        }
    }

    /// The median of what was noted since the last drain; 0 without any.
    pub fn median_noted(&self) -> Ticks {
        let mut noted = self.ring.clone();
        noted.sort_unstable();
        noted.get(noted.len() / 2).copied().unwrap_or(0)
    }

    /// How many latencies were noted since the last drain.
    pub fn noted(&self) -> u64 {
        self.ring.len() as u64
    }

    /// Forgets what was noted since the last drain.
    pub fn discard(&mut self) {
        self.ring.clear();
    }
}

/// What a clock read and a note of its result cost, in nanoseconds each: the median of several
/// short loops that do nothing else, as the fault threads do it.
pub fn cost_of_recording_ns(clock: &Clock) -> f64 {
    const LOOPS: usize = 51;
    const READS: usize = 2_000;
    let mut recorder = Recorder::new(READS);
    let mut costs: Vec<f64> = (0..LOOPS)
        .map(|_| {
            recorder.discard();
            let start = clock.now();
            let mut last = start;
            for latency in &mut recorder.room()[..READS] {
                let now = clock.now();
                *latency = now - last;
                last = now;
            }
            clock.ns(last - start) as f64 / READS as f64
        })
        .collect();
    costs.sort_by(f64::total_cmp);
    costs[LOOPS / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_ends_in_the_histogram_once() {
        let clock = Clock::new();
        let mut recorder = Recorder::new(4);
        recorder.push(clock.ticks(1_000));
        recorder.discard();
        assert!(recorder.room().len() >= 4);
        recorder.room()[0] = clock.ticks(1_000_000);
        recorder.keep(1);
        assert_eq!(
            (recorder.noted(), recorder.median_noted()),
            (1, clock.ticks(1_000_000))
        );
        recorder.discard();
        recorder.push(0);
        recorder.push(clock.ticks(1_000_000));
        assert_eq!(
            (recorder.noted(), recorder.median_noted()),
            (2, clock.ticks(1_000_000))
        );
        recorder.drain(&clock);
        recorder.drain(&clock);
        assert_eq!(recorder.histogram.len(), 2);
        assert_eq!(
            recorder.histogram.min(),
            1,
            "0 ns counts as the shortest latency"
        );
        assert!(recorder.histogram.max().abs_diff(1_000_000) < 1_000);
        assert_eq!((recorder.noted(), recorder.median_noted()), (0, 0));
    }

    #[test]
    fn latencies_beyond_the_range_are_kept_at_its_end_and_counted() {
        let clock = Clock::new();
        let mut recorder = Recorder::new(1);
        recorder.push(clock.ticks(2 * HIGHEST_NS));
        recorder.drain(&clock);
        assert_eq!((recorder.histogram.len(), recorder.beyond), (1, 1));
        assert!(recorder.histogram.max() >= HIGHEST_NS / 1000 * 999);
    }

    #[test]
    fn recording_costs_something_but_not_a_fault() {
        let cost = cost_of_recording_ns(&Clock::new());
        assert!(cost > 0.0 && cost < 10_000.0, "{cost} ns");
    }
}
