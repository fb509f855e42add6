//! Semaphores under the checkers: a queue that hands over, and what it orders.

mod explored;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use explored::{Checker, cpu, deadlocks, ends_well, under_both};
use kernel_model::platform::{AtomicWord, Holds, Loom, Platform, RwSemaphore, Shuttle, Site};

static PUT: Site = Site::store("put", Relaxed, "WRITE_ONCE()", "look");
static LOOK: Site = Site::load("look", Relaxed, "READ_ONCE()", "put");

under_both![
    a_read_under_a_read_deadlocks_behind_a_waiting_writer,
    a_writer_that_comes_back_at_once_waits_for_the_reader,
    readers_share_and_writers_do_not,
    a_waiting_writer_fails_trylocks,
];

/// A semaphore, and numbers beside it that no checker sees.
struct Beside<P: Platform> {
    semaphore: P::RwSemaphore<()>,
    numbers: [AtomicU32; 3],
    words: [P::AtomicU64; 2],
}

impl<P: Platform> Beside<P> {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            semaphore: RwSemaphore::new("semaphore", ()),
            numbers: Default::default(),
            words: [0, 0].map(|value| P::AtomicU64::new(Holds::Contents, value)),
        })
    }

    fn add(&self, number: usize) -> u32 {
        self.numbers[number].fetch_add(1, Relaxed) + 1
    }

    fn of(&self, number: usize) -> u32 {
        self.numbers[number].load(Relaxed)
    }
}

fn a_read_under_a_read_deadlocks_behind_a_waiting_writer<P: Checker>() {
    deadlocks::<P>(|| {
        let reads = Beside::<P>::new();
        let writes = Arc::clone(&reads);
        let reader = cpu(move || {
            let _outer = reads.semaphore.read();
            let _inner = reads.semaphore.read();
        });
        vec![reader, cpu(move || drop(writes.semaphore.write()))]
    });
}

/// Rounds after which a writer would never have let the reader in.
const MANY: u32 = 20;

fn a_writer_that_comes_back_at_once_waits_for_the_reader<P: Checker>() {
    ends_well::<P>(|| {
        let writes = Beside::<P>::new();
        let reads = Arc::clone(&writes);
        let writer = cpu(move || {
            // Until the reader has come and gone. It comes while the lock is held at the latest.
            while writes.of(1) == 0 {
                let held = writes.semaphore.write();
                while writes.of(0) == 0 {
                    P::cpu_relax();
                }
                P::cpu_relax();
                assert!(writes.add(2) < MANY, "the reader starves");
                drop(held);
            }
        });
        let reader = cpu(move || {
            reads.add(0);
            drop(reads.semaphore.read());
            reads.add(1);
        });
        vec![writer, reader]
    });
}

/// Under Shuttle, whose schedules are fair to three threads that spin.
#[test]
fn a_writer_hands_over_to_all_readers_that_wait() {
    ends_well::<Shuttle>(|| {
        let all = Beside::<Shuttle>::new();
        let wait = |all: &Beside<Shuttle>, number, least| {
            while all.of(number) < least {
                Shuttle::cpu_relax();
            }
        };
        let reader = || {
            let all = Arc::clone(&all);
            cpu(move || {
                wait(&all, 0, 1);
                all.add(1);
                let held = all.semaphore.read();
                all.add(2);
                wait(&all, 2, 2);
                drop(held);
            })
        };
        let (first, second) = (reader(), reader());
        let writer = cpu(move || {
            let held = all.semaphore.write();
            all.add(0);
            wait(&all, 1, 2);
            Shuttle::cpu_relax();
            drop(held);
        });
        vec![first, second, writer]
    });
}

fn readers_share_and_writers_do_not<P: Checker>() {
    let most = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&most);
    ends_well::<P>(move || {
        let both = Beside::<P>::new();
        let reader = || {
            let (both, seen) = (Arc::clone(&both), Arc::clone(&seen));
            cpu(move || {
                let held = both.semaphore.read();
                let now = both.add(0);
                assert_eq!(both.of(1), 0, "a reader beside a writer");
                seen.fetch_max(now, Relaxed);
                P::cpu_relax();
                both.numbers[0].fetch_sub(1, Relaxed);
                drop(held);
            })
        };
        let (first, second) = (reader(), reader());
        let writer = cpu(move || {
            let held = both.semaphore.write();
            both.add(1);
            P::cpu_relax();
            assert_eq!(both.of(0), 0, "a writer beside readers");
            both.numbers[1].store(0, Relaxed);
            drop(held);
        });
        vec![first, second, writer]
    });
    assert_eq!(most.load(Relaxed), 2, "readers hold it at once");
}

/// As `down_read_trylock()`: a reader that would not wait must not pass those who do.
fn a_waiting_writer_fails_trylocks<P: Checker>() {
    let failed = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&failed);
    ends_well::<P>(move || {
        let reads = Beside::<P>::new();
        let writes = Arc::clone(&reads);
        let seen = Arc::clone(&seen);
        let reader = cpu(move || {
            let _held = reads.semaphore.read();
            // Only readers hold it.
            seen.fetch_add(u32::from(reads.semaphore.try_read().is_none()), Relaxed);
        });
        vec![reader, cpu(move || drop(writes.semaphore.write()))]
    });
    assert_ne!(failed.load(Relaxed), 0);
}

/// A writer comes after all readers, and not only after the last of them.
#[test]
fn a_writer_sees_what_all_readers_did() {
    ends_well::<Loom>(|| {
        let all = Beside::<Loom>::new();
        let reader = |number: usize| {
            let all = Arc::clone(&all);
            cpu(move || {
                let held = all.semaphore.read();
                all.words[number].store(1, &PUT);
                drop(held);
                all.add(number);
            })
        };
        let (first, second) = (reader(0), reader(1));
        let writer = cpu(move || {
            let _held = all.semaphore.write();
            for number in 0..2 {
                let seen = all.words[number].load(&LOOK);
                assert!(seen == 1 || all.of(number) == 0, "reader {number} is past");
            }
        });
        vec![first, second, writer]
    });
}

/// `down_read()` is an acquire, and no release of what came before it.
#[test]
fn taking_it_releases_nothing() {
    let unordered = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&unordered);
    ends_well::<Loom>(move || {
        let first = Beside::<Loom>::new();
        let second = Arc::clone(&first);
        let seen = Arc::clone(&seen);
        let earlier = cpu(move || {
            first.words[0].store(1, &PUT);
            let held = first.semaphore.read();
            first.add(0);
            drop(held);
            first.numbers[0].store(0, Relaxed);
        });
        let later = cpu(move || {
            let _held = second.semaphore.read();
            let is_later = second.of(0) == 1; // while the other has it still
            let is_stale = second.words[0].load(&LOOK) == 0;
            seen.fetch_add(u32::from(is_later && is_stale), Relaxed);
        });
        vec![earlier, later]
    });
    assert_ne!(unordered.load(Relaxed), 0);
}
