//! `wait-queue` and its kin: a fault in the hole sleeps in a queue whose head is on the puncher's
//! stack, to which `i_private` points.
//!
//! Right is that because the pointer is dereferenced, and cleared, under `i_lock` only; because
//! clearing and waking are one section, so that no fault is queued after the wake-up; and because
//! every entry is off the queue when the wake-up is over, so that nothing leads a fault that wakes
//! up back to a head that is gone. The last point took until 10d20bd25e06: a wake-up used to leave
//! the entry of a task that was awake already.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::platform::{AtomicWord, Platform, Site, SpinLock};
use crate::race::{Scheme, Verdict};
use crate::shmem_punch::family::{HOLE_NOT_EMPTY, KILLED, OVERTAKEN_FAULT, WOKEN};
use crate::shmem_punch::{Gate, NO_USE_AFTER_RETURN, Punch, ShmemPunch, Task, Tmpfs};
use crate::stack::{Frame, FramePointer};
use crate::wait_queue::{Entry, Exclusive, Sleep, WakeFunction};

/// Publishes a puncher's frame.
pub(super) const FALLOC_PUBLISH: Site = Site::store(
    "falloc_publish",
    Relaxed,
    "inode->i_private = &shmem_falloc",
    "falloc_read, through i_lock; falloc_peek, through the page's lock",
);
/// Takes it back.
pub(super) const FALLOC_CLEAR: Site = Site::store(
    "falloc_clear",
    Relaxed,
    "inode->i_private = NULL",
    "falloc_read, through i_lock",
);
/// Looks whether there is one, without a lock. A fault that misses it creates one page too late.
pub(super) const FALLOC_PEEK: Site = Site::load(
    "falloc_peek",
    Relaxed,
    "if (unlikely(inode->i_private))",
    "falloc_publish, through the lock of a page that has been seen to be gone",
);
/// Reads the pointer again with `i_lock` held. Left out, the first look's value is used.
pub(super) const FALLOC_READ: Site = Site::load(
    "falloc_read",
    Relaxed,
    "shmem_falloc = inode->i_private",
    "falloc_publish and falloc_clear, through i_lock",
);
/// Dereferences it.
pub(super) const FALLOC_DEREF: Site = Site::load(
    "falloc_deref",
    Relaxed,
    "shmem_falloc->waitq, ->start, ->next",
    "nothing: i_lock keeps the frame",
);
/// Locks the queue's head to leave it.
pub(super) const FINISH_DEREF: Site = Site::load(
    "finish_deref",
    Relaxed,
    "finish_wait(shmem_falloc_waitq)",
    "nothing: i_lock keeps the frame",
);
/// Leaves the queue under `i_lock`.
pub(super) const FINISH_ILOCK: Site = Site::load(
    "finish_ilock",
    Relaxed,
    "spin_lock(&inode->i_lock) around finish_wait()",
    "clear_ilock",
);
/// Clears the pointer and wakes those who wait under `i_lock`.
pub(super) const CLEAR_ILOCK: Site = Site::load(
    "clear_ilock",
    Relaxed,
    "spin_lock(&inode->i_lock) around the wake-up",
    "falloc_read and finish_ilock",
);
/// Clears before it wakes, in one section. Left out, it wakes in one and clears in another.
pub(super) const CLEAR_THEN_WAKE: Site = Site::load(
    "clear_then_wake",
    Relaxed,
    "i_private = NULL before wake_up_all()",
    "falloc_read: nobody is queued after the wake-up",
);

const SITES: &[&Site] = &[
    &FALLOC_PUBLISH,
    &FALLOC_CLEAR,
    &FALLOC_PEEK,
    &FALLOC_READ,
    &FALLOC_DEREF,
    &FINISH_DEREF,
    &FINISH_ILOCK,
    &CLEAR_ILOCK,
    &CLEAR_THEN_WAKE,
];
const CHECKS: &[&Site] = &[&FALLOC_READ, &FINISH_ILOCK, &CLEAR_ILOCK, &CLEAR_THEN_WAKE];

/// See the module.
#[derive(Debug)]
pub(super) struct OnStack {
    about: &'static Scheme,
    sleep: Sleep,
    wake: WakeFunction,
    /// Whether a fault that has waited goes on.
    once: bool,
}

/// As of 10d20bd25e06.
pub(super) const WAIT_QUEUE: OnStack = OnStack {
    about: &Scheme {
        name: "wait-queue",
        lineage: "Linux 4.9 to 6.12",
        summary: "a fault sleeps in a queue on the puncher's stack; a wake-up empties the queue",
        verdict: Verdict::Sound {
            why: "every entry is off the queue, under i_lock, before its head is gone",
        },
        shows: &[OVERTAKEN_FAULT, HOLE_NOT_EMPTY],
        sites: SITES,
        own_checks: CHECKS,
    },
    sleep: Sleep::Uninterruptible,
    wake: WakeFunction::Always,
    once: false,
};

/// The same, and a fault that has waited goes on.
pub(super) const WAIT_QUEUE_ONCE: OnStack = OnStack {
    about: &Scheme {
        name: "wait-queue-once",
        lineage: "this suite",
        summary: "as wait-queue; a fault that has waited for one punch goes on into the next",
        verdict: Verdict::Sound {
            why: "a page that is created too late is as harmless as one from before the punch",
        },
        shows: &[HOLE_NOT_EMPTY],
        sites: SITES,
        own_checks: CHECKS,
    },
    once: true,
    ..WAIT_QUEUE
};

/// As of 8e205f779d14.
pub(super) const WAIT_QUEUE_2014: OnStack = OnStack {
    about: &Scheme {
        name: "wait-queue-2014",
        lineage: "Dickins, 8e205f779d14 of Jul 2014 (3.16 to 4.8)",
        summary: "as wait-queue; a wake-up leaves the entry of a task that is awake already",
        verdict: Verdict::Broken {
            on: &[(WOKEN, &[NO_USE_AFTER_RETURN])],
            why: "a fault that something else woke finds its entry in a queue whose head is gone",
        },
        shows: &[OVERTAKEN_FAULT, HOLE_NOT_EMPTY],
        sites: SITES,
        own_checks: CHECKS,
    },
    wake: WakeFunction::Autoremove,
    ..WAIT_QUEUE
};

/// As it was posted.
pub(super) const WAIT_QUEUE_KILLABLE: OnStack = OnStack {
    about: &Scheme {
        name: "wait-queue-killable",
        lineage: "Dickins, 15 Jul 2014, as posted",
        summary: "as wait-queue-2014; a fatal signal wakes a fault, too",
        verdict: Verdict::Broken {
            on: &[
                (WOKEN, &[NO_USE_AFTER_RETURN]),
                (KILLED, &[NO_USE_AFTER_RETURN]),
            ],
            why: "a fault that was killed finds its entry in a queue whose head is gone",
        },
        shows: &[OVERTAKEN_FAULT, HOLE_NOT_EMPTY],
        sites: SITES,
        own_checks: CHECKS,
    },
    sleep: Sleep::Killable,
    ..WAIT_QUEUE_2014
};

impl<P: Platform> ShmemPunch<P> for OnStack {
    fn about(&self) -> &'static Scheme {
        self.about
    }

    fn before_fault(&self, tmpfs: &Tmpfs<P>, index: u64, task: &mut Task<P>) -> Gate {
        if self.once && task.waited_for.is_some() {
            return Gate::Go;
        }
        let peeked = tmpfs.i_private(&FALLOC_PEEK);
        if peeked.is_null() {
            return Gate::Go;
        }
        let held = tmpfs.i_lock.lock();
        let pointer = match P::left_out(&FALLOC_READ) {
            true => peeked,
            false => tmpfs.i_private(&FALLOC_READ),
        };
        let entry = Entry::new(&task.state, self.wake, false);
        if pointer.is_null() || !tmpfs.queues(pointer, index, &entry, self.sleep) {
            return Gate::Go;
        }
        drop(held);
        tmpfs.sleep_in(pointer, &entry, task);
        Gate::Retry
    }

    fn punching(&self, punch: &Punch<'_, P>, passes: &mut dyn FnMut()) {
        with_frame(punch, passes);
    }
}

impl<P: Platform> Tmpfs<P> {
    /// The frame at a pointer, for one access; tells if it is none.
    fn frame(&self, pointer: FramePointer, site: &'static Site) -> Option<&Frame<P>> {
        let frame = self.frames.deref(pointer, site);
        frame
            .map_err(|wrong| self.violated(NO_USE_AFTER_RETURN, wrong.to_string()))
            .ok()
    }

    /// Puts an entry in the queue of a frame if the page is in its range; returns whether it is.
    pub(super) fn queues(
        &self,
        pointer: FramePointer,
        index: u64,
        entry: &Arc<Entry<P>>,
        sleep: Sleep,
    ) -> bool {
        let Some(frame) = self.frame(pointer, &FALLOC_DEREF) else {
            return false;
        };
        let range = frame.start.load(&FALLOC_DEREF)..frame.next.load(&FALLOC_DEREF);
        let is_in = range.contains(&index);
        if is_in {
            frame.waitq.prepare_to_wait(entry, sleep);
        }
        is_in
    }

    /// Sleeps until a punch is over, and leaves its queue.
    pub(super) fn sleep_in(&self, pointer: FramePointer, entry: &Entry<P>, task: &mut Task<P>) {
        task.faults.waits += 1;
        if task.waited_for.is_some_and(|before| before != pointer) {
            task.faults.overtaken += 1;
            P::note(|| crate::platform::Note::Graded(OVERTAKEN_FAULT));
        }
        task.waited_for = Some(pointer);
        task.state.schedule();
        let _held = (!P::left_out(&FINISH_ILOCK)).then(|| self.i_lock.lock());
        let queue = || {
            self.frame(pointer, &FINISH_DEREF)
                .map(|it| &it.waitq)
                .ok_or(())
        };
        // What is wrong with it has been told.
        let _ = entry.finish_wait(queue);
    }
}

/// Runs the passes of a punch with its frame in `i_private`.
pub(super) fn with_frame<P: Platform>(punch: &Punch<'_, P>, passes: &mut dyn FnMut()) {
    let tmpfs = punch.tmpfs;
    let pointer = tmpfs
        .frames
        .enter(punch.place, punch.range.start, punch.range.end);
    let held = tmpfs.i_lock.lock();
    tmpfs.i_private.store(pointer.to_word(), &FALLOC_PUBLISH);
    drop(held);
    passes();
    let lock = || (!P::left_out(&CLEAR_ILOCK)).then(|| tmpfs.i_lock.lock());
    let clear = || {
        tmpfs
            .i_private
            .store(FramePointer::NULL.to_word(), &FALLOC_CLEAR)
    };
    let wake = || {
        let own = tmpfs.frame(pointer, &FALLOC_DEREF).expect("its own frame");
        own.waitq.wake_up(Exclusive::All);
    };
    let held = lock();
    if P::left_out(&CLEAR_THEN_WAKE) {
        wake();
        drop(held);
        let _held = lock();
        clear();
    } else {
        clear();
        wake();
        drop(held);
    }
    tmpfs.frames.leave(pointer);
}
