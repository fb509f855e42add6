//! A CPU that goes away while it measures: as a test can't take one offline, the thread is taken
//! off it from outside, which is what the kernel does then.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use machine_facts::cancel::Cancel;
use machine_facts::clock::Clock;
use machine_facts::conditions::Cause;
use machine_facts::topology::Topology;
use measuring::cell::{Setup, measure};
use measuring::fixture::{cell, small};

/// The affinity of a thread.
fn affinity(tid: i32) -> [u64; 128] {
    let mut mask = [0_u64; 128];
    // SAFETY: the pointer is valid for writes of as many bytes as are told, and aligned.
    unsafe { libc::sched_getaffinity(tid, size_of_val(&mask), mask.as_mut_ptr().cast()) };
    mask
}

fn only(cpu: u32) -> [u64; 128] {
    let mut mask = [0_u64; 128];
    mask[cpu as usize / 64] |= 1 << (cpu % 64);
    mask
}

/// Ticks of CPU time that a thread has had; `None` if it is gone.
fn ticks(task: &Path) -> Option<u64> {
    let stat = fs::read_to_string(task.join("stat")).ok()?;
    let (_, after) = stat.rsplit_once(')')?;
    let fields: Vec<u64> = after.split(' ').map(|it| it.parse().unwrap_or(0)).collect();
    Some(fields[12] + fields[13])
}

/// Moves the fault thread of this process from one CPU to the other once it has run there for a
/// while: it has then looked itself where it is. Ends when there was one.
fn move_fault_thread([from, to]: [u32; 2], is_over: &AtomicBool) {
    let mut at = None;
    while !is_over.load(Relaxed) {
        let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
        let found = tasks.map(|task| task.path()).find(|task| {
            let comm = fs::read_to_string(task.join("comm")).unwrap_or_default();
            comm.trim() == "fault-0"
        });
        let tid: Option<i32> = found.as_deref().map(|task| {
            let name = task.file_name().unwrap();
            name.to_str().unwrap().parse().unwrap()
        });
        if let (Some(task), Some(tid)) = (found, tid)
            && affinity(tid) == only(from)
            && let Some(now) = ticks(&task)
            && now > *at.get_or_insert(now) + 1
        {
            let mask = only(to);
            // SAFETY: the pointer is valid for reads of as many bytes as are told, and aligned.
            unsafe { libc::sched_setaffinity(tid, size_of_val(&mask), mask.as_ptr().cast()) };
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_round_in_which_a_thread_lost_its_cpu_is_marked_and_one_in_which_it_did_not_is_not() {
    let cpus = Topology::detect().unwrap().ids();
    let [first, second, ..] = cpus[..] else {
        eprintln!("one CPU only: skipped");
        return;
    };
    let mut setup = Setup {
        cpus: vec![first],
        duration_ns: 200_000_000,
        ..small()
    };
    let cell = cell("page-locked", "none", 1);
    let run = |setup: &Setup| {
        let measured = measure(&cell, setup, 1, &Clock::new(), &Cancel::default());
        measured.unwrap().conditions
    };
    assert!(run(&setup).lost_cpus.is_empty());
    // Twice as long each time: on a busy machine it is soon over before the thread is moved.
    for _ in 0..8 {
        let is_over = AtomicBool::new(false);
        let conditions = thread::scope(|scope| {
            scope.spawn(|| move_fault_thread([first, second], &is_over));
            let conditions = run(&setup);
            is_over.store(true, Relaxed);
            conditions
        });
        if !conditions.lost_cpus.is_empty() {
            assert_eq!(conditions.lost_cpus, [first]);
            assert!(conditions.causes().contains(&Cause::LostCpu));
            return;
        }
        setup.duration_ns *= 2;
    }
    panic!("a thread was moved, and nothing says so");
}
