//! The CPUs of the machine, and those in use.

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
