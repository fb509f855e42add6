//! How deep CPUs sleep that have nothing to do.

use serde::{Deserialize, Serialize};

use super::source::Root;

/// The deepest idle state that a CPU in use may go to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idle {
    /// What puts CPUs to sleep.
    #[serde(default)]
    pub driver: Option<String>,
    /// The name of the state; `None` where the kernel has no states, as in most guests.
    #[serde(default)]
    pub deepest: Option<String>,
    /// How long a CPU takes to come out of it, in microseconds.
    #[serde(default)]
    pub exit_latency_us: Option<u64>,
}

impl Idle {
    pub(super) fn read(root: Root<'_>, cpus: &[u32]) -> Self {
        let states = cpus.iter().flat_map(|&cpu| states(root, cpu));
        let (deepest, latency) = states.max_by_key(|(_, latency)| *latency).unzip();
        Self {
            driver: root.text("sys/devices/system/cpu/cpuidle/current_driver"),
            deepest,
            exit_latency_us: latency,
        }
    }
}

/// The states of a CPU that aren't disabled: name, and latency in microseconds.
fn states(root: Root<'_>, cpu: u32) -> Vec<(String, u64)> {
    let states = (0..).map_while(|state| {
        let file = |name| format!("sys/devices/system/cpu/cpu{cpu}/cpuidle/state{state}/{name}");
        let latency = root.value(&file("latency"))?;
        let disabled = root.switch(&file("disable")) == Some(true);
        let name = root.text(&file("name"));
        Some((
            name.unwrap_or_else(|| format!("state{state}")),
            latency,
            disabled,
        ))
    });
    let enabled = states.filter(|(_, _, disabled)| !disabled);
    enabled.map(|(name, latency, _)| (name, latency)).collect()
}
