//! A user-space model of the page cache, the page tables and the fault path that Linux's
//! `filemap_map_pages()` runs in, and the locking schemes that it can run under.
//!
//! The model has no threads, clocks, files or output of its own. All that it needs of the machine
//! comes through [`platform::Platform`], so that the very code that is measured on
//! [`platform::Native`] can be audited on [`platform::Jittered`], and checked on others.
//!
//! ```
//! use kernel_model::address_space::AddressSpace;
//! use kernel_model::fault_around::Schemes;
//! use kernel_model::mm::{Mm, Vma};
//! use kernel_model::platform::Native;
//! use kernel_model::{Config, FaultOutcome, Instantly, Orders, System, Task};
//! use std::sync::Arc;
//!
//! let config = Config {
//!     folios: 64, free_lists: 1, entries_per_table: 512, window_pages: 16, readahead_pages: 16,
//!     orders: Orders::All(0),
//! };
//! let scheme = Schemes::<Native>::named("mapcount-recheck").unwrap();
//! let system = System::new(config, scheme, Box::new(Instantly));
//! let file = Arc::new(AddressSpace::new(1, 32));
//! let vma = Vma::map(Mm::new(32, 512), file, 0, 0, 32);
//! let mut task = Task::new(0);
//! // The first fault reads the window, the second maps the rest of it.
//! assert_eq!(system.handle_mm_fault(&vma, 3, &mut task), FaultOutcome::SlowPath);
//! assert_eq!(system.handle_mm_fault(&vma, 4, &mut task), FaultOutcome::FaultAround);
//! assert_eq!(task.faults.mapped, 15);
//! ```

pub mod address_space;
pub mod fault_around;
pub mod folio;
pub mod gates;
pub mod graded;
pub mod invariants;
pub mod litmus;
pub mod mm;
pub mod page_allocator;
pub mod page_table;
pub mod platform;
pub mod race;
pub mod removal;
pub mod scenario;
pub mod shmem_punch;
pub mod stack;
pub mod tag;
pub mod wait_queue;

mod fault;
mod foreign;
mod line;
mod orders;
mod registry;
mod rmap;
mod sites;
mod system;
mod written;

pub use fault::{FAULT_POISON, FaultOutcome, MapPages, Mapped, SLOW_CHECKS, Window};
pub use orders::Orders;
pub use sites::{shared_checks, sites};
pub use system::{
    BackingStore, Config, FaultCounters, Instantly, Policy, RemovalCounters, System, Task,
};
