//! What of fault-around the running kernel shows.

use std::mem::MaybeUninit;

use super::{FileKind, HostError, Layout, Mapping, Touched};

/// Pages of the file that is touched: several windows of any size that fault-around could have.
const PROBE_PAGES: u64 = 1024;

/// How many pages one touch maps on this kernel, in a file that is all in the page cache.
///
/// # Errors
///
/// A kernel without fault-around, or that doesn't tell what is mapped; whatever else is in the way
/// of a file and its mapping.
pub fn fault_around_pages() -> Result<u32, HostError> {
    let file = FileKind::memfd().create(PROBE_PAGES)?;
    let mapping = Mapping::new(&file, PROBE_PAGES, Layout::Whole)?;
    // Past the middle, so that no end of the file or of a PTE table is near.
    let touched = mapping.touch(PROBE_PAGES / 2 + PROBE_PAGES / 4);
    let present = mapping.present(0..PROBE_PAGES)?;
    match (touched, present) {
        (Touched::Bus, _) | (_, 0) => Err(HostError::NotMapped),
        (Touched::Word(_), 1) => Err(HostError::NoFaultAround),
        // No more than the probe's pages.
        (Touched::Word(_), pages) => Ok(pages as u32),
    }
}

/// The calling thread's minor faults so far.
pub fn minor_faults() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is valid for the structure that the call fills in.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    // SAFETY: zeroes are a valid value, in case that the call failed.
    let usage = unsafe { usage.assume_init() };
    u64::try_from(usage.ru_minflt).unwrap_or(0)
}

/// Whether a kernel of this release (`uname -r`) maps the pages of a folio that lie in the window
/// at once: `filemap_map_folio_range()`, since 6.6. Before, `filemap_map_pages()` went page by page
/// under the page lock.
pub fn uses_folio_batching(release: &str) -> bool {
    let mut parts = release.splitn(3, '.');
    let mut number = || {
        let part = parts.next()?;
        let digits = part.find(|c: char| !c.is_ascii_digit());
        part[..digits.unwrap_or(part.len())].parse::<u32>().ok()
    };
    let version = number().zip(number());
    version.is_some_and(|version| version >= (6, 6))
}
