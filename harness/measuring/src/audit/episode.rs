//! One episode of an audit: threads that run freely, with stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kernel_model::address_space::AddressSpace;
use kernel_model::fault_around::FaultAround;
use kernel_model::gates::Gates;
use kernel_model::mm::{Mm, Vma};
use kernel_model::platform::Jitter;
use kernel_model::race::{PROGRESS, Violation};
use kernel_model::scenario::Contents;
use kernel_model::{Config, System, Task};
use machine_facts::cancel::Cancel;
use machine_facts::conditions::thread_cpu_time;
use machine_facts::topology::pin_current_thread;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::{AuditError, AuditSetup, Audited, Work};
use crate::cell::thread_seed;
use crate::machine::MmKind;
use crate::order::Touches;
use crate::storms::{Operation, Storm, Target};

/// Entries of a PTE table in windows: few, so that there are tables to be missing.
const WINDOWS_PER_TABLE: u32 = 2;

/// Gates of a file at most.
const MOST_GATES: u32 = 16;

/// Frames beyond the file's, in windows per thread: few, so that they are reused at once.
const SPARE_WINDOWS: u32 = 2;

/// The longest pause between two removals, as a power of two of spin-loop hints: what some fifty
/// faults take.
const LONGEST_PAUSE_BITS: u32 = 13;

/// A thread that isn't back after this long is stuck: an episode's steps take microseconds, the
/// longest stops included.
const PATIENCE: Duration = Duration::from_secs(20);

/// A small machine and those who use it.
pub(super) struct Episode(pub(super) Arc<Shared>);

pub(super) struct Shared {
    system: System<Audited>,
    pub(super) mapping: Arc<AddressSpace<Audited>>,
    contents: Arc<Contents<Audited>>,
    /// The one that all share, if they do.
    shared_vma: Option<Arc<Vma<Audited>>>,
    storm: &'static dyn Storm<Audited>,
    setup: AuditSetup,
    seed: u64,
    stop: AtomicBool,
}

/// What came out of it.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) work: Work,
    pub(super) violations: Vec<Violation>,
    pub(super) violation_count: u64,
}

type Handle = JoinHandle<Result<Work, AuditError>>;

impl Episode {
    pub(super) fn new(
        scheme: &'static dyn FaultAround<Audited>,
        storm: &'static dyn Storm<Audited>,
        setup: &AuditSetup,
        number: u64,
    ) -> Self {
        let threads = setup.fault_threads + setup.storm_threads;
        let folio = 1 << setup.orders.highest();
        let config = Config {
            folios: setup.pages + SPARE_WINDOWS * setup.readahead_pages.max(folio) * threads,
            free_lists: 1,
            entries_per_table: WINDOWS_PER_TABLE * setup.window_pages,
            window_pages: setup.window_pages,
            readahead_pages: setup.readahead_pages,
            orders: setup.orders,
        };
        // A gate for each window of the file, so that a window that isn't aligned has two.
        let window = setup.window_pages.next_power_of_two();
        let gates = (setup.pages / window)
            .clamp(1, MOST_GATES)
            .next_power_of_two();
        let gates = Gates::new(gates, u64::from(window), 0);
        let mapping = Arc::new(AddressSpace::with_gates(1, u64::from(setup.pages), gates));
        let contents = Arc::new(Contents::new(config.folios));
        let mut shared = Shared {
            system: System::new(config, scheme, Box::new(Arc::clone(&contents))),
            mapping,
            contents,
            shared_vma: None,
            storm,
            seed: thread_seed(setup.seed, number),
            setup: setup.clone(),
            stop: AtomicBool::new(false),
        };
        if setup.mm == MmKind::Shared {
            shared.shared_vma = Some(shared.map(0));
        }
        Self(Arc::new(shared))
    }

    pub(super) fn run(&self, time: Duration, cancel: &Cancel) -> Result<Outcome, AuditError> {
        let shared = &self.0;
        let spawned = self.spawn();
        let (threads, failed) = match spawned {
            Ok(threads) => (threads, None),
            Err((threads, error)) => (threads, Some(AuditError::Spawn(error))),
        };
        let mut interrupted = false;
        if failed.is_none() {
            let end = Instant::now() + time;
            // In steps, so that a violation ends it.
            while !interrupted && Instant::now() < end && shared.system.violations.count() == 0 {
                interrupted = cancel.sleep(Duration::from_millis(5));
            }
        }
        shared.stop.store(true, Ordering::Relaxed);

        let give_up = Instant::now() + PATIENCE;
        while threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < give_up {
            thread::sleep(Duration::from_millis(1));
        }
        let mut outcome = Outcome::default();
        outcome.work.episodes = 1;
        let mut stuck = 0;
        for thread in threads {
            if !thread.is_finished() {
                stuck += 1;
                continue;
            }
            let done = thread.join().map_err(|_| AuditError::Panicked)??;
            outcome.work += done;
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if stuck == 0 {
            shared.system.audit_at_rest(&shared.mapping);
        }
        outcome.violations = shared.system.violations.kept();
        outcome.violation_count = shared.system.violations.count();
        if stuck > 0 {
            outcome.violation_count += 1;
            outcome.violations.push(Violation {
                invariant: PROGRESS,
                place: None,
                detail: format!("{stuck} threads never came to an end"),
            });
        }
        if interrupted && outcome.violation_count == 0 {
            return Err(AuditError::Interrupted);
        }
        Ok(outcome)
    }

    fn spawn(&self) -> Result<Vec<Handle>, (Vec<Handle>, std::io::Error)> {
        let setup = &self.0.setup;
        let mut threads = Vec::new();
        for number in 0..setup.fault_threads + setup.storm_threads {
            let shared = Arc::clone(&self.0);
            let faults = number < setup.fault_threads;
            let name = format!("{}-{number}", if faults { "fault" } else { "storm" });
            let body = move || shared.run(number, faults);
            match thread::Builder::new().name(name).spawn(body) {
                Ok(thread) => threads.push(thread),
                Err(error) => return Err((threads, error)),
            }
        }
        Ok(threads)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.mapping.unlink_vmas();
    }
}

impl Shared {
    fn run(&self, number: u32, faults: bool) -> Result<Work, AuditError> {
        if let Some(cpus) = &self.setup.cpus {
            pin_current_thread(cpus[number as usize % cpus.len()])?;
        }
        let seed = thread_seed(self.seed, u64::from(number));
        let jitter = Jitter {
            seed: seed | 1,
            sleeps: self.has_one_cpu(),
            left_out: self.setup.left_out.clone().into(),
        };
        jitter.enter();
        let random = Pcg64Mcg::seed_from_u64(seed);
        let mut work = if faults {
            self.fault(number, random)
        } else {
            self.remove(number, random)
        };
        work.cpu_time = thread_cpu_time();
        Ok(work)
    }

    fn has_one_cpu(&self) -> bool {
        match &self.setup.cpus {
            Some(cpus) => cpus.len() == 1,
            None => thread::available_parallelism().is_ok_and(|cpus| cpus.get() == 1),
        }
    }

    fn is_over(&self) -> bool {
        // Relaxed: nothing hangs on it but the end of the work.
        self.stop.load(Ordering::Relaxed) || self.system.violations.count() > 0
    }

    /// Maps the whole file into an `Mm` of its own, from a page of it on.
    fn map(&self, start_vpn: u64) -> Arc<Vma<Audited>> {
        let pages = u64::from(self.setup.pages);
        let mm = Mm::new(start_vpn + pages, self.system.config.entries_per_table);
        Vma::map(mm, Arc::clone(&self.mapping), start_vpn, 0, pages)
    }

    /// Passes over the file; now and then the VMA goes with its tables, and a new one comes.
    fn fault(&self, number: u32, mut random: Pcg64Mcg) -> Work {
        let setup = &self.setup;
        let mut task = Task::new(number);
        let (pages, window) = (u64::from(setup.pages), u64::from(setup.window_pages));
        let mut touches = Touches::new(setup.access, pages, window, 0, 1);
        let own = self.shared_vma.is_none();
        let mut vma = self.shared_vma.clone().unwrap_or_else(|| self.map(0));
        let mut fault_count = 0;
        while !self.is_over() {
            for &pgoff in touches.next_pass(&mut random) {
                self.system.handle_mm_fault(&vma, pgoff, &mut task);
                fault_count += 1;
                if self.is_over() {
                    break;
                }
            }
            self.contents.read_mapped(&self.system, &vma);
            if own && random.random_range(0..4) == 0 {
                self.system.unmap(&vma, &mut task);
                // Half a window in, so that windows are clipped at both ends of the VMA.
                vma = self.map(random.random_range(0..2) * window / 2);
            } else {
                let vpns = vma.vpns_of(&vma.pgoffs());
                self.system.zap_range(&vma, vpns, &mut task);
            }
        }
        let mut work = Work {
            faults: fault_count,
            ..Work::default()
        };
        work.add_task(&task);
        work
    }

    fn remove(&self, number: u32, mut random: Pcg64Mcg) -> Work {
        let setup = &self.setup;
        let mut task = Task::new(number);
        let target = Target {
            start: 0,
            pages: u64::from(setup.pages),
            hole_pages: u64::from(setup.hole_pages),
            window_pages: u64::from(setup.window_pages),
            refill: false,
        };
        let mut removal_count = 0;
        while !self.is_over() {
            let Operation { remover, range } = self.storm.next(&target, &mut random);
            remover.remove(&self.system, &self.mapping, range.clone(), &mut task);
            target.mend(&self.system, &self.mapping, range, &mut task);
            removal_count += 1;
            // Time for faulters to bring something back: nothing races for a hole that is empty.
            for _ in 0..1_u64 << random.random_range(0..=LONGEST_PAUSE_BITS) {
                std::hint::spin_loop();
            }
        }
        let mut work = Work {
            removals: removal_count,
            ..Work::default()
        };
        work.add_task(&task);
        work
    }
}
