//! Any platform, with stops of a random length at random sites, so that narrow race windows open.
//!
//! The code under it is the same; what changes is how long a thread may stand between two of its
//! accesses. Checks can be left out by name, to see that the audit notices.

use std::cell::{Cell, RefCell};
use std::hint;
use std::marker::PhantomData;
use std::sync::Arc;
use std::thread;

use super::{AtomicWord, Platform, Site};

/// `P`, audited, with random stops.
#[derive(Debug)]
pub struct Jittered<P>(PhantomData<P>);

/// How the calling thread stops, and which checks it leaves out.
#[derive(Debug, Clone, Default)]
pub struct Jitter {
    /// Where the thread's stops come from. Zero: it doesn't stop.
    pub seed: u64,
    /// Names of the sites whose checks are left out.
    pub left_out: Arc<[String]>,
}

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0) };
    static LEFT_OUT: RefCell<Arc<[String]>> = RefCell::new(Arc::from([]));
}

/// One site in this many stops the thread for a moment …
const STOP_EVERY: u64 = 24;
/// … and one stop in this many gives the CPU away, which is longer than any spin.
const YIELD_EVERY: u64 = 8;
/// The longest spin, as a power of two of spin-loop hints.
const LONGEST_SPIN_BITS: u64 = 9;

impl Jitter {
    /// Makes this the behaviour of the calling thread.
    pub fn enter(self) {
        STATE.set(self.seed);
        LEFT_OUT.set(self.left_out);
    }

    #[inline]
    fn maybe_stop() {
        let mut state = STATE.get();
        if state == 0 {
            return;
        }
        // xorshift64: fast, never zero, and good enough to pick moments.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        STATE.set(state);
        let draw = state >> 16;
        if draw.is_multiple_of(STOP_EVERY) {
            Self::stop(draw / STOP_EVERY);
        }
    }

    #[cold]
    fn stop(draw: u64) {
        if draw.is_multiple_of(YIELD_EVERY) {
            thread::yield_now();
            return;
        }
        // Lengths spread evenly over the powers of two: races have windows of every width.
        let bits = (draw / YIELD_EVERY) % (LONGEST_SPIN_BITS + 1);
        for _ in 0..1_u64 << bits {
            hint::spin_loop();
        }
    }
}

impl<P: Platform> Platform for Jittered<P> {
    const NAME: &'static str = "jittered";
    const AUDIT: bool = true;

    type AtomicU64 = JitteredAtomic<P>;
    type SpinLock<T: Send + 'static> = P::SpinLock<T>;
    type RwSemaphore<T: Send + Sync + 'static> = P::RwSemaphore<T>;

    fn smp_mb(site: &'static Site) {
        P::smp_mb(site);
    }

    fn smp_mb_after_atomic(site: &'static Site) {
        P::smp_mb_after_atomic(site);
    }

    fn cpu_relax() {
        P::cpu_relax();
    }

    fn wait_on(key: usize, still_needed: impl FnOnce() -> bool) {
        P::wait_on(key, still_needed);
    }

    fn wake_one(key: usize, queue_is_empty: impl FnOnce()) {
        P::wake_one(key, queue_is_empty);
    }

    fn left_out(check: &'static Site) -> bool {
        LEFT_OUT.with_borrow(|names| names.iter().any(|name| name == check.name))
    }
}

/// An atomic of `P` before whose accesses the thread may stop.
#[derive(Debug)]
pub struct JitteredAtomic<P: Platform>(P::AtomicU64);

impl<P: Platform> AtomicWord for JitteredAtomic<P> {
    fn new(value: u64) -> Self {
        Self(P::AtomicU64::new(value))
    }

    fn load(&self, site: &'static Site) -> u64 {
        Jitter::maybe_stop();
        self.0.load(site)
    }

    fn store(&self, value: u64, site: &'static Site) {
        Jitter::maybe_stop();
        self.0.store(value, site);
    }

    fn fetch_add(&self, value: u64, site: &'static Site) -> u64 {
        Jitter::maybe_stop();
        self.0.fetch_add(value, site)
    }

    fn fetch_sub(&self, value: u64, site: &'static Site) -> u64 {
        Jitter::maybe_stop();
        self.0.fetch_sub(value, site)
    }

    fn fetch_or(&self, value: u64, site: &'static Site) -> u64 {
        Jitter::maybe_stop();
        self.0.fetch_or(value, site)
    }

    fn fetch_and(&self, value: u64, site: &'static Site) -> u64 {
        Jitter::maybe_stop();
        self.0.fetch_and(value, site)
    }

    fn compare_exchange(&self, current: u64, new: u64, site: &'static Site) -> Result<u64, u64> {
        Jitter::maybe_stop();
        self.0.compare_exchange(current, new, site)
    }
}
