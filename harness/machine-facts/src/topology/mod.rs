//! Which CPUs there are, in which order threads are placed on them, and pinning.

mod affinity;
mod cpu_list;
mod error;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

pub use affinity::affinity as allowed_cpus;
pub use affinity::{current_cpu, pin_current_thread};
pub use cpu_list::{MAX_CPU, format_cpu_list, parse_cpu_list};
pub use error::TopologyError;

/// A logical CPU and where it sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cpu {
    /// The kernel's number of the CPU.
    pub id: u32,
    /// The physical package (socket).
    pub package: u32,
    /// The physical core: the number of its lowest CPU, which is unique in the whole machine. (The
    /// kernel's `core_id` isn't: it starts anew in every package, and on some machines every die.)
    pub core: u32,
    /// How many CPUs of the same physical core come before this one in its [`Topology`]: 0 for the
    /// first of its SMT siblings. Siblings that this process may not use don't count.
    pub smt_rank: u32,
}

/// The CPUs that a run may use, in the order in which threads are placed on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    cpus: Vec<Cpu>,
    known: bool,
}

impl Topology {
    /// The CPUs in the calling thread's affinity.
    ///
    /// Call it before pinning: on a pinned thread the affinity is that one CPU.
    ///
    /// # Errors
    ///
    /// If the kernel doesn't tell the affinity.
    pub fn detect() -> Result<Self, TopologyError> {
        Self::from_sysfs(Path::new("/"), &affinity::affinity()?)
    }

    /// The CPUs that a thread of this process can pin itself to, whatever its affinity is now.
    ///
    /// These are the ones to look up a user's list in: CPUs isolated with `isolcpus=` are in no
    /// process's affinity until it asks for them by number. What wasn't asked for by number should
    /// stay within [`Topology::detect`], so that `taskset` means what it says.
    ///
    /// # Errors
    ///
    /// If the kernel doesn't tell, or no thread could be started to ask it.
    pub fn detect_reachable() -> Result<Self, TopologyError> {
        Self::from_sysfs(Path::new("/"), &affinity::reachable()?)
    }

    /// The topology of `allowed` CPUs as `sys/devices/system/cpu` under `root` describes it.
    ///
    /// Where that is missing or makes no sense (as in some containers), each CPU is taken for a
    /// core of its own in one package, and [`Topology::is_from_sysfs`] says so.
    ///
    /// # Errors
    ///
    /// If no CPU is allowed, or one is named twice.
    pub fn from_sysfs(root: &Path, allowed: &[u32]) -> Result<Self, TopologyError> {
        let mut sorted = allowed.to_vec();
        sorted.sort_unstable();
        if sorted.is_empty() {
            return Err(TopologyError::NoCpu {
                available: "the CPUs of this machine".to_owned(),
            });
        }
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(TopologyError::Duplicate {
                cpu: pair[0],
                available: format_cpu_list(allowed),
            });
        }
        let read = read_cpus(root, &sorted);
        let known = read.is_some();
        let mut cpus = read.unwrap_or_else(|| sorted.iter().map(|&id| lone_cpu(id)).collect());
        rank_siblings(&mut cpus);
        cpus.sort_by_key(|cpu| (cpu.smt_rank, cpu.package, cpu.core, cpu.id));
        Ok(Topology { cpus, known })
    }

    /// Keeps the CPUs of `list`, in its order: an explicit list is a placement.
    ///
    /// # Errors
    ///
    /// An empty list, a CPU that isn't in this topology, and one that is named twice.
    pub fn restrict(&self, list: &[u32]) -> Result<Self, TopologyError> {
        let available = || {
            let mut ids = self.ids();
            ids.sort_unstable();
            format_cpu_list(&ids)
        };
        if list.is_empty() {
            return Err(TopologyError::NoCpu {
                available: available(),
            });
        }
        let mut seen = BTreeSet::new();
        let mut cpus = Vec::with_capacity(list.len());
        for &id in list {
            let Some(cpu) = self.cpus.iter().find(|cpu| cpu.id == id) else {
                return Err(TopologyError::NotAvailable {
                    cpu: id,
                    available: available(),
                });
            };
            if !seen.insert(id) {
                return Err(TopologyError::Duplicate {
                    cpu: id,
                    available: available(),
                });
            }
            cpus.push(*cpu);
        }
        rank_siblings(&mut cpus);
        Ok(Topology {
            cpus,
            known: self.known,
        })
    }

    /// The CPUs in placement order: physical cores before SMT siblings, and one package before the
    /// next; or, after [`Topology::restrict`], as the user listed them. There is at least one.
    pub fn cpus(&self) -> &[Cpu] {
        &self.cpus
    }

    /// The numbers of the CPUs, in placement order.
    pub fn ids(&self) -> Vec<u32> {
        self.cpus.iter().map(|cpu| cpu.id).collect()
    }

    /// How many physical packages these CPUs are in.
    pub fn packages(&self) -> usize {
        let packages: BTreeSet<u32> = self.cpus.iter().map(|cpu| cpu.package).collect();
        packages.len()
    }

    /// How many physical cores these CPUs are in.
    pub fn cores(&self) -> usize {
        let cores: BTreeSet<u32> = self.cpus.iter().map(|cpu| cpu.core).collect();
        cores.len()
    }

    /// Whether packages, cores and siblings are known; if not, they are a guess.
    pub fn is_from_sysfs(&self) -> bool {
        self.known
    }
}

/// What is assumed of a CPU of which nothing is known.
fn lone_cpu(id: u32) -> Cpu {
    Cpu {
        id,
        package: 0,
        core: id,
        smt_rank: 0,
    }
}

/// Numbers the CPUs of each core in the order in which they stand.
fn rank_siblings(cpus: &mut [Cpu]) {
    let mut siblings = BTreeMap::new();
    for cpu in cpus {
        let count = siblings.entry(cpu.core).or_insert(0);
        cpu.smt_rank = *count;
        *count += 1;
    }
}

/// All or nothing: half a topology would be a wrong one.
fn read_cpus(root: &Path, ids: &[u32]) -> Option<Vec<Cpu>> {
    let mut lowest_of_core = BTreeMap::new();
    ids.iter()
        .map(|&id| {
            let dir = root.join(format!("sys/devices/system/cpu/cpu{id}/topology"));
            // Firmware that doesn't number packages makes the kernel print -1: there is only one.
            let package = read_id(&dir.join("physical_package_id"))?.unwrap_or(0);
            // `thread_siblings_list` is the older name.
            let siblings = ["core_cpus_list", "thread_siblings_list"]
                .iter()
                .find_map(|name| fs::read_to_string(dir.join(name)).ok());
            let core = match siblings {
                Some(list) => {
                    let siblings = parse_cpu_list(&list).ok()?;
                    // A list without the CPU itself is of another machine than the affinity.
                    if !siblings.contains(&id) {
                        return None;
                    }
                    siblings.into_iter().min()?
                }
                None => {
                    let core_id = read_id(&dir.join("core_id"))??;
                    *lowest_of_core.entry((package, core_id)).or_insert(id)
                }
            };
            Some(Cpu {
                package,
                core,
                ..lone_cpu(id)
            })
        })
        .collect()
}

/// An id from sysfs, and `Some(None)` where the kernel prints -1: not numbered.
fn read_id(path: &Path) -> Option<Option<u32>> {
    let id: i64 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    Some(u32::try_from(id).ok())
}
