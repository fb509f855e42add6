//! `stale-reread`: the pointer to the puncher's frame is loaded once to look whether there is one,
//! and once more to dereference it, without `i_lock`. What a compiler might make of the patch
//! without ACCESS_ONCE(), if there were no lock.

use std::sync::atomic::Ordering::Relaxed;

use super::on_stack::{FALLOC_CLEAR, FALLOC_DEREF, FALLOC_PEEK, FALLOC_PUBLISH, with_frame};
use crate::platform::{Platform, Site};
use crate::race::{PROGRESS, Scheme, Verdict};
use crate::shmem_punch::family::{HOLE_NOT_EMPTY, MEETS};
use crate::shmem_punch::{Gate, NO_USE_AFTER_RETURN, Punch, ShmemPunch, Task, Tmpfs};
use crate::wait_queue::{Entry, Sleep, WakeFunction};

/// See the module.
#[derive(Debug)]
pub(super) struct StaleReread;

/// Loads the pointer again.
pub(super) const FALLOC_REREAD: Site = Site::load(
    "falloc_reread",
    Relaxed,
    "inode->i_private->waitq",
    "nothing: that is the fault in it",
);

static ABOUT: Scheme = Scheme {
    name: "stale-reread",
    lineage: "this suite, after a remark on ACCESS_ONCE()",
    summary: "as wait-queue; a fault loads the pointer twice, and takes no lock to be queued",
    verdict: Verdict::Broken {
        on: &[(MEETS, &[NO_USE_AFTER_RETURN, PROGRESS])],
        why: "the punch ends between the look at the pointer and its use",
    },
    shows: &[HOLE_NOT_EMPTY],
    sites: &[
        &FALLOC_PUBLISH,
        &FALLOC_CLEAR,
        &FALLOC_PEEK,
        &FALLOC_REREAD,
        &FALLOC_DEREF,
    ],
    own_checks: &[],
};

impl<P: Platform> ShmemPunch<P> for StaleReread {
    fn about(&self) -> &'static Scheme {
        &ABOUT
    }

    fn before_fault(&self, tmpfs: &Tmpfs<P>, index: u64, task: &mut Task<P>) -> Gate {
        if tmpfs.i_private(&FALLOC_PEEK).is_null() {
            return Gate::Go;
        }
        let pointer = tmpfs.i_private(&FALLOC_REREAD);
        let entry = Entry::new(&task.state, WakeFunction::Always, false);
        if !tmpfs.queues(pointer, index, &entry, Sleep::Uninterruptible) {
            return Gate::Go;
        }
        tmpfs.sleep_in(pointer, &entry, task);
        Gate::Retry
    }

    fn punching(&self, punch: &Punch<'_, P>, passes: &mut dyn FnMut()) {
        with_frame(punch, passes);
    }
}
