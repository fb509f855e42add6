//! The page lock: one holder, no sleeper forgotten, and what its bits share a word with.

mod scene;

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use kernel_model::folio::{
    Counting, Folio, PG_LOCKED, PG_READAHEAD, PG_UPTODATE, PG_WAITERS, site,
};
use kernel_model::page_allocator::MemMap;
use kernel_model::platform::Platform;
use kernel_model::{FaultOutcome, Orders};

use scene::{Scene, Scheme, counts, has_waiters, jitter, mapped, on_both_platforms, until};

on_both_platforms! {
    crate::scene::once: [
        lock_is_held_until_unlocked,
        lock_leaves_the_other_flags,
        lock_excludes_all_other_threads,
        trylock_excludes_too,
        waiters_all_get_their_turn,
        locks_of_two_folios_are_two,
    ]
    crate::scene::every_scheme: [
        slow_path_waits_for_the_page_lock,
    ]
}

/// A memory map with some folios.
fn folios<P: Platform>() -> MemMap<P> {
    MemMap::new(2, 1, Orders::All(0), Counting::Apart)
}

fn flags<P: Platform>(folio: &Folio<P>) -> u64 {
    folio.flags(&site::FLAGS_READ)
}

fn lock_is_held_until_unlocked<P: Platform>() {
    let memmap = folios::<P>();
    let (_, folio) = memmap.iter().next().unwrap();
    folio.lock();
    assert!(folio.is_locked(&site::FLAGS_READ));
    assert!(!folio.try_lock());
    assert!(
        folio.is_locked(&site::FLAGS_READ),
        "a failed trylock takes nothing away"
    );
    folio.unlock();
    assert!(!folio.is_locked(&site::FLAGS_READ));
    assert!(folio.try_lock());
    assert!(!folio.try_lock());
}

fn lock_leaves_the_other_flags<P: Platform>() {
    let memmap = folios::<P>();
    let (_, folio) = memmap.iter().next().unwrap();
    let others = PG_UPTODATE | PG_READAHEAD;
    folio.set_flags(others);
    folio.lock();
    assert_eq!(flags(folio), others | PG_LOCKED);
    folio.unlock();
    assert_eq!(flags(folio), others);
}

/// Threads that use the lock at once, on the test's two CPUs and then some.
const THREADS: u64 = 4;
/// Turns of each of them.
const TURNS: u64 = 3_000;

/// Lets threads add to a number that only the lock protects, `take` being how they get it.
fn add_up<P: Platform>(take: fn(&Folio<P>)) {
    let memmap = folios::<P>();
    let (_, folio) = memmap.iter().next().unwrap();
    let sum = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let sum = &sum;
            scope.spawn(move || {
                jitter(thread + 1);
                for turn in 0..TURNS {
                    take(folio);
                    let seen = sum.load(Relaxed);
                    // Now and then the others get the time to come and sleep.
                    if turn % 16 == thread {
                        thread::yield_now();
                    }
                    sum.store(seen + 1, Relaxed);
                    folio.unlock();
                }
            });
        }
    });
    assert_eq!(sum.load(Relaxed), THREADS * TURNS);
    assert_eq!(flags(folio), 0, "it is held or waited for by none");
}

fn lock_excludes_all_other_threads<P: Platform>() {
    add_up::<P>(|folio| folio.lock());
}

fn trylock_excludes_too<P: Platform>() {
    // Every other turn or so finds it locked, and sleeps.
    add_up::<P>(|folio| {
        if !folio.try_lock() {
            thread::yield_now();
            if !folio.try_lock() {
                folio.lock();
            }
        }
    });
}

fn waiters_all_get_their_turn<P: Platform>() {
    let memmap = folios::<P>();
    let (_, folio) = memmap.iter().next().unwrap();
    for round in 0..100 {
        folio.lock();
        let turns = AtomicU64::new(0);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let turns = &turns;
                scope.spawn(move || {
                    jitter(round * THREADS + thread + 1);
                    folio.lock();
                    turns.fetch_add(1, Relaxed);
                    folio.unlock();
                });
            }
            until(|| has_waiters(folio));
            assert_eq!(turns.load(Relaxed), 0);
            folio.unlock();
        });
        assert_eq!((turns.load(Relaxed), flags(folio)), (THREADS, 0));
    }
}

fn locks_of_two_folios_are_two<P: Platform>() {
    let memmap = folios::<P>();
    let folios: Vec<_> = memmap.iter().map(|(_, folio)| folio).collect();
    folios[0].lock();
    folios[1].lock();
    thread::scope(|scope| {
        let first = scope.spawn(|| folios[0].lock());
        let second = scope.spawn(|| folios[1].lock());
        until(|| folios.iter().all(|folio| has_waiters(folio)));
        folios[0].unlock();
        first.join().expect("its folio is free");
        assert!(has_waiters(folios[1]));
        assert_eq!(flags(folios[0]), PG_LOCKED);
        folios[1].unlock();
        second.join().expect("its folio is free");
    });
    assert_eq!(flags(folios[1]) & PG_WAITERS, 0);
}

fn slow_path_waits_for_the_page_lock<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::new(scheme);
    let pfn = scene.insert_unread(9);
    let folio = scene.system.memmap.folio(pfn);
    let vma = scene.map_whole();
    thread::scope(|scope| {
        let faulting = scope.spawn(|| scene.fault(&vma, 9, FaultOutcome::SlowPath));
        until(|| has_waiters(folio));
        assert_eq!(mapped(&vma), []);
        folio.set_uptodate();
        folio.unlock();
        let task = faulting.join().expect("the fault ends well");
        assert_eq!(task.faults.mapped_slowly, 1);
    });
    assert_eq!(mapped(&vma), [9]);
    assert_eq!(counts(folio), (1, 2));
    scene.assert_sound();
}
