//! The start gate: all threads of a cell start at one moment of the common clock.
//!
//! A barrier would release them microseconds apart; a deadline on the counter that they all read
//! brings that down to nanoseconds where the counters agree. How well it went is measured.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::cancel::Cancel;
use crate::clock::{Clock, Ticks};

/// Holds threads back until all of them are there.
#[derive(Debug)]
pub struct Gate {
    arrived: AtomicU32,
    /// The moment to start at; 0 while threads are missing.
    start: AtomicU64,
    called_off: AtomicBool,
}

/// How far ahead the start is set: longer than the store takes to reach all CPUs, and than a
/// thread that has just given its CPU away takes to come back.
pub const LEAD_NS: u64 = 200_000;

/// Spins before a waiting thread gives its CPU away, for threads that share one.
const SPINS_BEFORE_YIELD: u32 = 256;

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self {
            arrived: AtomicU32::new(0),
            start: AtomicU64::new(0),
            called_off: AtomicBool::new(false),
        }
    }

    /// Waits for the start; returns the moment that was set and the one that it became. `None` if
    /// the start is called off.
    pub fn wait(&self, clock: &Clock) -> Option<(Ticks, Ticks)> {
        // Release pairs with the acquire in `open()`: what the thread set up is there.
        self.arrived.fetch_add(1, Ordering::Release);
        let start = loop {
            // Acquire pairs with the release in `open()`.
            match self.start.load(Ordering::Acquire) {
                0 if self.called_off.load(Ordering::Relaxed) => return None,
                0 => (),
                start => break start,
            }
            for _ in 0..SPINS_BEFORE_YIELD {
                std::hint::spin_loop();
            }
            thread::yield_now();
        };
        clock.spin_until(start);
        Some((start, clock.now()))
    }

    /// Waits until `threads` have come, and starts them; returns when that will be. A thread that
    /// could not come calls the start off; then there is none.
    pub fn open(&self, threads: u32, clock: &Clock) -> Option<Ticks> {
        self.open_ahead(threads, clock, LEAD_NS, &Cancel::default())
    }

    /// The same with a start so far ahead, for those who hear of it late. There is none either
    /// where somebody asks to stop meanwhile.
    pub fn open_ahead(
        &self,
        threads: u32,
        clock: &Clock,
        lead_ns: u64,
        cancel: &Cancel,
    ) -> Option<Ticks> {
        if !self.all_are_here(threads, cancel) {
            return None;
        }
        let start = clock.now() + clock.ticks(lead_ns);
        self.open_at(start);
        Some(start)
    }

    /// Waits until `threads` have come; false if the start is called off, or somebody asks to stop.
    pub fn all_are_here(&self, threads: u32, cancel: &Cancel) -> bool {
        while self.arrived.load(Ordering::Acquire) < threads {
            if self.called_off.load(Ordering::Relaxed) || cancel.is_requested() {
                return false;
            }
            thread::sleep(Duration::from_micros(50));
        }
        true
    }

    /// Starts those that are here, and those that come, at a moment.
    pub fn open_at(&self, start: Ticks) {
        self.start.store(start, Ordering::Release);
    }

    /// Counts threads in that wait elsewhere, and waits for the moment to be set, asleep.
    pub fn hear_of(&self, threads: u32) -> Option<Ticks> {
        self.arrived.fetch_add(threads, Ordering::Release);
        loop {
            match self.start.load(Ordering::Acquire) {
                0 if self.called_off.load(Ordering::Relaxed) => return None,
                0 => thread::sleep(Duration::from_micros(200)),
                start => return Some(start),
            }
        }
    }

    /// Sends everybody home.
    pub fn call_off(&self) {
        // Relaxed: nothing hangs on it but the end of the waiting.
        self.called_off.store(true, Ordering::Relaxed);
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_starts_before_the_moment_or_without_the_others() {
        let (gate, clock) = (Gate::new(), Clock::new());
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..3)
                .map(|late| {
                    let (gate, clock) = (&gate, clock.clone());
                    scope.spawn(move || {
                        thread::sleep(Duration::from_millis(5 * late));
                        (clock.now(), gate.wait(&clock).unwrap())
                    })
                })
                .collect();
            let start = gate.open(3, &clock).unwrap();
            for thread in waiting {
                let (came, (set, started)) = thread.join().unwrap();
                assert_eq!(set, start);
                assert!(came < start && start <= started);
            }
        });
    }

    #[test]
    fn a_start_that_is_called_off_lets_everybody_go() {
        let (gate, clock) = (Gate::new(), Clock::new());
        thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.wait(&clock));
            gate.call_off();
            assert_eq!(gate.open(2, &clock), None);
            assert_eq!(waiting.join().unwrap(), None);
        });
    }

    #[test]
    fn a_thread_that_never_comes_is_not_waited_for_after_a_request_to_stop() {
        let cancel = Cancel::default();
        cancel.request();
        assert_eq!(Gate::new().open_ahead(1, &Clock::new(), 0, &cancel), None);
    }
}
