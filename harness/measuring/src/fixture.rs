//! Set-ups for tests, here and in the crates above.

use kernel_model::Orders;
use kernel_model::fault_around::Schemes;
use kernel_model::platform::Native;
use machine_facts::conditions::Conditions;
use machine_facts::counters::Readings;
use machine_facts::topology::Topology;

use crate::arrival::Arrival;
use crate::cell::{Cell, Setup, Subject};
use crate::control::Variant;
use crate::machine::{MmKind, Sizes};
use crate::order::Access;
use crate::rounds::{CellRound, RemoverRound};
use crate::storms::Storms;

/// What a run is like in tests that measure nothing.
pub fn setup() -> Setup {
    Setup {
        sizes: Sizes {
            pages: 4096,
            neighbour: false,
            refill: false,
            orders: Orders::All(0),
            window_pages: 16,
            readahead_pages: 16,
            hole_pages: 64,
            fill_ns_per_page: 200,
        },
        mm: MmKind::Private,
        access: Access::Sequential,
        arrival: Arrival::Closed,
        rate_per_s: Some(5000.0),
        storm_threads: 1,
        events: Vec::new(),
        cpus: vec![0, 1, 2, 3, 4, 5, 6, 7],
        duration_ns: 200_000_000,
        warm_up_ns: 40_000_000,
    }
}

/// A cell that is over soon, on the CPUs that there are.
pub fn small() -> Setup {
    let setup = setup();
    Setup {
        sizes: Sizes {
            pages: 256,
            fill_ns_per_page: 10,
            ..setup.sizes
        },
        rate_per_s: None,
        cpus: Topology::detect().expect("CPUs").ids(),
        duration_ns: 20_000_000,
        warm_up_ns: 5_000_000,
        ..setup
    }
}

/// A cell by its names.
pub fn cell(scheme: &str, storm: &str, fault_threads: u32) -> Cell {
    let scheme = Schemes::<Native>::named(scheme).expect("a scheme of the registry");
    Cell {
        storm: Storms::<Native>::named(storm).expect("a storm of the registry"),
        fault_threads,
        ..of(scheme.into())
    }
}

/// One fault thread, without a storm.
fn of(subject: Subject) -> Cell {
    Cell {
        subject,
        calibrated: false,
        storm: Storms::<Native>::named("none").expect("a storm of the registry"),
        fault_threads: 1,
        control: None,
    }
}

/// One fault thread on a window of file for a millisecond, without a storm.
pub fn a_moment(subject: Subject, cpus: Vec<u32>) -> (Cell, Setup) {
    let setup = setup();
    let sizes = Sizes {
        pages: 16,
        refill: true,
        hole_pages: 16,
        fill_ns_per_page: 0,
        ..setup.sizes
    };
    let setup = Setup {
        sizes,
        rate_per_s: None,
        storm_threads: 0,
        cpus,
        duration_ns: 1_000_000,
        warm_up_ns: 0,
        ..setup
    };
    (of(subject), setup)
}

/// What a cell gave in a round if nothing was counted in it.
pub fn round_of(cell: &Cell, variant: Variant, round: u32) -> CellRound {
    CellRound {
        round,
        place: 0,
        scheme: cell.subject.name().to_owned(),
        variant,
        storm: cell.storm.about().name.to_owned(),
        threads: cell.fault_threads,
        started_ns: 0,
        faults_per_s: 0.0,
        pages_per_s: 0.0,
        ns_per_page: 0.0,
        arrived: None,
        latency: None,
        stretches: None,
        slow_path_share: 0.0,
        sigbus: 0,
        oom: 0,
        pages_mapped: [0, 0],
        skipped_locked: 0,
        slot_changed: 0,
        undone: 0,
        gate_closed: 0,
        filled: 0,
        fairness: 1.0,
        fault_threads: Vec::new(),
        remover: None,
        beyond_range: 0,
        start_skew_ns: 0,
        violations: 0,
        violated: Vec::new(),
        counters: Readings::default(),
        unstable: false,
        conditions: Conditions::default(),
    }
}

/// The same of its storm, after so many operations.
pub fn removals(ops: u64, ops_per_s: f64) -> RemoverRound {
    RemoverRound {
        ops,
        ops_per_s,
        latency: None,
        folios_removed: 0,
        pages_removed: 0,
        skipped_locked: 0,
        busy: 0,
        split: 0,
        unmapped_singly: 0,
        transient_mapcount: 0,
        counters: Readings::default(),
    }
}
