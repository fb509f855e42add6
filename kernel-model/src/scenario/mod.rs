//! Scenarios: a small machine, and what two or three CPUs do on it at once. One file each.
//!
//! A scenario has no threads. It gives a [`Stage`] with one closure for each CPU, and a checker
//! runs them in every order that it can think of, with the audits on. Everything is as small as the
//! race allows: a checker's work grows with every access.

use std::ops::Range;
use std::sync::Arc;

use crate::Policy;
use crate::address_space::AddressSpace;
use crate::gates::Gates;
use crate::mm::{Mm, Vma};
use crate::platform::Platform;
use crate::race::{Counts, Race, Scenario, Violations, World};
use crate::registry::registry;
use crate::removal::Removers;
use crate::{Config, Orders, System, Task};

mod contents;
pub mod seen;

pub use contents::{CONTENTS_READ, CONTENTS_STORE, Contents};

/// What one CPU does; it gives back what it counted.
type Work = Box<dyn FnOnce() -> Task + Send>;

/// A machine that is set up, and what its CPUs will do.
pub struct Stage<P: Platform> {
    /// The machine.
    pub system: Arc<System<P>>,
    /// Its one file.
    pub file: Arc<AddressSpace<P>>,
    /// One for each CPU.
    pub cpus: Vec<Work>,
}

/// The machine of a stage.
struct Whole<P: Platform> {
    system: Arc<System<P>>,
    file: Arc<AddressSpace<P>>,
}

impl<P: Platform> World for Whole<P> {
    fn violations(&self) -> &Violations {
        &self.system.violations
    }

    fn audit_at_rest(&self) {
        self.system.audit_at_rest(&self.file);
    }

    fn take_apart(&self) {
        self.file.unlink_vmas();
    }
}

impl<P: Platform> From<Stage<P>> for Race {
    fn from(stage: Stage<P>) -> Self {
        let Stage { system, file, cpus } = stage;
        let counted = |work: Work| -> crate::race::Work { Box::new(|| Counts::from(&work())) };
        Self {
            world: Arc::new(Whole { system, file }),
            cpus: cpus.into_iter().map(counted).collect(),
        }
    }
}

/// A scenario's type, with what it says of itself and the function that sets it up.
macro_rules! scenario {
    ($(#[$doc:meta])* $name:ident, $stage:ident, $about:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl<P: $crate::platform::Platform> $crate::scenario::SetStage<P> for $name {
            fn about(&self) -> &'static $crate::race::Scenario {
                static ABOUT: $crate::race::Scenario = $about;
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

/// The code of a scenario.
pub trait SetStage<P: Platform>: Send + Sync {
    /// What it says of itself.
    fn about(&self) -> &'static Scenario;

    /// Sets the machine up. Runs on one thread, before the CPUs do.
    fn stage(&self, policy: Policy<P>) -> Stage<P>;
}

registry! {
    /// Every scenario.
    Scenarios of SetStage {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault_around::Schemes;
    use crate::platform::Native;

    #[test]
    fn nothing_is_left_of_a_machine_that_was_taken_apart() {
        let scheme = Schemes::<Native>::named("page-locked").unwrap();
        let (stage, _) = Stage::new(scheme.into(), 1, 1, 0);
        let vma = stage.map_with_table();
        let file = Arc::downgrade(&stage.file);
        let race = Race::from(stage);
        race.world.take_apart();
        drop((race, vma));
        assert_eq!(file.strong_count(), 0);
    }
}
