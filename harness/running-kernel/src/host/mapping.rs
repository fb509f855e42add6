//! A file's mapping, laid out so that the kernel's fault-around window is what is to be measured.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::fd::RawFd;
use std::os::unix::fs::FileExt;
use std::ptr::{self, NonNull};

use libc::{c_int, c_void};
use serde::{Deserialize, Serialize};

use super::kind::{page_size, soft_limit};
use super::touch::{install, touch};
use super::{HostError, HostFile, PAGE_BYTES, Touched, WINDOW_PAGES, bytes, mib, succeeded};

/// What a PTE table maps, and a huge page.
const ALIGNMENT: usize = 2 << 20;

/// How far from such an alignment a whole mapping begins: windows stay aligned.
const OFF_HUGE: usize = WINDOW_PAGES as usize * PAGE_BYTES;

/// Pages from one tile to the next. Two windows: neighbours aren't in each other's.
const TILE_STRIDE: u64 = 2 * WINDOW_PAGES;

/// Entries of /proc/self/pagemap that are read at once; the kernel itself takes no more at a time.
const ENTRIES: usize = 512;

/// How VMAs lie over the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// One over all of it, at an address that isn't aligned to a huge page where the file is: a 2
    /// MiB folio would be mapped whole otherwise, by one entry of the PMD and without fault-around.
    Whole,
    /// One over the first pages of each window of the file, to which the kernel then clips its
    /// fault-around. What lies between two of them in the address space is reserved and
    /// inaccessible, so that no other memory is zapped along with them.
    Tiles {
        /// Pages of each, up to a window.
        pages: u32,
    },
}

/// A shared read-only mapping. It may outlive the file's descriptor, and not a fork: a child asks
/// its parent's kernel about pages.
#[derive(Debug)]
pub struct Mapping {
    /// The first page, 2 MiB aligned, or a window beyond that.
    base: NonNull<u8>,
    /// What goes when this goes.
    _reservation: Reservation,
    layout: Layout,
    pages: u64,
    pagemap: File,
}

// SAFETY: nothing is written through the pointer, and what it points to is read by touches alone,
// which may race with anything.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first pages of a file; they may be beyond its end.
    ///
    /// # Errors
    ///
    /// Tiles that don't fit their windows; limits on address space or on the number of mappings; a
    /// kernel that does not tell what is mapped.
    pub fn new(file: &HostFile, pages: u64, layout: Layout) -> Result<Self, HostError> {
        if let Layout::Tiles { pages } = layout
            && !(1..=WINDOW_PAGES).contains(&u64::from(pages))
        {
            let max = WINDOW_PAGES;
            return Err(HostError::Tile { pages, max });
        }
        page_size()?;
        install()?;
        let pagemap = File::open("/proc/self/pagemap").map_err(HostError::Pagemap)?;
        let span = span_pages(pages, layout);
        let failed = |source| not_mapped(span, layout, source);
        let length = usize::try_from(bytes(span))
            .ok()
            .and_then(|length| length.checked_add(ALIGNMENT + OFF_HUGE))
            .ok_or_else(|| failed(io::Error::from_raw_os_error(libc::ENOMEM)))?;
        let reservation = Reservation::new(length).map_err(failed)?;
        let misaligned = reservation.start.as_ptr().addr() % ALIGNMENT;
        let off = match layout {
            Layout::Whole => OFF_HUGE,
            Layout::Tiles { .. } => 0,
        };
        // SAFETY: the reservation is longer than what is mapped by as much as this may skip.
        let base = unsafe {
            reservation
                .start
                .add((ALIGNMENT - misaligned) % ALIGNMENT + off)
        };
        let mapping = Self {
            base,
            _reservation: reservation,
            layout,
            pages,
            pagemap,
        };
        match layout {
            Layout::Whole => mapping.map(file.raw_fd(), 0..pages).map_err(failed)?,
            Layout::Tiles { pages: tile } => {
                for start in (0..pages).step_by(WINDOW_PAGES as usize) {
                    let tile = start..pages.min(start + u64::from(tile));
                    mapping.map(file.raw_fd(), tile).map_err(failed)?;
                }
            }
        }
        Ok(mapping)
    }

    /// The pages of the file that it is over.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// How it's laid out.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether a page of the file is in it: with tiles, those between aren't.
    pub fn maps(&self, pgoff: u64) -> bool {
        pgoff < self.pages
            && match self.layout {
                Layout::Whole => true,
                Layout::Tiles { pages } => pgoff % WINDOW_PAGES < u64::from(pages),
            }
    }

    /// Reads the first word of a page.
    ///
    /// # Panics
    ///
    /// If the page isn't mapped.
    #[inline]
    pub fn touch(&self, pgoff: u64) -> Touched {
        assert!(self.maps(pgoff), "page {pgoff} has a place in the mapping");
        let address = self.address(pgoff);
        // SAFETY: one of our VMAs is there, and touches were installed before it was.
        unsafe { touch(address.as_ptr().cast()) }
    }

    /// Unmaps all pages, so that each has to be faulted in again: MADV_DONTNEED.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn zap(&self) -> Result<(), HostError> {
        self.zap_range(0..self.pages)
    }

    /// Unmaps those of the pages that lie in the mapping.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn zap_range(&self, pgoffs: Range<u64>) -> Result<(), HostError> {
        let end = pgoffs.end.min(self.pages);
        if pgoffs.start >= end {
            return Ok(());
        }
        // What is between tiles are mappings too, and nothing is in them.
        let (first, last) = (self.position(pgoffs.start), self.position(end - 1));
        let length = bytes(last + 1 - first) as usize;
        self.advise(self.address(pgoffs.start), length, libc::MADV_DONTNEED)
            .map_err(HostError::Zap)
    }

    /// How many pages of a range of the file are mapped.
    ///
    /// # Errors
    ///
    /// A kernel, or a sandbox in its place, that doesn't tell.
    pub fn present(&self, pgoffs: Range<u64>) -> Result<u64, HostError> {
        let end = pgoffs.end.min(self.pages);
        let mut present = 0;
        let mut next = pgoffs.start;
        while next < end {
            let (part, resume) = match self.layout {
                Layout::Whole => (next..end, end),
                Layout::Tiles { pages } => {
                    let window = next - next % WINDOW_PAGES;
                    let tile_end = end.min(window + u64::from(pages));
                    (next..tile_end, window + WINDOW_PAGES)
                }
            };
            if !part.is_empty() {
                present += self.present_at(part).map_err(HostError::Pagemap)?;
            }
            next = resume;
        }
        Ok(present)
    }

    /// Of pages that follow each other in the address space, too.
    fn present_at(&self, pgoffs: Range<u64>) -> io::Result<u64> {
        const MAPPED: u64 = 1 << 63;
        let mut buffer = [0; ENTRIES * size_of::<u64>()];
        let first = self.address(pgoffs.start).as_ptr().addr() / PAGE_BYTES;
        let mut offset = (first * size_of::<u64>()) as u64;
        let mut left = (pgoffs.end - pgoffs.start) as usize;
        let mut present = 0;
        while left > 0 {
            let now = left.min(ENTRIES);
            let part = &mut buffer[..now * size_of::<u64>()];
            self.pagemap.read_exact_at(part, offset)?;
            let entries = part.as_chunks().0.iter().copied().map(u64::from_ne_bytes);
            present += entries.filter(|entry| entry & MAPPED != 0).count() as u64;
            offset += part.len() as u64;
            left -= now;
        }
        Ok(present)
    }

    /// Puts pages of the file where they belong. Each range is one VMA.
    fn map(&self, fd: RawFd, pgoffs: Range<u64>) -> io::Result<()> {
        let length = bytes(pgoffs.end - pgoffs.start) as usize;
        let at = self.address(pgoffs.start).as_ptr().cast();
        let offset = i64::try_from(bytes(pgoffs.start))
            .map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))?;
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        // SAFETY: it replaces a part of our own reservation, in which nothing is yet.
        let mapped = unsafe { libc::mmap64(at, length, libc::PROT_READ, flags, fd, offset) };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    fn advise(&self, at: NonNull<u8>, length: usize, advice: c_int) -> io::Result<()> {
        // SAFETY: all callers' ranges are in our reservation, where only touches look, which don't
        // mind: what they read is the file's.
        succeeded(unsafe { libc::madvise(at.as_ptr().cast(), length, advice) })?;
        Ok(())
    }

    /// Pages from the base to where a page of the file is.
    #[inline]
    fn position(&self, pgoff: u64) -> u64 {
        match self.layout {
            Layout::Whole => pgoff,
            Layout::Tiles { .. } => pgoff / WINDOW_PAGES * TILE_STRIDE + pgoff % WINDOW_PAGES,
        }
    }

    #[inline]
    fn address(&self, pgoff: u64) -> NonNull<u8> {
        let offset = self.position(pgoff) as usize * PAGE_BYTES;
        // SAFETY: callers keep to the pages of the mapping, for which the reservation has room.
        unsafe { self.base.add(offset) }
    }

    #[cfg(test)]
    pub(super) fn address_of(&self, pgoff: u64) -> usize {
        self.address(pgoff).as_ptr().addr()
    }
}

/// Address space, with nothing in it that could be accessed.
#[derive(Debug)]
struct Reservation {
    start: NonNull<u8>,
    length: usize,
}

impl Reservation {
    fn new(length: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: the kernel chooses an address where nothing is.
        let start = unsafe { libc::mmap(ptr::null_mut(), length, libc::PROT_NONE, flags, -1, 0) };
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast::<c_void>() != libc::MAP_FAILED => {
                Ok(Self { start, length })
            }
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: all of it is ours, and so is what was mapped into it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// Pages of address space that a layout takes.
fn span_pages(pages: u64, layout: Layout) -> u64 {
    match layout {
        Layout::Whole => pages,
        Layout::Tiles { .. } => pages.div_ceil(WINDOW_PAGES).saturating_mul(TILE_STRIDE),
    }
}

/// Why it isn't mapped, with the limit that is in the way.
fn not_mapped(span: u64, layout: Layout, source: io::Error) -> HostError {
    let mut limit = String::new();
    if source.raw_os_error() == Some(libc::ENOMEM) {
        if let Some(bytes) = soft_limit(libc::RLIMIT_AS) {
            limit = format!("; this process may have {} MiB (ulimit -v)", bytes >> 20);
        } else if let Layout::Tiles { .. } = layout
            && let Ok(most) = fs::read_to_string("/proc/sys/vm/max_map_count")
        {
            // A tile, and what is between it and the next.
            let mappings = span / TILE_STRIDE * 2;
            let most = most.trim_end();
            limit = format!(
                "; it takes {mappings} mappings, a process may have {most} (vm.max_map_count)"
            );
        }
    }
    HostError::Map {
        mib: mib(span),
        source,
        limit,
    }
}
