//! What a modelled page takes. Alone in its process, so that no other memory is counted.

use kernel_model::Task;
use kernel_model::fault_around::Schemes;
use kernel_model::platform::Native;
use machine_facts::cancel::Cancel;
use machine_facts::clock::Clock;
use measuring::cell::{Setup, measure};
use measuring::fixture::{cell, small};
use measuring::machine::{Machine, MmKind, Sizes};
use measuring::order::Access;

/// A file of 4 GiB.
const PAGES: u32 = 1 << 20;

fn sizes() -> Sizes {
    Sizes {
        pages: PAGES,
        fill_ns_per_page: 0,
        ..small().sizes
    }
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.and_then(|kib| kib.parse::<u64>().ok()).expect("a size") << 10
}

#[test]
fn four_gibibytes_of_file_fit_and_can_be_stormed() {
    let scheme = Schemes::<Native>::named("mapcount-recheck").unwrap();
    let before = resident_bytes();
    let machine = Machine::new(scheme, &sizes(), MmKind::Private, 2, 3, &Clock::new());
    let mut task = Task::new(0);
    for vma in &machine.vmas {
        for pgoff in (0..u64::from(PAGES)).step_by(16) {
            machine.system.handle_mm_fault(vma, pgoff, &mut task);
        }
    }
    assert_eq!(
        task.faults.mapped,
        2 * u64::from(PAGES),
        "every PTE is there"
    );
    let taken = resident_bytes() - before;
    let allowed = u64::from(PAGES) * (100 + 2 * 8);
    assert!(taken <= allowed, "{taken} bytes, and {allowed} are allowed");
    let file = std::sync::Arc::downgrade(&machine.mapping);
    drop((machine, task));
    assert_eq!(file.strong_count(), 0, "nothing of it is left");

    let setup = Setup {
        sizes: sizes(),
        access: Access::Random,
        rate_per_s: Some(1_000.0),
        duration_ns: 300_000_000,
        warm_up_ns: 10_000_000,
        ..small()
    };
    let cell = cell("mapcount-recheck", "punch-hole", 1);
    let measured = measure(&cell, &setup, 1, &Clock::new(), &Cancel::default()).unwrap();
    assert_eq!(measured.violation_count, 0, "{:?}", measured.violations);
    assert!(measured.storm_threads[0].counters.removed > 0);
}
