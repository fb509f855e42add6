//! What Loom has to be told of races, so that it leaves out no execution.
//!
//! Loom 0.7 goes through executions by partial order reduction: it tries another order where two
//! accesses race. Of each word it remembers the last access, by which a store finds what it races
//! with. A load by the storing thread itself hides an earlier load by another thread there, and
//! that race goes unnoticed: of a load against a load followed by a store it explores one order.
//!
//! So each thread's loads of a word get an object of their own, which it touches before it loads,
//! and which every store touches, too. The object is a condition variable that no thread waits for:
//! touching it orders nothing, but is an access that Loom sees.

use std::sync::OnceLock;

use loom::sync::Condvar;

use super::is_racing;

/// CPUs that a scenario has at most: as many threads as Loom allows beside the first.
const CPUS: usize = loom::MAX_THREADS - 1;

/// The CPUs that have loaded a word.
#[derive(Default)]
pub(super) struct Races([OnceLock<Condvar>; CPUS]);

impl Races {
    /// The calling CPU is about to load the word.
    pub(super) fn loads(&self, cpu: fn() -> Option<u32>) {
        if is_racing()
            && let Some(cpu) = cpu()
        {
            touch(self.0[cpu as usize].get_or_init(Condvar::new));
        }
    }

    /// The calling CPU is about to store to the word, or to modify it.
    pub(super) fn stores(&self, cpu: fn() -> Option<u32>) {
        if !is_racing() || self.0.iter().all(|loads| loads.get().is_none()) {
            return;
        }
        let Some(own) = cpu() else { return };
        for (other, loads) in (0..).zip(&self.0) {
            if let Some(loads) = loads.get()
                && other != own
            {
                touch(loads);
            }
        }
    }
}

fn touch(object: &Condvar) {
    object.notify_one();
}
