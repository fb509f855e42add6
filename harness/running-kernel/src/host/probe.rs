//! Whether a file system does what a measurement needs, tried on one page.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr;

use super::file::{punch_hole, read};
use super::{FileKind, HostError, PAGE_BYTES, succeeded};

/// Punches the first page out of a file and reads it back.
pub(super) fn holes_and_cache(kind: &FileKind, path: &Path, file: &File) -> Result<(), HostError> {
    punched(kind, path, punch_hole(file, 0..1))?;
    if kind.is_shmem() {
        // It's refilled by writing, and is nothing but the page cache.
        return Ok(());
    }
    let cached = read(file, 0..1).and_then(|()| is_cached(file, 0));
    refilled(kind, path, cached)
}

/// What came of a hole.
pub(super) fn punched(
    kind: &FileKind,
    path: &Path,
    result: io::Result<()>,
) -> Result<(), HostError> {
    result.map_err(|source| match source.raw_os_error() {
        Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::ENODEV) => HostError::PunchHole {
            path: path.to_owned(),
            file_system: kind.file_system.clone(),
        },
        _ => HostError::Directory {
            path: path.to_owned(),
            source,
        },
    })
}

/// What came of reading it back: whether the page is cached.
pub(super) fn refilled(
    kind: &FileKind,
    path: &Path,
    cached: io::Result<bool>,
) -> Result<(), HostError> {
    match cached {
        Ok(true) => Ok(()),
        // An overlay over tmpfs, whose holes are read without a page; DAX; a network's file system.
        Ok(false) => Err(HostError::NoPageCache {
            path: path.to_owned(),
            file_system: kind.file_system.clone(),
        }),
        Err(source) => Err(HostError::Directory {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Whether a page of a file is in the page cache.
pub(super) fn is_cached(file: &File, page: i64) -> io::Result<bool> {
    let (fd, offset) = (file.as_raw_fd(), page * PAGE_BYTES as i64);
    let (read, shared) = (libc::PROT_READ, libc::MAP_SHARED);
    // SAFETY: the kernel chooses an address where nothing is.
    let page = unsafe { libc::mmap64(ptr::null_mut(), PAGE_BYTES, read, shared, fd, offset) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let mut resident = 0;
    // SAFETY: the page is mapped, and there is a byte for it.
    let asked = succeeded(unsafe { libc::mincore(page, PAGE_BYTES, &mut resident) });
    // SAFETY: no other code knows of the page.
    unsafe { libc::munmap(page, PAGE_BYTES) };
    asked.map(|_| resident & 1 == 1)
}
