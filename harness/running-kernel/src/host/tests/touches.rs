use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::mapped;
use crate::host::{Layout, Touched, install};

#[test]
fn beyond_the_end_is_a_bus_error_in_all_threads_at_once() {
    const ROUNDS: u64 = 2000;
    let (file, mapping) = mapped(64, Layout::Whole);
    file.truncate(32).unwrap();
    let together = Barrier::new(2);
    let run = |first: u64| {
        together.wait();
        for n in 0..ROUNDS {
            let page = (first + n * 7) % 64;
            let expected = match page {
                0..32 => Touched::Word(page + 1),
                _ => Touched::Bus,
            };
            assert_eq!(mapping.touch(page), expected, "page {page}");
        }
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| run(0));
        run(33);
        other.join().unwrap();
    });
}

#[test]
fn a_truncation_in_the_midst_of_touches_is_seen_as_one() {
    let (file, mapping) = mapped(16, Layout::Whole);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let toucher = scope.spawn(|| {
            let mut bus = 0;
            let start = Instant::now();
            // Were the other one to fail, this one has to end as well.
            while !done.load(Ordering::Relaxed) && start.elapsed() < Duration::from_secs(20) {
                match mapping.touch(9) {
                    Touched::Word(0 | 10) => {}
                    Touched::Word(word) => panic!("{word} was never written there"),
                    Touched::Bus => bus += 1,
                }
            }
            bus
        });
        let mut rounds = 0;
        let start = Instant::now();
        // On one CPU it takes some until the other thread runs in between.
        while rounds < 200 || start.elapsed() < Duration::from_millis(200) {
            file.truncate(8).unwrap();
            if rounds % 16 == 0 {
                thread::yield_now();
            }
            file.truncate(16).unwrap();
            file.refill(8..16).unwrap();
            rounds += 1;
        }
        done.store(true, Ordering::Relaxed);
        // How often is up to the scheduler.
        let _: u32 = toucher.join().unwrap();
    });
}

/// How a process ends that does this.
fn end_of(action: impl FnOnce()) -> i32 {
    // SAFETY: the child makes system calls and touches memory, and nothing else.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: so that a handler that gets nowhere is an end as well.
        unsafe { libc::alarm(20) };
        action();
        // SAFETY: nothing of the parent's is run on the way out.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: there is room for the status.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    status
}

fn killed_by_sigbus(status: i32) -> bool {
    libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGBUS
}

#[test]
fn a_sigbus_of_anything_else_kills() {
    install().unwrap();
    let (file, mapping) = mapped(2, Layout::Whole);
    file.truncate(1).unwrap();
    let beyond = mapping.address_of(1) as *const u64;
    let status = end_of(|| {
        // SAFETY: the address is mapped, though nothing is there: this is the end.
        unsafe { beyond.read_volatile() };
    });
    assert!(killed_by_sigbus(status), "{status:#x}");
    let status = end_of(|| {
        // SAFETY: sends a signal.
        unsafe { libc::raise(libc::SIGBUS) };
    });
    assert!(killed_by_sigbus(status), "{status:#x}");
    // A touch's own doesn't, there either.
    let status = end_of(|| {
        if mapping.touch(1) != Touched::Bus {
            // SAFETY: as in end_of().
            unsafe { libc::_exit(1) };
        }
    });
    assert_eq!(status, 0);
}
