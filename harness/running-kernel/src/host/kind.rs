//! Which files there are to be measured: on what, and written how.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{self, Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

use super::file::{HostFile, populate};
use super::{HostError, PAGE_BYTES, bytes, mib, probe, succeeded};

/// The most pages that are written at once: 2 MiB, a huge page.
const MAX_WRITE_PAGES: u32 = 512;

const TMPFS: &str = "tmpfs";

/// A file system and a size of writes, which is what decides on the sizes of folios.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileKind {
    /// The name in tables: `memfd`, `ext4-4k`, `xfs-64k`.
    pub name: String,
    /// What the files are on.
    pub file_system: String,
    /// The directory that they are in, if they are in one.
    pub place: Option<PathBuf>,
    /// Pages that are written at once.
    pub write_pages: u32,
}

impl FileKind {
    /// Files of `memfd_create()`.
    pub fn memfd() -> Self {
        Self {
            name: "memfd".to_owned(),
            file_system: TMPFS.to_owned(),
            place: None,
            write_pages: 1,
        }
    }

    /// Files in a directory.
    ///
    /// # Errors
    ///
    /// It is not there, no directory, or not to be written to; its file system can't punch holes,
    /// or doesn't read through the page cache. It's tried, on a page that is gone afterwards.
    pub fn in_dir(path: impl AsRef<Path>, write_pages: u32) -> Result<Self, HostError> {
        let path = path.as_ref();
        if write_pages == 0 || write_pages > MAX_WRITE_PAGES {
            return Err(HostError::WritePages {
                pages: write_pages,
                max: MAX_WRITE_PAGES,
            });
        }
        let unusable = |source| HostError::Directory {
            path: path.to_owned(),
            source,
        };
        if path.to_str().is_none() {
            return Err(HostError::NotUtf8 {
                path: path.to_owned(),
            });
        }
        if !fs::metadata(path).map_err(unusable)?.is_dir() {
            return Err(unusable(ErrorKind::NotADirectory.into()));
        }
        let file = unnamed(path).map_err(unusable)?;
        let file_system = file_system(&file).map_err(unusable)?;
        let kind = Self {
            name: format!("{file_system}-{}", short_size(write_pages)),
            file_system,
            // A worker may have another working directory.
            place: Some(path::absolute(path).map_err(unusable)?),
            write_pages,
        };
        page_size()?;
        populate(&file, 0..1, 1).map_err(unusable)?;
        probe::holes_and_cache(&kind, path, &file)?;
        Ok(kind)
    }

    /// Whether the page cache is all that there is of a file.
    pub fn is_shmem(&self) -> bool {
        self.file_system == TMPFS
    }

    /// Whether a refill makes folios of the size that writing makes. Reading a hole back makes
    /// small ones.
    pub fn refills_alike(&self) -> bool {
        self.is_shmem() || self.write_pages == 1
    }

    /// What a write writes, as names and options have it: `4k`.
    pub fn write_size(&self) -> String {
        short_size(self.write_pages)
    }

    /// What the files are, in a line.
    pub fn lineage(&self) -> String {
        let writes = match self.write_pages {
            1 => "a write per page".to_owned(),
            pages => format!("{} a write", long_size(pages)),
        };
        match &self.place {
            None => format!("{} through memfd_create(), {writes}", self.file_system),
            Some(path) => format!("{} in {}, {writes}", self.file_system, path.display()),
        }
    }

    /// Where the files are, as messages say it.
    pub(super) fn place_in_words(&self) -> String {
        match &self.place {
            None => "memory".to_owned(),
            Some(path) => path.display().to_string(),
        }
    }

    /// A file of that many pages, all of them in the page cache and clean. The first word of each
    /// page is its number, counted from 1.
    ///
    /// Nothing is left behind, however this process ends: the file never had a name. Where the file
    /// system has no O_TMPFILE it has one, from its open() to the unlink() that follows at once.
    ///
    /// # Errors
    ///
    /// Too little space, a limit on the size of files, a directory that is gone by now.
    pub fn create(&self, pages: u64) -> Result<HostFile, HostError> {
        page_size()?;
        let failed = |action| move |source| self.failed(action, pages, source);
        let file = match &self.place {
            None => memfd().map_err(failed("create"))?,
            Some(path) => unnamed(path).map_err(failed("create"))?,
        };
        if self.place.is_some() {
            let there = free_bytes(&file).map_err(failed("find the space for"))?;
            self.fits(pages, there)?;
        }
        populate(&file, 0..pages, self.write_pages).map_err(failed("write"))?;
        if !self.is_shmem() {
            // A folio that is dirty is written before it's removed: another thing altogether.
            file.sync_all().map_err(failed("sync"))?;
            random_reads(&file).map_err(failed("advise on"))?;
        }
        Ok(HostFile::new(file, self.clone(), pages))
    }

    /// Whether a file of that many pages has room in what is free; `None` is no limit.
    pub(super) fn fits(&self, pages: u64, there: Option<u64>) -> Result<(), HostError> {
        match there {
            Some(there) if there < bytes(pages) => Err(HostError::Space {
                place: self.place_in_words(),
                needed_mib: mib(pages),
                there: in_words(there),
            }),
            _ => Ok(()),
        }
    }

    /// Why nothing came of it, for a file of that many pages.
    pub(super) fn failed(&self, action: &'static str, pages: u64, source: io::Error) -> HostError {
        let place = self.place_in_words();
        let limit = (source.raw_os_error() == Some(libc::EFBIG))
            .then(|| soft_limit(libc::RLIMIT_FSIZE))
            .flatten();
        match limit {
            Some(limit) => HostError::FileSize {
                action,
                place,
                needed_mib: mib(pages),
                limit: in_words(limit),
            },
            None => HostError::File {
                action,
                place,
                source,
            },
        }
    }
}

/// Refuses pages that aren't of the size that everything here reckons with.
pub(super) fn page_size() -> Result<(), HostError> {
    // SAFETY: the call reads a number.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    if usize::try_from(bytes) == Ok(PAGE_BYTES) {
        return Ok(());
    }
    Err(HostError::PageSize { bytes })
}

/// This process's limit, if there is one.
pub(super) fn soft_limit(resource: libc::__rlimit_resource_t) -> Option<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the pointer is valid for the structure that the call fills in.
    unsafe { libc::getrlimit(resource, &mut limit) };
    (limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

fn memfd() -> io::Result<File> {
    // SAFETY: the name is a C string.
    let fd = unsafe { libc::memfd_create(c"faultaround".as_ptr(), libc::MFD_CLOEXEC) };
    let fd = succeeded(fd)?;
    // SAFETY: the kernel has just given it to us.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// A file without a name.
fn unnamed(directory: &Path) -> io::Result<File> {
    let open = File::options()
        .read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(libc::O_TMPFILE)
        .open(directory);
    match open {
        // What file systems and kernels say that don't know the flag.
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL | libc::ENOENT)
            ) =>
        {
            unlinked(directory).map_err(|named| match named.kind() {
                // Where the directory is there, that it isn't is how /proc refuses a name.
                ErrorKind::NotFound if directory.is_dir() => {
                    let line = format!("no file can be made there: {error}");
                    io::Error::new(named.kind(), line)
                }
                _ => named,
            })
        }
        result => result,
    }
}

/// A file that has lost its name.
pub(super) fn unlinked(directory: &Path) -> io::Result<File> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!(".faultaround-{}-{number}", std::process::id()));
        let open = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        match open {
            // Left by a process of the same number that was killed in between.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => {
                fs::remove_file(&path)?;
                return Ok(file);
            }
        }
    }
}

/// The name of the file system that a file is on, or its number.
fn file_system(file: &File) -> io::Result<String> {
    let mut found = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the pointer is valid for the structure that the call fills in.
    succeeded(unsafe { libc::fstatfs(file.as_raw_fd(), found.as_mut_ptr()) })?;
    // SAFETY: the call succeeded.
    let found = unsafe { found.assume_init() };
    // The field has a type of its own in each C library; magic numbers are 32 bits long.
    Ok(file_system_name(found.f_type as u32))
}

/// The name that goes with a number of `linux/magic.h`.
pub(super) fn file_system_name(magic: u32) -> String {
    let name = match magic {
        // ext2 and ext3 have it as well, and are the same driver by now.
        0xef53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x0102_1994 => TMPFS,
        0xf2f5_2010 => "f2fs",
        0x794c_7630 => "overlayfs",
        0x6969 => "nfs",
        0x0102_1997 => "9p",
        0x6573_5546 => "fuse",
        0xca45_1a4e => "bcachefs",
        0x2fc1_2fc1 => "zfs",
        0x8584_58f6 => "ramfs",
        0x9584_58f6 => "hugetlbfs",
        0xff53_4d42 | 0xfe53_4d42 => "cifs",
        0x4d44 => "vfat",
        0x2011_bab0 => "exfat",
        other => return format!("{other:#x}"),
    };
    name.to_owned()
}

/// What is free where the file is, to those who aren't root; `None` is no limit.
fn free_bytes(file: &File) -> io::Result<Option<u64>> {
    let mut found = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the pointer is valid for the structure that the call fills in.
    succeeded(unsafe { libc::fstatvfs(file.as_raw_fd(), found.as_mut_ptr()) })?;
    // SAFETY: the call succeeded.
    let found = unsafe { found.assume_init() };
    // A tmpfs without a size has no blocks.
    let limited = found.f_blocks != 0;
    Ok(limited.then(|| found.f_bavail.saturating_mul(found.f_frsize)))
}

/// Keeps reads from reading ahead: a refill is to bring back what was removed and no more.
fn random_reads(file: &File) -> io::Result<()> {
    // SAFETY: the call changes nothing but how the file is read.
    let errno = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_RANDOM) };
    match errno {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// As names have it: `4k`, `64k`, `2m`.
fn short_size(pages: u32) -> String {
    match pages * 4 {
        kib if kib % 1024 == 0 => format!("{}m", kib / 1024),
        kib => format!("{kib}k"),
    }
}

/// What there is room for. 0 MiB is never told where there is some.
fn in_words(bytes: u64) -> String {
    match bytes {
        0..0x400 => format!("{bytes} bytes"),
        0x400..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// As sentences have it.
fn long_size(pages: u32) -> String {
    match pages * 4 {
        kib if kib % 1024 == 0 => format!("{} MiB", kib / 1024),
        kib => format!("{kib} KiB"),
    }
}
