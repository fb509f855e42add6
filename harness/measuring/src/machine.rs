//! The modelled machine of one measurement: a file in the page cache, and who maps it.

use std::sync::Arc;

use kernel_model::address_space::AddressSpace;
use kernel_model::fault_around::FaultAround;
use kernel_model::folio::Pfn;
use kernel_model::mm::{Mm, Vma};
use kernel_model::platform::Platform;
use kernel_model::{BackingStore, Config, Orders, System, Task};
use machine_facts::clock::{Clock, Ticks};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::storms::Target;

/// Entries of a PTE table on x86-64 and on arm64 with 4K pages.
pub const ENTRIES_PER_TABLE: u32 = 512;

/// Whether fault threads are processes or threads of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MmKind {
    /// Each fault thread has its own address space, and maps the whole file.
    Private,
    /// All share one, and deal the windows out among themselves.
    Shared,
}

/// The sizes of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// Pages of the file that are mapped and faulted on: all of it, unless there are neighbours.
    pub pages: u32,
    /// Whether the storm hits another part of the file, as large again, that is mapped nowhere.
    pub neighbour: bool,
    /// Whether the storm brings back what it took away, not the faults.
    #[serde(default)]
    pub refill: bool,
    /// Of which orders folios are.
    #[serde(serialize_with = "order_name", deserialize_with = "order_named")]
    pub orders: Orders,
    /// Pages that a fault maps at most.
    pub window_pages: u32,
    /// Pages that a miss reads.
    pub readahead_pages: u32,
    /// Pages that an operation of a storm removes.
    pub hole_pages: u32,
    /// What reading a page takes, in nanoseconds of spinning.
    pub fill_ns_per_page: u32,
}

impl Sizes {
    /// Frames for the file and for what is on its way: folios that are out of the file but still
    /// referenced, and those that fillers hold.
    fn frames(&self) -> u32 {
        let spare = (self.file_pages() / 64).max(1024);
        // Some blocks of the largest size, so that memory isn't all in pieces at once.
        self.file_pages() + spare.max(8 << self.orders.highest())
    }

    /// Pages of the file.
    pub fn file_pages(&self) -> u32 {
        self.pages * if self.neighbour { 2 } else { 1 }
    }

    /// What a storm hits.
    pub fn target(&self) -> Target {
        Target {
            start: u64::from(self.file_pages() - self.pages),
            pages: u64::from(self.pages),
            hole_pages: u64::from(self.hole_pages),
            window_pages: u64::from(self.window_pages),
            refill: self.neighbour || self.refill,
        }
    }
}

/// The name of folios' orders, as `--order` takes it.
pub fn orders_in_words(orders: Orders) -> String {
    match orders {
        Orders::All(order) => order.to_string(),
        Orders::Mix => "mix".to_owned(),
    }
}

pub(crate) fn order_name<S: Serializer>(orders: &Orders, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&orders_in_words(*orders))
}

/// The orders of a name, as `--order` takes it.
pub fn orders_named(name: &str) -> Option<Orders> {
    match name.parse() {
        Ok(order) if order <= kernel_model::folio::MAX_ORDER => Some(Orders::All(order)),
        Ok(_) => None,
        Err(_) => (name == "mix").then_some(Orders::Mix),
    }
}

fn order_named<'de, D: Deserializer<'de>>(from: D) -> Result<Orders, D::Error> {
    let name = String::deserialize(from)?;
    let unknown = || serde::de::Error::custom(format!("folios have no order {name:?}"));
    orders_named(&name).ok_or_else(unknown)
}

/// A store that takes its time on the CPU: the time is the same for every scheme, and no sleep
/// of the host disturbs it.
struct Spinning {
    clock: Clock,
    ticks_per_page: Ticks,
}

impl BackingStore for Spinning {
    fn read(&self, pages: &[(u64, Pfn)]) {
        let start = self.clock.now();
        self.clock
            .spin_until(start + self.ticks_per_page * pages.len() as u64);
    }
}

/// A system with one file, all of it in the page cache, and one VMA for each fault thread.
pub struct Machine<P: Platform> {
    /// The system under test.
    pub system: System<P>,
    /// The file.
    pub mapping: Arc<AddressSpace<P>>,
    /// One for each fault thread; all the same one if they share.
    pub vmas: Vec<Arc<Vma<P>>>,
}

impl<P: Platform> Machine<P> {
    /// Sets a machine up for `fault_threads` and one free list for each of `threads`.
    pub fn new(
        scheme: &'static dyn FaultAround<P>,
        sizes: &Sizes,
        mm: MmKind,
        fault_threads: u32,
        threads: u32,
        clock: &Clock,
    ) -> Self {
        let config = Config {
            folios: sizes.frames(),
            free_lists: threads,
            entries_per_table: ENTRIES_PER_TABLE,
            window_pages: sizes.window_pages,
            readahead_pages: sizes.readahead_pages,
            orders: sizes.orders,
        };
        let (pages, file_pages) = (u64::from(sizes.pages), u64::from(sizes.file_pages()));
        let store = Spinning {
            clock: clock.clone(),
            ticks_per_page: clock.ticks(u64::from(sizes.fill_ns_per_page)),
        };
        let system = System::new(config, scheme, Box::new(store));
        let mapping = Arc::new(AddressSpace::new(1, file_pages));
        let populated = system.populate(&mapping, 0..file_pages, &mut Task::new(0));
        assert!(populated, "there is a frame for every page");
        let map = || {
            let mm = Mm::new(pages, ENTRIES_PER_TABLE);
            Vma::map(mm, Arc::clone(&mapping), 0, 0, pages)
        };
        let vmas = match mm {
            MmKind::Private => (0..fault_threads).map(|_| map()).collect(),
            MmKind::Shared => vec![map(); fault_threads as usize],
        };
        Self {
            system,
            mapping,
            vmas,
        }
    }
}

impl<P: Platform> Drop for Machine<P> {
    fn drop(&mut self) {
        self.mapping.unlink_vmas();
    }
}
