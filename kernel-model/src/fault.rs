//! A read fault: fault-around by the scheme, then the slow path (`do_read_fault()`,
//! `filemap_fault()`, `finish_fault()` of Linux 6.1).

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

use crate::address_space::AddressSpace;
use crate::folio::site::{MAPCOUNT_INC_LOCKED, STABLE_READ};
use crate::folio::{Folio, PG_HWPOISON, PG_UPTODATE, Pfn};
use crate::mm::Vma;
use crate::page_allocator::Run;
use crate::page_table::{LockedPtes, Pte};
use crate::platform::{Note, Platform, RwSemaphore, Site, Work};
use crate::system::{BackingStore, Instantly, System, Task};

/// How a fault ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultOutcome {
    /// Fault-around mapped the page.
    FaultAround,
    /// The slow path mapped it.
    SlowPath,
    /// The page is beyond the end of the file (`VM_FAULT_SIGBUS`).
    Sigbus,
    /// The page's memory is bad (`VM_FAULT_HWPOISON`).
    Hwpoison,
    /// There is no memory (`VM_FAULT_OOM`).
    Oom,
}

/// The window of a fault: some neighbouring pages of one VMA in one PTE table.
pub struct Window<'a, P: Platform> {
    /// The machine.
    pub system: &'a System<P>,
    /// The mapping that faulted.
    pub vma: &'a Vma<P>,
    /// The file offsets of the window.
    pub pgoffs: Range<u64>,
    /// The offset that faulted.
    pub fault_pgoff: u64,
}

impl<P: Platform> Window<'_, P> {
    /// Installs the PTE table if it isn't there, locks it, and gives the window's entries.
    #[inline(always)]
    pub fn lock_ptes(&self) -> LockedPtes<'_, P> {
        let start = self.vma.vpn_of(self.pgoffs.start);
        let end = start + (self.pgoffs.end - self.pgoffs.start);
        self.vma.mm.page_table.install_and_lock(start..end)
    }
}

/// What fault-around mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mapped {
    /// How many pages.
    pub pages: u32,
    /// Whether the faulting page is one of them.
    pub fault_page: bool,
}

/// Fault-around, `vma->vm_ops->map_pages`: the call through the trait object is the kernel's own
/// indirect call.
pub trait MapPages<P: Platform>: Send + Sync {
    /// Maps what it can of the window.
    fn map_pages(&self, window: &Window<'_, P>, task: &mut Task) -> Mapped;
}

/// Takes the folio lock before anything of the folio is believed.
const FAULT_LOCK: Site = Site::load(
    "fault_lock",
    Relaxed,
    "lock_folio_maybe_drop_mmap()",
    "nothing: folio_trylock is what takes it",
);
/// Was the folio removed before the lock was had?
const FAULT_MAPPING: Site = Site::load(
    "fault_mapping",
    Relaxed,
    "folio->mapping != mapping, under the folio lock",
    "mapping_store of a remover, over the folio lock",
);
/// Has it been read?
const FAULT_UPTODATE: Site = Site::load(
    "fault_uptodate",
    Relaxed,
    "folio_test_uptodate(), under the folio lock",
    "set_uptodate, over the folio lock",
);
/// Does the file still reach that far, now that the folio is locked?
const FAULT_I_SIZE: Site = Site::load(
    "fault_i_size",
    Relaxed,
    "i_size_read(), under the folio lock",
    "i_size_write, over the lock of a folio that a truncation has left behind",
);
/// Has another thread mapped it meanwhile?
const FAULT_PTE_NONE: Site = Site::load(
    "fault_pte_none",
    Relaxed,
    "vmf_pte_changed() in finish_fault()",
    "nothing: under the PTE-table lock",
);
/// Maps no page with bad memory in the slow path. Linux first unmaps the page, tries to drop it if
/// it is clean, and has the fault tried again if it could; here that is left to the failure.
pub const FAULT_POISON: Site = Site::load(
    "fault_poison",
    Relaxed,
    "PageHWPoison(vmf->page) in __do_fault()",
    "set_hwpoison, through folio_trylock",
);

/// The checks of the slow path, which is the same under every scheme.
pub const SLOW_CHECKS: &[&Site] = &[
    &FAULT_LOCK,
    &FAULT_MAPPING,
    &FAULT_UPTODATE,
    &FAULT_I_SIZE,
    &FAULT_PTE_NONE,
    &FAULT_POISON,
];

/// Memory is out.
struct OutOfMemory;

impl<P: Platform> System<P> {
    /// A read fault on the page of `vma` that maps `pgoff`.
    #[inline]
    pub fn handle_mm_fault(&self, vma: &Vma<P>, pgoff: u64, task: &mut Task) -> FaultOutcome {
        vma.mm.take_flushes();
        P::work(Work::Fault, 1);
        if self.do_fault_around(vma, pgoff, task) {
            return FaultOutcome::FaultAround;
        }
        self.slow_path(vma, pgoff, task)
    }

    /// Maps what it can of the window around `pgoff`; returns whether `pgoff` itself was mapped.
    #[inline]
    pub fn do_fault_around(&self, vma: &Vma<P>, pgoff: u64, task: &mut Task) -> bool {
        let vpn = vma.vpn_of(pgoff);
        let pages = u64::from(self.config.window_pages);
        let aligned = vpn & !(pages - 1);
        let table = vma.mm.page_table.table_span(vpn);
        let start = aligned.max(table.start).max(vma.start_vpn);
        let end = (aligned + pages)
            .min(table.end)
            .min(vma.start_vpn + vma.pages);
        let window = Window {
            system: self,
            vma,
            pgoffs: vma.pgoff_of(start)..vma.pgoff_of(end),
            fault_pgoff: pgoff,
        };
        P::note(|| Note::Begins("fault-around", window.pgoffs.clone()));
        let mapped = self.policy.fault_around.map_pages(&window, task);
        P::note(|| Note::Returns("fault-around"));
        task.faults.mapped += u64::from(mapped.pages);
        mapped.fault_page
    }

    #[cold]
    fn slow_path(&self, vma: &Vma<P>, pgoff: u64, task: &mut Task) -> FaultOutcome {
        task.faults.slow_faults += 1;
        P::work(Work::Slow, 1);
        P::note(|| Note::Begins("slow path", pgoff..pgoff + 1));
        let outcome = match self.filemap_fault(&vma.mapping, pgoff, task) {
            Ok(Some(pfn)) if self.is_bad(pfn, pgoff) => {
                Self::unlock(self.memmap.folio(pfn));
                self.put(pfn, task);
                FaultOutcome::Hwpoison
            }
            Ok(Some(pfn)) => {
                self.finish_fault(vma, pgoff, pfn, task);
                FaultOutcome::SlowPath
            }
            Ok(None) => FaultOutcome::Sigbus,
            Err(OutOfMemory) => FaultOutcome::Oom,
        };
        P::note(|| Note::Returns("slow path"));
        task.faults.sigbus += u64::from(outcome == FaultOutcome::Sigbus);
        task.faults.hwpoison += u64::from(outcome == FaultOutcome::Hwpoison);
        task.faults.oom += u64::from(outcome == FaultOutcome::Oom);
        outcome
    }

    /// Lets the folio lock go, if it was taken.
    fn unlock(folio: &Folio<P>) {
        if !P::left_out(&FAULT_LOCK) {
            folio.unlock();
        }
    }

    /// Finds or reads the folio; returns it locked and with a reference, or `None` if the offset is
    /// beyond the end of the file.
    fn filemap_fault(
        &self,
        mapping: &AddressSpace<P>,
        pgoff: u64,
        task: &mut Task,
    ) -> Result<Option<Pfn>, OutOfMemory> {
        loop {
            if pgoff >= mapping.i_size_pages() {
                return Ok(None);
            }
            let Some((pfn, folio)) = self.get_folio(mapping, pgoff, task) else {
                self.read_around(mapping, pgoff, task)?;
                continue;
            };
            if !P::left_out(&FAULT_LOCK) {
                folio.lock();
            }
            // The lock holds these three still: was it removed, has it been read, and does the
            // file still reach that far?
            let ours = P::left_out(&FAULT_MAPPING) || folio.mapping(&STABLE_READ) == mapping.id();
            let uptodate =
                P::left_out(&FAULT_UPTODATE) || folio.flags(&STABLE_READ) & PG_UPTODATE != 0;
            let inside = P::left_out(&FAULT_I_SIZE) || pgoff < mapping.i_size_pages();
            if ours && inside {
                if !uptodate {
                    // Its first read failed: filemap_read_folio() tries again.
                    let pages = self.memmap.pages(pfn);
                    let start = folio.index(&STABLE_READ);
                    self.store
                        .read(&pages_of(start, pfn, pages).collect::<Vec<_>>());
                    P::note(|| Note::Filled { index: start, pfn });
                    folio.set_uptodate();
                    task.faults.filled += u64::from(pages);
                }
                return Ok(Some(pfn));
            }
            Self::unlock(folio);
            self.put(pfn, task);
            if ours && !inside {
                return Ok(None);
            }
        }
    }

    /// The page of a locked folio that is at an offset.
    pub(crate) fn page_at(&self, folio: Pfn, pgoff: u64) -> Run {
        let flags = self.memmap.folio(folio).flags(&STABLE_READ);
        Run {
            pages: 1,
            ..self.memmap.run_from(folio, flags, pgoff)
        }
    }

    /// Whether the memory of that page is bad.
    fn is_bad(&self, folio: Pfn, pgoff: u64) -> bool {
        let page = || self.memmap.folio(self.page_at(folio, pgoff).first);
        !P::left_out(&FAULT_POISON) && page().flags(&FAULT_POISON) & PG_HWPOISON != 0
    }

    /// Maps a locked folio, and gives its reference to the PTE.
    fn finish_fault(&self, vma: &Vma<P>, pgoff: u64, pfn: Pfn, task: &mut Task) {
        let folio = self.memmap.folio(pfn);
        let page = self.page_at(pfn, pgoff);
        let vpn = vma.vpn_of(pgoff);
        let page_table = &vma.mm.page_table;
        let mut ptes = page_table.install_and_lock(vpn..vpn + 1);
        let raced = !P::left_out(&FAULT_PTE_NONE) && !ptes[0].is_none();
        if !raced {
            self.memmap.mapcount_add(page, &MAPCOUNT_INC_LOCKED);
            self.set_ptes(&mut ptes, page, pgoff);
            task.faults.mapped_slowly += 1;
        }
        drop(ptes);
        Self::unlock(folio);
        if raced {
            self.put(pfn, task);
        }
    }

    /// Sets the entries of a run of pages, which have been counted as mapped (`set_pte_range()`).
    #[inline(always)]
    pub fn set_ptes(&self, ptes: &mut [Pte], run: Run, index: u64) {
        P::work(Work::Range, 1);
        P::work(Work::Page, run.pages);
        for (number, pte) in (0..run.pages).zip(ptes) {
            let pfn = Pfn(run.first.0 + number);
            *pte = Pte::present(pfn);
            P::note(|| Note::PteSet {
                index: index + u64::from(number),
                pfn,
            });
            if P::AUDIT {
                self.ptes_of_frames.add(pfn);
            }
        }
    }

    /// Reads the missing pages around `pgoff`.
    fn read_around(
        &self,
        mapping: &AddressSpace<P>,
        pgoff: u64,
        task: &mut Task,
    ) -> Result<(), OutOfMemory> {
        // Shared: fillers don't exclude each other, removers exclude them all.
        let _filling = mapping.invalidate_lock.read();
        // A folio is read whole.
        let folio = 1 << self.config.orders.at(pgoff);
        let pages = u64::from(self.config.readahead_pages).max(folio);
        let start = pgoff & !(pages - 1);
        let end = (start + pages).min(mapping.i_size_pages());
        self.fill(mapping, start..end, &*self.store, task)
    }

    /// Reads the missing pages of a range that lies in the file. Returns whether all of it is in
    /// the cache then: memory may have been out.
    pub fn read_ahead(
        &self,
        mapping: &AddressSpace<P>,
        range: Range<u64>,
        task: &mut Task,
    ) -> bool {
        self.bring_in(mapping, range, &*self.store, task)
    }

    /// Reads the missing pages of a range: allocate, lock, insert, read, mark up to date, unlock.
    fn fill(
        &self,
        mapping: &AddressSpace<P>,
        range: Range<u64>,
        store: &dyn BackingStore,
        task: &mut Task,
    ) -> Result<(), OutOfMemory> {
        let mut reading = Vec::with_capacity((range.end.saturating_sub(range.start)) as usize);
        let mut folios = Vec::new();
        let mut out_of_memory = false;
        let mut index = range.start;
        while index < range.end {
            if mapping.slot(index).load().is_some() {
                index += 1;
                continue;
            }
            let Some((pfn, pages)) = self.new_folio(mapping, index..range.end, task) else {
                out_of_memory = true;
                break;
            };
            let folio = self.memmap.folio(pfn);
            // No other CPU can reach it yet: this is __folio_set_locked().
            folio.lock();
            if mapping.add_folio(folio, pfn, index, pages).is_ok() {
                reading.extend(pages_of(index, pfn, pages));
                folios.push((index, pfn));
            } else {
                folio.unlock();
                self.put(pfn, task);
            }
            index += u64::from(pages);
        }
        if !reading.is_empty() {
            store.read(&reading);
        }
        task.faults.filled += reading.len() as u64;
        for &(index, pfn) in &folios {
            P::note(|| Note::Filled { index, pfn });
            let folio = self.memmap.folio(pfn);
            folio.set_uptodate();
            folio.unlock();
            self.put(pfn, task);
        }
        if out_of_memory && folios.is_empty() {
            return Err(OutOfMemory);
        }
        Ok(())
    }

    /// Memory for a folio with the page at the start of a range that is to be read, and its pages:
    /// as large as its order says, as its place is aligned, as the range is long, as there are
    /// slots free, and as there is memory in one piece (`page_cache_ra_order()`).
    fn new_folio(
        &self,
        mapping: &AddressSpace<P>,
        range: Range<u64>,
        task: &Task,
    ) -> Option<(Pfn, u32)> {
        let index = range.start;
        let fits = |order: &u8| {
            let end = index + (1 << order);
            index & ((1 << order) - 1) == 0
                && end <= range.end
                && mapping
                    .slots(index..end)
                    .iter()
                    .all(|slot| slot.load().is_none())
        };
        let wanted = self.config.orders.at(index);
        let mut orders = (1..=wanted).rev().filter(fits).chain([0]);
        orders.find_map(|order| Some((self.memmap.alloc(task.cpu, order)?, 1 << order)))
    }

    /// Brings a whole range into the cache at once, for set-up: the same, from a store that takes
    /// no time.
    pub fn populate(&self, mapping: &AddressSpace<P>, range: Range<u64>, task: &mut Task) -> bool {
        self.bring_in(mapping, range, &Instantly, task)
    }

    fn bring_in(
        &self,
        mapping: &AddressSpace<P>,
        range: Range<u64>,
        store: &dyn BackingStore,
        task: &mut Task,
    ) -> bool {
        let _filling = mapping.invalidate_lock.read();
        let filled = self.fill(mapping, range.clone(), store, task);
        let slots = mapping.slots(range);
        filled.is_ok() && slots.iter().all(|slot| slot.observe().is_some())
    }
}

/// The pages of a folio, and where in the file they are.
fn pages_of(index: u64, pfn: Pfn, pages: u32) -> impl Iterator<Item = (u64, Pfn)> {
    (0..pages).map(move |number| (index + u64::from(number), Pfn(pfn.0 + number)))
}
