//! One counter that is never multiplexed, for callers that need a number from every reading.

use std::io;

use perf_event::Counter;

use super::availability::{Circumstances, why};
use super::cpu::Cpu;
use super::event::Event;
use super::group::builder;

/// Counts one event of the thread that opened it, from then on, and has a counter of the CPU to
/// itself.
#[derive(Debug)]
pub struct PinnedCounter(Counter);

impl PinnedCounter {
    /// Opens it for the calling thread and starts it.
    ///
    /// # Errors
    /// A line that says which event can't be counted and why.
    pub fn open(event: Event) -> Result<Self, String> {
        let say = |error| {
            // With one event there is no telling a CPU without it from one without any.
            let why = why(&event, &error, Circumstances::here(false));
            format!("not counted: {}: {why}", event.name())
        };
        let mut builder = builder(&event, &Cpu::here());
        let mut counter = Self(builder.pinned(true).build().map_err(say)?);
        counter.0.enable().map_err(say)?;
        // If others have taken all counters, this is where it shows.
        counter.read().map_err(say)?;
        Ok(counter)
    }

    /// The count so far: exact, and never less than it was.
    ///
    /// # Errors
    /// If somebody else took the CPU's counter away, which ends it for good.
    pub fn read(&mut self) -> io::Result<u64> {
        self.0.read()
    }
}
