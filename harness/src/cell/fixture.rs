//! A cell for tests of what happens around it.

use kernel_model::Orders;
use kernel_model::platform::Native;

use super::{Cell, Setup};
use crate::arrival::Arrival;
use crate::machine::{MmKind, Sizes};
use crate::order::Access;
use crate::storms::Storms;
use crate::subject::Subject;

/// One fault thread on a window of file for a millisecond, without a storm.
pub(crate) fn a_moment(subject: Subject, cpus: Vec<u32>) -> (Cell, Setup) {
    let cell = Cell {
        subject,
        calibrated: false,
        storm: Storms::<Native>::named("none").expect("a storm of the registry"),
        fault_threads: 1,
        control: None,
    };
    let setup = Setup {
        sizes: Sizes {
            pages: 16,
            neighbour: false,
            refill: true,
            orders: Orders::All(0),
            window_pages: 16,
            readahead_pages: 16,
            hole_pages: 16,
            fill_ns_per_page: 0,
        },
        mm: MmKind::Private,
        access: Access::Sequential,
        arrival: Arrival::Closed,
        rate_per_s: None,
        storm_threads: 0,
        cpus,
        events: Vec::new(),
        duration_ns: 1_000_000,
        warm_up_ns: 0,
    };
    (cell, setup)
}
