//! The CPUs of the machine, and those in use.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::source::{CpuInfo, Root};
use crate::topology::{Topology, format_cpu_list, parse_cpu_list};

/// The CPUs of the machine, and those that were used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Processor {
    /// The model by its name; on arm64, which has no names, by its numbers.
    pub model: Option<String>,
    /// How many logical CPUs of the machine are online, used or not.
    pub logical_cpus_online: Option<usize>,
    /// How many logical CPUs were used.
    pub logical_cpus_used: usize,
    /// Which ones, as a CPU list in the order in which threads were placed on them.
    pub cpus_used: String,
    /// How many physical packages those are in.
    pub packages_used: usize,
    /// How many physical cores those are in.
    pub cores_used: usize,
    /// Whether packages and cores are known; if not, they are a guess.
    pub topology_known: bool,
    /// Whether cores of the machine have more than one CPU online.
    pub smt_active: Option<bool>,
    /// Whether two of the CPUs used share a core.
    pub smt_siblings_used: bool,
    /// Of the CPUs used, the first one of each core, as a CPU list; `None` where cores are a guess.
    #[serde(default)]
    pub one_cpu_per_core: Option<String>,
    /// CPUs online that share a core with one used and aren't used, as a CPU list.
    #[serde(default)]
    pub smt_siblings_unused: Option<String>,
    /// What has been done about SMT: `on`, `off`, `forceoff`, `notsupported` or `notimplemented`.
    #[serde(default)]
    pub smt_control: Option<String>,
    /// The size of the largest cache that the first CPU used has, or has a share in.
    pub last_level_cache_bytes: Option<u64>,
    /// The size of its lines.
    pub cache_line_bytes: Option<u64>,
    /// Whether the TSC ticks at one rate and never stops; `None` on anything but x86.
    pub tsc_invariant: Option<bool>,
}

impl Processor {
    pub(super) fn read(root: Root<'_>, cpu_info: &CpuInfo, topology: &Topology) -> Self {
        let cache = last_level_cache(root, topology.cpus()[0].id);
        Self {
            model: cpu_info.model(),
            logical_cpus_online: online(root),
            logical_cpus_used: topology.cpus().len(),
            cpus_used: format_cpu_list(&topology.ids()),
            packages_used: topology.packages(),
            cores_used: topology.cores(),
            topology_known: topology.is_from_sysfs(),
            smt_active: root.switch("sys/devices/system/cpu/smt/active"),
            smt_siblings_used: topology.cpus().iter().any(|cpu| cpu.smt_rank > 0),
            one_cpu_per_core: topology
                .is_from_sysfs()
                .then(|| format_cpu_list(&first_of_cores(topology))),
            smt_siblings_unused: siblings_unused(root, topology),
            smt_control: root.text("sys/devices/system/cpu/smt/control"),
            last_level_cache_bytes: cache.as_ref().and_then(|cache| cache.bytes),
            cache_line_bytes: cache.as_ref().and_then(|cache| cache.line_bytes),
            tsc_invariant: cpu_info.have(&["constant_tsc", "nonstop_tsc"]),
        }
    }
}

fn online(root: Root<'_>) -> Option<usize> {
    let list = root.text("sys/devices/system/cpu/online")?;
    Some(parse_cpu_list(&list).ok()?.len())
}

fn first_of_cores(topology: &Topology) -> Vec<u32> {
    let cpus = topology.cpus().iter();
    let first = cpus.filter(|cpu| cpu.smt_rank == 0);
    first.map(|cpu| cpu.id).collect()
}

/// The kernel lists siblings only while they are online.
fn siblings_unused(root: Root<'_>, topology: &Topology) -> Option<String> {
    let used = topology.ids();
    let mut unused = BTreeSet::new();
    for cpu in &used {
        let list = |name| root.text(&format!("sys/devices/system/cpu/cpu{cpu}/topology/{name}"));
        // `thread_siblings_list` is the older name.
        let siblings = list("core_cpus_list").or_else(|| list("thread_siblings_list"))?;
        unused.extend(parse_cpu_list(&siblings).ok()?);
    }
    let unused = unused.into_iter().filter(|cpu| !used.contains(cpu));
    Some(format_cpu_list(&unused.collect::<Vec<_>>()))
}

struct Cache {
    level: u32,
    bytes: Option<u64>,
    line_bytes: Option<u64>,
}

fn last_level_cache(root: Root<'_>, cpu: u32) -> Option<Cache> {
    let caches = (0..).map_while(|index| {
        let file = |name| format!("sys/devices/system/cpu/cpu{cpu}/cache/index{index}/{name}");
        Some(Cache {
            level: root.value(&file("level"))?,
            bytes: root.text(&file("size")).as_deref().and_then(parse_size),
            line_bytes: root.value(&file("coherency_line_size")),
        })
    });
    caches.max_by_key(|cache| cache.level)
}

/// `36608K`.
fn parse_size(size: &str) -> Option<u64> {
    let digits = size.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let unit: u64 = match &size[digits.len()..] {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}
