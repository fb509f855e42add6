//! Limits that a container is given.

use serde::{Deserialize, Serialize};

use super::source::Root;

/// How much CPU time a control group may use, as the tightest limit above this process says.
///
/// When the quota of a period is used up, all threads are stopped until the next one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CpuQuota {
    /// Quota and period in microseconds, or `max` for no quota, as in `cpu.max`.
    pub cpu_max: String,
    /// How many CPUs' time that is; `None` without a quota.
    pub cpus: Option<f64>,
    /// Whether the control group is one of version 1, whose quota is in `cpu.cfs_quota_us`.
    #[serde(default)]
    pub version_1: bool,
}

impl CpuQuota {
    pub(super) fn read(root: Root<'_>) -> Option<Self> {
        let groups = root.text("proc/self/cgroup").unwrap_or_default();
        let unified = groups.lines().find_map(|line| line.strip_prefix("0::"));
        let limits = ["sys/fs/cgroup", "sys/fs/cgroup/unified"]
            .iter()
            .flat_map(|mount| levels(mount, unified))
            .filter_map(|group| Self::parse(&root.text(&format!("{group}/cpu.max"))?));
        let own = groups.lines().find_map(|line| version_1(line, "cpu"));
        let older = ["sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct"]
            .iter()
            .flat_map(|mount| levels(mount, own))
            .filter_map(|group| Self::read_version_1(root, &group));
        limits.chain(older).min_by(|one, other| {
            let cpus = |limit: &Self| limit.cpus.unwrap_or(f64::INFINITY);
            cpus(one).total_cmp(&cpus(other))
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (quota, period) = text.split_once(' ')?;
        let period: f64 = period.trim().parse().ok()?;
        let cpus = match quota {
            "max" => None,
            quota => Some(quota.parse::<f64>().ok()? / period),
        };
        Some(Self {
            cpu_max: text.to_owned(),
            cpus,
            version_1: false,
        })
    }

    fn read_version_1(root: Root<'_>, group: &str) -> Option<Self> {
        let quota: i64 = root.value(&format!("{group}/cpu.cfs_quota_us"))?;
        let period: u64 = root.value(&format!("{group}/cpu.cfs_period_us"))?;
        let limit = match quota {
            ..0 => format!("max {period}"),
            quota => format!("{quota} {period}"),
        };
        Some(Self {
            version_1: true,
            ..Self::parse(&limit)?
        })
    }
}

/// The least that a control group above this process may have of memory, in bytes; `None` without a
/// limit.
pub(super) fn memory_limit(root: Root<'_>) -> Option<u64> {
    let groups = root.text("proc/self/cgroup").unwrap_or_default();
    let unified = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let own = groups.lines().find_map(|line| version_1(line, "memory"));
    let limits = levels("sys/fs/cgroup", unified)
        .into_iter()
        .map(|group| format!("{group}/memory.max"));
    let older = levels("sys/fs/cgroup/memory", own)
        .into_iter()
        .map(|group| format!("{group}/memory.limit_in_bytes"));
    // No limit is `max`, or in version 1 a number that no machine has.
    let bytes = limits.chain(older).filter_map(|file| root.value(&file));
    bytes.filter(|&bytes: &u64| bytes < 1 << 60).min()
}

/// The path of the group that a line of `/proc/self/cgroup` names for a controller of version 1.
fn version_1<'l>(line: &'l str, controller: &str) -> Option<&'l str> {
    let (_, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let is_named = controllers.split(',').any(|it| it == controller);
    is_named.then_some(path)
}

/// The directories of a group and of those above it. In a container the path may be one that only
/// the host has; the mount then is the container's own group.
fn levels(mount: &str, path: Option<&str>) -> Vec<String> {
    let mut levels = vec![mount.to_owned()];
    let names = path.unwrap_or_default().split('/');
    for name in names.filter(|name| !name.is_empty()) {
        // A path above the own namespace's root leads out of the mount.
        if name == ".." {
            break;
        }
        levels.push(format!("{}/{name}", levels[levels.len() - 1]));
    }
    levels
}
