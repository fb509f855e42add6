//! One cell of the measurement: one scheme under one storm with so many fault threads, once.

mod fault_thread;
mod storm_thread;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kernel_model::Violation;
use kernel_model::fault_around::FaultAround;
use kernel_model::platform::Native;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::arrival::Arrival;
use crate::cancel::Cancel;
use crate::clock::{Clock, Ticks};
use crate::conditions::{Conditions, CpuWatch};
use crate::counters::{Event, Readings};
use crate::gate::Gate;
use crate::machine::{Machine, MmKind, Sizes};
use crate::order::Access;
use crate::rounds::Control;
use crate::storms::Storm;
use crate::topology::{TopologyError, pin_current_thread};

pub use fault_thread::FaultThread;
pub use storm_thread::StormThread;

/// What is the same for all cells of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// The model's sizes.
    pub sizes: Sizes,
    /// Processes or threads.
    pub mm: MmKind,
    /// How passes go through the file.
    pub access: Access,
    /// How faults come to the fault threads.
    #[serde(default)]
    pub arrival: Arrival,
    /// Operations that all storm threads together start in a second; `None`: flat out.
    pub rate_per_s: Option<f64>,
    /// Threads of a storm, if it has any.
    pub storm_threads: u32,
    /// CPUs in the order in which threads are placed on them: fault threads first, storm threads
    /// next. If there are more threads than CPUs, the list starts over.
    pub cpus: Vec<u32>,
    /// What every thread counts in the measured time; those that count are in the header.
    #[serde(skip)]
    pub events: Vec<Event>,
    /// Time that is measured, in nanoseconds.
    pub duration_ns: u64,
    /// Time before that, in nanoseconds, in which everything runs but nothing counts.
    pub warm_up_ns: u64,
}

impl Setup {
    /// Threads that a storm has.
    pub fn storm_threads_of(&self, storm: &dyn Storm<Native>) -> u32 {
        if storm.removers().is_empty() {
            0
        } else {
            self.storm_threads
        }
    }

    /// Whether threads have to share CPUs under a storm.
    pub fn is_oversubscribed(&self, storm: &dyn Storm<Native>, fault_threads: u32) -> bool {
        fault_threads + self.storm_threads_of(storm) > self.cpus.len() as u32
    }
}

/// What a cell measures.
#[derive(Clone, Copy)]
pub struct Cell {
    /// The scheme.
    pub scheme: &'static dyn FaultAround<Native>,
    /// The storm.
    pub storm: &'static dyn Storm<Native>,
    /// The number of fault threads.
    pub fault_threads: u32,
    /// What is done to it so that its result is known beforehand.
    pub control: Option<Control>,
}

/// What came out of a cell.
#[derive(Debug)]
pub struct Measured {
    /// One for each fault thread.
    pub fault_threads: Vec<FaultThread>,
    /// One for each storm thread.
    pub storm_threads: Vec<StormThread>,
    /// What happened to the threads in the measured time.
    pub conditions: Conditions,
    /// From the first thread's start to the last one's.
    pub start_skew_ns: u64,
    /// What the audit at rest found, the first of it.
    pub violations: Vec<Violation>,
    /// How much it found.
    pub violation_count: u64,
}

/// Why nothing came out of a cell.
#[derive(Debug, Error)]
pub enum CellError {
    /// A thread could not be put where it belongs.
    #[error(transparent)]
    Pin(#[from] TopologyError),
    /// The system gave no thread.
    #[error("cannot start a thread: {0}")]
    Spawn(std::io::Error),
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// Threads did not come to an end.
    #[error("progress violated: {threads} thread(s) of {scheme} under {storm} never ended")]
    Stuck {
        /// The scheme.
        scheme: &'static str,
        /// The storm.
        storm: &'static str,
        /// How many.
        threads: usize,
    },
    /// A thread panicked.
    #[error("a measuring thread panicked; its message is above")]
    Panicked,
}

/// How long after the end a thread may take to come to its own: a pass over a large file, a long
/// operation, on a machine that is busy elsewhere.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longer waits than this are slept through, up to this much before their end.
const SLEEP_BEYOND_NS: u64 = 2_000_000;

/// What all threads of a cell see.
struct Shared {
    machine: Machine<Native>,
    cell: Cell,
    setup: Setup,
    seed: u64,
    clock: Clock,
    gate: Gate,
    called_off: AtomicBool,
}

/// When a thread began, and what is measured.
#[derive(Debug, Clone, Copy)]
struct Phases {
    started: Ticks,
    measured: Ticks,
    end: Ticks,
}

impl Shared {
    /// Pins the calling thread as number `thread` of the cell and waits for the start.
    fn begin(&self, thread: u32) -> Result<(u32, Phases), CellError> {
        let cpu = self.setup.cpus[thread as usize % self.setup.cpus.len()];
        if let Err(error) = pin_current_thread(cpu) {
            self.gate.call_off();
            return Err(error.into());
        }
        let (set, started) = self.gate.wait(&self.clock).ok_or(CellError::Interrupted)?;
        let measured = set + self.clock.ticks(self.setup.warm_up_ns);
        let end = measured + self.clock.ticks(self.setup.duration_ns);
        Ok((
            cpu,
            Phases {
                started,
                measured,
                end,
            },
        ))
    }

    /// Waits for a moment, or until the cell is called off; sleeps through what is long.
    fn wait_until(&self, moment: Ticks) {
        let slack = self.clock.ticks(SLEEP_BEYOND_NS);
        loop {
            let left = moment.saturating_sub(self.clock.now());
            if left <= slack || self.is_called_off() {
                break;
            }
            // In slices, so that a slow cell can be interrupted.
            let sleep = Duration::from_nanos(self.clock.ns(left - slack));
            thread::sleep(sleep.min(Duration::from_millis(50)));
        }
        if !self.is_called_off() {
            self.clock.spin_until(moment);
        }
    }

    fn is_called_off(&self) -> bool {
        // Relaxed: nothing hangs on it but the end of the work.
        self.called_off.load(Ordering::Relaxed)
    }
}

/// Runs a cell on a machine of its own.
///
/// # Errors
/// See [`CellError`].
pub fn measure(
    cell: Cell,
    setup: &Setup,
    seed: u64,
    clock: &Clock,
    cancel: &Cancel,
) -> Result<Measured, CellError> {
    let storm_threads = setup.storm_threads_of(cell.storm);
    let threads = cell.fault_threads + storm_threads;
    let shared = Arc::new(Shared {
        machine: Machine::new(
            cell.scheme,
            &setup.sizes,
            setup.mm,
            cell.fault_threads,
            threads,
            clock,
        ),
        cell,
        setup: setup.clone(),
        seed,
        clock: clock.clone(),
        gate: Gate::new(),
        called_off: AtomicBool::new(false),
    });
    let spawned = spawn_all(&shared, cell.fault_threads, storm_threads);
    let (faulting, storming) = match spawned {
        Ok(threads) => threads,
        Err(error) => {
            shared.gate.call_off();
            return Err(CellError::Spawn(error));
        }
    };
    let cpus = setup.cpus.iter().copied().take(threads as usize);
    let watch = CpuWatch::start(cpus.collect());
    let started = shared.gate.open(threads, clock).is_some();
    let time = Duration::from_nanos(setup.warm_up_ns + setup.duration_ns);
    let interrupted = started && cancel.sleep(time);
    if interrupted {
        shared.called_off.store(true, Ordering::Relaxed);
    }
    let unfinished = wait_for(&faulting) + wait_for(&storming);
    if unfinished != 0 {
        return Err(CellError::Stuck {
            scheme: cell.scheme.about().name,
            storm: cell.storm.about().name,
            threads: unfinished,
        });
    }
    let fault_threads = join_all(faulting)?;
    let storm_threads = join_all(storming)?;
    if interrupted {
        return Err(CellError::Interrupted);
    }
    let faulting = fault_threads.iter().map(|thread| thread.conditions);
    let storming = storm_threads.iter().map(|thread| thread.conditions);
    let mut conditions = watch.stop(faulting.chain(storming));
    let readings = fault_threads.iter().map(|thread| &thread.readings);
    let readings = readings.chain(storm_threads.iter().map(|thread| &thread.readings));
    let migrations = Readings::sum(readings).count(&Event::CpuMigrations.name());
    conditions.migrations = migrations.map(|times| times as u64);

    let started = (fault_threads.iter().map(|thread| thread.started))
        .chain(storm_threads.iter().map(|thread| thread.started));
    let (first, last) = (started.clone().min(), started.max());
    let machine = &shared.machine;
    machine.system.audit_at_rest(&machine.mapping);
    Ok(Measured {
        conditions,
        start_skew_ns: clock.ns(last.unwrap_or(0) - first.unwrap_or(0)),
        violations: machine.system.violations.kept(),
        violation_count: machine.system.violations.count(),
        fault_threads,
        storm_threads,
    })
}

type Handle<T> = JoinHandle<Result<T, CellError>>;

/// Those that fault, and those that storm.
type Threads = (Vec<Handle<FaultThread>>, Vec<Handle<StormThread>>);

fn spawn_all(
    shared: &Arc<Shared>,
    fault_threads: u32,
    storm_threads: u32,
) -> std::io::Result<Threads> {
    let spawn_fault = |number| {
        let shared = Arc::clone(shared);
        let builder = thread::Builder::new().name(format!("fault-{number}"));
        builder.spawn(move || fault_thread::run(&shared, number))
    };
    let spawn_storm = |number| {
        let shared = Arc::clone(shared);
        let builder = thread::Builder::new().name(format!("storm-{number}"));
        builder.spawn(move || storm_thread::run(&shared, number))
    };
    Ok((
        (0..fault_threads)
            .map(spawn_fault)
            .collect::<Result<_, _>>()?,
        (0..storm_threads)
            .map(spawn_storm)
            .collect::<Result<_, _>>()?,
    ))
}

/// Waits for threads within reason; returns how many are left then.
fn wait_for<T>(threads: &[JoinHandle<T>]) -> usize {
    let give_up = Instant::now() + PATIENCE;
    loop {
        let left = threads
            .iter()
            .filter(|thread| !thread.is_finished())
            .count();
        if left == 0 || Instant::now() >= give_up {
            return left;
        }
        thread::sleep(Duration::from_micros(500));
    }
}

fn join_all<T>(threads: Vec<Handle<T>>) -> Result<Vec<T>, CellError> {
    let mut results = Vec::with_capacity(threads.len());
    let mut failed = None;
    for thread in threads {
        match thread.join() {
            Ok(Ok(result)) => results.push(result),
            // A thread that could not be pinned says more than those that it sent home.
            Ok(Err(CellError::Interrupted)) => failed = failed.or(Some(CellError::Interrupted)),
            Ok(Err(error)) => failed = Some(error),
            Err(_) => failed = Some(CellError::Panicked),
        }
    }
    failed.map_or(Ok(results), Err)
}

/// Random numbers of one thread of one cell: every part of the name changes all of them.
pub(crate) fn thread_seed(seed: u64, thread: u64) -> u64 {
    // splitmix64's finisher over both.
    let mut mixed = seed ^ (thread + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
