//! The sleeping reader-writer lock over either checker: a queue that hands over, as `Native`'s is.
//!
//! The checker has one word to order by, on which a holder comes and goes by a read-modify-write
//! each, acquire and release, as `down_read()` and `up_read()` do. Holders and waiters are
//! bookkeeping that a checker needn't see: all of its threads run on one of the system's, and none
//! of them goes on between such an access and what follows it here.

use std::collections::VecDeque;

/// Whether a lock is held, or wanted, shared or exclusively.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Shared,
    Exclusive,
}

/// The holders of a semaphore and those who wait for it: `S` is a thread that sleeps.
pub(super) struct Queue<S> {
    readers: u32,
    writer: bool,
    waiters: VecDeque<(Mode, S)>,
}

impl<S> Default for Queue<S> {
    fn default() -> Self {
        Self {
            readers: 0,
            writer: false,
            waiters: VecDeque::new(),
        }
    }
}

impl<S> Queue<S> {
    /// Takes the lock if it is free for that, and for that alone.
    fn grant(&mut self, mode: Mode) -> bool {
        let grants = match mode {
            Mode::Shared => !self.writer,
            Mode::Exclusive => !self.writer && self.readers == 0,
        };
        match mode {
            Mode::Shared => self.readers += u32::from(grants),
            Mode::Exclusive => self.writer |= grants,
        }
        grants
    }

    /// Takes the lock if none waits for it, and it is free.
    pub(super) fn try_take(&mut self, mode: Mode) -> bool {
        self.waiters.is_empty() && self.grant(mode)
    }

    /// Is last in the queue.
    pub(super) fn wait(&mut self, mode: Mode, sleeper: S) {
        self.waiters.push_back((mode, sleeper));
    }

    /// Lets the lock go; those of the queue that have it now are returned: a writer, or all readers
    /// before the next writer.
    pub(super) fn release(&mut self, mode: Mode) -> Vec<S> {
        match mode {
            Mode::Shared => self.readers -= 1,
            Mode::Exclusive => self.writer = false,
        }
        let mut woken = Vec::new();
        while let Some(&(mode, _)) = self.waiters.front()
            && self.grant(mode)
        {
            woken.extend(self.waiters.pop_front().map(|(_, sleeper)| sleeper));
        }
        woken
    }
}

/// Makes the semaphore over the crate `$checker`, beside a `Sleeper` of its threads.
macro_rules! checked_semaphore {
    ($checker:ident) => {
        use super::semaphore::{Mode, Queue};
        use crate::platform::RwSemaphore;

        /// A sleeping reader-writer lock: who comes first has it first.
        pub struct CheckedRwSemaphore<T> {
            class: &'static str,
            order: AtomicU64,
            queue: std::sync::Mutex<Queue<Arc<Sleeper>>>,
            /// Never waited for: who may have it is known by the queue.
            value: std::sync::RwLock<T>,
        }

        impl<T> CheckedRwSemaphore<T> {
            fn queue(&self) -> std::sync::MutexGuard<'_, Queue<Arc<Sleeper>>> {
                self.queue.lock().expect("none panics while it has it")
            }

            fn is_taken(&self, mode: Mode) -> bool {
                self.order.fetch_add(1, Acquire);
                self.queue().try_take(mode)
            }

            fn try_take(&self, mode: Mode) -> Option<Listed> {
                let class = Class::new(self.class);
                let is_taken = self.is_taken(mode);
                is_taken.then(|| lockdep::has_taken(cpu(), class))
            }

            fn take(&self, mode: Mode, subclass: u8) -> Listed {
                let name = self.class;
                let listed = lockdep::takes(cpu(), Class { name, subclass });
                if !self.is_taken(mode) {
                    let sleeper = Sleeper::new();
                    self.queue().wait(mode, Arc::clone(&sleeper));
                    sleeper.sleep();
                    // All who had it, and not only the last of them.
                    self.order.fetch_add(1, Acquire);
                }
                listed
            }

            fn release(&self, mode: Mode) {
                self.order.fetch_add(1, Release);
                let woken = self.queue().release(mode);
                step(|| What::Unlocks { class: self.class });
                for sleeper in woken {
                    sleeper.wake();
                }
            }

            /// The calling thread has it.
            fn hold<V>(&self, mode: Mode, listed: Listed, value: Option<V>) -> Held<'_, T, V> {
                step(|| What::Locks {
                    class: self.class,
                    shared: mode == Mode::Shared,
                });
                let value = Some(value.expect("the queue excludes"));
                Held {
                    semaphore: self,
                    mode,
                    _listed: listed,
                    value,
                }
            }

            fn hold_shared(&self, listed: Listed) -> SharedHeld<'_, T> {
                self.hold(Mode::Shared, listed, self.value.try_read().ok())
            }

            fn hold_exclusively(&self, listed: Listed) -> ExclusivelyHeld<'_, T> {
                self.hold(Mode::Exclusive, listed, self.value.try_write().ok())
            }
        }

        type SharedHeld<'a, T> = Held<'a, T, std::sync::RwLockReadGuard<'a, T>>;
        type ExclusivelyHeld<'a, T> = Held<'a, T, std::sync::RwLockWriteGuard<'a, T>>;

        impl<T: Send + Sync + 'static> RwSemaphore<T> for CheckedRwSemaphore<T> {
            type ReadGuard<'a> = SharedHeld<'a, T>;
            type WriteGuard<'a> = ExclusivelyHeld<'a, T>;

            fn new(class: &'static str, value: T) -> Self {
                Self {
                    class,
                    order: AtomicU64::new(0),
                    queue: std::sync::Mutex::default(),
                    value: std::sync::RwLock::new(value),
                }
            }

            fn read(&self) -> Self::ReadGuard<'_> {
                self.hold_shared(self.take(Mode::Shared, 0))
            }

            fn try_read(&self) -> Option<Self::ReadGuard<'_>> {
                let listed = self.try_take(Mode::Shared)?;
                Some(self.hold_shared(listed))
            }

            fn write(&self) -> Self::WriteGuard<'_> {
                self.write_nested(0)
            }

            fn write_nested(&self, subclass: u8) -> Self::WriteGuard<'_> {
                self.hold_exclusively(self.take(Mode::Exclusive, subclass))
            }

            fn try_write(&self) -> Option<Self::WriteGuard<'_>> {
                let listed = self.try_take(Mode::Exclusive)?;
                Some(self.hold_exclusively(listed))
            }
        }

        /// Holds a semaphore, `V` being the way to its value.
        pub struct Held<'a, T, V> {
            semaphore: &'a CheckedRwSemaphore<T>,
            mode: Mode,
            _listed: Listed,
            value: Option<V>,
        }

        impl<T, V: Deref<Target = T>> Deref for Held<'_, T, V> {
            type Target = T;
            fn deref(&self) -> &T {
                self.value.as_ref().expect(HELD)
            }
        }

        impl<T, V: DerefMut<Target = T>> DerefMut for Held<'_, T, V> {
            fn deref_mut(&mut self) -> &mut T {
                self.value.as_mut().expect(HELD)
            }
        }

        impl<T, V> Drop for Held<'_, T, V> {
            fn drop(&mut self) {
                self.value = None;
                // Where an execution is given up, the checker is gone.
                if !std::thread::panicking() {
                    self.semaphore.release(self.mode);
                }
            }
        }
    };
}
