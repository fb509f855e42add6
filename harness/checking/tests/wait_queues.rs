//! Wait queues under the checkers: no wake-up is lost, and none is made up.

mod explored;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use explored::{Checker, Cpu, cpu, deadlocks, ends_well, mutated, relaxed, under_both};
use kernel_model::platform::{AtomicWord, Holds, Loom, Platform, Site};
use kernel_model::wait_queue::site::{SCHEDULE_STATE, SET_CURRENT_STATE_MB, TTWU_MB};
use kernel_model::wait_queue::{Entry, Exclusive, Sleep, TaskState, WaitQueue, WakeFunction};

static DONE: Site = Site::store("done", Release, "smp_store_release()", "is_done");
static IS_DONE: Site = Site::load("is_done", Acquire, "smp_load_acquire()", "done");
static PUT: Site = Site::store("put", Relaxed, "WRITE_ONCE()", "look");
static LOOK: Site = Site::load("look", Relaxed, "READ_ONCE()", "put");

under_both![
    an_event_wakes_who_waits_for_it,
    a_waiter_that_looks_before_it_is_queued_sleeps_for_ever,
    a_waker_that_wakes_before_the_event_loses_it,
    a_task_is_woken_without_a_queue,
    an_entry_stays_if_its_task_was_awake,
    an_entry_leaves_always,
    a_kept_entry_is_the_waiters_to_take,
    all_are_woken_and_one_of_the_exclusive_ones,
    a_signal_wakes_a_killable_sleep_only,
    everyone_who_sleeps_on_a_key_is_woken,
];

/// What a machine of these tests has.
struct Scene<P: Platform> {
    queue: WaitQueue<P>,
    event: P::AtomicU64,
    data: P::AtomicU64,
    tasks: Vec<Arc<TaskState<P>>>,
}

impl<P: Platform> Scene<P> {
    fn new(tasks: usize) -> Arc<Self> {
        let word = || P::AtomicU64::new(Holds::Contents, 0);
        Arc::new(Self {
            queue: WaitQueue::new("queue"),
            event: word(),
            data: word(),
            tasks: (0..tasks).map(|_| Arc::default()).collect(),
        })
    }

    fn entry(&self, task: usize, wake: WakeFunction) -> Arc<Entry<P>> {
        Entry::new(&self.tasks[task], wake, false)
    }

    fn finish(&self, entry: &Entry<P>) {
        let Ok(()) = entry.finish_wait(|| Ok::<_, Infallible>(&self.queue));
    }

    fn is_done(&self) -> bool {
        self.event.load(&IS_DONE) != 0
    }

    /// `wait_event()`.
    fn wait_for_event(&self, entry: &Arc<Entry<P>>, task: usize) {
        loop {
            self.queue.prepare_to_wait(entry, Sleep::Uninterruptible);
            if self.is_done() {
                break;
            }
            self.tasks[task].schedule();
        }
        self.finish(entry);
    }

    /// A CPU that does this on the machine.
    fn cpu(self: &Arc<Self>, does: impl FnOnce(&Self) + Send + 'static) -> Cpu {
        let scene = Arc::clone(self);
        cpu(move || does(&scene))
    }
}

const WAKE_FUNCTIONS: [WakeFunction; 3] = [
    WakeFunction::Keep,
    WakeFunction::Autoremove,
    WakeFunction::Always,
];

fn an_event_wakes_who_waits_for_it<P: Checker>() {
    for wake in WAKE_FUNCTIONS {
        ends_well::<P>(move || {
            let scene = Scene::<P>::new(1);
            let waiter = scene.cpu(move |it| {
                it.wait_for_event(&it.entry(0, wake), 0);
                assert!(it.queue.is_empty());
            });
            let waker = scene.cpu(|it| {
                it.event.store(1, &DONE);
                it.queue.wake_up(Exclusive::All);
            });
            vec![waiter, waker]
        });
    }
}

fn a_waiter_that_looks_before_it_is_queued_sleeps_for_ever<P: Checker>() {
    deadlocks::<P>(|| {
        let scene = Scene::<P>::new(1);
        let waiter = scene.cpu(|it| {
            let entry = it.entry(0, WakeFunction::Autoremove);
            if !it.is_done() {
                it.queue.prepare_to_wait(&entry, Sleep::Uninterruptible);
                it.tasks[0].schedule();
                it.finish(&entry);
            }
        });
        let waker = scene.cpu(|it| {
            it.event.store(1, &DONE);
            it.queue.wake_up(Exclusive::All);
        });
        vec![waiter, waker]
    });
}

fn a_waker_that_wakes_before_the_event_loses_it<P: Checker>() {
    deadlocks::<P>(|| {
        let scene = Scene::<P>::new(1);
        let waiter = scene.cpu(|it| it.wait_for_event(&it.entry(0, WakeFunction::Autoremove), 0));
        let waker = scene.cpu(|it| {
            it.queue.wake_up(Exclusive::All);
            it.event.store(1, &DONE);
        });
        vec![waiter, waker]
    });
}

/// A task that sleeps until an event, which wakes it by its name.
fn by_name<P: Checker>() -> Vec<Cpu> {
    let scene = Scene::<P>::new(1);
    let sleeper = scene.cpu(|it| {
        it.tasks[0].set_current_state(Sleep::Uninterruptible);
        if it.event.load(&LOOK) == 0 {
            it.tasks[0].schedule();
        }
    });
    let waker = scene.cpu(|it| {
        it.event.store(1, &PUT);
        it.tasks[0].wake_up_process();
    });
    vec![sleeper, waker]
}

fn a_task_is_woken_without_a_queue<P: Checker>() {
    ends_well::<P>(by_name::<P>);
}

#[test]
fn both_barriers_are_needed_to_wake_a_task() {
    for barrier in [&SET_CURRENT_STATE_MB, &TTWU_MB] {
        mutated(relaxed(barrier), || deadlocks::<Loom>(by_name::<Loom>));
    }
}

/// A task that sleeps until it is woken, and then looks at what the waker did before that.
fn look_when_woken() -> Vec<Cpu> {
    let scene = Scene::<Loom>::new(1);
    let sleeper = scene.cpu(|it| {
        it.tasks[0].schedule();
        assert_eq!(it.data.load(&LOOK), 1, "the waker's store is missed");
    });
    let waker = scene.cpu(|it| {
        it.data.store(1, &PUT);
        assert!(it.tasks[0].wake_up_process());
    });
    scene.tasks[0].set_current_state(Sleep::Uninterruptible);
    vec![sleeper, waker]
}

#[test]
fn a_task_that_is_woken_sees_what_its_waker_did() {
    ends_well::<Loom>(look_when_woken);
    mutated(relaxed(&SCHEDULE_STATE), || {
        let panic = <Loom as Checker>::explore(look_when_woken).unwrap_or_default();
        assert!(panic.contains("is missed"), "{panic:?}");
    });
}

/// A task waits once; beside the queue's waker another one wakes it. Whether the entry was in the
/// queue still when the queue had woken, and the task asleep no more.
fn left_behind<P: Checker>(wake: WakeFunction) -> u32 {
    let left = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&left);
    ends_well::<P>(move || {
        let scene = Scene::<P>::new(1);
        let waiter = scene.cpu(move |it| {
            let entry = it.entry(0, wake);
            it.queue.prepare_to_wait(&entry, Sleep::Uninterruptible);
            it.event.store(1, &DONE);
            it.tasks[0].schedule();
            it.finish(&entry);
        });
        let other = scene.cpu(|it| {
            it.tasks[0].wake_up_process();
        });
        let seen = Arc::clone(&seen);
        let waker = scene.cpu(move |it| {
            // Until the task has been queued: if it has left by itself, there is nothing to see.
            while !it.is_done() {
                P::cpu_relax();
            }
            it.queue.wake_up(Exclusive::All);
            seen.fetch_add(u32::from(!it.queue.is_empty()), Relaxed);
        });
        vec![waiter, other, waker]
    });
    left.load(Relaxed)
}

/// What 10d20bd25e06 mends.
fn an_entry_stays_if_its_task_was_awake<P: Checker>() {
    assert_ne!(left_behind::<P>(WakeFunction::Autoremove), 0);
}

fn an_entry_leaves_always<P: Checker>() {
    assert_eq!(left_behind::<P>(WakeFunction::Always), 0);
}

fn a_kept_entry_is_the_waiters_to_take<P: Checker>() {
    assert_ne!(left_behind::<P>(WakeFunction::Keep), 0);
}

/// Two exclusive waiters and one that isn't are in the queue; those that a wake-up wakes.
fn woken<P: Checker>(exclusive: Exclusive) -> Vec<usize> {
    let woken = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&woken);
    ends_well::<P>(move || {
        let scene = Scene::<P>::new(3);
        let wakes = move |it: &Scene<P>| {
            for (task, is_exclusive) in [(0, true), (1, true), (2, false)] {
                let entry = Entry::new(&it.tasks[task], WakeFunction::Keep, is_exclusive);
                it.queue.prepare_to_wait(&entry, Sleep::Uninterruptible);
            }
            it.queue.wake_up(exclusive);
            let awake = |task: &usize| !it.tasks[*task].wake_up_process();
            (0..3).filter(awake).collect::<Vec<_>>()
        };
        let seen = Arc::clone(&seen);
        vec![scene.cpu(move |it| *seen.lock().unwrap() = wakes(it))]
    });
    let woken = woken.lock().unwrap();
    woken.clone()
}

fn all_are_woken_and_one_of_the_exclusive_ones<P: Checker>() {
    assert_eq!(woken::<P>(Exclusive::AtMost(1)), [0, 2], "the first one");
    assert_eq!(woken::<P>(Exclusive::AtMost(2)), [0, 1, 2]);
    assert_eq!(woken::<P>(Exclusive::All), [0, 1, 2]);
}

fn killed<P: Checker>(sleep: Sleep) -> Vec<Cpu> {
    let scene = Scene::<P>::new(1);
    scene.tasks[0].set_current_state(sleep);
    let sleeper = scene.cpu(|it| {
        it.tasks[0].schedule();
        assert!(it.tasks[0].fatal_signal_pending(), "woken by nothing");
    });
    let killer = scene.cpu(|it| {
        it.tasks[0].kill();
    });
    vec![sleeper, killer]
}

fn a_signal_wakes_a_killable_sleep_only<P: Checker>() {
    ends_well::<P>(|| killed::<P>(Sleep::Killable));
    deadlocks::<P>(|| killed::<P>(Sleep::Uninterruptible));
}

fn everyone_who_sleeps_on_a_key_is_woken<P: Checker>() {
    const KEY: usize = 64;
    ends_well::<P>(|| {
        let scene = Scene::<P>::new(0);
        let sleeper = || {
            scene.cpu(|it| {
                while !it.is_done() {
                    P::wait_on(KEY, || !it.is_done());
                }
            })
        };
        let (first, second) = (sleeper(), sleeper());
        let waker = scene.cpu(|it| {
            it.event.store(1, &DONE);
            P::wake_all(KEY);
        });
        vec![first, second, waker]
    });
}
