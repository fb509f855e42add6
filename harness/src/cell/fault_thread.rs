//! A fault thread: window after window, pass after pass.

use std::hint::black_box;

use hdrhistogram::Histogram;
use kernel_model::{FaultCounters, Task};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use super::{CellError, Phases, Shared, thread_seed};
use crate::clock::Ticks;
use crate::machine::MmKind;
use crate::order::Touches;
use crate::recorder::Recorder;

/// What a fault thread brings home.
#[derive(Debug)]
pub struct FaultThread {
    /// The CPU that it was pinned to.
    pub cpu: u32,
    /// Its faults' latencies in nanoseconds.
    pub histogram: Histogram<u64>,
    /// Latencies beyond the histogram's range.
    pub beyond: u64,
    /// The time that it spent in faults.
    pub in_faults_ns: u64,
    /// What its faults counted.
    pub counters: FaultCounters,
    /// When it started.
    pub(super) started: Ticks,
}

struct Runner<'a> {
    shared: &'a Shared,
    number: usize,
    touches: Touches,
    random: Pcg64Mcg,
    task: Task,
    recorder: Recorder,
}

pub(super) fn run(shared: &Shared, number: u32) -> Result<FaultThread, CellError> {
    let sizes = &shared.setup.sizes;
    let (first, stride) = match shared.setup.mm {
        MmKind::Private => (0, 1),
        MmKind::Shared => (u64::from(number), u64::from(shared.cell.fault_threads)),
    };
    let (pages, window) = (u64::from(sizes.pages), u64::from(sizes.window_pages));
    let touches = Touches::new(shared.setup.access, pages, window, first, stride);
    let mut runner = Runner {
        shared,
        number: number as usize,
        random: Pcg64Mcg::seed_from_u64(thread_seed(shared.seed, u64::from(number))),
        task: Task::new(number),
        recorder: Recorder::new(touches.len()),
        touches,
    };
    let (
        cpu,
        Phases {
            started,
            measured,
            end,
        },
    ) = shared.begin(number)?;
    runner.fault_until(measured);
    runner.task.faults = FaultCounters::default();
    runner.recorder = Recorder::new(runner.touches.len());
    runner.fault_until(end);
    Ok(FaultThread {
        cpu,
        in_faults_ns: runner.recorder.total_ns(&shared.clock),
        histogram: runner.recorder.histogram,
        beyond: runner.recorder.beyond,
        counters: runner.task.faults,
        started,
    })
}

impl Runner<'_> {
    /// Passes until a moment has come. What the last pass mapped stays mapped.
    fn fault_until(&mut self, end: Ticks) {
        loop {
            self.zap();
            let last = self.pass(end);
            self.recorder.drain(&self.shared.clock);
            if last >= end || self.shared.is_called_off() {
                return;
            }
        }
    }

    /// One pass; returns when it ended. The end of each fault is the start of the next, so that
    /// there is one clock read per fault.
    fn pass(&mut self, end: Ticks) -> Ticks {
        let Shared { machine, clock, .. } = self.shared;
        let vma = &*machine.vmas[self.number];
        let mut last = clock.now();
        for &pgoff in self.touches.next_pass(&mut self.random) {
            black_box(machine.system.handle_mm_fault(vma, pgoff, &mut self.task));
            let now = clock.now();
            self.recorder.push(now - last);
            last = now;
            if now >= end {
                break;
            }
        }
        last
    }

    /// Takes away what the thread has mapped. Not timed.
    fn zap(&mut self) {
        let Shared { machine, setup, .. } = self.shared;
        let vma = &*machine.vmas[self.number];
        match setup.mm {
            MmKind::Private => {
                let vpns = vma.vpns_of(&vma.pgoffs());
                machine.system.zap_range(vma, vpns, &mut self.task);
            }
            MmKind::Shared => {
                for start in self.touches.windows() {
                    let window = start..start + u64::from(setup.sizes.window_pages);
                    machine
                        .system
                        .zap_range(vma, vma.vpns_of(&window), &mut self.task);
                }
            }
        }
    }
}
