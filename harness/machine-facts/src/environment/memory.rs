//! How much memory there is for this process.

use std::path::Path;

use super::cgroup;
use super::source::Root;

/// The least of what the machine, a limit and a control group give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// In bytes.
    pub bytes: u64,
    /// Whose word that is: what has so many MiB.
    pub whose: &'static str,
}

/// What the stacks and the allocator take of the address space besides.
const SPARE_BYTES: u64 = 64 << 20;

impl Memory {
    /// Of this process; `None` where nothing tells.
    pub fn here() -> Option<Self> {
        Self::least(Root::new(Path::new("/")), address_space())
    }

    /// By the machine's files and the limit of the address space.
    pub(super) fn least(root: Root<'_>, address_space: Option<u64>) -> Option<Self> {
        let of = |bytes: Option<u64>, whose| bytes.map(|bytes| Self { bytes, whose });
        let limits = [
            of(of_the_machine(root), "this machine has"),
            of(address_space, "the limit (ulimit -v) leaves"),
            of(cgroup::memory_limit(root), "the control group may have"),
        ];
        limits.into_iter().flatten().min_by_key(|limit| limit.bytes)
    }
}

pub(super) fn of_the_machine(root: Root<'_>) -> Option<u64> {
    let total = root.line("proc/meminfo", "MemTotal:")?;
    let kibibytes: u64 = total.strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// What the limit of the address space leaves; `None` without one.
fn address_space() -> Option<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the pointer is valid for the structure that the call fills in.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) };
    (result == 0 && limit.rlim_cur != libc::RLIM_INFINITY)
        .then(|| limit.rlim_cur.saturating_sub(SPARE_BYTES))
}
