//! How fast the CPUs may run, and who decides.

use serde::{Deserialize, Serialize};

use super::source::Root;
use crate::topology::format_cpu_list;

/// Frequency scaling of the CPUs used.
///
/// All fields are `None` where something else scales, as it does under a hypervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frequency {
    /// The governor; if they differ, which one is on which CPUs.
    pub governor: Option<String>,
    /// The scaling driver, likewise.
    pub driver: Option<String>,
    /// Whether the CPUs may run faster than they can for long.
    pub turbo: Option<bool>,
}

impl Frequency {
    pub(super) fn read(root: Root<'_>, cpus: &[u32]) -> Self {
        Self {
            governor: of_cpus(root, cpus, "scaling_governor"),
            driver: of_cpus(root, cpus, "scaling_driver"),
            turbo: turbo(root),
        }
    }
}

/// A cpufreq file of each CPU, in one string.
fn of_cpus(root: Root<'_>, cpus: &[u32], file: &str) -> Option<String> {
    let mut groups: Vec<(Option<String>, Vec<u32>)> = Vec::new();
    for &cpu in cpus {
        let value = root.text(&format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/{file}"));
        match groups.iter_mut().find(|(of_group, _)| *of_group == value) {
            Some((_, members)) => members.push(cpu),
            None => groups.push((value, vec![cpu])),
        }
    }
    if let [(value, _)] = &mut groups[..] {
        return value.take();
    }
    let groups = groups.into_iter().map(|(value, mut members)| {
        members.sort_unstable();
        let value = value.as_deref().unwrap_or("unknown");
        format!("{value} on {}", format_cpu_list(&members))
    });
    Some(groups.collect::<Vec<_>>().join("; "))
}

fn turbo(root: Root<'_>) -> Option<bool> {
    let cpu = |file| format!("sys/devices/system/cpu/{file}");
    let forbidden = root.switch(&cpu("intel_pstate/no_turbo"));
    forbidden
        .map(|forbidden| !forbidden)
        .or_else(|| root.switch(&cpu("cpufreq/boost")))
}
