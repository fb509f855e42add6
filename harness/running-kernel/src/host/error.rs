//! Why the running kernel can't be measured here.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a file, a mapping or a touch of them was not to be had. Each message is one line.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HostError {
    /// Pages of another size than all of this reckons with.
    #[error("host knows pages of 4096 bytes, this kernel has pages of {bytes}")]
    PageSize {
        /// The size of this kernel's pages.
        bytes: libc::c_long,
    },

    /// A processor for which the touch isn't written.
    #[error("host knows x86-64 and aarch64, this is {arch}")]
    Architecture {
        /// What this was built for.
        arch: &'static str,
    },

    /// A storm of the model that no process could make.
    #[error("no system call does {0} to pages that others have mapped")]
    NoSuchCall(&'static str),

    /// The handler that touches need could not be installed.
    #[error("can't handle SIGBUS, which a page beyond the end of a file sends: {0}")]
    Signal(#[source] io::Error),

    /// Nothing that files can be in.
    #[error("can't put files in {path:?}: {source}")]
    Directory {
        /// What was given.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },

    /// A directory that no JSON can name.
    #[error(
        "can't put files in {path:?}: its name isn't UTF-8, and the run's record has to name it"
    )]
    NotUtf8 {
        /// What was given.
        path: PathBuf,
    },

    /// A size of writes that makes no sense.
    #[error("{pages} pages a write is out of range: it goes from 1 to {max}")]
    WritePages {
        /// What was given.
        pages: u32,
        /// The largest that is allowed.
        max: u32,
    },

    /// A file system that can't remove pages from the middle of a file.
    #[error(
        "{file_system} in {path:?} can't punch holes (FALLOC_FL_PUNCH_HOLE): use ext4, xfs, btrfs, f2fs or tmpfs"
    )]
    PunchHole {
        /// The directory.
        path: PathBuf,
        /// What it is on.
        file_system: String,
    },

    /// A file system that reads past the page cache, so that a removed page can't be brought back.
    #[error(
        "{file_system} in {path:?} doesn't keep in the page cache what is read: use ext4, xfs, btrfs, f2fs or tmpfs"
    )]
    NoPageCache {
        /// The directory.
        path: PathBuf,
        /// What it is on.
        file_system: String,
    },

    /// Windows that aren't what VMAs clip them to.
    #[error(
        "{touches} touches of VMAs of {pages} pages of {file} were {faults} faults and mapped {present} \
         pages, pass after pass: what a page costs can't be told there (a fault_around_bytes other than \
         65536, or a file system that keeps pages locked?)"
    )]
    NotClipped {
        /// The file.
        file: String,
        /// Pages of a VMA.
        pages: u32,
        /// Touches.
        touches: u64,
        /// Faults that they were.
        faults: u64,
        /// Pages that were mapped.
        present: u64,
    },

    /// Too little space, found before anything was written.
    #[error("{place} has too little space: the file needs {needed_mib} MiB, there are {there}")]
    Space {
        /// The directory.
        place: String,
        /// What the file takes.
        needed_mib: u64,
        /// What is free, with its unit.
        there: String,
    },

    /// The file was not to be had, or could not be changed.
    #[error("can't {action} a file in {place}: {source}")]
    File {
        /// What was to be done with it.
        action: &'static str,
        /// The directory, or `memory`.
        place: String,
        /// What the kernel said.
        source: io::Error,
    },

    /// The file is longer than this process may make one.
    #[error(
        "can't {action} a file in {place}: it would take {needed_mib} MiB, and this process may write {limit} (ulimit -f)"
    )]
    FileSize {
        /// What was to be done with it.
        action: &'static str,
        /// The directory, or `memory`.
        place: String,
        /// What the file takes.
        needed_mib: u64,
        /// `RLIMIT_FSIZE`, with its unit.
        limit: String,
    },

    /// What a parent passed is no file.
    #[error("file descriptor {fd} isn't the file that a parent process passed: {source}")]
    ChildFd {
        /// The number of it.
        fd: i32,
        /// What is wrong with it.
        source: io::Error,
    },

    /// Tiles that are larger than what they tile, or nothing.
    #[error("tiles of {pages} pages are out of range: they go from 1 to {max}")]
    Tile {
        /// What was given.
        pages: u32,
        /// The largest that is allowed.
        max: u64,
    },

    /// The file could not be mapped.
    #[error("can't map {mib} MiB: {source}{limit}")]
    Map {
        /// The address space that it takes.
        mib: u64,
        /// What the kernel said.
        source: io::Error,
        /// The limit that is in the way, if one is known.
        limit: String,
    },

    /// The mapping could not be emptied.
    #[error("can't zap a mapping (MADV_DONTNEED): {0}")]
    Zap(#[source] io::Error),

    /// Which pages are mapped is told by nothing.
    #[error("can't read which pages are mapped from /proc/self/pagemap: {0}")]
    Pagemap(#[source] io::Error),

    /// Fault-around is off, or not there yet.
    #[error(
        "this kernel maps one page per fault (no fault-around: kernels before 3.15, or /sys/kernel/debug/fault_around_bytes is 4096)"
    )]
    NoFaultAround,

    /// A touch that mapped nothing, as far as one is told.
    #[error(
        "a page that was touched isn't mapped according to /proc/self/pagemap: is this a sandbox with a kernel of its own?"
    )]
    NotMapped,
}
