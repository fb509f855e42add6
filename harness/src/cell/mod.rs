//! One cell of the measurement: one subject under one storm with so many fault threads, once.

mod course;
mod fault_thread;
#[cfg(test)]
pub(crate) mod fixture;
mod kernel;
mod model;
mod sides;
mod sigbus;
mod storm_thread;
pub mod worker;

use std::iter;
use std::ops::Range;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kernel_model::Violation;
use kernel_model::fault_around::{FaultAround, Schemes};
use kernel_model::platform::{Burdened, Native, Platform};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::arrival::Arrival;
use crate::cancel::Cancel;
use crate::clock::Clock;
use crate::conditions::{Conditions, CpuWatch};
use crate::counters::{Event, Readings};
use crate::gate;
use crate::host::HostError;
use crate::machine::{Machine, MmKind, Sizes};
use crate::order::Access;
use crate::rounds::Control;
use crate::storms::{Storm, Storms};
use crate::subject::{KernelFile, Subject};
use crate::topology::TopologyError;
use crate::transfer;

use course::Course;
use kernel::Workers;
use model::{ModelFaults, ModelRemovals};

pub use fault_thread::FaultThread;
pub use kernel::CALLS;
pub use sigbus::cost_of_sigbus_ns;
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

/// Why nothing came out of a cell.
#[derive(Debug, Error)]
pub enum CellError {
    /// A thread could not be put where it belongs.
    #[error(transparent)]
    Pin(#[from] TopologyError),
    /// The system gave no thread.
    #[error("cannot start a thread: {0}")]
    Spawn(std::io::Error),
    /// The system gave no process.
    #[error("cannot start a worker process: {0}")]
    SpawnWorker(std::io::Error),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// Threads did not come to an end.
    #[error("progress violated: {threads} thread(s) of {subject} under {storm} never ended")]
    Stuck {
        /// The scheme, or the kernel's file.
        subject: String,
        /// The storm.
        storm: &'static str,
        /// How many.
        threads: usize,
    },
    /// The kernel refused something.
    #[error(transparent)]
    Kernel(#[from] HostError),
    /// A storm of the model that no process could make.
    #[error("no system call does {0} to pages that others have mapped")]
    NoSuchCall(&'static str),
    /// A process that faults did not do its work.
    #[error("a worker: {0}")]
    Worker(String),
    /// What looks on as rounds end could not go on: its own line.
    #[error("{0}")]
    Observer(String),
    /// A thread panicked.
    #[error("a measuring thread panicked; its message is above")]
    Panicked,
}

/// How long after the end a thread may take to come to its own: a pass over a large file, a long
/// operation, on a machine that is busy elsewhere.
const PATIENCE: Duration = Duration::from_secs(60);

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
        Subject::File(file) => cell.on_the_kernel(file),
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

/// A cell that is being measured.
struct Running<'a> {
    course: Arc<Course>,
    cell: &'a Cell,
    storm_threads: u32,
    cancel: &'a Cancel,
}

type Handle<T> = JoinHandle<Result<T, CellError>>;

/// Those that fault, some of them together, and those that storm.
#[derive(Default)]
struct Threads {
    faulting: Vec<Handle<Vec<FaultThread>>>,
    storming: Vec<Handle<StormThread>>,
}

impl Running<'_> {
    fn on_a_model<P: Platform>(
        &self,
        scheme: &'static dyn FaultAround<P>,
    ) -> Result<Measured, CellError> {
        let Course { setup, clock, .. } = &*self.course;
        let name = self.cell.storm.about().name;
        let storm = Storms::<P>::named(name).expect("platforms have the same storms");
        let machine = Arc::new(Machine::new(
            scheme,
            &setup.sizes,
            setup.mm,
            self.cell.fault_threads,
            self.cell.fault_threads + self.storm_threads,
            clock,
        ));
        let mut threads = Threads::default();
        let spawned = self.spawn_faulting(&mut threads, self.each_alone(), |course, numbers| {
            let window_pages = course.setup.sizes.window_pages;
            let mut faults =
                ModelFaults::new(&machine, numbers.start, course.setup.mm, window_pages);
            move |course: &Course| {
                fault_thread::run(course, numbers.start, &mut faults).map(|thread| vec![thread])
            }
        });
        let spawned = spawned.and_then(|()| {
            self.spawn_storming(&mut threads, |course, number| {
                let thread = course.fault_threads + number;
                let target = course.setup.sizes.target();
                let mut removals = ModelRemovals::new(&machine, storm, target, thread);
                move |course: &Course| storm_thread::run(course, number, &mut removals)
            })
        });
        let mut measured = self.bring_home(spawned, threads, gate::LEAD_NS, None)?;
        machine.system.audit_at_rest(&machine.mapping);
        measured.violations = machine.system.violations.kept();
        measured.violation_count = machine.system.violations.count();
        Ok(measured)
    }

    fn on_the_kernel(&self, subject: &Arc<KernelFile>) -> Result<Measured, CellError> {
        let Setup { sizes, mm, .. } = &self.course.setup;
        let storm = self.cell.storm;
        let file = Arc::new(subject.kind.create(u64::from(sizes.file_pages()))?);
        let workers = Arc::new(Workers::default());
        let mut threads = Threads::default();
        let together = match mm {
            MmKind::Private => self.each_alone(),
            MmKind::Shared => iter::once(0..self.cell.fault_threads).collect(),
        };
        let spawned = self.spawn_faulting(&mut threads, together, |_, numbers| {
            let (subject, file) = (Arc::clone(subject), Arc::clone(&file));
            let workers = Arc::clone(&workers);
            move |course: &Course| kernel::relay(course, numbers, &subject, &file, &workers)
        });
        let spawned = spawned.and_then(|()| {
            self.spawn_storming(&mut threads, |course, number| {
                let target = course.setup.sizes.target();
                let mut removals = kernel::KernelRemovals::new(&file, storm, target);
                move |course: &Course| storm_thread::run(course, number, &mut removals)
            })
        });
        self.bring_home(spawned, threads, kernel::LEAD_NS, Some(&workers))
    }

    /// The numbers of the fault threads, one by one.
    fn each_alone(&self) -> Vec<Range<u32>> {
        let all = 0..self.cell.fault_threads;
        all.map(|number| number..number + 1).collect()
    }

    fn spawn_faulting<F>(
        &self,
        threads: &mut Threads,
        together: Vec<Range<u32>>,
        work: impl Fn(&Course, Range<u32>) -> F,
    ) -> Result<(), CellError>
    where
        F: FnOnce(&Course) -> Result<Vec<FaultThread>, CellError> + Send + 'static,
    {
        for numbers in together {
            let name = format!("fault-{}", numbers.start);
            let work = work(&self.course, numbers);
            threads.faulting.push(self.spawn(name, work)?);
        }
        Ok(())
    }

    fn spawn_storming<F>(
        &self,
        threads: &mut Threads,
        work: impl Fn(&Course, u32) -> F,
    ) -> Result<(), CellError>
    where
        F: FnOnce(&Course) -> Result<StormThread, CellError> + Send + 'static,
    {
        for number in 0..self.storm_threads {
            let work = work(&self.course, number);
            let thread = self.spawn(format!("storm-{number}"), work)?;
            threads.storming.push(thread);
        }
        Ok(())
    }

    fn spawn<T: Send + 'static>(
        &self,
        name: String,
        work: impl FnOnce(&Course) -> Result<T, CellError> + Send + 'static,
    ) -> Result<Handle<T>, CellError> {
        let course = Arc::clone(&self.course);
        let work = move || {
            let result = work(&course);
            if result.is_err() {
                // Nothing comes of the others' work any more.
                course.call_off();
            }
            result
        };
        let builder = thread::Builder::new().name(name);
        builder.spawn(work).map_err(CellError::Spawn)
    }

    /// Starts the threads when all are there, and joins them at the end.
    fn bring_home(
        &self,
        spawned: Result<(), CellError>,
        threads: Threads,
        lead_ns: u64,
        workers: Option<&Workers>,
    ) -> Result<Measured, CellError> {
        let Course {
            setup, clock, gate, ..
        } = &*self.course;
        if let Err(error) = spawned {
            gate.call_off();
            return Err(error);
        }
        let all = self.cell.fault_threads + self.storm_threads;
        let cpus = setup.cpus.iter().copied().take(all as usize);
        let watch = CpuWatch::start(cpus.collect());
        let started = gate.open_ahead(all, clock, lead_ns, self.cancel).is_some();
        let time = Duration::from_nanos(lead_ns + setup.warm_up_ns + setup.duration_ns);
        let interrupted = if started {
            self.cancel.sleep(time)
        } else {
            gate.call_off();
            self.cancel.is_requested()
        };
        if interrupted || !started {
            self.course.call_off();
        }
        if let Some(workers) = workers.filter(|_| !started) {
            workers.call_off();
        }
        let Threads { faulting, storming } = threads;
        let unfinished = self.wait_for(|| left(&faulting) + left(&storming), workers);
        if unfinished != 0 {
            return Err(CellError::Stuck {
                subject: self.cell.subject.name().to_owned(),
                storm: self.cell.storm.about().name,
                threads: unfinished,
            });
        }
        let (faulted, stormed) = (join_all(faulting), join_all(storming));
        let (fault_threads, storm_threads) = match (faulted, stormed) {
            // A thread that was sent home says less than one that failed.
            (Err(CellError::Interrupted), Err(error)) | (Err(error), _) | (_, Err(error)) => {
                return Err(error);
            }
            (Ok(faulted), Ok(stormed)) => (faulted.into_iter().flatten().collect(), stormed),
        };
        if interrupted {
            return Err(CellError::Interrupted);
        }
        Ok(sum_up(fault_threads, storm_threads, watch, clock))
    }

    /// Waits for threads within reason, and once somebody has asked to stop for no process; returns
    /// how many are left then.
    fn wait_for(&self, left: impl Fn() -> usize, workers: Option<&Workers>) -> usize {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let left = left();
            if left == 0 || Instant::now() >= give_up {
                return left;
            }
            if let Some(workers) = workers.filter(|_| self.cancel.is_requested()) {
                workers.kill();
            }
            thread::sleep(Duration::from_micros(500));
        }
    }
}

fn sum_up(
    fault_threads: Vec<FaultThread>,
    storm_threads: Vec<StormThread>,
    watch: CpuWatch,
    clock: &Clock,
) -> Measured {
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
    Measured {
        conditions,
        start_skew_ns: clock.ns(last.unwrap_or(0) - first.unwrap_or(0)),
        violations: Vec::new(),
        violation_count: 0,
        fault_threads,
        storm_threads,
    }
}

/// How many threads have not come to their end.
fn left<T>(threads: &[JoinHandle<T>]) -> usize {
    let left = threads.iter().filter(|thread| !thread.is_finished());
    left.count()
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
