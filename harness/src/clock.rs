//! The clock: the CPU's own counter, read without a fence, in ticks that are converted to
//! nanoseconds only when a pass is over.

/// Reads time. Cheap to clone; all clones share one calibration and one origin.
#[derive(Debug, Clone)]
pub struct Clock(quanta::Clock);

/// A moment, in ticks of the machine's counter.
pub type Ticks = u64;

impl Clock {
    /// Calibrates the counter against the system's monotonic clock, once in a process; takes a
    /// fraction of a second.
    pub fn new() -> Self {
        Self(quanta::Clock::new())
    }

    /// The time now. A bare `rdtsc` where the counter is invariant, the system's monotonic clock
    /// elsewhere.
    #[inline(always)]
    pub fn now(&self) -> Ticks {
        self.0.raw()
    }

    /// A length of time in nanoseconds.
    #[inline]
    pub fn ns(&self, ticks: Ticks) -> u64 {
        self.0.delta_as_nanos(0, ticks)
    }

    /// A length of time in ticks, to within the rounding of a double.
    pub fn ticks(&self, ns: u64) -> Ticks {
        const SECOND_IN_TICKS: Ticks = 1 << 32;
        let ns_of_that = self.ns(SECOND_IN_TICKS) as f64;
        (ns as f64 * (SECOND_IN_TICKS as f64 / ns_of_that)) as Ticks
    }

    /// Spins until a moment has come.
    pub fn spin_until(&self, moment: Ticks) {
        while self.now() < moment {
            std::hint::spin_loop();
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_and_nanoseconds_are_inverse() {
        let clock = Clock::new();
        for ns in [1_000, 1_000_000, 2_000_000_000] {
            let back = clock.ns(clock.ticks(ns));
            assert!(
                back.abs_diff(ns) <= 1 + ns / 1_000_000,
                "{ns} ns became {back}"
            );
        }
    }

    #[test]
    fn it_agrees_with_the_system_clock() {
        let clock = Clock::new();
        let (system, start) = (std::time::Instant::now(), clock.now());
        std::thread::sleep(std::time::Duration::from_millis(20));
        let (ours, theirs) = (
            clock.ns(clock.now() - start),
            system.elapsed().as_nanos() as u64,
        );
        // The two are read one after the other, with a possible preemption in between.
        assert!(
            ours >= 20_000_000 && ours <= theirs + 5_000_000,
            "{ours} and {theirs}"
        );
    }
}
