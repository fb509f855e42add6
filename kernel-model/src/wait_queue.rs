//! Wait queues (`struct wait_queue_head`), and the state of a task that sleeps.
//!
//! To be in a queue and to sleep are two things: a task is put in a queue and says that it is about
//! to sleep ([`WaitQueue::prepare_to_wait`]), looks whether it has to, sleeps
//! ([`TaskState::schedule`]), and leaves the queue ([`Entry::finish_wait`]). Others wake it in
//! between: through the queue, by its entry's wake function; by a signal; for reasons of their own.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::platform::{AtomicWord, Holds, Platform, SpinLock};
use site::{
    ENTRY_IS_QUEUED, ENTRY_QUEUE, ENTRY_REMOVE, SCHEDULE_STATE, SET_CURRENT_STATE,
    SET_CURRENT_STATE_MB, SET_RUNNING, SIGNAL_PENDING, SIGNAL_SEND, TTWU_MB, TTWU_STATE, TTWU_WAKE,
};

/// Sites of wait queues and of the states of tasks.
pub mod site {
    use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

    use crate::platform::Site;

    /// Says that a task is about to sleep …
    pub const SET_CURRENT_STATE: Site = Site::store(
        "set_current_state",
        Relaxed,
        "set_current_state()",
        "ttwu_state, through set_current_state_mb",
    );
    /// … before it looks whether it has to.
    pub const SET_CURRENT_STATE_MB: Site = Site::fence(
        "set_current_state_mb",
        "smp_store_mb() in set_current_state()",
        "ttwu_mb: the waker sees the state, or the task sees what the waker did",
    );
    /// Says that a task no longer is about to sleep.
    pub const SET_RUNNING: Site = Site::store(
        "set_running",
        Relaxed,
        "__set_current_state(TASK_RUNNING)",
        "nothing: a waker that sees the old state wakes a task that runs",
    );
    /// Reads a task's own state: whether it sleeps, or sleeps on.
    pub const SCHEDULE_STATE: Site = Site::load(
        "schedule_state",
        Acquire,
        "__schedule()",
        "ttwu_wake: a task that is woken sees what its waker did before",
    );
    /// What a waker did before comes before its look at the state.
    pub const TTWU_MB: Site = Site::fence(
        "ttwu_mb",
        "smp_mb__after_spinlock() in try_to_wake_up()",
        "set_current_state_mb",
    );
    /// Looks whether a task sleeps.
    pub const TTWU_STATE: Site = Site::load(
        "ttwu_state",
        Relaxed,
        "ttwu_state_match()",
        "set_current_state, through ttwu_mb",
    );
    /// Makes a task run that slept, or was about to.
    pub const TTWU_WAKE: Site = Site::rmw(
        "ttwu_wake",
        Release,
        "ttwu_do_wakeup() under pi_lock",
        "schedule_state",
    );
    /// Sends a task a fatal signal.
    pub const SIGNAL_SEND: Site = Site::store(
        "signal_send",
        Relaxed,
        "sigaddset(SIGKILL)",
        "signal_pending, through ttwu_mb and set_current_state_mb",
    );
    /// Looks for it.
    pub const SIGNAL_PENDING: Site = Site::load(
        "signal_pending",
        Relaxed,
        "fatal_signal_pending()",
        "signal_send, through set_current_state_mb and ttwu_mb",
    );
    /// Looks whether an entry is in a queue, without the queue's lock.
    pub const ENTRY_IS_QUEUED: Site = Site::load(
        "entry_is_queued",
        Acquire,
        "list_empty_careful()",
        "entry_remove: the waker is done with the entry",
    );
    /// Puts an entry in a queue, under the queue's lock.
    pub const ENTRY_QUEUE: Site = Site::store(
        "entry_queue",
        Relaxed,
        "__add_wait_queue()",
        "entry_is_queued, through the queue's lock",
    );
    /// Takes an entry out of it, under the queue's lock.
    pub const ENTRY_REMOVE: Site = Site::store(
        "entry_remove",
        Release,
        "list_del_init_careful()",
        "entry_is_queued",
    );

    /// All of them.
    pub const ALL: &[&Site] = &[
        &SET_CURRENT_STATE,
        &SET_CURRENT_STATE_MB,
        &SET_RUNNING,
        &SCHEDULE_STATE,
        &TTWU_MB,
        &TTWU_STATE,
        &TTWU_WAKE,
        &SIGNAL_SEND,
        &SIGNAL_PENDING,
        &ENTRY_IS_QUEUED,
        &ENTRY_QUEUE,
        &ENTRY_REMOVE,
    ];
}

const TASK_RUNNING: u64 = 0;
const TASK_UNINTERRUPTIBLE: u64 = 1 << 1;
/// Beside `TASK_UNINTERRUPTIBLE`: a fatal signal wakes it, too.
const TASK_WAKEKILL: u64 = 1 << 8;

/// What a task's state is called in a trace.
pub const fn state_name(state: u64) -> &'static str {
    match state {
        TASK_RUNNING => "running",
        TASK_UNINTERRUPTIBLE => "uninterruptible",
        _ => "killable",
    }
}

/// What wakes a task that sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sleep {
    /// A wake-up (`TASK_UNINTERRUPTIBLE`).
    Uninterruptible,
    /// A wake-up or a fatal signal (`TASK_KILLABLE`).
    Killable,
}

impl Sleep {
    const fn state(self) -> u64 {
        match self {
            Self::Uninterruptible => TASK_UNINTERRUPTIBLE,
            Self::Killable => TASK_UNINTERRUPTIBLE | TASK_WAKEKILL,
        }
    }
}

/// Whether a task runs, sleeps or is about to, and whether it has been killed (`task_struct`).
///
/// It sleeps in the platform's wait queue of its own address, where no other task is.
pub struct TaskState<P: Platform> {
    state: P::AtomicU64,
    signal: P::AtomicU64,
}

impl<P: Platform> Default for TaskState<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Platform> TaskState<P> {
    /// A task that runs.
    pub fn new() -> Self {
        Self {
            state: P::AtomicU64::new(Holds::TaskState, TASK_RUNNING),
            signal: P::AtomicU64::new(Holds::Signal, 0),
        }
    }

    /// Says that the task, the caller, is about to sleep. What it looks at after that is what a
    /// waker has done that didn't see it.
    pub fn set_current_state(&self, sleep: Sleep) {
        self.state.store(sleep.state(), &SET_CURRENT_STATE);
        P::smp_mb(&SET_CURRENT_STATE_MB);
    }

    /// Says that the task, the caller, no longer is about to sleep.
    pub fn set_running(&self) {
        self.state.store(TASK_RUNNING, &SET_RUNNING);
    }

    /// Sleeps until somebody makes the task run; not at all if that has been done since
    /// [`Self::set_current_state`], nor a killable sleep if the task has been killed.
    pub fn schedule(&self) {
        let state = self.state.load(&SCHEDULE_STATE);
        if state & TASK_WAKEKILL != 0 && self.fatal_signal_pending() {
            self.set_running();
            return;
        }
        let sleeps = || self.state.load(&SCHEDULE_STATE) != TASK_RUNNING;
        while sleeps() {
            P::wait_on(self.key(), sleeps);
        }
    }

    /// Whether the task has been killed.
    pub fn fatal_signal_pending(&self) -> bool {
        self.signal.load(&SIGNAL_PENDING) != 0
    }

    /// Kills the task; returns whether that woke it.
    pub fn kill(&self) -> bool {
        self.signal.store(1, &SIGNAL_SEND);
        self.try_to_wake_up(TASK_WAKEKILL)
    }

    /// Wakes the task if it sleeps, for whatever reason; returns whether it did
    /// (`wake_up_process()`).
    pub fn wake_up_process(&self) -> bool {
        self.try_to_wake_up(TASK_UNINTERRUPTIBLE)
    }

    /// Makes the task run if it sleeps, or is about to, in one of these states.
    fn try_to_wake_up(&self, states: u64) -> bool {
        P::smp_mb(&TTWU_MB);
        loop {
            let state = self.state.load(&TTWU_STATE);
            if state & states == 0 {
                return false;
            }
            if self.state.compare_exchange(state, TASK_RUNNING, &TTWU_WAKE) {
                break;
            }
        }
        P::wake_one(self.key(), || ());
        true
    }

    fn key(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

/// What is done to an entry when its task is woken through the queue
/// (`wait_queue_entry_t::func`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeFunction {
    /// It stays in the queue (`default_wake_function()`).
    Keep,
    /// It leaves the queue if that woke the task (`autoremove_wake_function()`).
    Autoremove,
    /// It leaves the queue, also if the task was awake already (`synchronous_wake_function()`, from
    /// 10d20bd25e06).
    Always,
}

/// A task's place in a queue (`wait_queue_entry_t`).
pub struct Entry<P: Platform> {
    task: Arc<TaskState<P>>,
    wake: WakeFunction,
    exclusive: bool,
    queued: P::AtomicU64,
}

impl<P: Platform> Entry<P> {
    /// An entry that is in no queue. Of exclusive ones a wake-up wakes so many; they are behind all
    /// others.
    pub fn new(task: &Arc<TaskState<P>>, wake: WakeFunction, exclusive: bool) -> Arc<Self> {
        Arc::new(Self {
            task: Arc::clone(task),
            wake,
            exclusive,
            queued: P::AtomicU64::new(Holds::Queued, 0),
        })
    }

    /// Says that the task runs, and takes the entry out of its queue. `queue` is asked for it only
    /// if no waker has taken the entry out: the queue may be gone otherwise (`finish_wait()`).
    ///
    /// # Errors
    /// Those of `queue`.
    pub fn finish_wait<'q, E>(
        &self,
        queue: impl FnOnce() -> Result<&'q WaitQueue<P>, E>,
    ) -> Result<(), E> {
        self.task.set_running();
        if self.is_queued() {
            let mut entries = queue()?.0.lock();
            entries.retain(|other| !std::ptr::eq(&**other, self));
            self.queued.store(0, &ENTRY_REMOVE);
        }
        Ok(())
    }

    fn is_queued(&self) -> bool {
        self.queued.load(&ENTRY_IS_QUEUED) != 0
    }
}

/// How many tasks that wait exclusively a wake-up wakes. It wakes all others that it comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusive {
    /// So many, at least one (`wake_up_nr()`).
    AtMost(u32),
    /// All (`wake_up_all()`).
    All,
}

/// A queue of tasks that wait for an event (`wait_queue_head_t`).
pub struct WaitQueue<P: Platform>(P::SpinLock<VecDeque<Arc<Entry<P>>>>);

impl<P: Platform> WaitQueue<P> {
    /// An empty queue, of which `class` is the name of the lock.
    pub fn new(class: &'static str) -> Self {
        Self(P::SpinLock::new(class, VecDeque::new()))
    }

    /// Puts the caller's entry in the queue unless it is there, and says that the caller is about
    /// to sleep (`prepare_to_wait()`).
    pub fn prepare_to_wait(&self, entry: &Arc<Entry<P>>, sleep: Sleep) {
        let mut entries = self.0.lock();
        if !entry.is_queued() {
            match entry.exclusive {
                true => entries.push_back(Arc::clone(entry)),
                false => entries.push_front(Arc::clone(entry)),
            }
            entry.queued.store(1, &ENTRY_QUEUE);
        }
        entry.task.set_current_state(sleep);
    }

    /// Wakes those who wait, from the head of the queue to the last exclusive one that is to be
    /// woken; returns how many it woke (`__wake_up()`).
    pub fn wake_up(&self, exclusive: Exclusive) -> usize {
        let mut left = match exclusive {
            Exclusive::AtMost(tasks) => tasks,
            Exclusive::All => u32::MAX,
        };
        let mut woken = 0;
        self.0.lock().retain(|entry| {
            if left == 0 {
                return true;
            }
            let wakes = entry.task.wake_up_process();
            woken += usize::from(wakes);
            left -= u32::from(wakes && entry.exclusive);
            let removes = match entry.wake {
                WakeFunction::Keep => false,
                WakeFunction::Autoremove => wakes,
                WakeFunction::Always => true,
            };
            if removes {
                entry.queued.store(0, &ENTRY_REMOVE);
            }
            !removes
        });
        woken
    }

    /// Whether none is in it, looked at under its lock.
    pub fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}
