//! Frames of stacks under the checkers: use after return is a race that is seen.

mod explored;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use explored::{Checker, Cpu, cpu, ends_well, under_both};
use kernel_model::platform::{AtomicWord, Holds, Loom, Platform, Site, SpinLock};
use kernel_model::stack::{FramePointer, Frames, UseAfterReturn};
use kernel_model::wait_queue::{Entry, Exclusive, Sleep, TaskState, WakeFunction};

static PUBLISH: Site = Site::store("publish", Release, "rcu_assign_pointer()", "peek");
static PEEK: Site = Site::load("peek", Acquire, "rcu_dereference()", "publish");
static PEEK_PLAIN: Site = Site::load("peek_plain", Relaxed, "a plain load", "nothing");
static DEREF: Site = Site::load("deref", Relaxed, "frame->start", "nothing");

under_both![
    a_frame_is_used_while_it_lives,
    a_pointer_without_a_lock_outlives_the_frame,
    the_next_operation_has_the_same_place,
    a_woken_waiter_takes_its_entry_out_of_a_dead_frame,
];

/// A file whose puncher's frame can be found (`i_lock`, `inode->i_private`).
struct Inode<P: Platform> {
    frames: Frames<P>,
    i_lock: P::SpinLock<()>,
    i_private: P::AtomicU64,
    task: Arc<TaskState<P>>,
    /// What went wrong.
    wrong: Arc<Wrong>,
}

type Wrong = Mutex<Vec<UseAfterReturn>>;

impl<P: Platform> Inode<P> {
    fn new(wrong: &Arc<Wrong>) -> Arc<Self> {
        Arc::new(Self {
            frames: Frames::new(2),
            i_lock: SpinLock::new("i_lock", ()),
            i_private: P::AtomicU64::new(Holds::Contents, FramePointer::NULL.to_word()),
            task: Arc::default(),
            wrong: Arc::clone(wrong),
        })
    }

    fn pointer(&self, site: &'static Site) -> FramePointer {
        FramePointer::of_word(self.i_private.load(site))
    }

    fn enter(&self, start: u64) -> FramePointer {
        let pointer = self.frames.enter(1, start, start + 1);
        let _held = self.i_lock.lock();
        self.i_private.store(pointer.to_word(), &PUBLISH);
        pointer
    }

    fn clear(&self) {
        self.i_private.store(FramePointer::NULL.to_word(), &PUBLISH);
    }

    fn punch(&self, start: u64) {
        let pointer = self.enter(start);
        let held = self.i_lock.lock();
        self.clear();
        drop(held);
        self.frames.leave(pointer);
    }

    /// Reads a field of the frame at a pointer.
    fn start(&self, pointer: FramePointer) -> Option<u64> {
        let frame = self.frames.deref(pointer, &DEREF);
        frame
            .map(|frame| frame.start.load(&DEREF))
            .map_err(|wrong| self.wrong.lock().unwrap().push(wrong))
            .ok()
    }

    fn cpu(self: &Arc<Self>, does: impl FnOnce(&Self) + Send + 'static) -> Cpu {
        let inode = Arc::clone(self);
        cpu(move || does(&inode))
    }
}

/// All that goes wrong in any execution of these CPUs.
fn wrong<P: Checker>(cpus: fn(&Arc<Inode<P>>) -> Vec<Cpu>) -> Vec<UseAfterReturn> {
    let wrong = Arc::new(Wrong::default());
    let seen = Arc::clone(&wrong);
    ends_well::<P>(move || cpus(&Inode::new(&seen)));
    std::mem::take(&mut *wrong.lock().unwrap())
}

fn a_frame_is_used_while_it_lives<P: Checker>() {
    let found = wrong::<P>(|inode| {
        let fault = inode.cpu(|it| {
            let held = it.i_lock.lock();
            let pointer = it.pointer(&PEEK);
            if !pointer.is_null() {
                assert_eq!(it.start(pointer), Some(7));
            }
            drop(held);
        });
        vec![inode.cpu(|it| it.punch(7)), fault]
    });
    assert_eq!(found, []);
}

fn a_pointer_without_a_lock_outlives_the_frame<P: Checker>() {
    let found = wrong::<P>(|inode| {
        let fault = inode.cpu(|it| {
            let first = it.pointer(&PEEK);
            if !first.is_null() {
                // Loaded anew, as a compiler may.
                it.start(it.pointer(&PEEK));
                it.start(first);
            }
        });
        vec![inode.cpu(|it| it.punch(7)), fault]
    });
    let dead = UseAfterReturn::Returned {
        place: 1,
        generation: 1,
        now: None,
    };
    assert!(found.contains(&UseAfterReturn::Null), "{found:?}");
    assert!(found.contains(&dead), "{found:?}");
    assert_eq!(
        dead.to_string(),
        "frame 1 of operation 1 is used after its return"
    );
}

fn the_next_operation_has_the_same_place<P: Checker>() {
    let found = wrong::<P>(|inode| {
        let fault = inode.cpu(|it| {
            let pointer = it.pointer(&PEEK);
            if !pointer.is_null() {
                it.start(pointer);
            }
        });
        let puncher = inode.cpu(|it| {
            it.punch(7);
            it.punch(9);
        });
        vec![puncher, fault]
    });
    let reused = UseAfterReturn::Returned {
        place: 1,
        generation: 1,
        now: Some(2),
    };
    assert!(found.contains(&reused), "{found:?}");
    assert_eq!(
        reused.to_string(),
        "frame 1 of operation 1 is used after its return, when it is operation 2's"
    );
}

/// An address that is loaded orders what is loaded from it, which Loom doesn't know.
#[test]
fn a_value_from_before_the_call_is_no_use_after_return() {
    let found = wrong::<Loom>(|inode| {
        let fault = inode.cpu(|it| {
            let pointer = it.pointer(&PEEK_PLAIN);
            if !pointer.is_null() {
                it.start(pointer);
            }
        });
        let puncher = inode.cpu(|it| {
            it.enter(7);
        });
        vec![puncher, fault]
    });
    assert_eq!(found, []);
}

/// The fault that waits for a punch, as of 8e205f779d14: what may go wrong with each wake function
/// if somebody else wakes the task.
fn waiting<P: Checker>(inode: &Arc<Inode<P>>, wake: WakeFunction) -> Vec<Cpu> {
    let fault = inode.cpu(move |it| {
        let entry = Entry::new(&it.task, wake, false);
        let held = it.i_lock.lock();
        let pointer = it.pointer(&PEEK);
        let Ok(frame) = it.frames.deref(pointer, &DEREF) else {
            return;
        };
        frame.waitq.prepare_to_wait(&entry, Sleep::Uninterruptible);
        drop(held);
        it.task.schedule();
        let _held = it.i_lock.lock();
        let queue = || it.frames.deref(pointer, &DEREF).map(|frame| &frame.waitq);
        let finished = entry.finish_wait(queue);
        it.wrong.lock().unwrap().extend(finished.err());
    });
    let pointer = inode.enter(7);
    let puncher = inode.cpu(move |it| {
        let held = it.i_lock.lock();
        it.clear();
        let frame = it.frames.deref(pointer, &DEREF).expect("its own");
        frame.waitq.wake_up(Exclusive::All);
        drop(held);
        it.frames.leave(pointer);
    });
    let other = inode.cpu(|it| {
        it.task.wake_up_process();
    });
    vec![fault, puncher, other]
}

fn a_woken_waiter_takes_its_entry_out_of_a_dead_frame<P: Checker>() {
    let found = wrong::<P>(|inode| waiting(inode, WakeFunction::Autoremove));
    assert!(
        matches!(found[..], [UseAfterReturn::Returned { .. }, ..]),
        "{found:?}"
    );
    let found = wrong::<P>(|inode| waiting(inode, WakeFunction::Always));
    assert_eq!(found, []);
}
