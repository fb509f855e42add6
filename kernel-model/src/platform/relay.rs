//! Two threads that run in turns, so that what comes of a race is a function of who had which turn.
//!
//! This is CHESS (Musuvathi and others, OSDI 2008) on threads of the system: one thread runs, the
//! other stands before an access or a lock. A turn is over after so many accesses, where the thread
//! has to wait for something that the other has, or at its end. Whether it has to wait is known
//! from the lock or the wait queue and never from a clock, so that a schedule gives the same
//! execution on an idle machine, on a busy one and on one CPU. The machine is sequentially
//! consistent meanwhile.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

/// The two threads; the first is the one that starts trials.
const RUNNERS: usize = 2;

/// Accesses after which a thread that hasn't ended never will: a trial has some hundred.
const MOST_ACCESSES: u32 = 100_000;
/// A thread that spins lets the other run once in so many rounds.
const ROUNDS_BEFORE_YIELD: u32 = 8;
/// So many vain looks at a lock in a row, of both threads, and they wait for each other.
const VAIN_LOOKS: u32 = 4;

/// Why a turn was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It had the accesses that it was given.
    Planned,
    /// The thread waits for a lock that the other holds.
    Blocked,
    /// The thread sleeps in a wait queue.
    Sleeps,
    /// The thread spins.
    Spins,
    /// The thread has come to its end.
    Ended,
}

/// One turn, as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leg {
    /// The thread.
    pub runner: usize,
    /// The accesses that it had made by the end of the turn, in all of its turns.
    pub made: u32,
    /// The site or the class of the lock that it stands before; empty at its end.
    pub before: &'static str,
    /// Why it was over.
    pub why: Why,
}

/// How a thread is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Standing {
    Ready,
    /// In the wait queue of this key.
    Asleep(usize),
    #[default]
    Ended,
}

#[derive(Default)]
struct State {
    /// Accesses of each turn, the last one first; turns beyond them have no end.
    turns: Vec<u32>,
    standing: [Standing; RUNNERS],
    legs: Vec<Leg>,
    vain_looks: u32,
    /// No thread can go on.
    is_stuck: bool,
    threads: [Option<Thread>; RUNNERS],
}

/// The baton of two threads.
#[derive(Default)]
pub struct Relay {
    /// Whose turn it is.
    runner: AtomicUsize,
    state: Mutex<State>,
}

impl fmt::Debug for Relay {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Relay").finish_non_exhaustive()
    }
}

/// What unwinds a thread that can't go on.
struct Stuck;

/// The calling thread in a trial.
struct Runner {
    relay: Arc<Relay>,
    me: usize,
    /// Accesses left of its turn.
    left: Cell<u32>,
    made: Cell<u32>,
    rounds: Cell<u32>,
    /// Whether it does something in one piece.
    is_whole: Cell<bool>,
}

thread_local! {
    static RUNNER: RefCell<Option<Runner>> = const { RefCell::new(None) };
}

impl Relay {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a trial: `first` has the first of these turns. The first thread calls it, and both
    /// call [`Self::run`] then.
    pub fn start(&self, first: usize, turns: &[u32]) {
        let mut state = self.state();
        state.turns.clear();
        state.turns.extend(turns.iter().rev());
        state.legs.clear();
        state.standing = [Standing::Ready; RUNNERS];
        state.vain_looks = 0;
        state.is_stuck = false;
        if first != 0 {
            self.pass(state, first);
        }
    }

    /// Runs `body` in the turns of thread `me`. The first thread returns when both have ended.
    ///
    /// # Errors
    /// What `body` panicked with; it has been said already.
    pub fn run<T>(
        self: &Arc<Self>,
        me: usize,
        body: impl FnOnce() -> T,
    ) -> Result<Option<T>, Box<dyn Any + Send>> {
        self.wait(me);
        let runner = Runner {
            relay: Arc::clone(self),
            me,
            left: Cell::new(self.state().turns.pop().unwrap_or(u32::MAX)),
            made: Cell::new(0),
            rounds: Cell::new(0),
            is_whole: Cell::new(false),
        };
        RUNNER.set(Some(runner));
        let result = panic::catch_unwind(AssertUnwindSafe(body));
        let runner = RUNNER.take().expect("set above");
        self.end(me, runner.made.get());
        match result {
            Ok(value) => Ok(Some(value)),
            Err(reason) if reason.is::<Stuck>() => Ok(None),
            Err(reason) => Err(reason),
        }
    }

    /// The turns as they were, and whether the threads came to wait for each other, or one for
    /// ever.
    pub fn ran(&self) -> (Vec<Leg>, bool) {
        let state = self.state();
        (state.legs.clone(), state.is_stuck)
    }

    fn end(&self, me: usize, made: u32) {
        let mut state = self.state();
        state.standing[me] = Standing::Ended;
        state.vain_looks = 0;
        state.legs.push(Leg {
            runner: me,
            made,
            before: "",
            why: Why::Ended,
        });
        let other = 1 - me;
        match state.standing[other] {
            Standing::Ended if me == 0 => return,
            Standing::Asleep(_) => state.is_stuck = true,
            _ => {}
        }
        self.pass(state, other);
        if me == 0 {
            self.wait(me);
        }
    }

    /// Makes it the other's turn.
    fn pass(&self, state: MutexGuard<'_, State>, to: usize) {
        // Release pairs with the acquire in `wait()`: what one did in its turn is before the
        // other's. With the state locked: the other is known by now, or sees this before it parks.
        self.runner.store(to, Release);
        let thread = state.threads[to].clone();
        drop(state);
        if let Some(thread) = thread {
            thread.unpark();
        }
    }

    fn wait(&self, me: usize) {
        if self.runner.load(Acquire) != me {
            self.state().threads[me].get_or_insert_with(thread::current);
            while self.runner.load(Acquire) != me {
                thread::park();
            }
        }
    }
}

impl Runner {
    /// Stands before an access.
    fn before(&self, name: &'static str) {
        if self.is_whole.get() {
            return;
        }
        if self.left.get() == 0 {
            self.hand_over(name, Why::Planned);
        }
        self.left.set(self.left.get().saturating_sub(1));
        self.made.set(self.made.get() + 1);
        if self.made.get() > MOST_ACCESSES {
            self.give_up();
        }
    }

    /// Lets the other run, if it can; returns when it is this thread's turn again.
    fn hand_over(&self, before: &'static str, why: Why) {
        let mut state = self.relay.state();
        let other = 1 - self.me;
        let waits = matches!(why, Why::Blocked | Why::Sleeps);
        if state.standing[other] != Standing::Ready {
            self.left.set(u32::MAX);
            if waits {
                drop(state);
                self.give_up();
            }
            return;
        }
        state.vain_looks = match why {
            Why::Blocked => state.vain_looks + 1,
            _ => 0,
        };
        state.legs.push(Leg {
            runner: self.me,
            made: self.made.get(),
            before,
            why,
        });
        if state.vain_looks > VAIN_LOOKS {
            drop(state);
            self.give_up();
        }
        self.relay.pass(state, other);
        self.relay.wait(self.me);
        let mut state = self.relay.state();
        if state.is_stuck {
            drop(state);
            self.give_up();
        }
        self.left.set(state.turns.pop().unwrap_or(u32::MAX));
    }

    /// Neither thread can go on: both come out of whatever they are in.
    fn give_up(&self) -> ! {
        self.relay.state().is_stuck = true;
        // Without the message of a panic.
        panic::resume_unwind(Box::new(Stuck))
    }
}

/// Whether the calling thread runs in turns.
pub(super) fn is_running() -> bool {
    RUNNER.with_borrow(Option::is_some)
}

fn with_runner<T>(act: impl FnOnce(&Runner) -> T) -> Option<T> {
    RUNNER.with_borrow(|runner| runner.as_ref().map(act))
}

/// The calling thread is about to make an access; returns whether it runs in turns.
pub(super) fn before(name: &'static str) -> bool {
    with_runner(|runner| runner.before(name)).is_some()
}

/// Takes a lock by looks at it, between which the other thread runs.
pub(super) fn acquire<G>(class: &'static str, mut look: impl FnMut() -> Option<G>) -> G {
    before(class);
    loop {
        if let Some(guard) = look() {
            with_runner(|runner| runner.relay.state().vain_looks = 0);
            return guard;
        }
        with_runner(|runner| runner.hand_over(class, Why::Blocked));
    }
}

/// Does something in one piece, as with a wait queue's lock held.
fn whole<T>(act: impl FnOnce() -> T) -> T {
    with_runner(|runner| runner.is_whole.set(true));
    let result = act();
    with_runner(|runner| runner.is_whole.set(false));
    result
}

/// Sleeps until it is woken, if `still_needed`.
pub(super) fn wait_on(key: usize, still_needed: impl FnOnce() -> bool) {
    if whole(still_needed) {
        with_runner(|runner| {
            runner.relay.state().standing[runner.me] = Standing::Asleep(key);
            runner.hand_over("the wait queue", Why::Sleeps);
        });
    }
}

/// Wakes the other thread if it sleeps there. No third thread is in the queue.
pub(super) fn wake_one(key: usize, queue_is_empty: impl FnOnce()) {
    with_runner(|runner| {
        let other = &mut runner.relay.state().standing[1 - runner.me];
        if *other == Standing::Asleep(key) {
            *other = Standing::Ready;
        }
    });
    whole(queue_is_empty);
}

/// A round of a loop that waits for the other thread; returns whether the calling thread runs in
/// turns.
pub(super) fn relax() -> bool {
    with_runner(|runner| {
        let rounds = runner.rounds.get() + 1;
        runner.rounds.set(rounds);
        if rounds.is_multiple_of(ROUNDS_BEFORE_YIELD) {
            runner.hand_over("cpu_relax", Why::Spins);
        }
    })
    .is_some()
}
