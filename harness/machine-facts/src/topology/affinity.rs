//! Where the calling thread may run, and pinning it to one CPU.

use std::io;
use std::mem::size_of_val;
use std::thread;

use core_affinity::CoreId;
use libc::{c_ulong, cpu_set_t, pid_t};

use super::{MAX_CPU, TopologyError, format_cpu_list};

/// `sched_getaffinity()` and its kin take 0 for the calling thread.
const SELF: pid_t = 0;

const WORD_BITS: usize = c_ulong::BITS as usize;

/// The longest mask tried.
const MAX_WORDS: usize = (MAX_CPU as usize + 1) / WORD_BITS;

/// A CPU mask as long as the machine needs, laid out as the kernel's `cpumask`. `cpu_set_t` itself
/// ends at CPU 1023.
pub(super) struct CpuMask(Vec<c_ulong>);

impl CpuMask {
    fn empty(words: usize) -> Self {
        CpuMask(vec![0; words])
    }

    pub(super) fn all() -> Self {
        CpuMask(vec![c_ulong::MAX; MAX_WORDS])
    }

    pub(super) fn single(cpu: u32) -> Self {
        let cpu = cpu as usize;
        let mut mask = Self::empty(cpu / WORD_BITS + 1);
        mask.0[cpu / WORD_BITS] |= 1 << (cpu % WORD_BITS);
        mask
    }

    pub(super) fn cpus(&self) -> Vec<u32> {
        let is_set = |cpu: &u32| {
            let cpu = *cpu as usize;
            self.0[cpu / WORD_BITS] >> (cpu % WORD_BITS) & 1 == 1
        };
        (0..(self.0.len() * WORD_BITS) as u32)
            .filter(is_set)
            .collect()
    }

    /// The calling thread's mask, or the error if `words` are too few for this kernel.
    fn read(words: usize) -> io::Result<Self> {
        let mut mask = Self::empty(words);
        let size = size_of_val(mask.0.as_slice());
        // SAFETY: the pointer is valid for writes of `size` bytes, as aligned as `cpu_set_t` (an
        // array of `c_ulong`), and any bit pattern that the kernel writes is a valid `c_ulong`.
        let rc =
            unsafe { libc::sched_getaffinity(SELF, size, mask.0.as_mut_ptr().cast::<cpu_set_t>()) };
        if rc == 0 {
            Ok(mask)
        } else {
            Err(io::Error::last_os_error())
        }
    }

    fn apply(&self) -> io::Result<()> {
        let size = size_of_val(self.0.as_slice());
        // SAFETY: the pointer is valid for reads of `size` bytes, as aligned as `cpu_set_t`.
        let rc =
            unsafe { libc::sched_setaffinity(SELF, size, self.0.as_ptr().cast::<cpu_set_t>()) };
        if rc == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

/// The CPUs in the calling thread's affinity, in ascending order.
pub fn affinity() -> Result<Vec<u32>, TopologyError> {
    affinity_from(libc::CPU_SETSIZE as usize / WORD_BITS)
}

/// The kernel fails with EINVAL until the mask is as long as its own; there is no call that tells
/// the length.
pub(super) fn affinity_from(mut words: usize) -> Result<Vec<u32>, TopologyError> {
    loop {
        match CpuMask::read(words) {
            Ok(mask) => return Ok(mask.cpus()),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) && words < MAX_WORDS => {
                words = (words * 2).clamp(1, MAX_WORDS);
            }
            Err(error) => return Err(TopologyError::Affinity(error)),
        }
    }
}

/// The CPUs that a thread of this process can pin itself to: those of its cpuset.
///
/// They can be more than the affinity: `isolcpus=` keeps its CPUs out of every process's affinity,
/// and they are the best ones to measure on. Only the kernel knows, and it tells by cutting down
/// what is asked for; a thread of its own asks, so that no other thread's affinity is touched.
pub(super) fn reachable() -> Result<Vec<u32>, TopologyError> {
    let ask = || {
        CpuMask::all().apply().map_err(TopologyError::Affinity)?;
        affinity()
    };
    let thread = thread::Builder::new()
        .name("reachable-cpus".to_owned())
        .spawn(ask)
        .map_err(TopologyError::Thread)?;
    match thread.join() {
        Ok(cpus) => cpus,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Pins the calling thread to one CPU and reads the affinity back to see that it is.
///
/// # Errors
///
/// A CPU that is absent, offline or outside the cpuset; a sandbox that ignores affinity.
pub fn pin_current_thread(cpu: u32) -> Result<(), TopologyError> {
    if cpu > MAX_CPU {
        return Err(TopologyError::OutOfRange {
            cpu: cpu.to_string(),
            max: MAX_CPU,
        });
    }
    if let Err(source) = set_affinity(cpu) {
        return Err(TopologyError::Pin {
            cpu,
            source,
            affinity: format_cpu_list(&affinity()?),
        });
    }
    let affinity = affinity()?;
    if affinity == [cpu] {
        Ok(())
    } else {
        Err(TopologyError::NotPinned {
            cpu,
            affinity: format_cpu_list(&affinity),
        })
    }
}

fn set_affinity(cpu: u32) -> io::Result<()> {
    let id = cpu as usize;
    // core_affinity 0.8 indexes the fixed `cpu_set_t`, and aborts the process beyond its end.
    if id >= libc::CPU_SETSIZE as usize {
        return CpuMask::single(cpu).apply();
    }
    if core_affinity::set_for_current(CoreId { id }) {
        Ok(())
    } else {
        // It says only that the system call failed; errno still says why.
        Err(io::Error::last_os_error())
    }
}

/// The CPU that the calling thread is running on at this moment.
pub fn current_cpu() -> Option<u32> {
    // SAFETY: the call takes no arguments and only reads this thread's CPU number.
    let cpu = unsafe { libc::sched_getcpu() };
    u32::try_from(cpu).ok()
}
