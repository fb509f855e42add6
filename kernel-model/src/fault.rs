//! A read fault: fault-around by the scheme, then the slow path (`do_read_fault()`,
//! `filemap_fault()`, `finish_fault()` of Linux 6.1).

use std::ops::Range;

use crate::address_space::AddressSpace;
use crate::fault_around::Window;
use crate::folio::site::{MAPCOUNT_INC_LOCKED, STABLE_READ};
use crate::folio::{PG_UPTODATE, Pfn};
use crate::mm::Vma;
use crate::page_table::Pte;
use crate::platform::{Note, Platform, RwSemaphore};
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
    /// There is no memory (`VM_FAULT_OOM`).
    Oom,
}

/// Memory is out.
struct OutOfMemory;

impl<P: Platform> System<P> {
    /// A read fault on the page of `vma` that maps `pgoff`.
    #[inline]
    pub fn handle_mm_fault(&self, vma: &Vma<P>, pgoff: u64, task: &mut Task) -> FaultOutcome {
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
        let mapped = self.scheme.map_pages(&window, task);
        P::note(|| Note::Returns("fault-around"));
        task.faults.mapped += u64::from(mapped.pages);
        mapped.fault_page
    }

    #[cold]
    fn slow_path(&self, vma: &Vma<P>, pgoff: u64, task: &mut Task) -> FaultOutcome {
        task.faults.slow_faults += 1;
        P::note(|| Note::Begins("slow path", pgoff..pgoff + 1));
        let outcome = match self.filemap_fault(&vma.mapping, pgoff, task) {
            Ok(Some(pfn)) => {
                self.finish_fault(vma, pgoff, pfn, task);
                FaultOutcome::SlowPath
            }
            Ok(None) => FaultOutcome::Sigbus,
            Err(OutOfMemory) => FaultOutcome::Oom,
        };
        P::note(|| Note::Returns("slow path"));
        task.faults.sigbus += u64::from(outcome == FaultOutcome::Sigbus);
        task.faults.oom += u64::from(outcome == FaultOutcome::Oom);
        outcome
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
            folio.lock();
            // The lock holds these three still: was it removed, has it been read, and does the
            // file still reach that far?
            let ours = folio.mapping(&STABLE_READ) == mapping.id();
            let uptodate = folio.flags(&STABLE_READ) & PG_UPTODATE != 0;
            let inside = pgoff < mapping.i_size_pages();
            if ours && inside {
                if !uptodate {
                    // Its first read failed: filemap_read_folio() tries again.
                    self.store.read(&[(pgoff, pfn)]);
                    P::note(|| Note::Filled { index: pgoff, pfn });
                    folio.set_uptodate();
                    task.faults.filled += 1;
                }
                return Ok(Some(pfn));
            }
            folio.unlock();
            self.put(pfn, task);
            if ours && !inside {
                return Ok(None);
            }
        }
    }

    /// Maps a locked folio, and gives its reference to the PTE.
    fn finish_fault(&self, vma: &Vma<P>, pgoff: u64, pfn: Pfn, task: &mut Task) {
        let folio = self.memmap.folio(pfn);
        let vpn = vma.vpn_of(pgoff);
        let page_table = &vma.mm.page_table;
        if !page_table.has_table(vpn) {
            page_table.install_table(vpn);
        }
        let mut ptes = page_table.lock(vpn..vpn + 1);
        let raced = !ptes[0].is_none();
        if !raced {
            folio.mapcount_inc(&MAPCOUNT_INC_LOCKED);
            ptes[0] = Pte::present(pfn);
            P::note(|| Note::PteSet { index: pgoff, pfn });
            task.faults.mapped_slowly += 1;
        }
        drop(ptes);
        folio.unlock();
        if raced {
            self.put(pfn, task);
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
        let pages = u64::from(self.config.readahead_pages);
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
        let mut out_of_memory = false;
        for index in range {
            if mapping.slot(index).load().is_some() {
                continue;
            }
            let Some(pfn) = self.memmap.alloc(task.cpu) else {
                out_of_memory = true;
                break;
            };
            let folio = self.memmap.folio(pfn);
            // Nobody else can reach it yet: this is __folio_set_locked().
            folio.lock();
            if mapping.add_folio(folio, pfn, index).is_ok() {
                reading.push((index, pfn));
            } else {
                folio.unlock();
                self.put(pfn, task);
            }
        }
        if !reading.is_empty() {
            store.read(&reading);
        }
        task.faults.filled += reading.len() as u64;
        let nothing_read = reading.is_empty();
        for (index, pfn) in reading {
            P::note(|| Note::Filled { index, pfn });
            let folio = self.memmap.folio(pfn);
            folio.set_uptodate();
            folio.unlock();
            self.put(pfn, task);
        }
        if out_of_memory && nothing_read {
            return Err(OutOfMemory);
        }
        Ok(())
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
        filled.is_ok() && mapping.slots(range).all(|slot| slot.observe().is_some())
    }
}
