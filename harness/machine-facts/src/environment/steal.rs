//! The time for which a hypervisor ran something else while our CPUs had work.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::source::Root;
use crate::topology::Topology;

/// Counts stolen time from its start on.
///
/// The kernel counts in ticks of some milliseconds, and 0 where it doesn't know of a hypervisor.
#[derive(Debug, Clone)]
pub struct StealMeter {
    root: PathBuf,
    cpus: Vec<u32>,
    start: Option<Vec<u64>>,
}

impl StealMeter {
    /// Starts counting for the CPUs of a topology.
    pub fn start(topology: &Topology) -> Self {
        Self::start_from(Path::new("/"), topology)
    }

    /// Starts counting by the `proc` under `root`.
    pub fn start_from(root: &Path, topology: &Topology) -> Self {
        Self::start_on(root, topology.ids())
    }

    /// Starts counting for these CPUs.
    pub fn start_on(root: &Path, cpus: Vec<u32>) -> Self {
        Self {
            root: root.to_owned(),
            start: steal_ticks(root, &cpus),
            cpus,
        }
    }

    /// What was stolen since the start from all of the CPUs together; `None` where the kernel
    /// doesn't tell, or no longer tells for one of them.
    pub fn stolen(&self) -> Option<Duration> {
        let stolen = self.stolen_by_cpu()?;
        Some(stolen.iter().map(|(_, stolen)| stolen).sum())
    }

    /// What was stolen from each, in placement order.
    pub fn stolen_by_cpu(&self) -> Option<Vec<(u32, Duration)>> {
        let per_second = ticks_per_second()?;
        let start = self.start.as_ref()?;
        let now = steal_ticks(&self.root, &self.cpus)?;
        // Some hypervisors' counters have been seen to run backwards.
        let ticks = now
            .iter()
            .zip(start)
            .map(|(now, start)| now.saturating_sub(*start));
        let stolen = ticks.map(|ticks| Duration::from_secs(ticks) / per_second);
        Some(self.cpus.iter().copied().zip(stolen).collect())
    }
}

/// Where stolen time stands in a CPU's line, after user, nice, system, idle, iowait, irq, softirq.
/// The guest's time, which follows, is part of the user's.
const STEAL: usize = 7;

/// The counts of these CPUs in `proc/stat`, or nothing at all: a sum without some would mislead.
fn steal_ticks(root: &Path, cpus: &[u32]) -> Option<Vec<u64>> {
    let stat = fs::read_to_string(root.join("proc/stat")).ok()?;
    let ticks = |cpu: &u32| ticks_of(&stat, *cpu).map(|ticks| ticks[STEAL]);
    cpus.iter().map(ticks).collect()
}

/// A CPU's ticks by what they went into, up to those stolen.
fn ticks_of(stat: &str, cpu: u32) -> Option<[u64; STEAL + 1]> {
    let name = format!("cpu{cpu}");
    let mut lines = stat.lines().map(str::split_whitespace);
    let line = lines.find(|line| line.clone().next() == Some(&name))?;
    let ticks: Option<Vec<u64>> = line
        .skip(1)
        .take(STEAL + 1)
        .map(|ticks| ticks.parse().ok())
        .collect();
    ticks?.try_into().ok()
}

/// The share of all time since boot that was stolen from these CPUs, to six digits.
pub(super) fn share_since_boot(root: Root<'_>, cpus: &[u32]) -> Option<f64> {
    let stat = root.text("proc/stat")?;
    let (mut stolen, mut all) = (0, 0);
    for &cpu in cpus {
        let ticks = ticks_of(&stat, cpu)?;
        stolen += ticks[STEAL];
        all += ticks.iter().sum::<u64>();
    }
    (all > 0).then(|| (stolen as f64 / all as f64 * 1e6).round() / 1e6)
}

/// The unit of the counts, which is not the kernel's own tick.
fn ticks_per_second() -> Option<u32> {
    // SAFETY: the call takes a plain number, touches no memory of ours and may come at any time.
    let rate = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u32::try_from(rate).ok().filter(|&rate| rate > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(lines: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("proc")).unwrap();
        write(root.path(), lines);
        root
    }

    fn write(root: &Path, lines: &[&str]) {
        fs::write(root.join("proc/stat"), lines.join("\n") + "\n").unwrap();
    }

    fn topology(cpus: &[u32]) -> Topology {
        Topology::from_sysfs(Path::new("/nowhere"), cpus).unwrap()
    }

    #[test]
    fn only_used_cpus_count_and_from_the_start() {
        let root = root(&[
            "cpu  1 2 3 4 5 6 7 9000 0 0",
            "cpu1 1 2 3 4 5 6 7 100 0 0",
            "cpu11 1 2 3 4 5 6 7 200 0 0",
            "cpu12 1 2 3 4 5 6 7 300 0 0",
            "intr 1 2",
        ]);
        let meter = StealMeter::start_from(root.path(), &topology(&[1, 12]));
        assert_eq!(meter.stolen(), Some(Duration::ZERO));
        write(
            root.path(),
            &[
                "cpu  2 2 3 4 5 6 7 9999 0 0",
                "cpu1 2 2 3 4 5 6 7 150 0 0",
                "cpu11 2 2 3 4 5 6 7 999 0 0",
                "cpu12 2 2 3 4 5 6 7 500 9 9",
            ],
        );
        // Linux has told user space 100 ticks per second on every architecture but Alpha.
        let expected = [
            (1, Duration::from_millis(500)),
            (12, Duration::from_secs(2)),
        ];
        assert_eq!(meter.stolen_by_cpu().unwrap(), expected);
        assert_eq!(meter.stolen(), Some(Duration::from_millis(2500)));
    }

    #[test]
    fn the_share_since_boot_is_of_all_the_time_of_the_cpus_used() {
        let root = root(&[
            "cpu  1 2 3 4 5 6 7 9000 0 0",
            "cpu0 100 0 0 800 0 0 0 100 50 0",
            "cpu1 0 0 0 1000 0 0 0 0 0 0",
            "cpu2 0 0 0 0 0 0 0 0 0 0",
        ]);
        let share = |cpus: &[u32]| share_since_boot(Root::new(root.path()), cpus);
        assert_eq!(share(&[0]), Some(0.1));
        assert_eq!(share(&[0, 1]), Some(0.05));
        assert_eq!(share(&[2]), None, "it was never there");
        assert_eq!(share(&[0, 3]), None);
    }

    #[test]
    fn a_counter_that_runs_backwards_takes_nothing_off() {
        let root = root(&["cpu0 1 2 3 4 5 6 7 100 0 0", "cpu1 1 2 3 4 5 6 7 100 0 0"]);
        let meter = StealMeter::start_from(root.path(), &topology(&[0, 1]));
        write(
            root.path(),
            &["cpu0 1 2 3 4 5 6 7 50 0 0", "cpu1 1 2 3 4 5 6 7 200 0 0"],
        );
        assert_eq!(meter.stolen(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn what_is_not_counted_is_not_zero() {
        let root = root(&[
            "cpu0 1 2 3 4 5 6 7 8 0 0",
            "cpu1 1 2 3 4",
            "cpu20 1 2 3 4 5 6 7 8 0 0",
        ]);
        let stolen = |cpus| StealMeter::start_from(root.path(), &topology(cpus)).stolen();
        assert_eq!(stolen(&[0]), Some(Duration::ZERO));
        assert_eq!(stolen(&[0, 1]), None, "too old a kernel");
        assert_eq!(stolen(&[0, 2]), None, "a CPU that isn't there");
        let meter = StealMeter::start_from(root.path(), &topology(&[0]));
        fs::remove_file(root.path().join("proc/stat")).unwrap();
        assert_eq!(meter.stolen(), None);
    }
}
