//! Counters of the CPU and the kernel (`perf_event_open(2)`), of each measured thread by itself.
//!
//! A thread opens its [`Counters`] before it waits at the gate and enables them only while it
//! measures: an enable, a disable or a read is a system call each, so none of them belongs between
//! two faults. What can't be counted here is missing from the [`Readings`], with a reason in the
//! [`Availability`], and nothing fails.
//!
//! Hardware events are a group, software events another, and raw events a third, so that one event
//! too many doesn't take the standard ones off the CPU.

mod availability;
mod cpu;
mod event;
mod group;
mod pinned;
mod preset;
mod readings;
#[cfg(test)]
mod tests;

pub use availability::{Availability, NotCounted};
pub use cpu::{Cpu, Vendor};
pub use event::{Event, Kind, RawEvent};
pub use pinned::PinnedCounter;
pub use preset::{PRESETS, Preset};
pub use readings::{Reading, Readings};

use availability::Circumstances;
use group::{Group, Refused};

/// The counters of one thread.
#[derive(Debug)]
pub struct Counters {
    events: Vec<Event>,
    groups: Vec<Group>,
    refused: Vec<Refused>,
}

impl Counters {
    /// Opens counters for the calling thread, disabled. What doesn't open is not counted; see
    /// [`Counters::availability`].
    pub fn open(events: &[Event]) -> Self {
        let (groups, refused) = group::open(events, &Cpu::here());
        Self {
            events: events.to_vec(),
            groups,
            refused,
        }
    }

    /// Counts from now on, on top of what was counted before.
    #[inline]
    pub fn enable(&mut self) {
        // Hardware comes first in a list of events, and last here: it is to see none of this.
        self.groups.iter_mut().rev().for_each(Group::enable);
    }

    /// Counts no more until it is enabled again.
    #[inline]
    pub fn disable(&mut self) {
        self.groups.iter_mut().for_each(Group::disable);
    }

    /// What was counted while enabled, a reading for each event that was asked for.
    pub fn read(&mut self) -> Readings {
        let samples: Vec<_> = self.groups.iter_mut().flat_map(Group::read).collect();
        let reading = |(place, event): (usize, &Event)| {
            let sample = samples.iter().find(|(of, _)| *of == place);
            Reading::new(event.name(), sample.map(|(_, sample)| *sample))
        };
        Readings(self.events.iter().enumerate().map(reading).collect())
    }

    /// Which of them count, and why the others don't.
    pub fn availability(&self) -> Availability {
        let has_hardware = self.groups.iter().any(Group::is_hardware);
        let around = Circumstances::here(has_hardware);
        Availability::of(&self.events, &self.refused, around)
    }
}
