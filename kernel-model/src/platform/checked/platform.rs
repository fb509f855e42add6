//! The platform over either checker: both mirror the standard library's names.

/// Makes a platform `$platform` over the crate `$checker`.
macro_rules! checked_platform {
    ($(#[$doc:meta])* $platform:ident, $name:literal, $checker:ident, $races:ident) => {
        use std::cell::RefCell;
        use std::collections::VecDeque;
        use std::ops::{Deref, DerefMut};
        use std::rc::Rc;
        use std::sync::Arc;
        use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64 as Newest, Ordering::{Acquire, Relaxed, Release}};

        use $checker::sync::atomic::{AtomicU64, fence};
        use $checker::sync::{Mutex, MutexGuard};
        use $checker::thread;

        use super::lockdep::{self, Class, Listed};
        use super::{is_left_out, keep, loaded, number, order_of, stored};
        use super::$races::Races;
        use super::rcu::Rcu;
        use crate::platform::{
            AtomicWord, Holds, Note, Platform, Site, SpinLock, What, Word,
        };

        checked_semaphore! { $checker }

        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $platform;

        /// The CPU that the calling thread stands for: its name is the number.
        fn cpu() -> Option<u32> {
            thread::current().name()?.parse().ok()
        }

        fn step(what: impl FnOnce() -> What) {
            keep(cpu, what);
        }

        fn barrier(site: &'static Site) {
            let order = order_of(site);
            if order != Relaxed {
                fence(order);
                step(|| What::Fence(site));
            } else {
                step(|| What::NoFence(site));
            }
        }

        impl Platform for $platform {
            const NAME: &'static str = $name;
            const AUDIT: bool = true;
            const AUDIT_TAKES_LOCKS: bool = false;

            type AtomicU64 = CheckedWord;
            type SpinLock<T: Send + 'static> = CheckedSpinLock<T>;
            type RwSemaphore<T: Send + Sync + 'static> = CheckedRwSemaphore<T>;

            fn smp_mb(site: &'static Site) {
                barrier(site);
            }

            fn smp_mb_after_atomic(site: &'static Site) {
                barrier(site);
            }

            fn cpu_relax() {
                thread::yield_now();
            }

            fn wait_on(key: usize, still_needed: impl FnOnce() -> bool) {
                let queue = WaitQueue::of(key);
                let mut sleepers = lock(&queue.0);
                if !still_needed() {
                    return;
                }
                step(|| What::Sleeps);
                let sleeper = Sleeper::new();
                sleepers.push_back(Arc::clone(&sleeper));
                drop(sleepers);
                sleeper.sleep();
            }

            fn wake_one(key: usize, queue_is_empty: impl FnOnce()) {
                let queue = WaitQueue::of(key);
                let mut sleepers = lock(&queue.0);
                let first = sleepers.pop_front();
                if sleepers.is_empty() {
                    queue_is_empty();
                }
                if first.is_some() {
                    step(|| What::Wakes);
                }
                drop(sleepers);
                if let Some(sleeper) = first {
                    sleeper.wake();
                }
            }

            fn left_out(check: &'static Site) -> bool {
                let left_out = is_left_out(check);
                if left_out {
                    step(|| What::LeftOut(check));
                }
                left_out
            }

            fn keep_counts_apart(apart: bool) {
                super::COUNTS_APART.set(apart);
            }

            fn counts_are_apart() -> bool {
                super::COUNTS_APART.get()
            }

            fn use_rcu() {
                RCU.set(Some(Rc::new(Rcu::new())));
            }

            fn has_rcu() -> bool {
                RCU.with_borrow(Option::is_some)
            }

            fn rcu_read_lock() {
                if let Some(rcu) = rcu() {
                    rcu.read_lock(cpu());
                }
            }

            fn rcu_read_unlock() {
                if let Some(rcu) = rcu() {
                    rcu.read_unlock(cpu());
                }
            }

            fn call_rcu(callback: impl FnOnce() + 'static) {
                rcu().expect("it is used").call(Box::new(callback));
            }

            fn lock_acquire(class: &'static str, waits: bool) {
                let class = Class::new(class);
                let listed = match waits {
                    true => lockdep::takes_nested(cpu(), class),
                    false => lockdep::has_taken(cpu(), class),
                };
                // Until it is let go.
                std::mem::forget(listed);
            }

            fn lock_release(class: &'static str) {
                lockdep::releases(cpu(), Class::new(class));
            }

            fn note(note: impl FnOnce() -> Note) {
                step(|| What::Note(note()));
            }
        }

        /// An atomic of the checker's, with the newest value beside it for observers.
        pub struct CheckedWord {
            word: Word,
            atomic: AtomicU64,
            /// All threads of a checker run on one of the system's: nothing orders it, and nothing
            /// has to.
            newest: Newest,
            /// Values that were stored while several threads ran.
            stores: AtomicU32,
            races: Races,
        }

        impl CheckedWord {
            fn replace(&self, new: u64) -> u64 {
                stored(&self.stores);
                self.newest.swap(new, Relaxed)
            }

            fn modify(
                &self,
                site: &'static Site,
                access: impl FnOnce(&AtomicU64) -> u64,
                change: impl FnOnce(u64) -> u64,
            ) -> u64 {
                self.races.stores(cpu);
                let old = access(&self.atomic);
                let new = change(old);
                self.replace(new);
                step(|| What::Rmw { site, word: self.word, old, new });
                old
            }
        }

        impl AtomicWord for CheckedWord {
            fn new(holds: Holds, value: u64) -> Self {
                Self {
                    word: number(holds),
                    atomic: AtomicU64::new(value),
                    newest: Newest::new(value),
                    stores: AtomicU32::new(0),
                    races: Races::default(),
                }
            }

            fn observe(&self) -> u64 {
                self.newest.load(Relaxed)
            }

            fn load(&self, site: &'static Site) -> u64 {
                loaded(&self.stores);
                self.races.loads(cpu);
                let got = self.atomic.load(order_of(site));
                let newest = self.observe();
                step(|| What::Load { site, word: self.word, got, newest });
                got
            }

            fn store(&self, value: u64, site: &'static Site) {
                self.races.stores(cpu);
                self.atomic.store(value, order_of(site));
                let old = self.replace(value);
                step(|| What::Store { site, word: self.word, old, new: value });
            }

            fn fetch_add(&self, value: u64, site: &'static Site) -> u64 {
                let order = order_of(site);
                self.modify(site, |it| it.fetch_add(value, order), |old| old.wrapping_add(value))
            }

            fn fetch_sub(&self, value: u64, site: &'static Site) -> u64 {
                let order = order_of(site);
                self.modify(site, |it| it.fetch_sub(value, order), |old| old.wrapping_sub(value))
            }

            fn fetch_or(&self, value: u64, site: &'static Site) -> u64 {
                let order = order_of(site);
                self.modify(site, |it| it.fetch_or(value, order), |old| old | value)
            }

            fn fetch_and(&self, value: u64, site: &'static Site) -> u64 {
                let order = order_of(site);
                self.modify(site, |it| it.fetch_and(value, order), |old| old & value)
            }

            fn compare_exchange(&self, old: u64, new: u64, site: &'static Site) -> bool {
                self.races.stores(cpu);
                let exchange = self.atomic.compare_exchange(old, new, order_of(site), Relaxed);
                let (old, new) = match exchange {
                    Ok(_) => (old, new),
                    Err(there) => (there, there),
                };
                if exchange.is_ok() {
                    self.replace(new);
                }
                step(|| What::Rmw { site, word: self.word, old, new });
                exchange.is_ok()
            }

            fn add_unless(&self, mask: u64, value: u64, site: &'static Site) -> bool {
                // The newest value is what a read-modify-write will get, unless another thread
                // comes first; then it is tried again. A load instead would only make the checker
                // try all the values that are too old to be exchanged.
                loop {
                    self.races.stores(cpu);
                    let old = self.observe();
                    if old & mask != 0 {
                        let new = old.wrapping_add(value);
                        let exchange =
                            self.atomic.compare_exchange(old, new, order_of(site), Relaxed);
                        if exchange.is_ok() {
                            self.replace(new);
                            step(|| What::Rmw { site, word: self.word, old, new });
                            return true;
                        }
                    } else if let Err(now) =
                        // No word ever holds all ones: it reads, and writes nothing.
                        self.atomic.compare_exchange(u64::MAX, u64::MAX, Relaxed, Relaxed)
                        && now & mask == 0
                    {
                        step(|| What::Rmw { site, word: self.word, old: now, new: now });
                        return false;
                    }
                }
            }
        }

        /// A lock that a panic has gone through protects nothing any more.
        fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
            mutex.lock().expect("no thread of a checker survives a panic")
        }

        /// The checker's guard of a lock; its release is a step.
        ///
        /// Where an execution is given up (a deadlock, for one) the guard is forgotten: the checker
        /// is gone by then, and to unlock would panic a second time.
        pub struct Guard<G> {
            listed: Listed,
            held: Option<G>,
        }

        const HELD: &str = "the guard is only taken in drop()";

        impl<G> Guard<G> {
            fn new(listed: Listed, held: G) -> Self {
                let class = listed.class.name;
                step(|| What::Locks { class, shared: false });
                Self { listed, held: Some(held) }
            }
        }

        impl<G: Deref> Deref for Guard<G> {
            type Target = G::Target;
            fn deref(&self) -> &G::Target {
                self.held.as_ref().expect(HELD)
            }
        }

        impl<G: DerefMut> DerefMut for Guard<G> {
            fn deref_mut(&mut self) -> &mut G::Target {
                self.held.as_mut().expect(HELD)
            }
        }

        impl<G> Drop for Guard<G> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    std::mem::forget(self.held.take());
                    return;
                }
                self.held = None;
                step(|| What::Unlocks { class: self.listed.class.name });
            }
        }

        /// A spinning lock as one object.
        pub struct CheckedSpinLock<T> {
            class: &'static str,
            lock: Mutex<T>,
        }

        impl<T: Send + 'static> SpinLock<T> for CheckedSpinLock<T> {
            type Guard<'a> = Guard<MutexGuard<'a, T>>;

            fn new(class: &'static str, value: T) -> Self {
                Self { class, lock: Mutex::new(value) }
            }

            fn lock(&self) -> Self::Guard<'_> {
                let listed = lockdep::takes(cpu(), Class::new(self.class));
                Guard::new(listed, lock(&self.lock))
            }

            fn try_lock(&self) -> Option<Self::Guard<'_>> {
                let held = self.lock.try_lock().ok()?;
                let listed = lockdep::has_taken(cpu(), Class::new(self.class));
                Some(Guard::new(listed, held))
            }
        }

        /// The wait queue of one key.
        struct WaitQueue(Mutex<VecDeque<Arc<Sleeper>>>);

        /// A thread in a queue, or just out of it.
        struct Sleeper {
            thread: thread::Thread,
            /// Relaxed, and not the checker's: it only tells an end of sleep from a wake-up, and
            /// orders nothing.
            woken: AtomicBool,
        }

        impl Sleeper {
            /// The calling thread, about to sleep.
            fn new() -> Arc<Self> {
                let (thread, woken) = (thread::current(), AtomicBool::new(false));
                Arc::new(Self { thread, woken })
            }

            fn sleep(&self) {
                // A park may end by itself; the sleeper is in the queue until it is woken.
                while !self.woken.load(Relaxed) {
                    thread::park();
                }
            }

            /// Wakes it; the caller has taken it out of the queue.
            fn wake(&self) {
                self.woken.store(true, Relaxed);
                self.thread.unpark();
            }
        }

        std::thread_local! {
            static QUEUES: RefCell<Vec<(usize, Rc<WaitQueue>)>> = const { RefCell::new(Vec::new()) };
            static RCU: RefCell<Option<Rc<Rcu<CheckedWord>>>> = const { RefCell::new(None) };
        }

        /// The execution's RCU, if it has one. An execution that is given up ends no sections.
        fn rcu() -> Option<Rc<Rcu<CheckedWord>>> {
            RCU.with_borrow(|rcu| rcu.clone().filter(|_| !std::thread::panicking()))
        }

        impl WaitQueue {
            /// The queue of a key, made when it is first asked for.
            fn of(key: usize) -> Rc<Self> {
                let known = QUEUES.with_borrow(|queues| {
                    queues.iter().find(|(its, _)| *its == key).map(|(_, queue)| Rc::clone(queue))
                });
                known.unwrap_or_else(|| {
                    let queue = Rc::new(Self(Mutex::new(VecDeque::new())));
                    QUEUES.with_borrow_mut(|queues| queues.push((key, Rc::clone(&queue))));
                    queue
                })
            }
        }

        /// Forgets the wait queues and the RCU of the execution before.
        pub(super) fn forget_execution() {
            QUEUES.take();
            RCU.take();
        }
    };
}
