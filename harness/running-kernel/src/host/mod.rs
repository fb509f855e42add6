//! What a measurement of the running kernel itself needs: files whose pages come and go, mappings
//! that clip the kernel's fault-around window, and touches that outlive a truncation.
//!
//! Nothing in here measures anything, and nothing asks for privileges.

mod error;
mod file;
mod kind;
mod mapping;
mod probe;
#[cfg(test)]
mod tests;
mod touch;
mod window;

pub use error::HostError;
pub use file::HostFile;
pub use kind::FileKind;
pub use mapping::{Layout, Mapping};
pub use touch::{Touched, install};
pub use window::{fault_around_pages, minor_faults, uses_folio_batching};

/// Bytes of a page. Windows and the sizes in names count in it, and no other size is let in.
pub const PAGE_BYTES: usize = 4096;

/// Pages of the fault-around window that tiles cut down: 64 KiB, the kernel's default.
pub const WINDOW_PAGES: u64 = 16;

/// The system call's result, or the reason why it failed.
fn succeeded(result: libc::c_int) -> std::io::Result<libc::c_int> {
    if result < 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(result)
}

/// Bytes of that many pages.
fn bytes(pages: u64) -> u64 {
    // What doesn't fit fits no file, either, and the kernel says so.
    pages.saturating_mul(PAGE_BYTES as u64)
}

/// MiB of that many pages, rounded up.
fn mib(pages: u64) -> u64 {
    pages.div_ceil(256)
}
