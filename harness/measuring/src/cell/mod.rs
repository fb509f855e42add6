//! One cell of the measurement: one subject under one storm with so many fault threads, once.

mod course;
mod drive;
mod error;
mod fault_thread;
mod model;
mod sides;
mod storm_thread;
mod subject;

use std::sync::Arc;

use kernel_model::fault_around::Schemes;
use kernel_model::platform::{Burdened, Native};
use kernel_model::race::Violation;
use machine_facts::cancel::Cancel;
use machine_facts::clock::Clock;
use machine_facts::conditions::Conditions;
use machine_facts::counters::Event;
use machine_facts::transfer;
use serde::{Deserialize, Serialize};

use crate::arrival::Arrival;
use crate::control::Control;
use crate::machine::{MmKind, Sizes};
use crate::order::Access;
use crate::storms::Storm;

pub use course::Course;
pub use drive::{Handle, Processes, Running, Threads, join_all};
pub use error::CellError;
pub use fault_thread::{FaultThread, run as run_faults};
pub use sides::{Faults, Removals};
pub use storm_thread::{StormThread, run as run_storm};
pub use subject::{KernelFile, Subject};

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
#[derive(Clone)]
pub struct Cell {
    /// The scheme, or the kernel's file.
    pub subject: Subject,
    /// Whether the model carries the kernel's remaining work.
    pub calibrated: bool,
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

/// Runs a cell on a machine of its own.
///
/// # Errors
/// See [`CellError`].
pub fn measure(
    cell: &Cell,
    setup: &Setup,
    seed: u64,
    clock: &Clock,
    cancel: &Cancel,
) -> Result<Measured, CellError> {
    let course = Course::new(setup, cell.fault_threads, cell.control, seed, clock);
    let cell = Running {
        course: Arc::new(course),
        storm_threads: setup.storm_threads_of(cell.storm),
        cell,
        cancel,
    };
    let threads = cell.cell.fault_threads + cell.storm_threads;
    let used = setup.cpus.len().min(threads as usize);
    let transfers_ns = transfer::from_the_first(&setup.cpus[..used], clock);
    let mut measured = match &cell.cell.subject {
        Subject::File(file) => file.measure(&cell),
        Subject::Scheme(scheme) if cell.cell.calibrated => {
            let name = scheme.about().name;
            let scheme = Schemes::<Burdened>::named(name).expect("platforms have the same schemes");
            cell.on_a_model(scheme)
        }
        Subject::Scheme(scheme) => cell.on_a_model(*scheme),
    }?;
    measured.conditions.transfers_ns = transfers_ns;
    Ok(measured)
}

/// Random numbers of one thread of one cell: every part of the name changes all of them.
pub(crate) fn thread_seed(seed: u64, thread: u64) -> u64 {
    // splitmix64's finisher over both.
    let mut mixed = seed ^ (thread + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
