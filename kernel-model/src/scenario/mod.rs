//! Scenarios: a small machine, and what two or three CPUs do on it at once. One file each.
//!
//! A scenario has no threads. It gives a [`Stage`] with one closure for each CPU, and a checker
//! runs them in every order that it can think of, with the audits on. Everything is as small as the
//! race allows: a checker's work grows with every access.

use std::ops::Range;
use std::sync::Arc;

use crate::address_space::AddressSpace;
use crate::fault_around::FaultAround;
use crate::mm::{Mm, Vma};
use crate::platform::Platform;
use crate::removal::Removers;
use crate::{Config, Orders, System, Task};

mod contents;
mod crowd;
mod fault_vs_fault;
mod fault_vs_fill;
mod fault_vs_punch;
mod fault_vs_punch_and_refill;
mod fault_vs_read_error;
mod fault_vs_thread;
mod fault_vs_truncate;
mod slow_vs_punch;
mod slow_vs_punch_and_refill;
mod slow_vs_slow;
mod two_faults_vs_punch;
mod window_past_eof;
mod window_vs_punch;
mod zap_vs_punch_and_refill;

pub use contents::{CONTENTS_READ, CONTENTS_STORE, Contents};
pub use crowd::Crowd;
pub use fault_vs_fault::FaultVsFault;
pub use fault_vs_fill::FaultVsFill;
pub use fault_vs_punch::{FaultVsPunch, FirstFaultVsPunch};
pub use fault_vs_punch_and_refill::FaultVsPunchAndRefill;
pub use fault_vs_read_error::FaultVsReadError;
pub use fault_vs_thread::FaultVsThread;
pub use fault_vs_truncate::{FaultVsTruncate, FirstFaultVsTruncate};
pub use slow_vs_punch::SlowVsPunch;
pub use slow_vs_punch_and_refill::SlowVsPunchAndRefill;
pub use slow_vs_slow::SlowVsSlow;
pub use two_faults_vs_punch::TwoFaultsVsPunch;
pub use window_past_eof::WindowPastEof;
pub use window_vs_punch::WindowVsPunch;
pub use zap_vs_punch_and_refill::ZapVsPunchAndRefill;

/// What a scenario says of itself.
#[derive(Debug)]
pub struct About {
    /// The name on the command line and in tables.
    pub name: &'static str,
    /// What races with what, in a sentence.
    pub summary: &'static str,
    /// What each CPU does, for the head of its column in a trace.
    pub cpus: &'static [&'static str],
    /// How it is explored unless somebody says otherwise.
    pub explored: Explored,
}

impl About {
    /// Whether it is too large for its executions to be gone through.
    pub const fn is_at_random(&self) -> bool {
        matches!(self.explored, Explored::AtRandom { .. })
    }
}

/// How a scenario's executions are gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explored {
    /// By Loom: all executions, of a weak memory model.
    Exhaustively {
        /// With so many preemptions at most; `None`: as many as there may be.
        bound: Option<u8>,
    },
    /// By Shuttle: random schedules of a sequentially consistent machine, for what is too large to
    /// be gone through.
    AtRandom {
        /// How many.
        schedules: u32,
    },
}

/// What one CPU does; it gives back what it counted.
pub type Work = Box<dyn FnOnce() -> Task + Send>;

/// A machine that is set up, and what its CPUs will do.
pub struct Stage<P: Platform> {
    /// The machine.
    pub system: Arc<System<P>>,
    /// Its one file.
    pub file: Arc<AddressSpace<P>>,
    /// One for each CPU.
    pub cpus: Vec<Work>,
}

/// A race that a checker explores.
pub trait Scenario<P: Platform>: Send + Sync {
    /// What it says of itself.
    fn about(&self) -> &'static About;

    /// Sets the machine up. Runs on one thread, before the CPUs do.
    fn stage(&self, scheme: &'static dyn FaultAround<P>) -> Stage<P>;
}

/// Every scenario. A new one is a file and a line here.
pub struct Scenarios<P>(std::marker::PhantomData<P>);

impl<P: Platform> Scenarios<P> {
    /// In the order of tables.
    pub const ALL: &'static [&'static dyn Scenario<P>] = &[
        &FaultVsPunch,
        &FirstFaultVsPunch,
        &FaultVsTruncate,
        &FirstFaultVsTruncate,
        &WindowVsPunch,
        &WindowPastEof,
        &TwoFaultsVsPunch,
        &FaultVsPunchAndRefill,
        &ZapVsPunchAndRefill,
        &FaultVsFault,
        &FaultVsThread,
        &FaultVsFill,
        &FaultVsReadError,
        &SlowVsPunch,
        &SlowVsPunchAndRefill,
        &SlowVsSlow,
        &Crowd,
    ];

    /// The scenario of a name.
    pub fn named(name: &str) -> Option<&'static dyn Scenario<P>> {
        Self::ALL
            .iter()
            .copied()
            .find(|scenario| scenario.about().name == name)
    }
}

impl<P: Platform> Stage<P> {
    /// A file of `pages` pages, its first `cached` in the page cache, and `free` frames beyond
    /// those. Windows are as large as the file, reads are of one page.
    fn new(
        scheme: &'static dyn FaultAround<P>,
        pages: u32,
        cached: u32,
        free: u32,
    ) -> (Self, Arc<Contents<P>>) {
        let window = pages.next_power_of_two();
        Self::with_windows(scheme, pages, cached, free, window)
    }

    /// The same with windows of `window` pages.
    fn with_windows(
        scheme: &'static dyn FaultAround<P>,
        pages: u32,
        cached: u32,
        free: u32,
        window: u32,
    ) -> (Self, Arc<Contents<P>>) {
        let contents = Arc::new(Contents::new(cached + free));
        let config = Config {
            folios: cached + free,
            free_lists: 1,
            entries_per_table: pages.next_power_of_two(),
            window_pages: window,
            readahead_pages: 1,
            orders: Orders::All(0),
        };
        let store = Box::new(Arc::clone(&contents));
        let stage = Self {
            system: Arc::new(System::new(config, scheme, store)),
            file: Arc::new(AddressSpace::new(1, u64::from(pages))),
            cpus: Vec::new(),
        };
        let mut task = Task::default();
        let there = stage
            .system
            .read_ahead(&stage.file, 0..u64::from(cached), &mut task);
        assert!(there, "a scenario has memory enough");
        (stage, contents)
    }

    /// An address space that maps the whole file, without a PTE table.
    fn map(&self) -> Arc<Vma<P>> {
        let pages = self.file.max_pages();
        let mm = Mm::new(pages, self.system.config.entries_per_table);
        Vma::map(mm, Arc::clone(&self.file), 0, 0, pages)
    }

    /// The same with its PTE table, as after an earlier fault nearby.
    fn map_with_table(&self) -> Arc<Vma<P>> {
        let vma = self.map();
        vma.mm.page_table.install_table(0);
        vma
    }

    /// Puts a page into the cache that could not be read.
    fn fail_to_read(&self, index: u64) {
        let pfn = self.system.memmap.alloc(0, 0).expect("a free frame");
        let folio = self.system.memmap.folio(pfn);
        folio.lock();
        let added = self.file.add_folio(folio, pfn, index, 1);
        added.expect("a scenario fills a page once");
        folio.unlock();
        self.system.put(pfn, &Task::default());
    }

    /// One more CPU.
    fn cpu(&mut self, work: impl FnOnce(&System<P>, &AddressSpace<P>, &mut Task) + Send + 'static) {
        let (system, file) = (Arc::clone(&self.system), Arc::clone(&self.file));
        let number = self.cpus.len() as u32;
        self.cpus.push(Box::new(move || {
            let mut task = Task::new(number);
            work(&system, &file, &mut task);
            task
        }));
    }

    /// A CPU that faults on page 0 as far as fault-around goes.
    fn faults_around(&mut self, vma: Arc<Vma<P>>) {
        self.cpu(move |system, _, task| {
            system.do_fault_around(&vma, 0, task);
        });
    }

    /// A CPU that runs a remover on the first `pages` pages.
    fn removes(&mut self, remover: &'static str, pages: u64) {
        self.cpu(move |system, file, task| remove(system, file, remover, 0..pages, task));
    }

    /// A CPU that faults on page 0 as far as fault-around goes, and reads what it has mapped then.
    fn faults_around_and_reads(&mut self, vma: Arc<Vma<P>>, contents: Arc<Contents<P>>) {
        self.cpu(move |system, _, task| {
            system.do_fault_around(&vma, 0, task);
            contents.read_mapped(system, &vma);
        });
    }

    /// The same with the slow path.
    fn faults_and_reads(&mut self, vma: Arc<Vma<P>>, contents: Arc<Contents<P>>) {
        self.cpu(move |system, _, task| {
            system.handle_mm_fault(&vma, 0, task);
            contents.read_mapped(system, &vma);
        });
    }

    /// A CPU that punches a hole over page 0 and reads page 1. Where there is one frame, that can
    /// only be read into the one that was freed.
    fn punches_and_refills(&mut self) {
        self.cpu(|system, file, task| {
            remove(system, file, "punch-hole", 0..1, task);
            system.read_ahead(file, 1..2, task);
        });
    }
}

fn remove<P: Platform>(
    system: &System<P>,
    file: &AddressSpace<P>,
    remover: &str,
    range: Range<u64>,
    task: &mut Task,
) {
    Removers::named(remover)
        .expect("a remover's name")
        .remove(system, file, range, task);
}
