//! One fault thread, and a storm that punches holes into the same file on a CPU of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use kernel_model::Task;
use kernel_model::fault_around::FaultAround;
use kernel_model::platform::Native;
use machine_facts::clock::Clock;
use machine_facts::topology::{Topology, pin_current_thread};
use measuring::storms::{Operation, Storm, Storms, Target};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use crate::uncontended::{Bed, Mapper, Walk};

/// Operations that the storm starts in a second, as in the default storm.
const RATE_PER_S: u64 = 5_000;
/// Pages of a hole, as in the default storm.
const HOLE_PAGES: u64 = 64;

/// A bed with a storm over it, for as long as it lives. What the storm takes away comes back when
/// the bed is zapped, and isn't timed.
pub struct Contended {
    bed: Arc<Bed>,
    task: Task,
    stop: Arc<AtomicBool>,
    storm: Option<JoinHandle<()>>,
}

impl Contended {
    /// Pins the calling thread to the topology's first CPU and starts the storm on its second.
    ///
    /// # Errors
    /// A line that says why there can't be a storm.
    pub fn new(
        scheme: &'static dyn FaultAround<Native>,
        walk: &Walk,
        topology: &Topology,
    ) -> Result<Self, String> {
        let [first, second, ..] = topology.cpus() else {
            return Err("a storm needs a CPU of its own, and there is only one".to_owned());
        };
        pin_current_thread(first.id).map_err(|error| error.to_string())?;
        let mut contended = Self {
            bed: Arc::new(Bed::new(scheme, walk)),
            task: Task::new(0),
            stop: Arc::default(),
            storm: None,
        };
        contended.start(second.id, walk)?;
        Ok(contended)
    }

    fn start(&mut self, cpu: u32, walk: &Walk) -> Result<(), String> {
        let (bed, stop) = (Arc::clone(&self.bed), Arc::clone(&self.stop));
        let target = Target {
            start: 0,
            pages: u64::from(walk.pages),
            hole_pages: HOLE_PAGES.min(u64::from(walk.pages)),
            window_pages: u64::from(walk.window_pages),
            refill: false,
        };
        let storm = Storms::<Native>::named("punch-hole").expect("it is a storm of the harness");
        let body = move || {
            if let Err(error) = pin_current_thread(cpu) {
                eprintln!("contended: the storm isn't pinned: {error}");
            }
            blow(&bed, storm, &target, &stop);
        };
        let thread = thread::Builder::new().name("storm".to_owned()).spawn(body);
        self.storm = Some(thread.map_err(|error| format!("cannot start the storm: {error}"))?);
        Ok(())
    }
}

fn blow(bed: &Bed, storm: &dyn Storm<Native>, target: &Target, stop: &AtomicBool) {
    let clock = Clock::new();
    let interval = clock.ticks(1_000_000_000 / RATE_PER_S);
    let mut random = Pcg64Mcg::seed_from_u64(1);
    let mut task = Task::new(1);
    let mut next = clock.now();
    // Relaxed: nothing hangs on it but the end of the storm.
    while !stop.load(Ordering::Relaxed) {
        clock.spin_until(next);
        // After a stop of the whole machine there is nothing to catch up with.
        next = (next + interval).max(clock.now());
        let Operation { remover, range } = storm.next(target, &mut random);
        remover.remove(&bed.system, &bed.vma.mapping, range, &mut task);
    }
}

impl Mapper for Contended {
    #[inline]
    fn map_window(&mut self, window: u64) {
        self.bed.map(window, &mut self.task);
    }

    fn zap(&mut self) {
        self.bed.zap(&mut self.task);
        let vma = &self.bed.vma;
        // What the storm has taken meanwhile; what it takes from now on is missed by the faults.
        let _ = (self.bed.system).populate(&vma.mapping, vma.pgoffs(), &mut self.task);
    }
}

impl Drop for Contended {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(storm) = self.storm.take() {
            // Its panic has been printed.
            let _ = storm.join();
        }
    }
}
