//! The machine itself: `core::sync::atomic`, a spinning lock, and `parking_lot`'s hashed parking
//! lot, which is the shape of the kernel's folio wait table.

use std::hint;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::thread;

use parking_lot::lock_api::{GuardSend, Mutex, MutexGuard, RawMutex};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use parking_lot_core::{DEFAULT_PARK_TOKEN, DEFAULT_UNPARK_TOKEN, UnparkResult};

use super::{AtomicWord, Holds, Platform, RwSemaphore, Site, SpinLock};

/// The platform that is measured. Costs nothing: each operation is the standard library's with a
/// constant ordering.
#[derive(Debug, Clone, Copy)]
pub struct Native;

impl Platform for Native {
    const NAME: &'static str = "native";
    const AUDIT: bool = false;
    const AUDIT_TAKES_LOCKS: bool = false;

    type AtomicU64 = AtomicU64;
    type SpinLock<T: Send + 'static> = Mutex<RawSpinLock, T>;
    type RwSemaphore<T: Send + Sync + 'static> = RwLock<T>;

    #[inline(always)]
    fn smp_mb(site: &'static Site) {
        fence(site.order);
    }

    #[inline(always)]
    fn smp_mb_after_atomic(site: &'static Site) {
        // On x86 every locked read-modify-write is a full barrier, so that all that is left to do
        // is to keep the compiler from moving accesses across it. A fence would cost an mfence.
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        std::sync::atomic::compiler_fence(site.order);
        #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
        fence(site.order);
    }

    #[inline(always)]
    fn cpu_relax() {
        hint::spin_loop();
    }

    fn wait_on(key: usize, still_needed: impl FnOnce() -> bool) {
        // SAFETY: the key is the address of a folio of a type-stable memory map or of a task's
        // state, which outlive all sleepers and are used by no other lock; the callbacks neither
        // park nor panic.
        unsafe {
            parking_lot_core::park(
                key,
                still_needed,
                || (),
                |_, _| (),
                DEFAULT_PARK_TOKEN,
                None,
            );
        }
    }

    fn wake_one(key: usize, queue_is_empty: impl FnOnce()) {
        let callback = |result: UnparkResult| {
            if !result.have_more_threads {
                queue_is_empty();
            }
            DEFAULT_UNPARK_TOKEN
        };
        // SAFETY: as for `wait_on()`: the key is a folio's or a task's own, and the callback stores
        // to an atomic at most.
        unsafe {
            parking_lot_core::unpark_one(key, callback);
        }
    }
}

impl AtomicWord for AtomicU64 {
    #[inline(always)]
    fn new(_holds: Holds, value: u64) -> Self {
        Self::new(value)
    }

    #[inline(always)]
    fn observe(&self) -> u64 {
        self.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn load(&self, site: &'static Site) -> u64 {
        self.load(site.order)
    }

    #[inline(always)]
    fn store(&self, value: u64, site: &'static Site) {
        self.store(value, site.order);
    }

    #[inline(always)]
    fn fetch_add(&self, value: u64, site: &'static Site) -> u64 {
        self.fetch_add(value, site.order)
    }

    #[inline(always)]
    fn fetch_sub(&self, value: u64, site: &'static Site) -> u64 {
        self.fetch_sub(value, site.order)
    }

    #[inline(always)]
    fn fetch_or(&self, value: u64, site: &'static Site) -> u64 {
        self.fetch_or(value, site.order)
    }

    #[inline(always)]
    fn fetch_and(&self, value: u64, site: &'static Site) -> u64 {
        self.fetch_and(value, site.order)
    }

    #[inline(always)]
    fn compare_exchange(&self, old: u64, new: u64, site: &'static Site) -> bool {
        self.compare_exchange(old, new, site.order, Ordering::Relaxed)
            .is_ok()
    }

    #[inline(always)]
    fn add_unless(&self, mask: u64, value: u64, site: &'static Site) -> bool {
        let mut now = self.load(Ordering::Relaxed);
        while now & mask != 0 {
            match self.compare_exchange(now, now + value, site.order, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(newer) => now = newer,
            }
        }
        false
    }
}

/// A test-and-test-and-set lock: one compare-exchange to take, one plain store to release, which
/// are the costs of the kernel's queued spinlock without contention. Unlike that one it isn't
/// fair, and a waiter gives its CPU away after a while, since the holder may have been preempted,
/// which the kernel would have forbidden.
pub struct RawSpinLock(AtomicBool);

/// Spins before a waiter gives its CPU away: some 20 µs, a few times the longest hold.
const SPINS_BEFORE_YIELD: u32 = 512;

impl RawSpinLock {
    #[inline(always)]
    fn take(&self) -> bool {
        // Acquire pairs with the release in `unlock()`.
        self.0
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    #[cold]
    fn lock_contended(&self) {
        loop {
            for _ in 0..SPINS_BEFORE_YIELD {
                hint::spin_loop();
                if !self.0.load(Ordering::Relaxed) && self.take() {
                    return;
                }
            }
            thread::yield_now();
        }
    }
}

// SAFETY: only one caller can change the flag from false to true (acquire), and only the guard of
// that caller sets it back (release), so that at most one guard exists at a time.
unsafe impl RawMutex for RawSpinLock {
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "lock_api asks for an initial value of this form"
    )]
    const INIT: Self = Self(AtomicBool::new(false));
    type Guard = GuardSend;

    #[inline(always)]
    fn lock(&self) -> GuardSend {
        if !self.take() {
            self.lock_contended();
        }
        GuardSend::new()
    }

    #[inline(always)]
    fn try_lock(&self) -> Option<GuardSend> {
        self.take().then(GuardSend::new)
    }

    #[inline(always)]
    unsafe fn unlock(&self, _guard: GuardSend) {
        // Release pairs with the acquire in `take()`.
        self.0.store(false, Ordering::Release);
    }

    fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<T: Send + 'static> SpinLock<T> for Mutex<RawSpinLock, T> {
    type Guard<'a> = MutexGuard<'a, RawSpinLock, T>;

    fn new(_class: &'static str, value: T) -> Self {
        Self::new(value)
    }

    #[inline(always)]
    fn lock(&self) -> Self::Guard<'_> {
        self.lock()
    }

    #[inline]
    fn try_lock(&self) -> Option<Self::Guard<'_>> {
        self.try_lock()
    }
}

impl<T: Send + Sync + 'static> RwSemaphore<T> for RwLock<T> {
    type ReadGuard<'a> = RwLockReadGuard<'a, T>;
    type WriteGuard<'a> = HandingOver<'a, T>;

    fn new(_class: &'static str, value: T) -> Self {
        Self::new(value)
    }

    #[inline]
    fn read(&self) -> Self::ReadGuard<'_> {
        self.read()
    }

    #[inline]
    fn try_read(&self) -> Option<Self::ReadGuard<'_>> {
        self.try_read()
    }

    #[inline]
    fn write(&self) -> Self::WriteGuard<'_> {
        HandingOver(Some(self.write()))
    }

    #[inline]
    fn try_write(&self) -> Option<Self::WriteGuard<'_>> {
        self.try_write().map(|held| HandingOver(Some(held)))
    }
}

/// A semaphore held exclusively, and handed to those who wait when it is let go, as `up_write()`
/// does (`rwsem_mark_wake()` grants the lock to the readers at the head of the queue before it
/// returns). Without that, a remover that comes back at once would starve all fillers.
pub struct HandingOver<'a, T>(Option<RwLockWriteGuard<'a, T>>);

const HELD: &str = "the guard is only taken in drop()";

impl<T> Deref for HandingOver<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        self.0.as_ref().expect(HELD)
    }
}

impl<T> DerefMut for HandingOver<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect(HELD)
    }
}

impl<T> Drop for HandingOver<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(guard) = self.0.take() {
            RwLockWriteGuard::unlock_fair(guard);
        }
    }
}
