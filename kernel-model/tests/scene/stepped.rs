//! The machine itself, with one thing that happens at one step of the calling thread.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use kernel_model::folio::Counting;
use kernel_model::platform::{AtomicWord, Holds, Native, Platform, Site};

/// See the module.
pub(crate) struct Stepped;

/// What happens, and before an access at which site.
type Event = (&'static str, Box<dyn FnOnce()>);

thread_local! {
    static NEXT: RefCell<Option<Event>> = const { RefCell::new(None) };
}

/// Lets something happen just before the calling thread's next access at a site.
pub(crate) fn before(site: &'static str, happens: impl FnOnce() + 'static) {
    NEXT.set(Some((site, Box::new(happens))));
}

/// Whether it is still to happen.
pub(crate) fn is_pending() -> bool {
    NEXT.with_borrow(Option::is_some)
}

/// The step by which a scheme gets a reference.
pub(crate) fn get_step<P: Platform>(scheme: super::Scheme<P>) -> &'static str {
    match scheme.about().counting {
        Counting::Apart | Counting::PerPage => "ref_get_unless_zero",
        Counting::Fused => "fused_get",
    }
}

/// The last step of a scheme before a mapping is counted.
pub(crate) fn count_step<P: Platform>(scheme: super::Scheme<P>) -> &'static str {
    match (scheme.about().name, scheme.about().counting) {
        ("page-locked" | "page-locked-xfs" | "folio-batched", _) => "folio_trylock",
        (_, Counting::Apart | Counting::PerPage) => "mapcount_inc",
        // Reference and mapcount in one.
        (_, Counting::Fused) => "fused_get",
    }
}

/// The name of the step that goes to sleep.
pub(crate) const WAIT_ON: &str = "wait_on";

fn step(at: &str) {
    let due = NEXT.with_borrow_mut(|next| next.take_if(|(name, _)| *name == at));
    if let Some((_, happens)) = due {
        happens();
    }
}

impl Platform for Stepped {
    const NAME: &'static str = "stepped";
    const AUDIT: bool = false;
    const AUDIT_TAKES_LOCKS: bool = false;

    type AtomicU64 = SteppedAtomic;
    type SpinLock<T: Send + 'static> = <Native as Platform>::SpinLock<T>;
    type RwSemaphore<T: Send + Sync + 'static> = <Native as Platform>::RwSemaphore<T>;

    fn smp_mb(site: &'static Site) {
        Native::smp_mb(site);
    }

    fn smp_mb_after_atomic(site: &'static Site) {
        Native::smp_mb_after_atomic(site);
    }

    fn cpu_relax() {}

    fn wait_on(key: usize, still_needed: impl FnOnce() -> bool) {
        step(WAIT_ON);
        Native::wait_on(key, still_needed);
    }

    fn wake_one(key: usize, queue_is_empty: impl FnOnce()) {
        Native::wake_one(key, queue_is_empty);
    }
}

/// An atomic before whose accesses something may happen.
pub(crate) struct SteppedAtomic(AtomicU64);

impl AtomicWord for SteppedAtomic {
    fn new(_holds: Holds, value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    fn observe(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn load(&self, site: &'static Site) -> u64 {
        step(site.name);
        self.0.load(site.order)
    }

    fn store(&self, value: u64, site: &'static Site) {
        step(site.name);
        self.0.store(value, site.order);
    }

    fn fetch_add(&self, value: u64, site: &'static Site) -> u64 {
        step(site.name);
        self.0.fetch_add(value, site.order)
    }

    fn fetch_sub(&self, value: u64, site: &'static Site) -> u64 {
        step(site.name);
        self.0.fetch_sub(value, site.order)
    }

    fn fetch_or(&self, value: u64, site: &'static Site) -> u64 {
        step(site.name);
        self.0.fetch_or(value, site.order)
    }

    fn fetch_and(&self, value: u64, site: &'static Site) -> u64 {
        step(site.name);
        self.0.fetch_and(value, site.order)
    }

    fn compare_exchange(&self, old: u64, new: u64, site: &'static Site) -> bool {
        step(site.name);
        AtomicWord::compare_exchange(&self.0, old, new, site)
    }

    fn add_unless(&self, mask: u64, value: u64, site: &'static Site) -> bool {
        step(site.name);
        AtomicWord::add_unless(&self.0, mask, value, site)
    }
}
