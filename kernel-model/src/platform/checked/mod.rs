//! Model checkers as platforms: `Loom` and `Shuttle`.
//!
//! Both run the model on threads of their own, all on one thread of the system, and decide at each
//! access who goes on. Loom also decides which of the values that C11 allows a load gets. What is
//! the same for both stands here: an ordering that is weakened, a check that is left out, the steps
//! of an execution.
//!
//! Atomics, fences and locks are the checker's objects. A spinlock is one object and not a loop; a
//! wait queue is a lock and a list, with the checker's `park()` under it; so is a semaphore, whose
//! queue hands over. All locks are acquire when taken and release when let go, no more, which is
//! what the kernel's promise.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Holds, Site, Step, What, Word};

#[macro_use]
mod semaphore;
#[macro_use]
mod platform;
mod lockdep;
mod loom;
mod loom_races;
mod rcu;
mod shuttle;
mod shuttle_races;

pub use lockdep::{Class, LockOrder, Taken, lock_order};
pub use loom::Loom;
pub use shuttle::Shuttle;

/// What is changed in the code under test, by names of sites.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mutation {
    /// Sites with another ordering than their own. `Relaxed` for a fence: it is gone.
    pub weakened: Vec<(&'static str, Ordering)>,
    /// Sites whose checks aren't made.
    pub left_out: Vec<&'static str>,
}

impl Mutation {
    /// The code as it is.
    pub const NONE: Self = Self {
        weakened: Vec::new(),
        left_out: Vec::new(),
    };

    /// The ordering that a site is weakened to, if it is.
    pub fn weaker(&self, site: &Site) -> Option<Ordering> {
        let weaker = self.weakened.iter().find(|(name, _)| *name == site.name);
        weaker.map(|&(_, order)| order)
    }
}

/// Kinds of words there are, for their numbers.
const KINDS: usize = Holds::Number as usize + 1;

thread_local! {
    static MUTATION: RefCell<Mutation> = const { RefCell::new(Mutation::NONE) };
    static MADE: Cell<[u32; KINDS]> = const { Cell::new([0; KINDS]) };
    static STEPS: RefCell<Option<Vec<Step>>> = const { RefCell::new(None) };
    static RACING: Cell<bool> = const { Cell::new(false) };
    static COUNTS_APART: Cell<bool> = const { Cell::new(true) };
    static LONGEST_HISTORY: Cell<u32> = const { Cell::new(0) };
}

/// Changes the code under test on this thread of the system, from the next execution on.
pub fn mutate(mutation: Mutation) {
    MUTATION.set(mutation);
}

/// Begins an exploration: which locks are taken under which is kept from here on, across
/// executions.
pub fn begin_exploration() {
    lockdep::begin_exploration();
}

/// Begins an execution: words are numbered from 0 again, and steps are kept or not.
pub fn begin_execution(keep_steps: bool) {
    MADE.set([0; KINDS]);
    STEPS.set(keep_steps.then(Vec::new));
    RACING.set(false);
    lockdep::begin_execution();
    loom::forget_execution();
    shuttle::forget_execution();
}

/// The set-up is over: from here on several threads may run.
pub fn begin_race() {
    RACING.set(true);
}

/// Whether the set-up is over.
fn is_racing() -> bool {
    RACING.get()
}

/// The steps of the execution so far, if they were kept. No more are kept after that.
pub fn take_steps() -> Vec<Step> {
    STEPS.take().unwrap_or_default()
}

/// The most values that had been stored to one word in a race when it was loaded, in any execution
/// since this was last asked. Loom forgets all but the last seven values of a word.
pub fn take_longest_history() -> u32 {
    LONGEST_HISTORY.take()
}

/// Counts a store among those of its word.
fn stored(stores: &AtomicU32) {
    if RACING.get() {
        stores.fetch_add(1, Ordering::Relaxed);
    }
}

/// Notes how many values a word has had that is loaded.
fn loaded(stores: &AtomicU32) {
    LONGEST_HISTORY.set(LONGEST_HISTORY.get().max(stores.load(Ordering::Relaxed)));
}

fn order_of(site: &'static Site) -> Ordering {
    MUTATION
        .with_borrow(|mutation| mutation.weaker(site))
        .unwrap_or(site.order)
}

fn is_left_out(site: &'static Site) -> bool {
    MUTATION.with_borrow(|mutation| mutation.left_out.contains(&site.name))
}

fn number(holds: Holds) -> Word {
    let mut made = MADE.get();
    let number = made[holds as usize];
    made[holds as usize] += 1;
    MADE.set(made);
    Word { holds, number }
}

/// Keeps a step, if steps are kept and the thread is one that has a CPU's number.
fn keep(cpu: impl FnOnce() -> Option<u32>, what: impl FnOnce() -> What) {
    STEPS.with_borrow_mut(|steps| {
        if let Some(steps) = steps
            && let Some(cpu) = cpu()
        {
            steps.push(Step { cpu, what: what() });
        }
    });
}
