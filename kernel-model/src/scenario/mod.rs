//! Scenarios: a small machine, and what two or three CPUs do on it at once. One file each.
//!
//! A scenario has no threads. It gives a [`Stage`] with one closure for each CPU, and a checker
//! runs them in every order that it can think of, with the audits on. Everything is as small as the
//! race allows: a checker's work grows with every access.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Policy;
use crate::address_space::AddressSpace;
use crate::gates::Gates;
use crate::mm::{Mm, Vma};
use crate::platform::Platform;
use crate::registry::registry;
use crate::removal::Removers;
use crate::tag::Tag;
use crate::{Config, Orders, System, Task};

mod contents;
mod seen;

pub use contents::{CONTENTS_READ, CONTENTS_STORE, Contents};
pub use seen::Seen;

/// What a scenario says of itself.
#[derive(Debug)]
pub struct About {
    /// The name on the command line and in tables.
    pub name: &'static str,
    /// What races with what, in a sentence.
    pub summary: &'static str,
    /// What each CPU does, for the head of its column in a trace.
    pub cpus: &'static [&'static str],
    /// What must hold, each in some execution, of a scheme that violates nothing.
    pub seen: &'static [Seen],
    /// In what ways its removers meet its faults, by which verdicts say where schemes break.
    pub tags: &'static [Tag],
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// A scenario's type, with what it says of itself and the function that sets it up.
macro_rules! scenario {
    ($(#[$doc:meta])* $name:ident, $stage:ident, $about:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl<P: $crate::platform::Platform> $crate::scenario::Scenario<P> for $name {
            fn about(&self) -> &'static $crate::scenario::About {
                static ABOUT: $crate::scenario::About = $about;
                &ABOUT
            }

            fn stage(
                &self,
                policy: $crate::Policy<P>,
            ) -> $crate::scenario::Stage<P> {
                $stage(policy)
            }
        }
    };
}

/// A race that a checker explores.
pub trait Scenario<P: Platform>: Send + Sync {
    /// What it says of itself.
    fn about(&self) -> &'static About;

    /// Sets the machine up. Runs on one thread, before the CPUs do.
    fn stage(&self, policy: Policy<P>) -> Stage<P>;
}

registry! {
    /// Every scenario.
    Scenarios of Scenario {
        fault_vs_punch: FaultVsPunch, FirstFaultVsPunch, ForeignVsPunch;
        fault_vs_truncate: FaultVsTruncate, FirstFaultVsTruncate;
        window_vs_punch: WindowVsPunch;
        window_past_eof: WindowPastEof;
        two_faults_vs_punch: TwoFaultsVsPunch;
        fault_vs_punch_and_refill: FaultVsPunchAndRefill;
        zap_vs_punch_and_refill: ZapVsPunchAndRefill;
        fault_vs_fault: FaultVsFault;
        fault_vs_thread: FaultVsThread;
        fault_vs_fill: FaultVsFill;
        fault_vs_read_error: FaultVsReadError;
        slow_vs_punch: SlowVsPunch;
        slow_vs_punch_and_refill: SlowVsPunchAndRefill;
        slow_vs_slow: SlowVsSlow, SlowVsThread;
        fault_vs_invalidate:
            FaultVsInvalidate,
            FirstFaultVsInvalidate,
            ThreadsVsInvalidate,
            HeldVsInvalidate,
            FaultVsTwoInvalidates;
        fault_vs_swapout: FaultVsSwapout;
        fault_vs_memory_failure: FaultVsMemoryFailure, FaultVsUnsplitFailure;
        fault_vs_reclaim:
            FaultVsReclaim,
            FaultVsReclaimAndRefill,
            FaultVsReclaimAndReuse,
            FaultVsSmallerRefill;
        fault_vs_migrate: FaultVsMigrate, MappedVsMigrate;
        fault_vs_collapse: FaultVsCollapse, FaultVsCollapseCounted, MappedVsCollapse;
        fault_vs_split:
            FaultVsSplit,
            FaultVsPartialTruncate,
            MiddleVsSplit,
            MiddleVsPartialTruncate,
            SlowVsPartialTruncate;
        removers:
            PunchVsMigrate,
            InvalidateVsMigrate,
            PunchVsReclaim,
            PunchVsMemoryFailure,
            InvalidateVsCollapse,
            InvalidateVsCollapseCounted,
            TruncateVsTruncate,
            UnmapVsPunch;
        writeback:
            PunchVsWriteback,
            ReclaimVsWriteback,
            InvalidateVsWriteback,
            SplitVsWriteback,
            FailureVsWriteback;
        large_folio_eof: LargeFolioPastEof, LargeFolioVsTruncate;
        gates: WindowOverTwoGates, GenerationWrap;
        crowd: Crowd;
        crowd_of_removers: CrowdOfRemovers;
    }
}

/// What a machine is made of.
struct Sizes<P: Platform> {
    /// Pages of the file.
    pages: u32,
    /// How many of them are in the page cache, from the first on.
    cached: u32,
    /// Frames beyond those.
    free: u32,
    /// Pages of a window.
    window: u32,
    /// Of which orders the folios are.
    orders: Orders,
    /// The file's gates.
    gates: Gates<P>,
}

impl<P: Platform> Sizes<P> {
    fn of(pages: u32, cached: u32, free: u32) -> Self {
        Self {
            pages,
            cached,
            free,
            window: pages.next_power_of_two(),
            orders: Orders::All(0),
            gates: Gates::for_file(u64::from(pages)),
        }
    }

    fn stage(self, policy: Policy<P>) -> (Stage<P>, Arc<Contents<P>>) {
        let folios = self.cached + self.free;
        let contents = Arc::new(Contents::new(folios));
        let config = Config {
            folios,
            free_lists: 1,
            entries_per_table: self.pages.next_power_of_two(),
            window_pages: self.window,
            readahead_pages: 1,
            orders: self.orders,
        };
        let store = Box::new(Arc::clone(&contents));
        let pages = u64::from(self.pages);
        let stage = Stage {
            system: Arc::new(System::new(config, policy, store)),
            file: Arc::new(AddressSpace::with_gates(1, pages, self.gates)),
            cpus: Vec::new(),
        };
        let cached = 0..u64::from(self.cached);
        let there = stage
            .system
            .read_ahead(&stage.file, cached, &mut Task::default());
        assert!(there, "a scenario has memory enough");
        (stage, contents)
    }
}

impl<P: Platform> Stage<P> {
    /// A file of `pages` pages, its first `cached` in the page cache, and `free` frames beyond
    /// those. Windows are as large as the file, reads are of one page.
    fn new(policy: Policy<P>, pages: u32, cached: u32, free: u32) -> (Self, Arc<Contents<P>>) {
        Sizes::of(pages, cached, free).stage(policy)
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

    /// A CPU that removes page 0 and reads page 1. Where there is one frame, that can only be read
    /// into the one that was freed.
    fn removes_and_refills(&mut self, remover: &'static str) {
        self.cpu(move |system, file, task| {
            remove(system, file, remover, 0..1, task);
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
