//! A cell's faults and removals on the running kernel.
//!
//! Each faulter is a process of its own, a [`worker`]: with an address space each, as
//! the model's `mm private` has it, or one for all threads. The storm stays in this process, which
//! maps nothing, so that no zap between passes interrupts its CPU.

mod sigbus;
pub mod worker;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::iter;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel_model::platform::Native;
use kernel_model::{FaultCounters, RemovalCounters};
use measuring::cell::{
    self, CellError, Course, FaultThread, Faults, Measured, Processes, Removals, Running, Setup,
    Threads,
};
use measuring::machine::MmKind;
use measuring::order::Touches;
use measuring::storms::{Operation, Storm, Target};
use rand_pcg::Pcg64Mcg;

use crate::host::{FileKind, HostError, HostFile, Mapping, Touched};
use worker::{Brought, Order, WORKER};

pub use sigbus::cost_of_sigbus_ns;

/// A file of the running kernel, and who faults on it.
#[derive(Debug, Clone)]
pub struct KernelFile {
    /// What file.
    pub kind: FileKind,
    /// The program that is a [`worker`] if it is called with [`WORKER`].
    pub worker: PathBuf,
}

impl cell::KernelFile for KernelFile {
    fn name(&self) -> &str {
        &self.kind.name
    }

    fn lineage(&self) -> String {
        self.kind.lineage()
    }

    fn refills_alike(&self) -> bool {
        self.kind.refills_alike()
    }

    fn try_to_create(&self, pages: u64) -> Result<(), CellError> {
        Ok(self.kind.create(pages).map(|_| ())?)
    }

    fn measure(&self, running: &Running<'_>) -> Result<Measured, CellError> {
        let Setup { sizes, mm, .. } = &running.course.setup;
        let storm = running.cell.storm;
        let subject = Arc::new(self.clone());
        let file = Arc::new(self.kind.create(u64::from(sizes.file_pages()))?);
        let workers = Arc::new(Workers::default());
        let mut threads = Threads::default();
        let together = match mm {
            MmKind::Private => running.each_alone(),
            MmKind::Shared => iter::once(0..running.cell.fault_threads).collect(),
        };
        let spawned = running.spawn_faulting(&mut threads, together, |_, numbers| {
            let (subject, file) = (Arc::clone(&subject), Arc::clone(&file));
            let workers = Arc::clone(&workers);
            move |course: &Course| relay(course, numbers, &subject, &file, &workers)
        });
        let spawned = spawned.and_then(|()| {
            running.spawn_storming(&mut threads, |course, number| {
                let target = course.setup.sizes.target();
                let mut removals = KernelRemovals::new(&file, storm, target);
                move |course: &Course| cell::run_storm(course, number, &mut removals)
            })
        });
        running.bring_home(spawned, threads, LEAD_NS, Some(&*workers))
    }
}

impl From<HostError> for CellError {
    fn from(error: HostError) -> Self {
        Self::Kernel(Box::new(error))
    }
}

/// How far ahead the start is set: a line to each worker must have arrived.
const LEAD_NS: u64 = 10_000_000;

/// A fault thread on the running kernel.
struct KernelFaults {
    mapping: Arc<Mapping>,
    mm: MmKind,
    window_pages: u64,
    counters: FaultCounters,
    /// Pages that held neither what was written to them nor zeroes.
    wrong: Option<String>,
}

impl KernelFaults {
    /// One that faults on a mapping.
    fn new(mapping: &Arc<Mapping>, mm: MmKind, window_pages: u32) -> Self {
        Self {
            mapping: Arc::clone(mapping),
            mm,
            window_pages: u64::from(window_pages),
            counters: FaultCounters::default(),
            wrong: None,
        }
    }

    #[cold]
    #[inline(never)]
    fn is_wrong(&mut self, pgoff: u64, word: u64) {
        let line = format!("page {pgoff} held {word:#x}, which is neither its stamp nor 0");
        self.wrong.get_or_insert(line);
    }
}

impl Faults for KernelFaults {
    #[inline(always)]
    fn fault(&mut self, pgoff: u64) -> u64 {
        match self.mapping.touch(pgoff) {
            // A hole that was read back holds zeroes.
            Touched::Word(word) => {
                if word != pgoff + 1 && word != 0 {
                    self.is_wrong(pgoff, word);
                }
                0
            }
            Touched::Bus => {
                self.counters.sigbus += 1;
                1
            }
        }
    }

    fn zap(&mut self, touches: &Touches) -> Result<(), CellError> {
        match self.mm {
            MmKind::Private => self.mapping.zap()?,
            MmKind::Shared => {
                for start in touches.windows() {
                    self.mapping.zap_range(start..start + self.window_pages)?;
                }
            }
        }
        Ok(())
    }

    /// What is mapped is read from the page table: the kernel doesn't tell what a fault mapped.
    fn pass_ended(&mut self, touches: &Touches) -> Result<(), CellError> {
        let present = match self.mm {
            MmKind::Private => self.mapping.present(0..self.mapping.pages())?,
            MmKind::Shared => {
                let windows = touches.windows();
                let windows = windows.map(|start| start..start + self.window_pages);
                windows
                    .map(|it| self.mapping.present(it))
                    .sum::<Result<_, _>>()?
            }
        };
        self.counters.mapped += present;
        Ok(())
    }

    fn forget(&mut self) {
        self.counters = FaultCounters::default();
    }

    fn counters(&self) -> FaultCounters {
        self.counters
    }
}

/// A storm thread on the running kernel.
struct KernelRemovals {
    file: Arc<HostFile>,
    storm: &'static dyn Storm<Native>,
    target: Target,
    next: Option<Operation<Native>>,
}

/// The system calls that storms stand for, by the name of the remover.
pub const CALLS: [&str; 2] = ["truncate", "punch-hole"];

impl KernelRemovals {
    /// One over a file.
    fn new(file: &Arc<HostFile>, storm: &'static dyn Storm<Native>, target: Target) -> Self {
        Self {
            file: Arc::clone(file),
            storm,
            target,
            next: None,
        }
    }
}

impl Removals for KernelRemovals {
    fn choose(&mut self, random: &mut Pcg64Mcg) {
        self.next = Some(self.storm.next(&self.target, random));
    }

    fn remove(&mut self) -> Result<(), CellError> {
        let Some(Operation { remover, range }) = &self.next else {
            return Ok(());
        };
        match remover.about().name {
            "truncate" => self.file.truncate(range.start)?,
            "punch-hole" => self.file.punch_hole(range.clone())?,
            other => return Err(HostError::NoSuchCall(other).into()),
        }
        Ok(())
    }

    fn mend(&mut self) -> Result<(), CellError> {
        let Some(Operation { remover, range }) = self.next.take() else {
            return Ok(());
        };
        if remover.about().name == "truncate" {
            self.file.truncate(self.target.end())?;
        }
        if self.target.refill {
            self.file.refill(range)?;
        }
        Ok(())
    }

    fn forget(&mut self) {}

    fn counters(&self) -> RemovalCounters {
        RemovalCounters::default()
    }
}

/// A worker. Its standard input, closed, makes it come to its end.
type Worker = Mutex<Child>;

/// The workers of a cell.
#[derive(Debug, Default)]
struct Workers {
    all: Mutex<Vec<Arc<Worker>>>,
    killed: AtomicBool,
}

impl Processes for Workers {
    fn call_off(&self) {
        for worker in lock(&self.all).iter() {
            lock(worker).stdin.take();
        }
    }

    fn kill(&self) {
        // Relaxed: who sees a worker dead by it has waited for the worker.
        self.killed.store(true, Ordering::Relaxed);
        for worker in lock(&self.all).iter() {
            // One that has ended by itself has.
            let _ = lock(worker).kill();
        }
    }
}

impl Workers {
    fn add(&self, child: Child) -> Arc<Worker> {
        let worker = Arc::new(Mutex::new(child));
        lock(&self.all).push(Arc::clone(&worker));
        worker
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has fault threads `numbers` of a cell run in a process, and brings home what they bring.
fn relay(
    course: &Course,
    numbers: Range<u32>,
    subject: &KernelFile,
    file: &HostFile,
    workers: &Workers,
) -> Result<Vec<FaultThread>, CellError> {
    let threads = numbers.len() as u32;
    let brought = converse(course, numbers, subject, file, workers);
    if brought.is_err() {
        // The others would wait for these threads.
        course.gate.call_off();
    }
    let brought = match brought {
        Err(CellError::Worker(_)) if workers.killed.load(Ordering::Relaxed) => {
            return Err(CellError::Interrupted);
        }
        brought => brought?,
    };
    if brought.len() as u32 != threads {
        return Err(CellError::Interrupted);
    }
    Ok(brought)
}

fn converse(
    course: &Course,
    numbers: Range<u32>,
    subject: &KernelFile,
    file: &HostFile,
    workers: &Workers,
) -> Result<Vec<FaultThread>, CellError> {
    let threads = numbers.len() as u32;
    let inherited = file.for_child()?;
    let mut child = Command::new(&subject.worker)
        .arg(WORKER)
        // Ctrl-C, timeout(1) and a terminal that is closed signal a whole group: workers are called
        // off by this process, which keeps what was measured.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(CellError::SpawnWorker)?;
    let stdout = child.stdout.take();
    let worker = workers.add(child);
    let Some(stdout) = stdout else {
        return Err(ended(&worker));
    };
    let mut stdout = BufReader::new(stdout);
    let order = Order::of(course, numbers, subject, inherited.as_raw_fd());
    let order = serde_json::to_string(&order);
    let order = order.map_err(|error| CellError::Worker(format!("no order for it: {error}")))?;
    if say(&worker, &order).is_none() {
        return Err(ended(&worker));
    }
    let mut ready = String::new();
    let read = stdout.read_line(&mut ready);
    if read.is_err() || ready.trim() != READY {
        let ended = ended(&worker);
        return Err(match serde_json::from_str(&ready) {
            Ok(Brought::Failed(line)) => CellError::Worker(line),
            Ok(Brought::CalledOff) => CellError::Interrupted,
            _ => ended,
        });
    }
    let start = course.gate.hear_of(threads).ok_or(CellError::Interrupted);
    let told = start.map(|start| say(&worker, &start.to_string()));
    if told.is_err() {
        lock(&worker).stdin.take();
    }
    let mut text = String::new();
    let read = stdout.read_to_string(&mut text);
    // It has closed its end: it ends, or has.
    let status = lock(&worker).wait().map_err(unknown_end)?;
    told?;
    match serde_json::from_str(&text) {
        Ok(Brought::Home(threads)) if read.is_ok() && status.success() => {
            Ok(threads.into_iter().map(FaultThread::from).collect())
        }
        Ok(Brought::Failed(line)) => Err(CellError::Worker(line)),
        Ok(Brought::CalledOff) => Err(CellError::Interrupted),
        _ => Err(CellError::Worker(format!("it ended with {status}"))),
    }
}

/// What a worker says when all its threads wait for the start.
const READY: &str = "ready";

fn say(worker: &Worker, text: &str) -> Option<()> {
    writeln!(lock(worker).stdin.as_mut()?, "{text}").ok()
}

fn ended(worker: &Worker) -> CellError {
    let mut child = lock(worker);
    // It has nothing to wait for any more.
    let _ = child.kill();
    match child.wait() {
        Ok(status) => CellError::Worker(format!("it ended with {status}")),
        Err(error) => unknown_end(error),
    }
}

fn unknown_end(error: io::Error) -> CellError {
    CellError::Worker(format!("it was not told how it ended: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine_facts::cancel::Cancel;
    use machine_facts::clock::Clock;
    use measuring::cell::{Subject, measure};
    use measuring::fixture::a_moment;

    #[test]
    fn a_process_that_is_not_to_be_had_is_not_called_a_thread() {
        let file = KernelFile {
            kind: FileKind::memfd(),
            worker: "/nowhere/at/all".into(),
        };
        let (cell, setup) = a_moment(Subject::File(Arc::new(file)), vec![0]);
        let measured = measure(&cell, &setup, 1, &Clock::new(), &Cancel::default());
        let line = measured.unwrap_err().to_string();
        let said = "cannot start a worker process: No such file or directory";
        assert!(line.starts_with(said), "{line}");
    }
}
