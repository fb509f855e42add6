//! One trial: a new machine, two threads in turns, and the audit at rest.

use std::sync::Arc;

use kernel_model::address_space::AddressSpace;
use kernel_model::fault_around::FaultAround;
use kernel_model::folio::Pfn;
use kernel_model::gates::Gates;
use kernel_model::mm::{Mm, Vma};
use kernel_model::removal::Remover;
use kernel_model::removal::truncate::Truncate;
use kernel_model::scenario::Contents;
use kernel_model::{Config, Orders, System, Task};

use super::schedule::{Program, Shape, Step};
use super::{Audited, Work};

/// A machine of a shape.
pub(super) struct Machine {
    shape: &'static Shape,
    pub(super) system: System<Audited>,
    pub(super) file: Arc<AddressSpace<Audited>>,
    contents: Arc<Contents<Audited>>,
    /// Each thread's mapping.
    vmas: [Arc<Vma<Audited>>; 2],
    pinned: Option<Pfn>,
}

impl Machine {
    pub(super) fn new(scheme: &'static dyn FaultAround<Audited>, shape: &'static Shape) -> Self {
        let entries_per_table = shape.pages.next_power_of_two();
        let config = Config {
            folios: shape.frames,
            free_lists: 1,
            entries_per_table,
            window_pages: shape.window,
            readahead_pages: 1,
            orders: Orders::All(shape.order),
        };
        let contents = Arc::new(Contents::new(shape.frames));
        let system = System::new(config, scheme, Box::new(Arc::clone(&contents)));
        let pages = u64::from(shape.pages);
        let gates = match shape.gates {
            true => Gates::new(entries_per_table, 1, 0),
            false => Gates::for_file(pages),
        };
        let file = Arc::new(AddressSpace::with_gates(1, pages, gates));
        let mut task = Task::new(0);
        let cached = u64::from(shape.cached);
        if shape.past_eof {
            // As fallocate() with FALLOC_FL_KEEP_SIZE may leave it: nothing is there yet to go.
            Truncate.remove(&system, &file, pages - 1..pages, &mut task);
        }
        system.read_ahead(&file, 0..cached - u64::from(shape.unread), &mut task);
        if shape.unread {
            fail_to_read(&system, &file, cached - 1);
        }
        if shape.beside {
            scheme.begin_removal(&file, &shape.hole);
        }
        let pinned = shape.pinned.then(|| {
            let held = system.get_folio(&file, 0, &task);
            held.expect("it is cached").0
        });
        let map = |start: u64| {
            let mm = Mm::new(pages, entries_per_table);
            let vma = Vma::map(mm, Arc::clone(&file), start, start, pages - start);
            if shape.table {
                vma.mm.page_table.install_table(start);
            }
            vma
        };
        if shape.mapped {
            let bystander = map(0);
            for pgoff in 0..pages {
                system.handle_mm_fault(&bystander, pgoff, &mut task);
            }
        }
        let a = map(shape.start);
        let b = match shape.one_mm {
            true => Arc::clone(&a),
            false => map(shape.start),
        };
        Self {
            shape,
            system,
            file,
            contents,
            vmas: [a, b],
            pinned,
        }
    }

    /// Does what one of the threads does.
    pub(super) fn run(&self, runner: usize, program: &Program) -> Work {
        let (shape, vma) = (self.shape, &self.vmas[runner]);
        let mut task = Task::new(runner as u32);
        let mut work = Work::default();
        for step in &program.0 {
            match step {
                Step::Fault | Step::FaultLast => {
                    let pgoffs = vma.pgoffs();
                    let pgoff = match step {
                        Step::Fault => pgoffs.start,
                        _ => pgoffs.end - 1,
                    };
                    self.system.handle_mm_fault(vma, pgoff, &mut task);
                    self.contents.read_mapped(&self.system, vma);
                    work.faults += 1;
                }
                Step::Refill => {
                    self.file.extend(self.file.max_pages());
                    self.system
                        .read_ahead(&self.file, shape.refill.clone(), &mut task);
                }
                Step::Remove(remover) => {
                    remover.remove(&self.system, &self.file, shape.hole.clone(), &mut task);
                    work.removals += 1;
                }
            }
        }
        work.add_task(&task);
        work
    }

    /// The audit at rest, and a look at what is in the pages.
    pub(super) fn audit(&self) {
        if let Some(pfn) = self.pinned {
            self.system.put(pfn, &Task::default());
        }
        self.system.audit_at_rest(&self.file);
        for vma in &self.vmas {
            self.contents.read_mapped(&self.system, vma);
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.file.unlink_vmas();
    }
}

/// Puts a page into the cache that could not be read.
fn fail_to_read(system: &System<Audited>, file: &AddressSpace<Audited>, index: u64) {
    let pfn = system.memmap.alloc(0, 0).expect("a free frame");
    let folio = system.memmap.folio(pfn);
    folio.lock();
    let added = file.add_folio(folio, pfn, index, 1);
    added.expect("nothing is there yet");
    folio.unlock();
    system.put(pfn, &Task::default());
}
