//! Loom and Shuttle as platforms: what may happen on them, and what may not.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Mutex};

use kernel_model::platform::checked::{self, Mutation};
use kernel_model::platform::{
    AtomicWord, Holds, Loom, Platform, RwSemaphore, Shuttle, Site, SpinLock, What,
};

static PUT: Site = Site::store("put", Relaxed, "WRITE_ONCE()", "look");
static LOOK: Site = Site::load("look", Relaxed, "READ_ONCE()", "put");
static RELEASE: Site = Site::store("release", Release, "smp_store_release()", "acquire");
static ACQUIRE: Site = Site::load("acquire", Acquire, "smp_load_acquire()", "release");
static ADD: Site = Site::rmw("add", Relaxed, "atomic_add()", "nothing");
static BARRIER: Site = Site::fence("barrier", "smp_mb()", "itself");

type Word<P> = <P as Platform>::AtomicU64;

/// Two words of a file.
fn words<P: Platform>() -> Arc<(Word<P>, Word<P>)> {
    let word = || Word::<P>::new(Holds::Contents, 0);
    Arc::new((word(), word()))
}

/// Everything that two threads may come to together.
type Outcomes = BTreeSet<(u64, u64)>;

/// All outcomes of `left` against `right` under Loom.
fn loom(
    left: fn(&(Word<Loom>, Word<Loom>)) -> u64,
    right: fn(&(Word<Loom>, Word<Loom>)) -> u64,
) -> Outcomes {
    let outcomes = Arc::new(Mutex::new(Outcomes::new()));
    let seen = Arc::clone(&outcomes);
    loom::model::Builder::new().check(move || {
        checked::begin_execution(false);
        let words = words::<Loom>();
        checked::begin_race();
        let cpu = |number: &str, does: fn(&(Word<Loom>, Word<Loom>)) -> u64| {
            let words = Arc::clone(&words);
            let builder = loom::thread::Builder::new().name(number.to_owned());
            builder.spawn(move || does(&words)).unwrap()
        };
        let (left, right) = (cpu("0", left), cpu("1", right));
        let both = (left.join().unwrap(), right.join().unwrap());
        seen.lock().unwrap().insert(both);
    });
    std::mem::take(&mut *outcomes.lock().unwrap())
}

fn store_then_load(words: &(Word<Loom>, Word<Loom>)) -> u64 {
    words.0.store(1, &PUT);
    Loom::smp_mb(&BARRIER);
    words.1.load(&LOOK)
}

fn store_then_load_swapped(words: &(Word<Loom>, Word<Loom>)) -> u64 {
    words.1.store(1, &PUT);
    Loom::smp_mb_after_atomic(&BARRIER);
    words.0.load(&LOOK)
}

#[test]
fn loom_buffers_stores_unless_both_sides_have_a_barrier() {
    let both = loom(store_then_load, store_then_load_swapped);
    assert_eq!(both, BTreeSet::from([(0, 1), (1, 0), (1, 1)]));
    checked::mutate(Mutation {
        weakened: vec![("barrier", Relaxed)],
        left_out: Vec::new(),
    });
    let neither = loom(store_then_load, store_then_load_swapped);
    checked::mutate(Mutation::NONE);
    assert!(neither.contains(&(0, 0)), "{neither:?}");
}

fn publish(words: &(Word<Loom>, Word<Loom>)) -> u64 {
    words.0.store(1, &PUT);
    words.1.store(1, &RELEASE);
    0
}

fn read_published(words: &(Word<Loom>, Word<Loom>)) -> u64 {
    match words.1.load(&ACQUIRE) {
        0 => 2,
        _ => words.0.load(&LOOK),
    }
}

#[test]
fn loom_passes_messages_by_release_and_acquire_only() {
    let ordered = loom(publish, read_published);
    assert_eq!(ordered, BTreeSet::from([(0, 1), (0, 2)]));
    for weak in ["release", "acquire"] {
        checked::mutate(Mutation {
            weakened: vec![(weak, Relaxed)],
            left_out: Vec::new(),
        });
        let outcomes = loom(publish, read_published);
        checked::mutate(Mutation::NONE);
        assert!(
            outcomes.contains(&(0, 0)),
            "with {weak} relaxed: {outcomes:?}"
        );
    }
}

/// Loom has no load that gets what is stored later: such answers are upper bounds.
#[test]
fn loom_knows_no_load_buffering() {
    let load_then_store = |words: &(Word<Loom>, Word<Loom>)| {
        let got = words.0.load(&LOOK);
        words.1.store(1, &PUT);
        got
    };
    let swapped = |words: &(Word<Loom>, Word<Loom>)| {
        let got = words.1.load(&LOOK);
        words.0.store(1, &PUT);
        got
    };
    let outcomes = loom(load_then_store, swapped);
    assert_eq!(outcomes, BTreeSet::from([(0, 0), (0, 1), (1, 0)]));
}

/// A thread that loads before it stores hides from Loom that another has loaded, unless that is
/// told.
#[test]
fn loom_tries_a_store_before_a_load_that_the_storing_thread_has_loaded_after() {
    let load = |words: &(Word<Loom>, Word<Loom>)| words.0.load(&LOOK);
    let load_and_store = |words: &(Word<Loom>, Word<Loom>)| {
        let got = words.0.load(&LOOK);
        words.0.store(1, &PUT);
        got
    };
    let both = BTreeSet::from([(0, 0), (1, 0)]);
    assert_eq!(loom(load, load_and_store), both);
    let add = |words: &(Word<Loom>, Word<Loom>)| {
        let got = words.0.load(&LOOK);
        words.0.fetch_add(1, &ADD);
        got
    };
    assert_eq!(loom(load, add), both);
    let add_unless = |words: &(Word<Loom>, Word<Loom>)| {
        words.0.store(1, &PUT);
        let got = words.0.load(&LOOK);
        words.0.add_unless(u64::MAX, 1, &ADD);
        got
    };
    let all = BTreeSet::from([(0, 1), (1, 1), (2, 1)]);
    assert_eq!(loom(load, add_unless), all);
}

/// Three fences in a row, in an order that no access of a word decides.
#[test]
fn loom_tries_both_orders_of_fences() {
    let write_then_read = |words: &(Word<Loom>, Word<Loom>)| {
        words.0.store(1, &PUT);
        Loom::smp_mb(&BARRIER);
        words.1.load(&LOOK)
    };
    let fence_then_both = |words: &(Word<Loom>, Word<Loom>)| {
        Loom::smp_mb(&BARRIER);
        let seen = words.0.load(&LOOK);
        words.1.store(1, &PUT);
        seen
    };
    let outcomes = loom(write_then_read, fence_then_both);
    let expected = BTreeSet::from([(0, 0), (0, 1), (1, 0), (1, 1)]);
    assert_eq!(outcomes, expected);
}

#[test]
fn a_reference_is_added_to_what_is_there_and_to_nothing_else() {
    // One takes a reference unless there is none; the other drops the only one there is.
    let outcomes = loom(
        |words| {
            words.0.store(1, &PUT);
            words.1.store(1, &RELEASE);
            let old = words.0.fetch_sub(1, &ADD);
            assert!((1..=2).contains(&old));
            words.0.observe()
        },
        |words| match words.1.load(&ACQUIRE) {
            0 => 9,
            _ => u64::from(words.0.add_unless(u64::MAX, 1, &ADD)),
        },
    );
    // Not published yet; too late; in time (with what is left seen before or after it).
    assert_eq!(outcomes, BTreeSet::from([(0, 0), (0, 9), (1, 1)]));
}

#[test]
fn steps_are_kept_in_order_with_stale_reads_and_what_was_missed() {
    let stale = Arc::new(Mutex::new(None));
    let found = Arc::clone(&stale);
    loom::model::Builder::new().check(move || {
        checked::begin_execution(true);
        let words = words::<Loom>();
        let others = Arc::clone(&words);
        let named = |cpu: &str| loom::thread::Builder::new().name(cpu.to_owned());
        let writer = named("0").spawn(move || others.0.store(7, &PUT)).unwrap();
        let reader = named("1").spawn(move || words.0.load(&LOOK)).unwrap();
        writer.join().unwrap();
        reader.join().unwrap();
        let steps = checked::take_steps();
        let [first, second] = &steps[..] else {
            panic!("not two steps: {steps:?}");
        };
        if let (
            What::Store { old, new, .. },
            What::Load {
                got, newest, word, ..
            },
        ) = (&first.what, &second.what)
        {
            assert_eq!((first.cpu, second.cpu), (0, 1));
            assert_eq!((*old, *new, *newest), (0, 7, 7));
            assert_eq!((word.holds, word.number), (Holds::Contents, 0));
            if *got == 0 {
                *found.lock().unwrap() = Some(*got);
            }
        }
    });
    assert_eq!(*stale.lock().unwrap(), Some(0), "an old value is read, too");
}

/// What locks and wait queues must do on any platform.
mod locks {
    use super::*;

    /// Counts up without atomicity under a lock of either kind.
    pub(super) fn increment<P: Platform>(locks: &(P::SpinLock<u64>, P::RwSemaphore<u64>)) {
        let mut spinning = locks.0.lock();
        let seen = *spinning;
        P::cpu_relax();
        *spinning = seen + 1;
        drop(spinning);
        let mut sleeping = locks.1.write();
        let seen = *sleeping;
        P::cpu_relax();
        *sleeping = seen + 1;
        drop(sleeping);
        assert!((1..=2).contains(&*locks.1.read()));
    }

    pub(super) fn make<P: Platform>() -> Arc<(P::SpinLock<u64>, P::RwSemaphore<u64>)> {
        Arc::new((SpinLock::new("spin", 0), RwSemaphore::new("sleep", 0)))
    }

    pub(super) fn assert_counted<P: Platform>(locks: &(P::SpinLock<u64>, P::RwSemaphore<u64>)) {
        assert_eq!((*locks.0.lock(), *locks.1.read()), (2, 2));
    }

    const QUEUE: usize = 64;

    /// Sleeps until it is let go.
    pub(super) fn sleep<P: Platform>(word: &P::AtomicU64) {
        while word.load(&ACQUIRE) == 0 {
            P::wait_on(QUEUE, || word.load(&LOOK) == 0);
        }
    }

    /// Lets one sleeper go, if one is there; says whether none was left.
    pub(super) fn let_go<P: Platform>(word: &P::AtomicU64) {
        word.store(1, &RELEASE);
        let mut empty = false;
        P::wake_one(QUEUE, || empty = true);
        assert!(empty, "there is one sleeper at most");
    }
}

#[test]
fn locks_exclude_on_loom() {
    loom::model::Builder::new().check(|| {
        checked::begin_execution(false);
        let made = locks::make::<Loom>();
        let others = Arc::clone(&made);
        let thread = loom::thread::spawn(move || locks::increment::<Loom>(&others));
        locks::increment::<Loom>(&made);
        thread.join().unwrap();
        locks::assert_counted::<Loom>(&made);
    });
}

#[test]
fn locks_exclude_on_shuttle() {
    shuttle::check_random(
        || {
            checked::begin_execution(false);
            let made = locks::make::<Shuttle>();
            let others = Arc::clone(&made);
            let thread = shuttle::thread::spawn(move || locks::increment::<Shuttle>(&others));
            locks::increment::<Shuttle>(&made);
            thread.join().unwrap();
            locks::assert_counted::<Shuttle>(&made);
        },
        500,
    );
}

#[test]
fn sleepers_are_woken_on_loom() {
    loom::model::Builder::new().check(|| {
        checked::begin_execution(false);
        let words = words::<Loom>();
        let others = Arc::clone(&words);
        let thread = loom::thread::spawn(move || locks::sleep::<Loom>(&others.0));
        locks::let_go::<Loom>(&words.0);
        thread.join().unwrap();
    });
}

#[test]
fn sleepers_are_woken_on_shuttle_whose_parks_end_by_themselves() {
    shuttle::check_random(
        || {
            checked::begin_execution(false);
            let words = words::<Shuttle>();
            let others = Arc::clone(&words);
            let thread = shuttle::thread::spawn(move || locks::sleep::<Shuttle>(&others.0));
            locks::let_go::<Shuttle>(&words.0);
            thread.join().unwrap();
        },
        500,
    );
}
