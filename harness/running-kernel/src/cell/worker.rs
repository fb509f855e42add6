//! A worker: the process whose threads fault on a file of the running kernel.
//!
//! It is told what to do by a line of JSON on its standard input, sets its threads up, says that it
//! is ready, is told the moment to start at, on the counter that all processes share, and writes
//! what its threads brought home. When its standard input is closed it comes to its end.

use std::io::{self, BufRead, IsTerminal, Write};
use std::ops::Range;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::thread;

use kernel_model::FaultCounters;
use machine_facts::cancel::Cancel;
use machine_facts::clock::{Calibration, Clock, Ticks};
use machine_facts::conditions::ThreadConditions;
use machine_facts::counters::{Cpu, Event, Readings};
use machine_facts::statistics::Sparse;
use measuring::cell::{CellError, Course, FaultThread, Setup, join_all, run_faults};
use measuring::control::Control;
use measuring::machine::MmKind;
use serde::{Deserialize, Serialize};

use super::{KernelFaults, KernelFile, READY};
use crate::host::{FileKind, HostFile, Layout, Mapping, install};

/// The first argument of a program that is to be a worker.
pub const WORKER: &str = "host-worker";

/// What a worker is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    setup: Setup,
    /// Left out of `setup` where it is written.
    events: Vec<String>,
    fault_threads: u32,
    numbers: Range<u32>,
    control: Option<Control>,
    seed: u64,
    clock: Calibration,
    kind: FileKind,
    fd: RawFd,
}

impl Order {
    pub(super) fn of(course: &Course, numbers: Range<u32>, file: &KernelFile, fd: RawFd) -> Self {
        let events = course.setup.events.iter();
        Self {
            setup: course.setup.clone(),
            events: events.map(Event::name).collect(),
            fault_threads: course.fault_threads,
            numbers,
            control: course.control,
            seed: course.seed,
            clock: course.clock.calibration(),
            kind: file.kind.clone(),
            fd,
        }
    }
}

/// What a worker brings home.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Brought {
    /// What its threads did.
    Home(Vec<Account>),
    /// Why they didn't, in a line.
    Failed(String),
    /// They were called off.
    CalledOff,
}

/// A fault thread's results, on their way from one process to another.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Account {
    cpu: u32,
    faults: u64,
    histogram: Sparse,
    beyond: u64,
    stretches: Sparse,
    stretch: u32,
    in_faults_ns: u64,
    active_ns: u64,
    mapped: u64,
    sigbus: u64,
    readings: Readings,
    conditions: ThreadConditions,
    started: Ticks,
}

impl From<Account> for FaultThread {
    fn from(account: Account) -> Self {
        Self {
            cpu: account.cpu,
            faults: account.faults,
            histogram: account.histogram.expand(),
            beyond: account.beyond,
            stretches: account.stretches.expand(),
            stretch: account.stretch,
            in_faults_ns: account.in_faults_ns,
            active_ns: account.active_ns,
            counters: FaultCounters {
                mapped: account.mapped,
                sigbus: account.sigbus,
                ..FaultCounters::default()
            },
            readings: account.readings,
            conditions: account.conditions,
            started: account.started,
        }
    }
}

impl From<FaultThread> for Account {
    fn from(thread: FaultThread) -> Self {
        Self {
            cpu: thread.cpu,
            faults: thread.faults,
            histogram: Sparse::from(&thread.histogram),
            beyond: thread.beyond,
            stretches: Sparse::from(&thread.stretches),
            stretch: thread.stretch,
            in_faults_ns: thread.in_faults_ns,
            active_ns: thread.active_ns,
            mapped: thread.counters.mapped,
            sigbus: thread.counters.sigbus,
            readings: thread.readings,
            conditions: thread.conditions,
            started: thread.started,
        }
    }
}

/// What it says to those who call it by hand.
const NOT_BY_HAND: &str = "host-worker is what faultaround host starts to fault for it, and reads what \
                           to do from there: see faultaround host --help";

/// Is a worker: to be called first thing in a program's `main()`, with nothing on standard input or
/// output yet. Returns the exit status.
pub fn work() -> i32 {
    end_with_the_parent();
    let order = (!io::stdin().is_terminal()).then(order).flatten();
    let Some(order) = order else {
        eprintln!("faultaround: {NOT_BY_HAND}");
        return 2;
    };
    let brought = match obey(order) {
        Ok(threads) => Brought::Home(threads.into_iter().map(Account::from).collect()),
        // The side that called it off knows why, and another's reason is told there.
        Err(CellError::Interrupted) => Brought::CalledOff,
        Err(error) => Brought::Failed(error.to_string()),
    };
    let mut out = io::stdout().lock();
    let written = serde_json::to_writer(&mut out, &brought).is_ok() && writeln!(out).is_ok();
    i32::from(!written)
}

/// A worker ends with the process that called it, which may be killed. If that was before this,
/// standard input has come to its end.
fn end_with_the_parent() {
    // SAFETY: the call takes a number and changes what happens to this process alone.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
}

/// What there is to do, if anybody says.
fn order() -> Option<Order> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

fn obey(order: Order) -> Result<Vec<FaultThread>, CellError> {
    let Order {
        mut setup, numbers, ..
    } = order;
    setup.events = events_named(&order.events);
    install()?;
    let pages = setup.sizes.pages;
    let file = HostFile::from_child_fd(order.fd, order.kind, u64::from(setup.sizes.file_pages()))?;
    let (mm, window_pages) = (setup.mm, setup.sizes.window_pages);
    let clock = Clock::calibrated(order.clock);
    let course = Course::new(
        &setup,
        order.fault_threads,
        order.control,
        order.seed,
        &clock,
    );
    let course = Arc::new(course);
    let mapping = Arc::new(Mapping::new(&file, u64::from(pages), Layout::Whole)?);
    let mut threads = Vec::new();
    for number in numbers.clone() {
        // Threads of one worker share what they map: that is what makes them threads.
        debug_assert!(mm == MmKind::Shared || numbers.len() == 1);
        let faults = KernelFaults::new(&mapping, mm, window_pages);
        let course = Arc::clone(&course);
        let builder = thread::Builder::new().name(format!("fault-{number}"));
        let thread = builder.spawn(move || run_checked(&course, number, faults));
        threads.push(thread.map_err(CellError::Spawn)?);
    }
    let started = start(&course, numbers.len() as u32);
    let brought = join_all(threads)?;
    started.map(|()| brought)
}

/// Runs a fault thread, and looks at what it read.
fn run_checked(
    course: &Course,
    number: u32,
    mut faults: KernelFaults,
) -> Result<FaultThread, CellError> {
    let thread = run_faults(course, number, &mut faults)?;
    faults
        .wrong
        .map_or(Ok(thread), |line| Err(CellError::Worker(line)))
}

/// The events of these names. The standard ones are not to be asked for by name elsewhere.
fn events_named(names: &[String]) -> Vec<Event> {
    let cpu = Cpu::here();
    let others = names
        .iter()
        .filter_map(|name| Event::parse(name, &cpu).ok());
    let all = Event::standard_and(others.flatten());
    all.into_iter()
        .filter(|event| names.contains(&event.name()))
        .collect()
}

/// Says that the threads are ready, and starts them when it is told to. From then on the end of
/// standard input is the end of the work.
fn start(course: &Arc<Course>, threads: u32) -> Result<(), CellError> {
    // A request to stop comes as the end of standard input.
    if !course.gate.all_are_here(threads, &Cancel::default()) {
        // One of them says why.
        return Ok(());
    }
    if println_ready().is_err() {
        // The other side is gone.
        course.gate.call_off();
        return Err(CellError::Interrupted);
    }
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    let Some(start) = read.ok().and_then(|_| line.trim().parse().ok()) else {
        course.gate.call_off();
        return Err(CellError::Interrupted);
    };
    course.gate.open_at(start);
    let course = Arc::clone(course);
    let listen = move || {
        let mut nothing = String::new();
        let _ = io::stdin().lock().read_line(&mut nothing);
        course.call_off();
    };
    let listener = thread::Builder::new()
        .name("listener".to_owned())
        .spawn(listen);
    listener.map(|_| ()).map_err(CellError::Spawn)
}

fn println_ready() -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{READY}")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_counts_what_it_is_told_to_standard_events_and_others() {
        let other = Event::parse("r1d2", &Cpu::UNKNOWN).unwrap();
        let all = Event::standard_and(other);
        let names: Vec<_> = all.iter().map(Event::name).collect();
        assert_eq!(events_named(&names), all);
        assert_eq!(events_named(&names[4..5]), [Event::PageFaults]);
        assert_eq!(events_named(&[]), []);
    }
}
