//! How a cell runs: its threads are spawned, started together, and brought home.

use std::ops::Range;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kernel_model::fault_around::FaultAround;
use kernel_model::platform::Platform;
use machine_facts::cancel::Cancel;
use machine_facts::clock::Clock;
use machine_facts::conditions::CpuWatch;
use machine_facts::counters::{Event, Readings};
use machine_facts::gate;

use super::course::Course;
use super::fault_thread::{self, FaultThread};
use super::model::{ModelFaults, ModelRemovals};
use super::storm_thread::{self, StormThread};
use super::{Cell, CellError, Measured};
use crate::machine::Machine;
use crate::storms::Storms;

/// The processes in which threads of a cell run, where they don't in this one.
pub trait Processes: Sync {
    /// Makes all of them come to their end, and say why if they know.
    fn call_off(&self);

    /// Ends all of them, whatever they would bring: also one that is stopped, or stuck.
    fn kill(&self);
}

/// How long after the end a thread may take to come to its own: a pass over a large file, a long
/// operation, on a machine that is busy elsewhere.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cell that is being measured.
pub struct Running<'a> {
    /// What all of its threads go by.
    pub course: Arc<Course>,
    /// What is measured.
    pub cell: &'a Cell,
    pub(super) storm_threads: u32,
    pub(super) cancel: &'a Cancel,
}

/// A thread of a cell.
pub type Handle<T> = JoinHandle<Result<T, CellError>>;

/// Those that fault, some of them together, and those that storm.
#[derive(Default)]
pub struct Threads {
    faulting: Vec<Handle<Vec<FaultThread>>>,
    storming: Vec<Handle<StormThread>>,
}

impl Running<'_> {
    pub(super) fn on_a_model<P: Platform>(
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

    /// The numbers of the fault threads, one by one.
    pub fn each_alone(&self) -> Vec<Range<u32>> {
        let all = 0..self.cell.fault_threads;
        all.map(|number| number..number + 1).collect()
    }

    /// Starts a thread for each of these ranges of fault threads.
    ///
    /// # Errors
    /// A thread that the system doesn't give.
    pub fn spawn_faulting<F>(
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

    /// Starts the storm's threads.
    ///
    /// # Errors
    /// A thread that the system doesn't give.
    pub fn spawn_storming<F>(
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

    /// Starts the threads `lead_ns` after all are there, and joins them at the end.
    ///
    /// # Errors
    /// See [`CellError`]; `spawned` is the first of them.
    pub fn bring_home(
        &self,
        spawned: Result<(), CellError>,
        threads: Threads,
        lead_ns: u64,
        processes: Option<&dyn Processes>,
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
        if let Some(processes) = processes.filter(|_| !started) {
            processes.call_off();
        }
        let Threads { faulting, storming } = threads;
        let unfinished = self.wait_for(|| left(&faulting) + left(&storming), processes);
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
    fn wait_for(&self, left: impl Fn() -> usize, processes: Option<&dyn Processes>) -> usize {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let left = left();
            if left == 0 || Instant::now() >= give_up {
                return left;
            }
            if let Some(processes) = processes.filter(|_| self.cancel.is_requested()) {
                processes.kill();
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

/// What all of these threads bring, or why one of them brought nothing.
///
/// # Errors
/// See [`CellError`].
pub fn join_all<T>(threads: Vec<Handle<T>>) -> Result<Vec<T>, CellError> {
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
