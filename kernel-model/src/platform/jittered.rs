//! Any platform, with stops of a random length at random sites, so that narrow race windows open,
//! or with two threads that run in turns ([`Relay`](super::Relay)).
//!
//! The code under it is the same; what changes is how long a thread may stand between two of its
//! accesses. Checks can be left out by name, to see that the audit notices.

use std::cell::{Cell, RefCell};
use std::hint;
use std::marker::PhantomData;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{AtomicWord, Holds, Note, Platform, RwSemaphore, Site, SpinLock, Work, relay};

/// `P`, audited, with random stops.
#[derive(Debug)]
pub struct Jittered<P>(PhantomData<P>);

/// How the calling thread stops, and which checks it leaves out.
#[derive(Debug, Clone, Default)]
pub struct Jitter {
    /// Where the thread's stops come from. Zero: it doesn't stop.
    pub seed: u64,
    /// Whether a stop sleeps. Where all threads share one CPU, a thread that spins stops everybody.
    pub sleeps: bool,
    /// Names of the sites whose checks are left out.
    pub left_out: Arc<[String]>,
}

/// Where a thread's stops come from, and which sites it stops at for now.
#[derive(Debug, Clone, Copy)]
struct Stops {
    /// Zero: the thread doesn't stop.
    random: u64,
    /// Accesses until it turns to other sites.
    left: u32,
    /// The class of sites that it stops at.
    focus: u64,
    sleeps: bool,
}

thread_local! {
    static STOPS: Cell<Stops> = const { Cell::new(Stops { random: 0, left: 0, focus: 0, sleeps: false }) };
    static LEFT_OUT: RefCell<Arc<[String]>> = RefCell::new(Arc::from([]));
}

/// Accesses after which a thread turns to another class of sites.
///
/// A thread that stopped at every site alike would be slow everywhere, and so would the others:
/// their windows would keep their proportions. A race needs one thread that stands at one place
/// while another runs through all of its own.
const TURN_AFTER: u32 = 512;
/// Classes that sites fall into; a site in the class that has its turn stops the thread …
const CLASSES: u64 = 16;
/// … once in this many times …
const STOP_EVERY: u64 = 4;
/// … and one stop in this many gives the CPU away, which is longer than any spin.
const YIELD_EVERY: u64 = 16;
/// The shortest and the longest spin, as powers of two of spin-loop hints.
const SPIN_BITS: std::ops::RangeInclusive<u64> = 3..=11;

impl Jitter {
    /// Makes this the behaviour of the calling thread.
    pub fn enter(self) {
        STOPS.set(Stops {
            random: self.seed,
            left: 0,
            focus: 0,
            sleeps: self.sleeps,
        });
        LEFT_OUT.set(self.left_out);
    }

    #[inline]
    fn maybe_stop(site: &'static Site) {
        if relay::before(site.name) {
            return;
        }
        let mut stops = STOPS.get();
        if stops.random == 0 {
            return;
        }
        // xorshift64: fast, never zero, and good enough to pick moments.
        stops.random ^= stops.random << 13;
        stops.random ^= stops.random >> 7;
        stops.random ^= stops.random << 17;
        let draw = stops.random >> 16;
        if stops.left == 0 {
            stops.left = TURN_AFTER;
            // Every other turn has no sites: the thread runs, for those that stand.
            stops.focus = draw % (2 * CLASSES);
        }
        stops.left -= 1;
        STOPS.set(stops);
        let class = site.number % CLASSES;
        if class == stops.focus && draw.is_multiple_of(STOP_EVERY) {
            Self::stop(draw / STOP_EVERY, stops.sleeps);
        }
    }

    #[cold]
    fn stop(draw: u64, sleeps: bool) {
        if sleeps {
            // As short as the system's timers allow.
            thread::sleep(Duration::from_nanos(1));
            return;
        }
        if draw.is_multiple_of(YIELD_EVERY) {
            thread::yield_now();
            return;
        }
        // Lengths spread evenly over the powers of two: races have windows of every width.
        let lengths = SPIN_BITS.end() - SPIN_BITS.start() + 1;
        let bits = SPIN_BITS.start() + (draw / YIELD_EVERY) % lengths;
        for _ in 0..1_u64 << bits {
            hint::spin_loop();
        }
    }
}

impl<P: Platform> Platform for Jittered<P> {
    const NAME: &'static str = "jittered";
    const AUDIT: bool = true;
    const AUDIT_TAKES_LOCKS: bool = true;
    const WORKS: bool = P::WORKS;

    type AtomicU64 = JitteredAtomic<P>;
    type SpinLock<T: Send + 'static> = JitteredLock<P::SpinLock<T>>;
    type RwSemaphore<T: Send + Sync + 'static> = JitteredLock<P::RwSemaphore<T>>;

    fn smp_mb(site: &'static Site) {
        P::smp_mb(site);
    }

    fn smp_mb_after_atomic(site: &'static Site) {
        P::smp_mb_after_atomic(site);
    }

    fn cpu_relax() {
        if !relay::relax() {
            P::cpu_relax();
        }
    }

    fn wait_on(key: usize, still_needed: impl FnOnce() -> bool) {
        if relay::is_running() {
            relay::wait_on(key, still_needed);
        } else {
            P::wait_on(key, still_needed);
        }
    }

    fn wake_one(key: usize, queue_is_empty: impl FnOnce()) {
        if relay::is_running() {
            relay::wake_one(key, queue_is_empty);
        } else {
            P::wake_one(key, queue_is_empty);
        }
    }

    fn has_rcu() -> bool {
        P::has_rcu()
    }

    fn rcu_read_lock() {
        P::rcu_read_lock();
    }

    fn rcu_read_unlock() {
        P::rcu_read_unlock();
    }

    fn call_rcu(callback: impl FnOnce() + 'static) {
        P::call_rcu(callback);
    }

    fn left_out(check: &'static Site) -> bool {
        LEFT_OUT.with_borrow(|names| names.iter().any(|name| name == check.name))
    }

    fn note(note: impl FnOnce() -> Note) {
        P::note(note);
    }

    fn work(kind: Work, times: u32) {
        P::work(kind, times);
    }
}

/// An atomic of `P` before whose accesses the thread may stop.
#[derive(Debug)]
pub struct JitteredAtomic<P: Platform>(P::AtomicU64);

impl<P: Platform> AtomicWord for JitteredAtomic<P> {
    fn new(holds: Holds, value: u64) -> Self {
        Self(P::AtomicU64::new(holds, value))
    }

    fn observe(&self) -> u64 {
        self.0.observe()
    }

    fn load(&self, site: &'static Site) -> u64 {
        Jitter::maybe_stop(site);
        self.0.load(site)
    }

    fn store(&self, value: u64, site: &'static Site) {
        Jitter::maybe_stop(site);
        self.0.store(value, site);
    }

    fn fetch_add(&self, value: u64, site: &'static Site) -> u64 {
        Jitter::maybe_stop(site);
        self.0.fetch_add(value, site)
    }

    fn fetch_sub(&self, value: u64, site: &'static Site) -> u64 {
        Jitter::maybe_stop(site);
        self.0.fetch_sub(value, site)
    }

    fn fetch_or(&self, value: u64, site: &'static Site) -> u64 {
        Jitter::maybe_stop(site);
        self.0.fetch_or(value, site)
    }

    fn fetch_and(&self, value: u64, site: &'static Site) -> u64 {
        Jitter::maybe_stop(site);
        self.0.fetch_and(value, site)
    }

    fn compare_exchange(&self, old: u64, new: u64, site: &'static Site) -> bool {
        Jitter::maybe_stop(site);
        self.0.compare_exchange(old, new, site)
    }

    fn add_unless(&self, mask: u64, value: u64, site: &'static Site) -> bool {
        Jitter::maybe_stop(site);
        self.0.add_unless(mask, value, site)
    }
}

/// A lock of `P` before which a thread that runs in turns may stand, and at which it never waits in
/// its own turn.
#[derive(Debug)]
pub struct JitteredLock<L> {
    class: &'static str,
    lock: L,
}

impl<T: Send + 'static, L: SpinLock<T>> SpinLock<T> for JitteredLock<L> {
    type Guard<'a>
        = L::Guard<'a>
    where
        L: 'a;

    fn new(class: &'static str, value: T) -> Self {
        let lock = L::new(class, value);
        Self { class, lock }
    }

    fn lock(&self) -> Self::Guard<'_> {
        match relay::is_running() {
            true => relay::acquire(self.class, || self.lock.try_lock()),
            false => self.lock.lock(),
        }
    }

    fn try_lock(&self) -> Option<Self::Guard<'_>> {
        relay::before(self.class);
        self.lock.try_lock()
    }
}

impl<T: Send + Sync + 'static, L: RwSemaphore<T>> RwSemaphore<T> for JitteredLock<L> {
    type ReadGuard<'a>
        = L::ReadGuard<'a>
    where
        L: 'a;
    type WriteGuard<'a>
        = L::WriteGuard<'a>
    where
        L: 'a;

    fn new(class: &'static str, value: T) -> Self {
        let lock = L::new(class, value);
        Self { class, lock }
    }

    fn read(&self) -> Self::ReadGuard<'_> {
        match relay::is_running() {
            true => relay::acquire(self.class, || self.lock.try_read()),
            false => self.lock.read(),
        }
    }

    fn try_read(&self) -> Option<Self::ReadGuard<'_>> {
        relay::before(self.class);
        self.lock.try_read()
    }

    fn write(&self) -> Self::WriteGuard<'_> {
        match relay::is_running() {
            true => relay::acquire(self.class, || self.lock.try_write()),
            false => self.lock.write(),
        }
    }

    fn try_write(&self) -> Option<Self::WriteGuard<'_>> {
        relay::before(self.class);
        self.lock.try_write()
    }
}
