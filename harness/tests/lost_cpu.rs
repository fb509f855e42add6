//! A CPU that goes away while it measures: as a test can't take one offline, the thread is taken
//! off it from outside, which is what the kernel does then.

use std::fs;

use harness::arrival::Arrival;
use harness::cancel::Cancel;
use harness::cell::{Cell, Setup, measure};
use harness::clock::Clock;
use harness::conditions::Cause;
use harness::machine::{MmKind, Sizes};
use harness::order::Access;
use harness::storms::Storms;
use harness::topology::Topology;
use kernel_model::Orders;
use kernel_model::fault_around::Schemes;
use kernel_model::platform::Native;

/// Moves the thread of this process with this name, as soon as there is one, to a CPU.
fn move_thread(name: &str, cpu: u32) {
    loop {
        for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
            let comm = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            if comm.trim() != name {
                continue;
            }
            // Once it is well under way.
            std::thread::sleep(std::time::Duration::from_millis(150));
            let tid: i32 = task.file_name().to_str().unwrap().parse().unwrap();
            let mut mask = [0_u64; 128];
            mask[cpu as usize / 64] |= 1 << (cpu % 64);
            // SAFETY: the pointer is valid for reads of as many bytes as are told, and aligned.
            let result =
                unsafe { libc::sched_setaffinity(tid, size_of_val(&mask), mask.as_ptr().cast()) };
            assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_round_in_which_a_thread_lost_its_cpu_is_marked_and_one_in_which_it_did_not_is_not() {
    let cpus = Topology::detect().unwrap().ids();
    let [first, second, ..] = cpus[..] else {
        eprintln!("one CPU only: skipped");
        return;
    };
    let setup = Setup {
        sizes: Sizes {
            pages: 256,
            window_pages: 16,
            readahead_pages: 16,
            orders: Orders::All(0),
            neighbour: false,
            refill: false,
            hole_pages: 64,
            fill_ns_per_page: 10,
        },
        mm: MmKind::Private,
        access: Access::Sequential,
        arrival: Arrival::Closed,
        rate_per_s: None,
        storm_threads: 1,
        events: Vec::new(),
        cpus: vec![first],
        duration_ns: 400_000_000,
        warm_up_ns: 10_000_000,
    };
    let cell = Cell {
        subject: Schemes::<Native>::named("page-locked").unwrap().into(),
        calibrated: false,
        storm: Storms::<Native>::named("none").unwrap(),
        fault_threads: 1,
        control: None,
    };
    let run = || measure(&cell, &setup, 1, &Clock::new(), &Cancel::default()).unwrap();
    assert!(run().conditions.lost_cpus.is_empty());
    let mover = std::thread::spawn(move || move_thread("fault-0", second));
    let conditions = run().conditions;
    mover.join().unwrap();
    assert_eq!(conditions.lost_cpus, [first]);
    assert!(conditions.causes().contains(&Cause::LostCpu));
}
