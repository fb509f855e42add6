//! What the machine and the build were, so that a reader of the numbers can judge them.
//!
//! Nothing in here fails: what can't be read is `None`, and `null` in JSON. The machine's name is
//! left out on purpose, since results are published.

mod build;
mod cgroup;
#[cfg(test)]
pub(crate) mod fake;
mod frequency;
mod idle;
mod isolation;
mod kernel;
mod memory;
mod processor;
mod source;
mod steal;
#[cfg(test)]
mod tests;
mod virtualization;
pub mod wording;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use build::{BUILD, Build};
pub use cgroup::CpuQuota;
pub use frequency::Frequency;
pub use idle::Idle;
pub use isolation::Isolation;
pub use kernel::{Kernel, Mitigations};
pub use memory::Memory;
pub use processor::Processor;
pub use steal::StealMeter;
pub use virtualization::Virtualization;
pub use wording::counted;

use crate::topology::Topology;
use source::{CpuInfo, Root};

/// What a run was measured on and with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// The CPUs, and those of them that were used.
    pub processor: Processor,
    /// How fast the CPUs used may run.
    pub frequency: Frequency,
    /// How deep they sleep.
    #[serde(default)]
    pub idle: Idle,
    /// Which CPUs are kept free of others.
    #[serde(default)]
    pub isolation: Isolation,
    /// Whether this is a virtual machine.
    pub virtualization: Virtualization,
    /// The share of the time since boot that a hypervisor took from the CPUs used, from 0 to 1.
    #[serde(default)]
    pub stolen_share: Option<f64>,
    /// The kernel that ran, and its settings. It is not what is measured; it schedules that.
    pub kernel: Kernel,
    /// All memory that the kernel manages, in bytes.
    pub memory_bytes: Option<u64>,
    /// How much memory this process may lock, in bytes or `unlimited`.
    #[serde(default)]
    pub memlock: Option<String>,
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
            idle: Idle::read(root, &topology.ids()),
            isolation: Isolation::read(root),
            virtualization: Virtualization::read(root, &cpu_info),
            stolen_share: steal::share_since_boot(root, &topology.ids()),
            kernel,
            memlock: memlock(root),
            memory_bytes: memory::of_the_machine(root),
            load_average_1min: load_average(root),
            cpu_quota: CpuQuota::read(root),
            build: Build::of_this_binary(),
        }
    }
}

/// The soft limit: `Max locked memory  65536  65536  bytes`.
fn memlock(root: Root<'_>) -> Option<String> {
    let limits = root.line("proc/self/limits", "Max locked memory")?;
    let soft = limits.split_whitespace().next()?;
    let known = soft == "unlimited" || soft.parse::<u64>().is_ok();
    known.then(|| soft.to_owned())
}

fn load_average(root: Root<'_>) -> Option<f64> {
    let text = root.text("proc/loadavg")?;
    let load: f64 = text.split_whitespace().next()?.parse().ok()?;
    load.is_finite().then_some(load)
}
