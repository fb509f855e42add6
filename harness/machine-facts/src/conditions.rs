//! What happened to a measurement while it ran: time that the hypervisor took, threads that were
//! preempted or moved, a frequency that changed.
//!
//! A round in which something did is marked and counted, and it is kept: leaving out what was
//! disturbed would leave out what is slow.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::environment::StealMeter;
use crate::topology::{allowed_cpus, current_cpu};

/// What happened to the threads of a cell in the measured time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    /// What the hypervisor took from the CPUs of these threads, in milliseconds, in steps of the
    /// kernel's 10; `None` where it isn't counted.
    pub stolen_ms: Option<f64>,
    /// How often a thread was taken off its CPU against its will, summed over threads.
    pub involuntary_switches: u64,
    /// How often a thread went to another CPU, where the kernel counts that for us.
    pub migrations: Option<u64>,
    /// CPUs that threads were pinned to and no longer on at the end, or no longer pinned to: taken
    /// offline, or out of the cpuset.
    pub lost_cpus: Vec<u32>,
    /// The largest change of a CPU's frequency from before to after, as a share of it; `None` where
    /// the frequency can't be read.
    pub frequency_change: Option<f64>,
    /// What a cache line's way from the first thread's CPU to each other thread's took, in
    /// nanoseconds, right before the cell; empty for one CPU, and where it couldn't be told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transfers_ns: Vec<f64>,
}

/// Why a round is called unstable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The hypervisor took time.
    Steal,
    /// A thread was preempted.
    InvoluntarySwitches,
    /// A thread went to another CPU.
    Migrations,
    /// A CPU went away.
    LostCpu,
    /// The frequency changed by more than 5 %.
    Frequency,
}

impl Cause {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 5] = [
        Self::Steal,
        Self::InvoluntarySwitches,
        Self::Migrations,
        Self::LostCpu,
        Self::Frequency,
    ];

    /// In words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Steal => "stolen time",
            Self::InvoluntarySwitches => "involuntary switches",
            Self::Migrations => "migrations",
            Self::LostCpu => "CPU lost",
            Self::Frequency => "frequency change",
        }
    }
}

/// A frequency that changes by less is what every CPU does.
const FREQUENCY_CHANGE: f64 = 0.05;

impl Conditions {
    /// What makes the round unstable; nothing if it isn't.
    pub fn causes(&self) -> Vec<Cause> {
        let is = |cause: &Cause| match cause {
            Cause::Steal => self.stolen_ms.is_some_and(|ms| ms > 0.0),
            Cause::InvoluntarySwitches => self.involuntary_switches > 0,
            Cause::Migrations => self.migrations.is_some_and(|times| times > 0),
            Cause::LostCpu => !self.lost_cpus.is_empty(),
            Cause::Frequency => {
                let change = self.frequency_change;
                change.is_some_and(|change| change > FREQUENCY_CHANGE)
            }
        };
        Cause::ALL.into_iter().filter(is).collect()
    }

    /// Whether anything makes the round unstable.
    pub fn is_unstable(&self) -> bool {
        !self.causes().is_empty()
    }
}

/// One thread's part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadConditions {
    /// The CPU that it was pinned to.
    pub cpu: u32,
    /// How often it was taken off its CPU against its will.
    pub involuntary_switches: u64,
    /// Whether it was still on its CPU at the end, and bound to it.
    pub stayed: bool,
}

/// Watches the calling thread.
#[derive(Debug)]
pub struct ThreadWatch {
    cpu: u32,
    switches: u64,
}

impl ThreadWatch {
    /// From now on; the thread is pinned to `cpu`.
    pub fn start(cpu: u32) -> Self {
        let switches = involuntary_switches();
        Self { cpu, switches }
    }

    /// What has happened to it.
    pub fn stop(self) -> ThreadConditions {
        let bound = allowed_cpus().is_ok_and(|cpus| cpus == [self.cpu]);
        ThreadConditions {
            cpu: self.cpu,
            involuntary_switches: involuntary_switches().saturating_sub(self.switches),
            stayed: bound && current_cpu().is_none_or(|cpu| cpu == self.cpu),
        }
    }
}

/// Those of the calling thread.
fn involuntary_switches() -> u64 {
    thread_usage().map_or(0, |usage| u64::try_from(usage.ru_nivcsw).unwrap_or(0))
}

/// What the calling thread had of its CPUs so far; nothing where the system doesn't say.
pub fn thread_cpu_time() -> Duration {
    let of = |time: libc::timeval| {
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::from_secs(seconds) + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    thread_usage().map_or(Duration::ZERO, |usage| {
        of(usage.ru_utime) + of(usage.ru_stime)
    })
}

fn thread_usage() -> Option<libc::rusage> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is valid for the structure that the call fills in.
    let result = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    // SAFETY: zeroes are a valid value, and so is what the call fills in.
    let usage = unsafe { usage.assume_init() };
    (result == 0).then_some(usage)
}

/// Watches CPUs from outside.
#[derive(Debug)]
pub struct CpuWatch {
    root: PathBuf,
    steal: StealMeter,
    khz: Vec<(u32, Option<u64>)>,
}

impl CpuWatch {
    /// From now on.
    pub fn start(cpus: Vec<u32>) -> Self {
        Self::start_from(Path::new("/"), cpus)
    }

    fn start_from(root: &Path, cpus: Vec<u32>) -> Self {
        let khz = cpus.iter().map(|&cpu| (cpu, khz(root, cpu))).collect();
        Self {
            root: root.to_owned(),
            steal: StealMeter::start_on(root, cpus),
            khz,
        }
    }

    /// What has happened, together with what happened to the threads.
    pub fn stop(self, threads: impl Iterator<Item = ThreadConditions> + Clone) -> Conditions {
        let changes = self.khz.iter().filter_map(|&(cpu, before)| {
            let (before, after) = (before? as f64, khz(&self.root, cpu)? as f64);
            Some((after / before).max(before / after) - 1.0)
        });
        let lost = threads.clone().filter(|thread| !thread.stayed);
        let mut lost_cpus: Vec<u32> = lost.map(|thread| thread.cpu).collect();
        lost_cpus.sort_unstable();
        lost_cpus.dedup();
        let stolen = self.steal.stolen();
        Conditions {
            stolen_ms: stolen.map(|stolen| stolen.as_secs_f64() * 1e3),
            involuntary_switches: threads.map(|it| it.involuntary_switches).sum(),
            migrations: None,
            lost_cpus,
            frequency_change: changes.reduce(f64::max),
            transfers_ns: Vec::new(),
        }
    }
}

fn khz(root: &Path, cpu: u32) -> Option<u64> {
    let file = format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq");
    let khz: u64 = fs::read_to_string(root.join(file))
        .ok()?
        .trim()
        .parse()
        .ok()?;
    (khz > 0).then_some(khz)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{Topology, pin_current_thread};
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

    #[test]
    fn each_cause_makes_a_round_unstable_and_a_quiet_one_has_none() {
        let quiet = Conditions {
            stolen_ms: Some(0.0),
            migrations: Some(0),
            frequency_change: Some(0.049),
            ..Conditions::default()
        };
        assert!(!quiet.is_unstable() && !Conditions::default().is_unstable());
        type Change = fn(&mut Conditions);
        let changes: [(Change, Cause); 5] = [
            (|it| it.stolen_ms = Some(10.0), Cause::Steal),
            (|it| it.involuntary_switches = 1, Cause::InvoluntarySwitches),
            (|it| it.migrations = Some(1), Cause::Migrations),
            (|it| it.lost_cpus = vec![3], Cause::LostCpu),
            (|it| it.frequency_change = Some(0.06), Cause::Frequency),
        ];
        for (change, cause) in changes {
            let mut conditions = quiet.clone();
            change(&mut conditions);
            assert_eq!(conditions.causes(), [cause]);
        }
    }

    #[test]
    fn a_thread_that_is_moved_has_lost_its_cpu() {
        let cpus = Topology::detect().unwrap().ids();
        std::thread::spawn(move || {
            pin_current_thread(cpus[0]).unwrap();
            let watch = ThreadWatch::start(cpus[0]);
            assert!(watch.stop().stayed);
            // As if it had been pinned to another one, and that were gone.
            let watch = ThreadWatch::start(cpus[0] + 1);
            assert!(!watch.stop().stayed);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn two_threads_on_one_cpu_are_preempted() {
        let cpu = Topology::detect().unwrap().ids()[0];
        let (rounds, is_over) = (AtomicU32::new(0), AtomicBool::new(false));
        let switches = std::thread::scope(|scope| {
            scope.spawn(|| {
                pin_current_thread(cpu).unwrap();
                while !is_over.load(Relaxed) {
                    rounds.fetch_add(1, Relaxed);
                }
            });
            let ours = scope.spawn(|| {
                pin_current_thread(cpu).unwrap();
                let watch = ThreadWatch::start(cpu);
                // Where the other goes on, this one was taken off: it never gives the CPU away.
                let seen = rounds.load(Relaxed);
                while rounds.load(Relaxed) == seen {
                    std::hint::spin_loop();
                }
                is_over.store(true, Relaxed);
                watch.stop().involuntary_switches
            });
            ours.join().unwrap()
        });
        assert!(switches > 0);
    }

    #[test]
    fn what_happens_to_cpus_is_seen_from_before_to_after() {
        let root = tempfile::tempdir().unwrap();
        let cpufreq = root.path().join("sys/devices/system/cpu/cpu1/cpufreq");
        fs::create_dir_all(&cpufreq).unwrap();
        fs::create_dir(root.path().join("proc")).unwrap();
        let write = |khz: &str, ticks: u32| {
            fs::write(cpufreq.join("scaling_cur_freq"), format!("{khz}\n")).unwrap();
            let line = format!("cpu1 1 2 3 4 5 6 7 {ticks} 0 0\n");
            fs::write(root.path().join("proc/stat"), line).unwrap();
        };
        write("2000000", 7);
        let watch = CpuWatch::start_from(root.path(), vec![1]);
        write("1600000", 9);
        let thread = |cpu, stayed| ThreadConditions {
            cpu,
            involuntary_switches: 2,
            stayed,
        };
        let threads = [thread(1, true), thread(4, false), thread(4, false)];
        let seen = watch.stop(threads.into_iter());
        assert_eq!((seen.stolen_ms, seen.involuntary_switches), (Some(20.0), 6));
        assert_eq!(seen.lost_cpus, [4]);
        assert!((seen.frequency_change.unwrap() - 0.25).abs() < 1e-9);

        let unknown = CpuWatch::start_from(Path::new("/nowhere"), vec![1]).stop([].into_iter());
        assert_eq!(unknown, Conditions::default());
    }
}
