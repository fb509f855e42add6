//! Whether Loom, as it is used here, leaves out executions: random small programs, gone through
//! with partial order reduction and in every order there is, must come to the same outcomes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use kernel_model::platform::checked;
use kernel_model::platform::{AtomicWord, Holds, Loom, Platform, Site};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

static PUT: Site = Site::store("put", Relaxed, "WRITE_ONCE()", "look");
static LOOK: Site = Site::load("look", Relaxed, "READ_ONCE()", "put");
static RELEASE: Site = Site::store("release", Release, "smp_store_release()", "acquire");
static ACQUIRE: Site = Site::load("acquire", Acquire, "smp_load_acquire()", "release");
static ADD: Site = Site::rmw("add", Relaxed, "atomic_add()", "nothing");
static BARRIER: Site = Site::fence("barrier", "smp_mb()", "itself");

/// What a thread does with one of three words. As in the model, a word is either stored to by one
/// thread at a time, each its own here, or modified by both: where unordered stores of two threads
/// meet, Loom's own answers depend on the order in which it tries them.
#[derive(Debug, Clone, Copy)]
enum Does {
    Load(usize),
    LoadAcquire(usize),
    Store(u64),
    StoreRelease(u64),
    Add,
    Barrier,
}

/// How many programs are tried.
const PROGRAMS: usize = 60;

type Program = [Vec<Does>; 2];
type Outcomes = BTreeSet<[Vec<u64>; 2]>;

fn random(dice: &mut Pcg64Mcg) -> Program {
    let thread = |dice: &mut Pcg64Mcg, first: u64| {
        (0..dice.random_range(2..=3))
            .map(|step| {
                let word = dice.random_range(0..WORDS);
                match dice.random_range(0..9) {
                    0..=2 => Does::Load(word),
                    3 => Does::LoadAcquire(word),
                    4 => Does::Store(first + step),
                    5 => Does::StoreRelease(first + step),
                    6 | 7 => Does::Add,
                    _ => Does::Barrier,
                }
            })
            .collect()
    };
    [thread(dice, 10), thread(dice, 20)]
}

/// Words of a program: one of each thread, and one of both.
const WORDS: usize = 3;
const SHARED: usize = 2;

type Words = [<Loom as Platform>::AtomicU64; WORDS];

/// Runs a thread's steps; gives back what it has seen.
fn run(own: usize, steps: &[Does], words: &Words, before: impl Fn()) -> Vec<u64> {
    let mut seen = Vec::new();
    for step in steps {
        before();
        match *step {
            Does::Load(word) => seen.push(words[word].load(&LOOK)),
            Does::LoadAcquire(word) => seen.push(words[word].load(&ACQUIRE)),
            Does::Store(value) => words[own].store(value, &PUT),
            Does::StoreRelease(value) => words[own].store(value, &RELEASE),
            Does::Add => seen.push(words[SHARED].fetch_add(100, &ADD)),
            Does::Barrier => Loom::smp_mb(&BARRIER),
        }
    }
    seen
}

/// All outcomes; in every order there is if `every_order`.
fn outcomes(program: &Program, every_order: bool) -> Outcomes {
    let outcomes = Arc::new(Mutex::new(Outcomes::new()));
    let (all, program) = (Arc::clone(&outcomes), program.clone());
    loom::model::Builder::new().check(move || {
        checked::begin_execution(false);
        let word = || <Loom as Platform>::AtomicU64::new(Holds::Contents, 0);
        let words = Arc::new([word(), word(), word()]);
        // Steps that all touch one object race with each other, whatever else they do.
        let order = Arc::new(loom::sync::Condvar::new());
        if !every_order {
            checked::begin_race();
        }
        let threads: Vec<_> = (0..2)
            .map(|cpu: usize| {
                let (words, order) = (Arc::clone(&words), Arc::clone(&order));
                let steps = program[cpu].clone();
                let builder = loom::thread::Builder::new().name(cpu.to_string());
                let before = move || {
                    if every_order {
                        order.notify_one();
                    }
                };
                builder
                    .spawn(move || run(cpu, &steps, &words, before))
                    .unwrap()
            })
            .collect();
        let seen: Vec<_> = threads.into_iter().map(|it| it.join().unwrap()).collect();
        let seen: [Vec<u64>; 2] = seen.try_into().expect("two threads");
        all.lock().unwrap().insert(seen);
    });
    std::mem::take(&mut *outcomes.lock().unwrap())
}

#[test]
fn no_outcome_of_a_random_program_is_left_out() {
    let mut dice = Pcg64Mcg::seed_from_u64(20_201_014);
    let mut weak = 0;
    for number in 0..PROGRAMS {
        let program = random(&mut dice);
        let (reduced, every) = (outcomes(&program, false), outcomes(&program, true));
        assert_eq!(reduced, every, "program {number}: {program:?}");
        weak += usize::from(every.len() > 2);
    }
    assert!(
        weak > PROGRAMS / 10,
        "only {weak} programs have more than two outcomes"
    );
}
