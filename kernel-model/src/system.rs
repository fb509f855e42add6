//! One machine: memory, what is on disk, what is under test, and what a thread carries with it.

use crate::address_space::AddressSpace;
use crate::fault::MapPages;
use crate::folio::{Counting, Folio, Pfn};
use crate::foreign::ForeignPtes;
use crate::invariants::{PtesOfFrames, Removed};
use crate::orders::Orders;
use crate::page_allocator::{MemMap, Run};
use crate::platform::Platform;
use crate::race::{Counts, Violations, counters};
use crate::removal::Duties;
use crate::written::Written;

/// Sizes of a system. All of them are free, so that a bench can run with a million pages and a
/// checker with two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Page frames in the machine.
    pub folios: u32,
    /// Free lists that they are dealt to.
    pub free_lists: u32,
    /// Entries of a PTE table; 512 on x86-64.
    pub entries_per_table: u32,
    /// Pages that a fault maps at most (`fault_around_bytes`), a power of two; 16 by default in
    /// the kernel. 1 maps one page by the scheme, where the kernel would go straight to the slow
    /// path.
    pub window_pages: u32,
    /// Pages that a miss reads, aligned, a power of two (`do_sync_mmap_readahead()`). More where a
    /// folio is larger.
    pub readahead_pages: u32,
    /// Of which orders folios are.
    pub orders: Orders,
}

/// Where missing pages are read from. The time it takes is the caller's business: the model has no
/// clock.
pub trait BackingStore: Send + Sync {
    /// Reads pages, each from its offset in the file into its frame; returns when all have been
    /// read.
    fn read(&self, pages: &[(u64, Pfn)]);

    /// Copies what is in one folio's pages to another's, when it migrates.
    fn copy(&self, _from: Pfn, _to: Pfn, _pages: u32) {}
}

/// A store that takes no time.
#[derive(Debug, Clone, Copy)]
pub struct Instantly;

impl BackingStore for Instantly {
    fn read(&self, _pages: &[(u64, Pfn)]) {}
}

/// What of the kernel is under test, part by part. A scheme of a family is one of these.
pub struct Policy<P: Platform> {
    /// Fault-around.
    pub fault_around: &'static dyn MapPages<P>,
    /// What removers owe it.
    pub duties: &'static dyn Duties<P>,
    /// How folios keep their two counts.
    pub counting: Counting,
}

impl<P: Platform> Clone for Policy<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform> Copy for Policy<P> {}

/// A machine.
pub struct System<P: Platform> {
    /// Its sizes.
    pub config: Config,
    /// Its memory.
    pub memmap: MemMap<P>,
    /// What of its kernel is under test.
    pub policy: Policy<P>,
    /// What the audits have found.
    pub violations: Violations,
    pub(crate) store: Box<dyn BackingStore>,
    pub(crate) ptes_of_frames: PtesOfFrames,
    pub(crate) foreign_ptes: ForeignPtes,
    pub(crate) written: Written,
}

counters! {
    /// What fault threads count. All counts are of pages unless they say otherwise.
    pub struct FaultCounters of "fault" {
        /// Pages mapped by fault-around.
        MAPPED = mapped,
        /// Pages mapped by the slow path.
        MAPPED_SLOWLY = mapped_slowly,
        /// Pages skipped because they were locked, or because their lock could not be had.
        SKIPPED_LOCKED = skipped_locked,
        /// Speculative references dropped because the slot had changed.
        SLOT_CHANGED = slot_changed,
        /// Mapcount increments undone because a re-check failed.
        UNDONE = undone,
        /// Windows given up because a remover was at that part of the file, or held its lock.
        GATE_CLOSED = gate_closed,
        /// Faults that fell to the slow path.
        SLOW_FAULTS = slow_faults,
        /// Faults beyond the end of the file (`VM_FAULT_SIGBUS`).
        SIGBUS = sigbus,
        /// Faults on a page with bad memory (`VM_FAULT_HWPOISON`).
        HWPOISON = hwpoison,
        /// Faults that found no memory (`VM_FAULT_OOM`).
        OOM = oom,
        /// Pages read from the backing store.
        FILLED = filled,
    }
}

impl FaultCounters {
    /// Faults for which Linux sends SIGBUS: beyond the end of the file, or on bad memory.
    pub const fn bus(&self) -> u64 {
        self.sigbus + self.hwpoison
    }
}

counters! {
    /// What removers count.
    pub struct RemovalCounters of "remover" {
        /// Folios taken out of the page cache.
        REMOVED = removed,
        /// Pages of those folios.
        REMOVED_PAGES = removed_pages,
        /// Folios left alone because their lock could not be had at once.
        SKIPPED_LOCKED = skipped_locked,
        /// Folios left alone because somebody else held a reference, or because they are dirty.
        BUSY = busy,
        /// Folios taken with all of their references; they count as removed.
        RECLAIMED = reclaimed,
        /// Folios moved to other frames; they count as removed.
        MIGRATED = migrated,
        /// Large folios made of small ones, which count as removed.
        COLLAPSED = collapsed,
        /// Large folios split because only a part of them was to go.
        SPLIT = split,
        /// Folios still mapped when locked, and unmapped one by one.
        UNMAPPED_SINGLY = unmapped_singly,
        /// The graded outcome: mapcount above 0 at the point of removal. No PTE maps the folio then
        /// under a sound scheme: a fault has counted and will undo it. The kernel of today would
        /// say BUG or warn.
        TRANSIENT_MAPCOUNT = transient_mapcount,
        /// Another one: a PTE of a VMA that isn't in `i_mmap` maps the folio at the point of
        /// removal, and after it. The kernel says BUG there as well.
        FOREIGN_PTE = foreign_pte,
    }
}

/// What a thread carries through the model: its CPU's number, its counters, its batches.
#[derive(Debug, Default)]
pub struct Task {
    /// The number of the CPU that it runs on; picks the free list.
    pub cpu: u32,
    /// What its faults counted.
    pub faults: FaultCounters,
    /// What its removals counted.
    pub removals: RemovalCounters,
    /// Zapped folios whose references wait for the lock to be dropped (`mmu_gather`), with how many
    /// each is to lose.
    pub(crate) gather: Vec<(Pfn, u32)>,
    /// Pages that a fault has counted and not yet mapped: the first entry of each run, and the run.
    pub(crate) window: Vec<(usize, Run)>,
    /// Folios removed in this operation; kept on platforms that audit only.
    pub(crate) removed: Vec<Removed>,
}

impl Task {
    /// A thread on a CPU.
    pub fn new(cpu: u32) -> Self {
        Self {
            cpu,
            ..Self::default()
        }
    }
}

impl From<&Task> for Counts {
    fn from(task: &Task) -> Self {
        Self::new(task.faults.each().chain(task.removals.each()))
    }
}

impl<P: Platform> System<P> {
    /// A machine with free memory only.
    pub fn new(config: Config, policy: impl Into<Policy<P>>, store: Box<dyn BackingStore>) -> Self {
        assert!(
            config.window_pages.is_power_of_two() && config.readahead_pages.is_power_of_two(),
            "windows are aligned to their size, which must be a power of two"
        );
        assert!(config.orders.is_allowed(), "a folio is at most 2 MiB");
        let policy = policy.into();
        let counting = policy.counting;
        P::keep_counts_apart(counting.is_apart());
        Self {
            config,
            memmap: MemMap::new(config.folios, config.free_lists, config.orders, counting),
            policy,
            violations: Violations::default(),
            store,
            ptes_of_frames: PtesOfFrames::new(if P::AUDIT { config.folios } else { 0 }),
            foreign_ptes: ForeignPtes::default(),
            written: Written::default(),
        }
    }

    /// Drops a reference (`folio_put()`).
    #[inline(always)]
    pub fn put(&self, pfn: Pfn, task: &Task) {
        self.memmap.put(pfn, task.cpu, &self.violations);
    }

    /// Drops so many references (`folio_put_refs()`).
    #[inline(always)]
    pub(crate) fn put_many(&self, pfn: Pfn, references: u32, task: &Task) {
        self.memmap
            .put_many(pfn, references, task.cpu, &self.violations);
    }

    /// The folio with the page at `index`, with a reference (`filemap_get_folio()`).
    pub fn get_folio(
        &self,
        mapping: &AddressSpace<P>,
        index: u64,
        task: &Task,
    ) -> Option<(Pfn, &Folio<P>)> {
        let slot = mapping.slot(index);
        loop {
            let pfn = slot.load()?;
            let folio = self.memmap.folio(pfn);
            if folio.try_get() {
                if slot.reload() == Some(pfn) {
                    return Some((pfn, folio));
                }
                self.put(pfn, task);
            }
            P::cpu_relax();
        }
    }
}
