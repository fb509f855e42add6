//! `page-locked-xfs`: `page-locked` with the mapping's `invalidate_lock` held shared around it, as
//! XFS did from v5.10 to v6.3 (`xfs_filemap_map_pages()`; until v5.14 the lock was its own
//! `MMAPLOCK`).
//!
//! The lock is waited for, as it was there: `down_read()`, for as long as a hole or a truncation
//! takes. Since v6.4 `->map_pages()` runs under RCU, where sleeping is forbidden, and XFS maps
//! without it. Sound because of the page locks. What the lock adds keeps holes and truncations away
//! from the window, and costs two writes of a line that all faults on the file share.

use super::page_locked::{self, PageLocked};
use super::{About, FaultAround};
use crate::fault::{MapPages, Mapped, Window};
use crate::platform::{Platform, RwSemaphore};
use crate::race::{Scheme, Verdict};
use crate::removal::Duties;
use crate::system::Task;

/// See the module.
#[derive(Debug)]
pub struct PageLockedXfs;

static ABOUT: About = About {
    scheme: Scheme {
        name: "page-locked-xfs",
        lineage: "XFS, v5.10 to v6.3",
        summary: "page-locked, with invalidate_lock shared around the window",
        verdict: Verdict::Sound {
            why: "a fault maps under the folio lock, as page-locked does",
        },
        ..page_locked::ABOUT.scheme
    },
    shared_lines_per_fault: 1,
    ..page_locked::ABOUT
};

impl<P: Platform> FaultAround<P> for PageLockedXfs {
    fn about(&self) -> &'static About {
        &ABOUT
    }
}

impl<P: Platform> MapPages<P> for PageLockedXfs {
    fn map_pages(&self, window: &Window<'_, P>, task: &mut Task) -> Mapped {
        let _holes_kept_out = window.vma.mapping.invalidate_lock.read();
        PageLocked.map_pages(window, task)
    }
}

impl<P: Platform> Duties<P> for PageLockedXfs {}
