//! Wait queues among threads of the machine: a task that waits for its turn gets it.

mod scene;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread;

use kernel_model::platform::{AtomicWord, Holds, Platform, Site};
use kernel_model::wait_queue::{Entry, Exclusive, Sleep, TaskState, WaitQueue, WakeFunction};

use scene::{jitter, on_both_platforms};

on_both_platforms! {
    crate::scene::once: [
        tasks_have_their_turns,
    ]
}

static TURN: Site = Site::store("turn", Release, "smp_store_release()", "whose_turn");
static WHOSE_TURN: Site = Site::load("whose_turn", Acquire, "smp_load_acquire()", "turn");

const TASKS: u64 = 3;
const TURNS: u64 = 3_000;

fn tasks_have_their_turns<P: Platform>() {
    let queue = WaitQueue::<P>::new("queue");
    let turn = P::AtomicU64::new(Holds::Contents, 0);
    let take_turns = |number: u64, wake| {
        jitter(number + 1);
        let task = Arc::new(TaskState::<P>::new());
        for own in (number..TURNS).step_by(TASKS as usize) {
            let entry = Entry::new(&task, wake, false);
            loop {
                queue.prepare_to_wait(&entry, Sleep::Uninterruptible);
                if turn.load(&WHOSE_TURN) == own {
                    break;
                }
                task.schedule();
            }
            let Ok(()) = entry.finish_wait(|| Ok::<_, Infallible>(&queue));
            turn.store(own + 1, &TURN);
            queue.wake_up(Exclusive::All);
        }
    };
    let wakes = [
        WakeFunction::Keep,
        WakeFunction::Autoremove,
        WakeFunction::Always,
    ];
    thread::scope(|scope| {
        for (number, wake) in (0..).zip(wakes) {
            let take_turns = &take_turns;
            scope.spawn(move || take_turns(number, wake));
        }
    });
    assert_eq!(turn.load(&WHOSE_TURN), TURNS);
    assert!(queue.is_empty());
}
