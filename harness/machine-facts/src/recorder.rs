//! Recording latencies without disturbing what is timed: a ring in ticks while a pass runs,
//! drained into an HDR histogram in nanoseconds between passes.

use hdrhistogram::Histogram;

use crate::clock::{Clock, Ticks};
use crate::histogram::{HIGHEST_NS, LOWEST_NS, STRETCH, new_histogram};
use crate::statistics::Spread;

/// One thread's latencies.
#[derive(Debug)]
pub struct Recorder {
    ring: Vec<Ticks>,
    /// All that were drained.
    pub histogram: Histogram<u64>,
    /// Latencies beyond [`HIGHEST_NS`].
    pub beyond: u64,
    /// The times of stretches, in nanoseconds per [`STRETCH`] faults.
    pub stretches: Histogram<u64>,
    /// How many faults a stretch has here: [`STRETCH`], or fewer in passes that don't have as many.
    pub stretch: u32,
}

impl Recorder {
    /// A recorder with room for `pass` latencies between two drains.
    pub fn new(pass: usize) -> Self {
        Self {
            ring: Vec::with_capacity(pass),
            histogram: new_histogram(),
            beyond: 0,
            stretches: new_histogram(),
            // Passes are cut into equal parts.
            stretch: (pass / pass.div_ceil(STRETCH as usize).max(1)).max(1) as u32,
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

    /// The same where each latency began when the one before it ended: stretches, too.
    pub fn drain_in_a_row(&mut self, clock: &Clock) {
        for ticks in stretches(&self.ring, self.stretch) {
            self.stretches
                .saturating_record(clock.ns(ticks).max(LOWEST_NS));
        }
        self.drain(clock);
    }

    /// The median over stretches of what was noted since the last drain, in ticks per latency; not
    /// a number without one.
    pub fn median_noted(&self) -> f64 {
        let noted = stretches(&self.ring, self.stretch).map(|ticks| ticks as f64);
        let median = Spread::of(noted).map_or(f64::NAN, |noted| noted.median);
        median / f64::from(STRETCH)
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

/// The times of stretches of so many latencies, as if each had [`STRETCH`] of them.
fn stretches(ring: &[Ticks], stretch: u32) -> impl Iterator<Item = Ticks> {
    let stretches = ring.chunks_exact(stretch as usize);
    stretches.map(move |stretch| {
        let (ticks, count) = (stretch.iter().sum::<Ticks>(), stretch.len() as u64);
        (ticks * u64::from(STRETCH) + count / 2) / count
    })
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
        assert_eq!(recorder.noted(), 1);
        recorder.discard();
        recorder.push(0);
        recorder.push(clock.ticks(1_000_000));
        recorder.drain(&clock);
        recorder.drain(&clock);
        assert_eq!((recorder.histogram.len(), recorder.noted()), (2, 0));
        assert_eq!(
            recorder.histogram.min(),
            1,
            "0 ns counts as the shortest latency"
        );
        assert!(recorder.histogram.max().abs_diff(1_000_000) < 1_000);
        assert_eq!(recorder.stretches.len(), 0);
    }

    #[test]
    fn stretches_are_equal_parts_of_a_pass_and_what_is_left_over_is_in_none() {
        let clock = Clock::of_ticks(0.5);
        let stretch = |pass| Recorder::new(pass).stretch;
        assert_eq!([64, 4096].map(stretch), [STRETCH; 2]);
        assert_eq!([0, 1, 63, 100, 130].map(stretch), [1, 1, 63, 50, 43]);
        let mut recorder = Recorder::new(100);
        (0..99).for_each(|_| recorder.push(200));
        assert_eq!(recorder.median_noted(), 200.0);
        recorder.drain_in_a_row(&clock);
        assert_eq!(
            (recorder.histogram.len(), recorder.stretches.len()),
            (99, 1)
        );
        // Half a nanosecond to a tick, and as many as a stretch has elsewhere.
        assert!(
            recorder
                .stretches
                .equivalent(recorder.stretches.max(), 100 * u64::from(STRETCH))
        );
        assert!(recorder.median_noted().is_nan());
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
