//! The kernel that ran, and those of its settings that show in a measurement.

use serde::{Deserialize, Serialize};

use super::source::Root;

/// Boot parameters that decide which CPUs are left alone, how deep they sleep, and what entering
/// the kernel costs. Others may name disks and hosts, and are left out.
const PARAMETERS: [&str; 11] = [
    "isolcpus",
    "nohz_full",
    "rcu_nocbs",
    "mitigations",
    "preempt",
    "idle",
    "intel_pstate",
    "amd_pstate",
    "processor.max_cstate",
    "intel_idle.max_cstate",
    "nosmt",
];

const CLOCKSOURCE: &str = "sys/devices/system/clocksource/clocksource0";

/// The kernel and its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kernel {
    /// What `uname -r` prints.
    pub release: Option<String>,
    /// What `uname -v` prints: among others, the preemption model.
    pub version: Option<String>,
    /// The boot parameters that show in a measurement, as they were given.
    pub parameters: Option<Vec<String>>,
    /// What is done about the hardware's vulnerabilities.
    pub mitigations: Option<Mitigations>,
    /// What the kernel itself reads the time from.
    pub clocksource: Option<String>,
    /// What it could read it from.
    #[serde(default)]
    pub clocksources: Option<Vec<String>>,
    /// `always`, `madvise` or `never`.
    pub transparent_hugepages: Option<String>,
    /// Whether hardware counters could have been read: up to 2, a process's own ones.
    pub perf_event_paranoid: Option<i32>,
    /// What there is to count with, by the names of the devices; the hardware's own counters are
    /// among them only if there are any.
    #[serde(default)]
    pub event_sources: Option<Vec<String>>,
    /// Whether a watchdog interrupts each CPU by one of its counters.
    #[serde(default)]
    pub nmi_watchdog: Option<bool>,
}

/// How many of the hardware's vulnerabilities are dealt with; those that this hardware doesn't
/// have count as neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mitigations {
    /// Those that are mitigated.
    pub mitigated: usize,
    /// Those that are left open.
    pub vulnerable: usize,
}

impl Kernel {
    pub(super) fn read(root: Root<'_>) -> Self {
        Self {
            release: root.text("proc/sys/kernel/osrelease"),
            version: root.text("proc/sys/kernel/version"),
            parameters: root.text("proc/cmdline").as_deref().map(parameters),
            mitigations: Mitigations::read(root),
            clocksource: root.text(&format!("{CLOCKSOURCE}/current_clocksource")),
            clocksources: root
                .text(&format!("{CLOCKSOURCE}/available_clocksource"))
                .map(|names| names.split_whitespace().map(str::to_owned).collect()),
            transparent_hugepages: root
                .text("sys/kernel/mm/transparent_hugepage/enabled")
                .as_deref()
                .and_then(chosen),
            perf_event_paranoid: root.value("proc/sys/kernel/perf_event_paranoid"),
            event_sources: root.names_in("sys/bus/event_source/devices"),
            nmi_watchdog: root.switch("proc/sys/kernel/nmi_watchdog"),
        }
    }
}

impl Mitigations {
    fn read(root: Root<'_>) -> Option<Self> {
        let states = root.texts_in("sys/devices/system/cpu/vulnerabilities")?;
        let count = |start| {
            // One of the files says first whom it is about.
            let states = states.iter().map(|state| state.trim_start_matches("KVM: "));
            states.filter(|state| state.starts_with(start)).count()
        };
        Some(Self {
            mitigated: count("Mitigation"),
            vulnerable: count("Vulnerable"),
        })
    }
}

fn parameters(command_line: &str) -> Vec<String> {
    let words = command_line.split_whitespace();
    // What follows is for init.
    let words = words.take_while(|word| *word != "--");
    let matters = words.filter(|word| {
        let name = word.split('=').next().unwrap_or(word);
        // The kernel takes one for the other.
        PARAMETERS.contains(&&*name.replace('-', "_"))
    });
    matters.map(str::to_owned).collect()
}

/// The word in brackets out of `always [madvise] never`.
fn chosen(choices: &str) -> Option<String> {
    let (_, rest) = choices.split_once('[')?;
    let (chosen, _) = rest.split_once(']')?;
    Some(chosen.to_owned())
}
