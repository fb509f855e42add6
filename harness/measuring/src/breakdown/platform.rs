//! The platform of breakdowns: the machine, with each step counted or one of them made cheap.
//!
//! A machine on it is used by one thread only. That is what makes a locked instruction replaceable
//! by a plain load and store, and a lock by a store; so nothing in here leaves this module's
//! parent.

use std::cell::{RefCell, UnsafeCell};
use std::hint;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

use kernel_model::platform::{AtomicWord, Holds, Native, Platform, Site, SpinLock};

use super::steps::{Tally, number_of, number_of_lock, only_looks};

/// The machine itself, probed.
pub(super) struct Probed<const COUNTING: bool>;

/// Counts what the calling thread does.
pub(super) type Counted = Probed<true>;

/// Does one step cheaply, and everything else as [`Native`] does.
pub(super) type Ablated = Probed<false>;

/// The step that no site and no lock has.
const NO_STEP: u32 = 0;

thread_local! {
    /// The step that the calling thread does cheaply. Atomic, so that it is loaded and compared at
    /// each access: a compiler that knew it fixed would make a loop of its own for each step, and
    /// loops differ by more than their steps.
    static CHEAP: AtomicU32 = const { AtomicU32::new(NO_STEP) };
    static TALLY: RefCell<Tally> = const { RefCell::new(Tally::EMPTY) };
}

/// Runs `work` with one step done cheaply by this thread.
pub(super) fn ablating<T>(step: Option<u32>, work: impl FnOnce() -> T) -> T {
    CHEAP.with(|cheap| cheap.store(step.unwrap_or(NO_STEP), Relaxed));
    let result = work();
    CHEAP.with(|cheap| cheap.store(NO_STEP, Relaxed));
    result
}

/// Runs `work`; returns what it did on [`Counted`].
pub(super) fn counting(work: impl FnOnce()) -> Tally {
    TALLY.take();
    work();
    TALLY.take()
}

#[inline(always)]
fn is_cheap(step: u32) -> bool {
    CHEAP.with(|cheap| cheap.load(Relaxed)) == step
}

impl<const COUNTING: bool> Probed<COUNTING> {
    /// Comes to an access; returns whether it is to be made cheaply.
    #[inline(always)]
    fn access(site: &'static Site) -> bool {
        if COUNTING {
            TALLY.with_borrow_mut(|tally| tally.access(site));
            return false;
        }
        is_cheap(number_of(site))
    }

    /// Comes to an access that nothing can do without.
    #[inline(always)]
    fn need(site: &'static Site) {
        if COUNTING {
            TALLY.with_borrow_mut(|tally| tally.access(site));
        }
    }
}

impl<const COUNTING: bool> Platform for Probed<COUNTING> {
    const NAME: &'static str = "probed";
    const AUDIT: bool = false;
    const AUDIT_TAKES_LOCKS: bool = false;

    type AtomicU64 = ProbedWord<COUNTING>;
    type SpinLock<T: Send + 'static> = ProbedLock<T, COUNTING>;
    type RwSemaphore<T: Send + Sync + 'static> = <Native as Platform>::RwSemaphore<T>;

    #[inline(always)]
    fn smp_mb(site: &'static Site) {
        if !Self::access(site) {
            Native::smp_mb(site);
        }
    }

    #[inline(always)]
    fn smp_mb_after_atomic(site: &'static Site) {
        if !Self::access(site) {
            Native::smp_mb_after_atomic(site);
        }
    }

    #[inline(always)]
    fn cpu_relax() {
        Native::cpu_relax();
    }

    fn wait_on(key: usize, still_needed: impl FnOnce() -> bool) {
        Native::wait_on(key, still_needed);
    }

    fn wake_one(key: usize, queue_is_empty: impl FnOnce()) {
        Native::wake_one(key, queue_is_empty);
    }

    /// Only what looks: a read-modify-write that is a check, too, is made cheaply and not left out.
    #[inline(always)]
    fn left_out(check: &'static Site) -> bool {
        if !only_looks(check) {
            return false;
        }
        if COUNTING {
            TALLY.with_borrow_mut(|tally| tally.check(check));
            return false;
        }
        is_cheap(number_of(check))
    }
}

/// An atomic whose read-modify-writes can be plain loads and stores.
#[repr(transparent)]
pub(super) struct ProbedWord<const COUNTING: bool>(AtomicU64);

impl<const COUNTING: bool> ProbedWord<COUNTING> {
    #[inline(always)]
    pub(super) fn rmw(
        &self,
        site: &'static Site,
        plain: impl FnOnce(u64) -> u64,
        locked: impl FnOnce(&AtomicU64) -> u64,
    ) -> u64 {
        if !Probed::<COUNTING>::access(site) {
            return locked(&self.0);
        }
        let before = self.0.load(Relaxed);
        self.0.store(plain(before), Relaxed);
        before
    }
}

impl<const COUNTING: bool> AtomicWord for ProbedWord<COUNTING> {
    fn new(_holds: Holds, value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    #[inline(always)]
    fn observe(&self) -> u64 {
        self.0.load(Relaxed)
    }

    #[inline(always)]
    fn load(&self, site: &'static Site) -> u64 {
        Probed::<COUNTING>::need(site);
        self.0.load(site.order)
    }

    #[inline(always)]
    fn store(&self, value: u64, site: &'static Site) {
        Probed::<COUNTING>::need(site);
        self.0.store(value, site.order);
    }

    #[inline(always)]
    fn fetch_add(&self, value: u64, site: &'static Site) -> u64 {
        let plain = |before: u64| before.wrapping_add(value);
        self.rmw(site, plain, |word| word.fetch_add(value, site.order))
    }

    #[inline(always)]
    fn fetch_sub(&self, value: u64, site: &'static Site) -> u64 {
        let plain = |before: u64| before.wrapping_sub(value);
        self.rmw(site, plain, |word| word.fetch_sub(value, site.order))
    }

    #[inline(always)]
    fn fetch_or(&self, value: u64, site: &'static Site) -> u64 {
        // The locked instruction's result must not meet the plain one's before it has been looked
        // at, or else x86 has a loop here where Native has `lock bts`; a pause, which no CPU comes
        // to without a second thread, holds the two apart. The other bits hold still for the same
        // reason.
        let others = self.0.load(Relaxed) & !value;
        let plain = |before| before | value;
        let locked = |word: &AtomicU64| {
            let was_set = word.fetch_or(value, site.order) & value;
            if was_set != 0 {
                hint::spin_loop();
            }
            was_set
        };
        self.rmw(site, plain, locked) | others
    }

    #[inline(always)]
    fn fetch_and(&self, value: u64, site: &'static Site) -> u64 {
        let plain = |before| before & value;
        self.rmw(site, plain, |word| word.fetch_and(value, site.order))
    }

    #[inline(always)]
    fn compare_exchange(&self, old: u64, new: u64, site: &'static Site) -> bool {
        if !Probed::<COUNTING>::access(site) {
            return AtomicWord::compare_exchange(&self.0, old, new, site);
        }
        let is_there = self.0.load(Relaxed) == old;
        if is_there {
            self.0.store(new, Relaxed);
        }
        is_there
    }

    #[inline(always)]
    fn add_unless(&self, mask: u64, value: u64, site: &'static Site) -> bool {
        if !Probed::<COUNTING>::access(site) {
            return AtomicWord::add_unless(&self.0, mask, value, site);
        }
        let before = self.0.load(Relaxed);
        let adds = before & mask != 0;
        if adds {
            self.0.store(before + value, Relaxed);
        }
        adds
    }
}

/// [`Native`]'s spinlock again, one compare-exchange to take and one store to release, that knows
/// its class.
pub(super) struct ProbedLock<T, const COUNTING: bool> {
    class: &'static str,
    number: u32,
    locked: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through a guard only, and there is one guard at a time: only one
// caller changes the flag from false to true (acquire), and only that caller's guard sets it back
// (release). A lock that is taken cheaply is taken by the only thread that uses it.
unsafe impl<T: Send, const COUNTING: bool> Sync for ProbedLock<T, COUNTING> {}

impl<T, const COUNTING: bool> ProbedLock<T, COUNTING> {
    #[inline(always)]
    fn try_take(&self) -> bool {
        self.locked
            .compare_exchange(false, true, Acquire, Relaxed)
            .is_ok()
    }
}

impl<T: Send + 'static, const COUNTING: bool> SpinLock<T> for ProbedLock<T, COUNTING> {
    type Guard<'a> = ProbedGuard<'a, T, COUNTING>;

    fn new(class: &'static str, value: T) -> Self {
        Self {
            class,
            number: number_of_lock(class),
            locked: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    #[inline(always)]
    fn lock(&self) -> Self::Guard<'_> {
        if COUNTING {
            TALLY.with_borrow_mut(|tally| tally.lock(self.class));
        }
        if !COUNTING && is_cheap(self.number) && !self.locked.load(Relaxed) {
            self.locked.store(true, Relaxed);
        } else {
            while !self.try_take() {
                hint::spin_loop();
            }
        }
        ProbedGuard {
            lock: self,
            value: PhantomData,
        }
    }

    fn try_lock(&self) -> Option<Self::Guard<'_>> {
        self.try_take().then(|| ProbedGuard {
            lock: self,
            value: PhantomData,
        })
    }
}

/// Holds a [`ProbedLock`].
pub(super) struct ProbedGuard<'a, T, const COUNTING: bool> {
    lock: &'a ProbedLock<T, COUNTING>,
    value: PhantomData<&'a mut T>,
}

impl<T, const COUNTING: bool> Deref for ProbedGuard<'_, T, COUNTING> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the guard's existence is the lock's being held.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T, const COUNTING: bool> DerefMut for ProbedGuard<'_, T, COUNTING> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T, const COUNTING: bool> Drop for ProbedGuard<'_, T, COUNTING> {
    #[inline(always)]
    fn drop(&mut self) {
        self.lock.locked.store(false, Release);
    }
}
