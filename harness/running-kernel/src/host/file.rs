//! A file whose pages are removed and brought back.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;

use super::{FileKind, HostError, PAGE_BYTES, bytes, succeeded};

/// Pages that are read at once. Larger reads would bring back larger folios on no file system.
const READ_PAGES: usize = 16;

/// A file that has no name, all of it in the page cache to begin with.
#[derive(Debug)]
pub struct HostFile {
    file: File,
    kind: FileKind,
    pages: u64,
}

impl HostFile {
    pub(super) fn new(file: File, kind: FileKind, pages: u64) -> Self {
        Self { file, kind, pages }
    }

    /// What it is on, and how it was written.
    pub fn kind(&self) -> &FileKind {
        &self.kind
    }

    /// Its pages as it was created, whatever it was truncated to since.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// The descriptor, which stays this file's.
    pub fn raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Removes pages from the middle: `fallocate(FALLOC_FL_PUNCH_HOLE)`.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn punch_hole(&self, pages: Range<u64>) -> Result<(), HostError> {
        punch_hole(&self.file, pages).map_err(|source| self.failed("punch a hole into", source))
    }

    /// Makes it that long: `ftruncate()`, which removes pages from the end or adds a hole there.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn truncate(&self, pages: u64) -> Result<(), HostError> {
        self.file
            .set_len(bytes(pages))
            .map_err(|source| self.failed("truncate", source))
    }

    /// Brings pages back into the page cache that were removed. Shmem is written again, with the
    /// first words as they were. The hole in any other file is read, which makes clean pages of
    /// zeroes: what is written is dirty, and its next remover would wait for the disk.
    ///
    /// The file has to be as long as the range says, or shmem becomes so and others stay as they
    /// are.
    ///
    /// # Errors
    ///
    /// What the kernel says; shmem may be out of space by now.
    pub fn refill(&self, pages: Range<u64>) -> Result<(), HostError> {
        let filled = if self.kind.is_shmem() {
            populate(&self.file, pages, self.kind.write_pages)
        } else {
            read(&self.file, pages)
        };
        filled.map_err(|source| self.failed("refill", source))
    }

    /// A descriptor that a program which this process runs will have, by the same number. Any
    /// program that is started while it's open has it.
    ///
    /// # Errors
    ///
    /// What the kernel says: there may be too many open files.
    pub fn for_child(&self) -> Result<OwnedFd, HostError> {
        // SAFETY: the descriptor is open, and F_DUPFD takes a number.
        let fd = unsafe { libc::fcntl(self.raw_fd(), libc::F_DUPFD, 3) };
        let fd = succeeded(fd).map_err(|source| self.failed("pass on", source))?;
        // SAFETY: the kernel has just given it to us.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// The file that a parent passed by the number of [`for_child()`](Self::for_child). The number
    /// itself stays open until this process ends.
    ///
    /// # Errors
    ///
    /// A number that isn't open, or no file.
    pub fn from_child_fd(fd: RawFd, kind: FileKind, pages: u64) -> Result<Self, HostError> {
        let unusable = |source| HostError::ChildFd { fd, source };
        // SAFETY: F_DUPFD_CLOEXEC takes a number, and fails if the descriptor isn't open.
        let own = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) };
        let own = succeeded(own).map_err(unusable)?;
        // SAFETY: the kernel has just given it to us.
        let file = unsafe { File::from_raw_fd(own) };
        if !file.metadata().map_err(unusable)?.is_file() {
            return Err(unusable(ErrorKind::InvalidInput.into()));
        }
        // Programs that this one runs are no business of the parent's.
        // SAFETY: F_SETFD takes flags, and changes only who inherits the descriptor.
        let set = unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        succeeded(set).map_err(unusable)?;
        Ok(Self::new(file, kind, pages))
    }

    fn failed(&self, action: &'static str, source: io::Error) -> HostError {
        self.kind.failed(action, self.pages, source)
    }
}

/// `fallocate(FALLOC_FL_PUNCH_HOLE)`, which leaves the file as long as it is.
pub(super) fn punch_hole(file: &File, pages: Range<u64>) -> io::Result<()> {
    let out_of_range = || io::Error::from_raw_os_error(libc::EFBIG);
    let start = i64::try_from(bytes(pages.start)).map_err(|_| out_of_range())?;
    let length = pages.end.saturating_sub(pages.start);
    let length = i64::try_from(bytes(length)).map_err(|_| out_of_range())?;
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    loop {
        // SAFETY: the descriptor is open, and the call has no pointers.
        let punched = unsafe { libc::fallocate64(file.as_raw_fd(), mode, start, length) };
        match succeeded(punched) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result.map(|_| ()),
        }
    }
}

/// Writes pages, some at a time, each with its number in front.
pub(super) fn populate(file: &File, pages: Range<u64>, write_pages: u32) -> io::Result<()> {
    let at_once = (pages.end.saturating_sub(pages.start)).min(u64::from(write_pages.max(1)));
    let mut buffer = vec![0; at_once as usize * PAGE_BYTES];
    let mut next = pages.start;
    while next < pages.end {
        let now = at_once.min(pages.end - next);
        let part = &mut buffer[..now as usize * PAGE_BYTES];
        for (page, stamp) in part.chunks_exact_mut(PAGE_BYTES).zip(next + 1..) {
            page[..size_of::<u64>()].copy_from_slice(&stamp.to_ne_bytes());
        }
        file.write_all_at(part, bytes(next))?;
        next += now;
    }
    Ok(())
}

/// Reads pages, for what it does to the page cache.
pub(super) fn read(file: &File, pages: Range<u64>) -> io::Result<()> {
    let mut buffer = [0; READ_PAGES * PAGE_BYTES];
    let (mut next, end) = (bytes(pages.start), bytes(pages.end));
    while next < end {
        let now = usize::try_from(end - next).map_or(buffer.len(), |left| left.min(buffer.len()));
        match file.read_at(&mut buffer[..now], next) {
            Ok(0) => break,
            Ok(length) => next += length as u64,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
