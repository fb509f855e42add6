//! RCU under a checker: sections are bookkeeping, and two words order what RCU orders.
//!
//! The begin of a section reads the word that `call_rcu()` writes, so that a section which isn't
//! waited for sees what came before the call. The end of one writes the other word, which is read
//! before a callback runs. No section is ordered against another section: that would hide bugs.
//! All are read-modify-writes, by which the checker sees that they conflict. Callbacks run as early
//! as they may, which is the worst that can happen to a reader.

use std::cell::RefCell;
use std::mem;
use std::sync::atomic::Ordering::{Acquire, Release};

use super::Holds;
use crate::platform::{AtomicWord, Site};

const RCU_READ_LOCK: Site = Site::rmw("rcu_read_lock", Acquire, "rcu_read_lock()", "call_rcu");
const RCU_READ_UNLOCK: Site = Site::rmw(
    "rcu_read_unlock",
    Release,
    "rcu_read_unlock()",
    "rcu_callback",
);
const CALL_RCU: Site = Site::rmw("call_rcu", Release, "call_rcu()", "rcu_read_lock");
const RCU_CALLBACK: Site = Site::rmw("rcu_callback", Acquire, "rcu_do_batch()", "rcu_read_unlock");

/// A callback, and the CPUs whose sections it waits for.
struct Callback {
    waits_for: Vec<Option<u32>>,
    run: Box<dyn FnOnce()>,
}

/// The RCU of one execution.
pub(super) struct Rcu<W> {
    called: W,
    ended: W,
    /// The CPUs that are in a section; the thread that sets up and audits has no number.
    sections: RefCell<Vec<Option<u32>>>,
    callbacks: RefCell<Vec<Callback>>,
}

// No borrow is held across an access of the checker's, at which another thread may go on.
impl<W: AtomicWord> Rcu<W> {
    pub(super) fn new() -> Self {
        Self {
            called: W::new(Holds::Rcu, 0),
            ended: W::new(Holds::Rcu, 0),
            sections: RefCell::default(),
            callbacks: RefCell::default(),
        }
    }

    pub(super) fn read_lock(&self, cpu: Option<u32>) {
        self.called.fetch_add(0, &RCU_READ_LOCK);
        let mut sections = self.sections.borrow_mut();
        debug_assert!(!sections.contains(&cpu), "sections don't nest");
        sections.push(cpu);
    }

    pub(super) fn read_unlock(&self, cpu: Option<u32>) {
        self.ended.fetch_add(0, &RCU_READ_UNLOCK);
        self.sections.borrow_mut().retain(|other| *other != cpu);
        let mut callbacks = self.callbacks.borrow_mut();
        for callback in callbacks.iter_mut() {
            callback.waits_for.retain(|other| *other != cpu);
        }
        let (ready, waiting) = mem::take(&mut *callbacks)
            .into_iter()
            .partition(|callback| callback.waits_for.is_empty());
        *callbacks = waiting;
        drop(callbacks);
        self.run(ready);
    }

    pub(super) fn call(&self, run: Box<dyn FnOnce()>) {
        self.called.fetch_add(1, &CALL_RCU);
        let waits_for = self.sections.borrow().clone();
        let callback = Callback { waits_for, run };
        if callback.waits_for.is_empty() {
            self.run(vec![callback]);
        } else {
            self.callbacks.borrow_mut().push(callback);
        }
    }

    fn run(&self, ready: Vec<Callback>) {
        for callback in ready {
            self.ended.fetch_add(0, &RCU_CALLBACK);
            (callback.run)();
        }
    }
}
