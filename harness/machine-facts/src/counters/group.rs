//! Counters as the kernel has them: opened for the calling thread, in groups that are on the CPU
//! together or not at all.

use std::io;
use std::time::Duration;

use perf_event::events::{Cache, CacheId, CacheOp, CacheResult, Hardware, Raw, Software};
use perf_event::{Builder, Counter, GroupData, ReadFormat};

use super::cpu::{Cpu, Vendor};
use super::event::{Event, Kind};
use super::readings::Sample;

/// Counters of one kind that are scheduled together. The first one leads: it is enabled, disabled
/// and read for all.
#[derive(Debug)]
pub(super) struct Group {
    kind: Kind,
    leader: Counter,
    /// What it leads with the place of each in the list that was asked for; itself first.
    members: Vec<(usize, u64)>,
    /// Kept open: a counter that is closed leaves its group.
    followers: Vec<Counter>,
    /// Whether an enable or disable went wrong, so that what was counted isn't known.
    lost: bool,
}

/// An event that doesn't open, and the kernel's reason.
pub(super) type Refused = (Event, io::Error);

/// Opens what can be opened, for the calling thread and disabled.
pub(super) fn open(events: &[Event], cpu: &Cpu) -> (Vec<Group>, Vec<Refused>) {
    let (mut groups, mut refused) = (Vec::<Group>::new(), Vec::new());
    for (place, event) in events.iter().enumerate() {
        let group = groups.iter_mut().rfind(|it| it.kind == event.kind());
        if group.is_some_and(|group| group.join(place, event, cpu)) {
            continue;
        }
        // The first of its kind, or one that the CPU has no room for beside the others.
        match Group::lead(place, event, cpu) {
            Ok(group) => groups.push(group),
            Err(error) => refused.push((*event, error)),
        }
    }
    (groups, refused)
}

impl Group {
    fn lead(place: usize, event: &Event, cpu: &Cpu) -> io::Result<Self> {
        let mut builder = builder(event, cpu);
        builder.read_format(
            ReadFormat::GROUP
                | ReadFormat::ID
                | ReadFormat::TOTAL_TIME_ENABLED
                | ReadFormat::TOTAL_TIME_RUNNING,
        );
        let leader = builder.build()?;
        Ok(Self {
            kind: event.kind(),
            members: vec![(place, leader.id())],
            leader,
            followers: Vec::new(),
            lost: false,
        })
    }

    /// Whether the event could be added.
    fn join(&mut self, place: usize, event: &Event, cpu: &Cpu) -> bool {
        // Enabled from the start, so that it runs when its leader does.
        let follower = builder(event, cpu)
            .enabled(true)
            .build_with_group(&mut self.leader);
        let Ok(follower) = follower else { return false };
        self.members.push((place, follower.id()));
        self.followers.push(follower);
        true
    }

    /// Whether the CPU counts its events.
    pub(super) fn is_hardware(&self) -> bool {
        self.kind != Kind::Software
    }

    /// Counts from now on.
    pub(super) fn enable(&mut self) {
        self.lost |= self.leader.enable().is_err();
    }

    /// Counts no more.
    pub(super) fn disable(&mut self) {
        self.lost |= self.leader.disable().is_err();
    }

    /// What was counted, with the place of each event.
    pub(super) fn read(&mut self) -> Vec<(usize, Sample)> {
        let data = self.leader.read_group().ok().filter(|_| !self.lost);
        let data = data.as_ref();
        let samples = data.map(|data| self.members.iter().filter_map(|it| sample(data, it)));
        samples.map(Iterator::collect).unwrap_or_default()
    }
}

fn sample(data: &GroupData, &(place, id): &(usize, u64)) -> Option<(usize, Sample)> {
    let ns = |time: Option<Duration>| time.map(|time| time.as_nanos() as u64);
    let sample = Sample {
        count: data.iter().find(|entry| entry.id() == id)?.value(),
        enabled_ns: ns(data.time_enabled())?,
        running_ns: ns(data.time_running())?,
    };
    Some((place, sample))
}

/// A disabled counter of the calling thread alone, wherever it runs.
pub(super) fn builder(event: &Event, cpu: &Cpu) -> Builder<'static> {
    let mut builder = match event {
        Event::Cycles => Builder::new(Hardware::CPU_CYCLES),
        Event::Instructions => Builder::new(Hardware::INSTRUCTIONS),
        Event::LlcMisses if cpu.vendor == Vendor::Intel => Builder::new(Hardware::CACHE_MISSES),
        Event::LlcMisses => Builder::new(Cache {
            which: CacheId::LL,
            operation: CacheOp::READ,
            result: CacheResult::MISS,
        }),
        Event::BranchMisses => Builder::new(Hardware::BRANCH_MISSES),
        Event::PageFaults => Builder::new(Software::PAGE_FAULTS),
        Event::ContextSwitches => Builder::new(Software::CONTEXT_SWITCHES),
        Event::CpuMigrations => Builder::new(Software::CPU_MIGRATIONS),
        Event::Raw(raw) => Builder::new(Raw::new(raw.config)),
    };
    // These happen in the kernel: without it they would read 0 without a word.
    let in_kernel = matches!(event, Event::ContextSwitches | Event::CpuMigrations);
    builder.observe_self().any_cpu().exclude_kernel(!in_kernel);
    builder
}
