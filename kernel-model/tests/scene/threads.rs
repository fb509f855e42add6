//! Threads: their stops, their ends, their dice.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use kernel_model::RemovalCounters;
use kernel_model::folio::Folio;
use kernel_model::platform::{Jitter, Platform};

use super::{RANGE, Scene, Scheme, has_waiters};

/// Gives the calling thread stops of its own.
pub(crate) fn jitter(seed: u64) {
    let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let left_out = Arc::from([]);
    Jitter {
        seed,
        left_out,
        ..Jitter::default()
    }
    .enter();
}

/// How long something that should end may hang before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `work` to its end, and fails where it would hang for ever.
pub(crate) fn ends(work: impl FnOnce() + Send + 'static) {
    let (done, ended) = channel();
    let worker = thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    match ended.recv_timeout(PATIENCE) {
        Err(RecvTimeoutError::Timeout) => panic!("still not done: somebody waits for ever"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// Waits for something that another thread is bound to do.
pub(crate) fn until(mut happened: impl FnMut() -> bool) {
    while !happened() {
        thread::yield_now();
    }
}

/// Numbers that look random and are the same in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % bound
    }
}

/// Runs a remover against page 9, which the caller holds locked: `meanwhile` runs when the remover
/// has come to wait for that page, and `after` when it has been unlocked and the remover is done.
pub(crate) fn with_page_9_locked<P: Platform>(
    scheme: Scheme<P>,
    remover: &str,
    meanwhile: impl FnOnce(&Scene<P>, &Folio<P>),
    after: impl FnOnce(&Scene<P>, &Folio<P>, RemovalCounters),
) {
    let scene = Scene::cached(scheme);
    let folio = scene.folio(9);
    folio.lock();
    let task = thread::scope(|scope| {
        let removing = scope.spawn(|| scene.remove(remover, RANGE));
        until(|| has_waiters(folio));
        meanwhile(&scene, folio);
        folio.unlock();
        removing.join().expect("the removal ends well")
    });
    assert!(!scene.in_cache().contains(&9));
    after(&scene, folio, task.removals);
}
