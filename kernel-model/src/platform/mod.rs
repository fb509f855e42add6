//! What the model runs on: its atomics, fences, locks and sleeping.
//!
//! Every scheme and every remover is written once, generic over [`Platform`]. [`Native`] is the
//! machine itself and is what is measured; [`Jittered`] is any other platform with threads that run
//! in turns ([`Relay`]) or stop at random, and is what is audited; `Loom` and `Shuttle`, behind the
//! feature `check`, are model checkers; [`Burdened`] is the machine with the work that the
//! model leaves out. A virtual-time simulator would be one more implementation of the same trait.
//! Each access names a [`Site`], and each lock is an object of the platform: a checker must see one
//! lock, not the loop that spins on it.

use std::ops::{Deref, DerefMut};

mod burdened;
#[cfg(feature = "check")]
pub mod checked;
mod jittered;
mod native;
mod relay;
mod site;
mod step;
mod work;

pub use burdened::{Burden, Burdened, TURN};
#[cfg(feature = "check")]
pub use checked::{Loom, Shuttle};
pub use jittered::{Jitter, Jittered};
pub use native::Native;
pub use relay::{Leg, Relay, Why};
pub use site::{Access, Site};
pub use step::{Holds, Note, Step, What, Word};
pub use work::Work;

/// Supplies atomics, fences, locks and sleeping to the model.
pub trait Platform: Sized + Send + Sync + 'static {
    /// The name that reports use.
    const NAME: &'static str;

    /// Whether zaps and removers check the invariants as they go. A constant, so that a platform
    /// that doesn't audit carries no trace of it.
    const AUDIT: bool;

    /// Whether an audit may take locks of the model. It waits for their holders and comes
    /// after them, which is harmless among many threads of a machine; a checker would lose the
    /// very executions that it is there to explore.
    const AUDIT_TAKES_LOCKS: bool;

    /// Whether [`Platform::work`] does anything. A constant, so that a platform on which it doesn't
    /// has nothing of what is kept for it.
    const WORKS: bool = false;

    /// A 64-bit atomic. The only width: mixed-size accesses have no meaning in any memory model
    /// that a checker could apply.
    type AtomicU64: AtomicWord;

    /// A lock that never sleeps in the kernel: PTE-table lock, PMD lock, `xa_lock`, zone lock.
    type SpinLock<T: Send + 'static>: SpinLock<T>;

    /// A lock that sleeps: `i_mmap_rwsem`, `invalidate_lock`, `i_rwsem`.
    type RwSemaphore<T: Send + Sync + 'static>: RwSemaphore<T>;

    /// A full barrier that is complete in itself (`smp_mb()`).
    fn smp_mb(site: &'static Site);

    /// Turns the read-modify-write just before it into a full barrier
    /// (`smp_mb__after_atomic()`). Costs nothing where a locked instruction is one already (x86).
    fn smp_mb_after_atomic(site: &'static Site);

    /// Tells the CPU (or the checker) that the caller is spinning.
    fn cpu_relax();

    /// Sleeps in the hashed wait queue of `key`, if `still_needed` holds with the queue locked.
    ///
    /// May return early; the caller tests its condition again.
    fn wait_on(key: usize, still_needed: impl FnOnce() -> bool);

    /// Wakes the first sleeper in `key`'s wait queue. `queue_is_empty` runs with the queue locked
    /// if none is left after it.
    fn wake_one(key: usize, queue_is_empty: impl FnOnce());

    /// Wakes all who sleep in `key`'s wait queue, one after the other. What they wait for must have
    /// been done: one that sleeps again would be woken again.
    fn wake_all(key: usize) {
        let mut is_empty = false;
        while !is_empty {
            Self::wake_one(key, || is_empty = true);
        }
    }

    /// Whether a check is left out of this run: a mutation, named by the site that it reads.
    ///
    /// A scheme asks before each check that it makes for the sake of a race. On a platform that is
    /// measured the answer is a constant `false`.
    #[inline(always)]
    fn left_out(_check: &'static Site) -> bool {
        false
    }

    /// Says before a machine is made whether its folios keep their two counts in words of their
    /// own, as the kernel does. A platform that is measured keeps the halves of one word, which
    /// cost the same and are ordered no more weakly; one that checks does as it is told.
    fn keep_counts_apart(_apart: bool) {}

    /// Whether folios keep their counts in words of their own.
    #[inline(always)]
    fn counts_are_apart() -> bool {
        false
    }

    /// Says before a machine is made that what it frees for RCU's readers is freed while threads
    /// run. A checker does so then; each section costs it executions.
    fn use_rcu() {}

    /// Whether grace periods of RCU end while threads run. Where they don't, nothing must be given
    /// to [`Self::call_rcu`], and sections cost nothing.
    #[inline(always)]
    fn has_rcu() -> bool {
        false
    }

    /// Begins a read-side section of RCU (`rcu_read_lock()`). Sections of a thread don't nest.
    #[inline(always)]
    fn rcu_read_lock() {}

    /// Ends it (`rcu_read_unlock()`).
    #[inline(always)]
    fn rcu_read_unlock() {}

    /// Calls `callback` when all sections have ended that have begun (`call_rcu()`), at once if
    /// there are none, in whichever thread ends the last. The caller holds no lock.
    fn call_rcu(_callback: impl FnOnce() + 'static) {
        unreachable!("only where there are grace periods");
    }

    /// Tells lockdep that the calling thread takes a lock of the model's own, such as a folio's:
    /// before it does where it waits, and else when it has. Such locks are taken under each other,
    /// in an order that lockdep doesn't know: that of a file's offsets.
    #[inline(always)]
    fn lock_acquire(_class: &'static str, _waits: bool) {}

    /// Tells lockdep that the calling thread lets it go.
    #[inline(always)]
    fn lock_release(_class: &'static str) {}

    /// Tells a tracer of the calling thread what it has just done, beyond its atomics and locks.
    #[inline(always)]
    fn note(_note: impl FnOnce() -> Note) {}

    /// Does what the kernel does here and the model leaves out, so many times.
    #[inline(always)]
    fn work(_kind: Work, _times: u32) {}
}

/// A 64-bit atomic with the standard library's operations, each at a named [`Site`].
pub trait AtomicWord: Send + Sync {
    /// A new atomic with `value` in it; `holds` says what that means.
    fn new(holds: Holds, value: u64) -> Self;
    /// The newest value, for audits and messages: no access of the model, and ordered by nothing.
    fn observe(&self) -> u64;
    /// Reads the value.
    fn load(&self, site: &'static Site) -> u64;
    /// Writes `value`.
    fn store(&self, value: u64, site: &'static Site);
    /// Adds `value`; returns what was there before.
    fn fetch_add(&self, value: u64, site: &'static Site) -> u64;
    /// Subtracts `value`; returns what was there before.
    fn fetch_sub(&self, value: u64, site: &'static Site) -> u64;
    /// Sets the bits of `value`; returns what was there before.
    fn fetch_or(&self, value: u64, site: &'static Site) -> u64;
    /// Keeps only the bits of `value`; returns what was there before.
    fn fetch_and(&self, value: u64, site: &'static Site) -> u64;
    /// Writes `new` if `old` is there; returns whether it was. Orders nothing where it wasn't.
    fn compare_exchange(&self, old: u64, new: u64, site: &'static Site) -> bool;
    /// Adds `value` unless the bits of `mask` are all 0; returns whether it did
    /// (`atomic_add_unless()`). One read-modify-write to a checker, a loop on a machine; orders
    /// nothing where it doesn't add.
    fn add_unless(&self, mask: u64, value: u64, site: &'static Site) -> bool;
}

/// A mutual exclusion lock around a value. `class` is its name, in lockdep's sense.
pub trait SpinLock<T>: Send + Sync {
    /// Holds the lock.
    type Guard<'a>: DerefMut<Target = T>
    where
        Self: 'a;
    /// A free lock around `value`.
    fn new(class: &'static str, value: T) -> Self;
    /// Takes the lock.
    fn lock(&self) -> Self::Guard<'_>;
    /// Takes the lock if it is free (`spin_trylock()`).
    fn try_lock(&self) -> Option<Self::Guard<'_>>;
}

/// A lock that is held shared or exclusively. `class` is its name, in lockdep's sense.
pub trait RwSemaphore<T>: Send + Sync {
    /// Holds the lock shared.
    type ReadGuard<'a>: Deref<Target = T>
    where
        Self: 'a;
    /// Holds the lock exclusively.
    type WriteGuard<'a>: DerefMut<Target = T>
    where
        Self: 'a;
    /// A free lock around `value`.
    fn new(class: &'static str, value: T) -> Self;
    /// Takes the lock shared (`down_read()`).
    fn read(&self) -> Self::ReadGuard<'_>;
    /// Takes the lock shared if that needs no waiting (`down_read_trylock()`).
    fn try_read(&self) -> Option<Self::ReadGuard<'_>>;
    /// Takes the lock exclusively (`down_write()`).
    fn write(&self) -> Self::WriteGuard<'_>;
    /// The same under another lock of the class, `subclass` being how deep
    /// (`down_write_nested()`). Only lockdep makes a difference.
    fn write_nested(&self, _subclass: u8) -> Self::WriteGuard<'_> {
        self.write()
    }
    /// Takes the lock exclusively if it is free (`down_write_trylock()`).
    fn try_write(&self) -> Option<Self::WriteGuard<'_>>;
}
