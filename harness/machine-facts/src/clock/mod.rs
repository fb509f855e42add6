//! The clock: the CPU's own counter, read without a fence, in ticks that are converted to
//! nanoseconds only when a pass is over.

mod step;

use serde::{Deserialize, Serialize};

pub use step::Step;

/// Reads time. Cheap to clone; all clones share one calibration and one origin.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
    calibration: Calibration,
}

/// What is read.
#[derive(Debug, Clone)]
enum Source {
    /// A bare `rdtsc`.
    #[cfg(target_arch = "x86_64")]
    Tsc,
    /// What quanta finds on other machines.
    Quanta(quanta::Clock),
}

/// How long a tick is, for other processes that read the same counter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    ns_per_tick: f64,
    is_tsc: bool,
}

/// A moment, in ticks of the machine's counter.
pub type Ticks = u64;

impl Clock {
    /// Calibrates the counter against the system's monotonic clock, once in a process; takes a
    /// fraction of a second.
    pub fn new() -> Self {
        /// A long time, so that a tick's length is known to many digits.
        const MANY: u64 = 1 << 40;
        let quanta = quanta::Clock::new();
        let ns_per_tick = quanta.delta_as_nanos(0, MANY) as f64 / MANY as f64;
        // Where the counter is invariant quanta reads that; the system's clock counts nanoseconds.
        let is_tsc = cfg!(target_arch = "x86_64") && ns_per_tick != 1.0;
        let calibration = Calibration {
            ns_per_tick,
            is_tsc,
        };
        Self {
            source: Source::of(is_tsc).unwrap_or(Source::Quanta(quanta)),
            calibration,
        }
    }

    /// The clock that another process of this machine has calibrated.
    pub fn calibrated(calibration: Calibration) -> Self {
        match Source::of(calibration.is_tsc) {
            Some(source) => Self {
                source,
                calibration,
            },
            None => Self::new(),
        }
    }

    /// One whose ticks are so long, whatever is read: for readings that are made up.
    pub fn of_ticks(ns_per_tick: f64) -> Self {
        let calibration = Calibration {
            ns_per_tick,
            is_tsc: false,
        };
        Self {
            source: Source::Quanta(quanta::Clock::new()),
            calibration,
        }
    }

    /// How long its ticks are.
    pub fn calibration(&self) -> Calibration {
        self.calibration
    }

    /// The time now. A bare `rdtsc` where the counter is invariant, the system's monotonic clock
    /// elsewhere.
    #[inline(always)]
    pub fn now(&self) -> Ticks {
        match &self.source {
            // SAFETY: every x86-64 has the instruction, and it touches no memory.
            #[cfg(target_arch = "x86_64")]
            Source::Tsc => unsafe { core::arch::x86_64::_rdtsc() },
            Source::Quanta(quanta) => quanta.raw(),
        }
    }

    /// A length of time in nanoseconds.
    #[inline]
    pub fn ns(&self, ticks: Ticks) -> u64 {
        (ticks as f64 * self.calibration.ns_per_tick) as u64
    }

    /// A length of time in ticks, to within the rounding of a double.
    pub fn ticks(&self, ns: u64) -> Ticks {
        (ns as f64 / self.calibration.ns_per_tick) as Ticks
    }

    /// Spins until a moment has come.
    pub fn spin_until(&self, moment: Ticks) {
        while self.now() < moment {
            std::hint::spin_loop();
        }
    }
}

impl Source {
    /// The time-stamp counter, if that is to be read.
    fn of(is_tsc: bool) -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        return is_tsc.then_some(Self::Tsc);
        #[cfg(not(target_arch = "x86_64"))]
        {
            let _ = is_tsc;
            None
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
    fn a_clock_calibrated_elsewhere_tells_the_same_time() {
        let clock = Clock::new();
        let other = Clock::calibrated(clock.calibration());
        let before = clock.now();
        let between = other.now();
        assert!(before <= between && between <= clock.now());
        assert_eq!(other.ns(1 << 30), clock.ns(1 << 30));
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
        // The two are read one after the other, with a possible preemption in between. Their rates
        // differ by parts in a million.
        assert!(
            ours >= 19_000_000 && ours <= theirs + 5_000_000,
            "{ours} and {theirs}"
        );
    }
}
