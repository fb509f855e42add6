//! `invalidate-lock`: what file systems on disks do since 5.15. A fault that finds no page looks
//! again, and creates it, with the file's `invalidate_lock` held. A puncher holds that for writing.
//!
//! There is no frame and no queue. Every fault that creates a page anywhere in the file waits for
//! all of a punch.

use std::sync::atomic::Ordering::Relaxed;

use crate::platform::{Platform, RwSemaphore, Site};
use crate::race::{Scheme, Verdict};
use crate::shmem_punch::{Punch, SecondPass, Shared, ShmemPunch, Tmpfs};

/// See the module.
#[derive(Debug)]
pub(super) struct InvalidateLock;

/// Looks for a missing page again with `invalidate_lock` held. Left out, the first look is enough,
/// and the page is created without the lock.
pub(super) const RELOOK: Site = Site::load(
    "relook",
    Relaxed,
    "filemap_invalidate_lock_shared(), goto retry_find",
    "nothing: under the semaphore",
);

static ABOUT: Scheme = Scheme {
    name: "invalidate-lock",
    lineage: "this suite, after Kara, 730633f0b7f9 of Jul 2021",
    summary: "a fault creates a page with invalidate_lock held, as a puncher removes it",
    verdict: Verdict::Sound {
        why: "no page is created from a punch's first pass to its end",
    },
    shows: &[],
    sites: &[&RELOOK],
    own_checks: &[&RELOOK],
};

impl<P: Platform> ShmemPunch<P> for InvalidateLock {
    fn about(&self) -> &'static Scheme {
        &ABOUT
    }

    fn filling<'a>(&self, tmpfs: &'a Tmpfs<P>) -> Option<Shared<'a, P>> {
        (!P::left_out(&RELOOK)).then(|| tmpfs.invalidate_lock.read())
    }

    fn punching(&self, punch: &Punch<'_, P>, passes: &mut dyn FnMut()) {
        let _held = punch.tmpfs.invalidate_lock.write();
        passes();
    }

    fn second_pass(&self) -> SecondPass {
        SecondPass::UntilEmpty
    }
}
