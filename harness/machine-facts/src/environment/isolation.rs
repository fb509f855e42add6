//! Which CPUs are kept free of others, and which this process may use.

use serde::{Deserialize, Serialize};

use super::source::Root;

/// CPUs of the machine by what they are for, each as a CPU list, empty if there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// Those online.
    #[serde(default)]
    pub online: Option<String>,
    /// Those that this process was allowed, by its affinity within its cpuset.
    #[serde(default)]
    pub allowed: Option<String>,
    /// Those that the scheduler leaves to tasks which ask for them by number.
    #[serde(default)]
    pub isolated: Option<String>,
    /// Those without a tick while they run a single task.
    #[serde(default)]
    pub nohz_full: Option<String>,
}

impl Isolation {
    pub(super) fn read(root: Root<'_>) -> Self {
        let list = |name| root.cpu_list(&format!("sys/devices/system/cpu/{name}"));
        Self {
            online: list("online"),
            allowed: root
                .line("proc/self/status", "Cpus_allowed_list:")
                .filter(|list| !list.is_empty()),
            isolated: list("isolated"),
            nohz_full: list("nohz_full"),
        }
    }
}
