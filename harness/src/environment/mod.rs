//! What the machine and the build were, so that a reader of the numbers can judge them.
//!
//! Nothing in here fails: what can't be read is `None`, and `null` in JSON. The machine's name is
//! left out on purpose, since results are published.

mod build;
mod cgroup;
mod frequency;
mod kernel;
mod processor;
mod source;
mod steal;
#[cfg(test)]
mod tests;
mod virtualization;
mod wording;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use build::Build;
pub use cgroup::CpuQuota;
pub use frequency::Frequency;
pub use kernel::{Kernel, Mitigations};
pub use processor::Processor;
pub use steal::StealMeter;
pub use virtualization::Virtualization;

use crate::topology::Topology;
use source::{CpuInfo, Root};

/// What a run was measured on and with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// The CPUs, and those of them that were used.
    pub processor: Processor,
    /// How fast the CPUs used may run.
    pub frequency: Frequency,
    /// Whether this is a virtual machine.
    pub virtualization: Virtualization,
    /// The kernel that ran, and its settings. It is not what is measured; it schedules that.
    pub kernel: Kernel,
    /// All memory that the kernel manages, in bytes.
    pub memory_bytes: Option<u64>,
    /// How many tasks ran or waited to, averaged over the minute before the capture.
    pub load_average_1min: Option<f64>,
    /// How much CPU time this process's control group may use.
    pub cpu_quota: Option<CpuQuota>,
    /// What the binary was built from.
    pub build: Build,
}

impl Environment {
    /// Looks at this machine. Call it before the measurement: its own load would count as others'.
    pub fn capture(topology: &Topology) -> Self {
        Self::capture_from(Path::new("/"), topology)
    }

    /// Looks at the machine whose `proc` and `sys` are under `root`.
    pub fn capture_from(root: &Path, topology: &Topology) -> Self {
        let root = Root::new(root);
        let cpu_info = CpuInfo::read(root, &topology.ids());
        let kernel = Kernel::read(root);
        Self {
            processor: Processor::read(root, &cpu_info, topology),
            frequency: Frequency::read(root, &topology.ids()),
            virtualization: Virtualization::read(root, &cpu_info),
            kernel,
            memory_bytes: memory_bytes(root),
            load_average_1min: load_average(root),
            cpu_quota: CpuQuota::read(root),
            build: Build::of_this_binary(),
        }
    }
}

fn memory_bytes(root: Root<'_>) -> Option<u64> {
    let text = root.text("proc/meminfo")?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn load_average(root: Root<'_>) -> Option<f64> {
    let text = root.text("proc/loadavg")?;
    let load: f64 = text.split_whitespace().next()?.parse().ok()?;
    load.is_finite().then_some(load)
}
