//! The environment in words: plain ASCII, for a report that goes into a mail.

use super::Environment;

/// More than this, and something else was running, not only what the kernel does on its own.
const QUIET_LOAD: f64 = 0.5;

/// The kernel's names of the counters that the architectures have of their own. Anything else
/// stands in for one that was missing or that failed.
const COUNTERS: [&str; 4] = ["tsc", "arch_sys_counter", "timebase", "riscv_clocksource"];

/// What a reader of a measurement has to be told of the machine and the build, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Assertions were compiled in, or the compiler was told not to optimize.
    DebugBuild,
    /// Functions begin anywhere.
    Unaligned,
    /// A hypervisor is below.
    VirtualMachine,
    /// The control group may be stopped.
    Quota,
    /// Others ran.
    Load,
    /// The frequency is somebody's choice at any moment.
    Governor,
    /// The frequency depends on heat.
    Turbo,
    /// Threads were placed on both siblings of a core.
    SmtSiblings,
    /// Whether they were is unknown.
    UnknownTopology,
    /// The counter can't be read as the time.
    VariableTsc,
    /// The kernel's own clock isn't the counter.
    Clocksource,
    /// The sources aren't those of the commit.
    DirtyBuild,
}

impl Flaw {
    const ALL: [Self; 12] = [
        Self::DebugBuild,
        Self::Unaligned,
        Self::VirtualMachine,
        Self::Quota,
        Self::Load,
        Self::Governor,
        Self::Turbo,
        Self::SmtSiblings,
        Self::UnknownTopology,
        Self::VariableTsc,
        Self::Clocksource,
        Self::DirtyBuild,
    ];
}

impl Environment {
    /// What about the machine and the build spoils a measurement, the worst first: one line of at
    /// most 72 columns each.
    pub fn caveats(&self) -> Vec<String> {
        let flaws = Flaw::ALL.iter();
        flaws.filter_map(|flaw| self.caveat(*flaw)).collect()
    }

    /// The caveat of one flaw, if the machine or the build has it. What the
    /// doctor calls spoilt is so by this.
    pub fn caveat(&self, flaw: Flaw) -> Option<String> {
        let processor = &self.processor;
        let if_so = |so: bool, caveat: &str| so.then(|| caveat.to_owned());
        match flaw {
            Flaw::DebugBuild => self.debug_caveat(),
            Flaw::Unaligned => if_so(
                self.build.aligns_functions() == Some(false),
                "built without -align-all-functions=6: layout may move figures",
            ),
            Flaw::VirtualMachine => self.virtual_machine_caveat(),
            Flaw::Quota => self.quota_caveat(),
            Flaw::Load => self.load_caveat(),
            Flaw::Governor => self.governor_caveat(),
            Flaw::Turbo => if_so(
                self.frequency.turbo == Some(true),
                "turbo is on: the frequency varies with load and heat",
            ),
            Flaw::SmtSiblings => if_so(
                processor.smt_siblings_used,
                "SMT siblings are in use: threads share cores",
            ),
            Flaw::UnknownTopology => if_so(
                !processor.topology_known,
                "the CPU topology is unknown: each CPU is taken for a core",
            ),
            Flaw::VariableTsc => if_so(
                processor.tsc_invariant == Some(false),
                "no invariant TSC: latencies contain slower clock reads",
            ),
            Flaw::Clocksource => self.clocksource_caveat(),
            Flaw::DirtyBuild => if_so(
                self.build.dirty == Some(true),
                "built from uncommitted changes: the commit doesn't say it all",
            ),
        }
    }

    /// The machine in one line, of any length.
    pub fn headline(&self) -> String {
        let processor = &self.processor;
        let model = processor.model.as_deref().unwrap_or("unknown CPU");
        let used = processor.logical_cpus_used;
        let cpus = match processor.logical_cpus_online {
            Some(online) if online != used => format!("{used} of {online} CPUs"),
            _ => counted(used as u64, "CPU"),
        };
        let places = if processor.topology_known {
            let cores = counted(processor.cores_used as u64, "core");
            format!(
                "{cores}, {}",
                counted(processor.packages_used as u64, "package")
            )
        } else {
            "topology unknown".to_owned()
        };
        let mut parts = vec![model.to_owned(), format!("{cpus} ({places})")];
        if self.virtualization.virtual_machine == Some(true) {
            let hypervisor = self.virtualization.hypervisor.as_ref();
            parts.push(hypervisor.map_or("VM".to_owned(), |name| format!("VM ({name})")));
        }
        let release = self.kernel.release.as_deref().unwrap_or("unknown");
        parts.push(format!("Linux {release}"));
        ascii(&parts.join(", "))
    }

    /// The build in one line, of any length.
    pub fn build_line(&self) -> String {
        let build = &self.build;
        let commit = build.commit.as_deref().unwrap_or("unknown");
        let modified = if build.dirty == Some(true) {
            " (modified)"
        } else {
            ""
        };
        // The version alone, without hash and date.
        let rustc = build
            .rustc
            .as_deref()
            .and_then(|rustc| rustc.split(' ').next());
        ascii(&format!(
            "fault-around {}, commit {commit}{modified}, rustc {}, {}",
            build.crate_version,
            rustc.unwrap_or("unknown"),
            build.target.as_deref().unwrap_or("unknown target")
        ))
    }

    fn debug_caveat(&self) -> Option<String> {
        let level = self.build.opt_level.as_deref();
        if self.build.debug_assertions {
            Some("debug build: assertions are timed too; use --release".to_owned())
        } else {
            let level = level.filter(|level| !["2", "3"].contains(level))?;
            Some(format!("built with opt-level {level}: use --release"))
        }
    }

    fn virtual_machine_caveat(&self) -> Option<String> {
        if self.virtualization.virtual_machine != Some(true) {
            return None;
        }
        let name = self.virtualization.hypervisor.as_deref().map(ascii);
        // What firmware and device trees say may be long.
        let name = name.filter(|name| name.len() <= 20);
        let name = name.map_or(String::new(), |name| format!(" ({name})"));
        Some(format!(
            "virtual machine{name}: CPUs may be shared or taken away"
        ))
    }

    fn quota_caveat(&self) -> Option<String> {
        let cpus = self.cpu_quota.as_ref()?.cpus?;
        let percent = cpus * 100.0;
        Some(format!(
            "CPU quota {percent:.0}%: threads are stopped when it is used up"
        ))
    }

    fn load_caveat(&self) -> Option<String> {
        let load = self.load_average_1min.filter(|&load| load > QUIET_LOAD)?;
        Some(format!(
            "load average {load:.2} at the start: the machine wasn't idle"
        ))
    }

    fn governor_caveat(&self) -> Option<String> {
        let governor = self.frequency.governor.as_deref()?;
        if governor == "performance" {
            return None;
        }
        let governor = ascii(governor);
        // It is long where it differs between CPUs.
        if governor.len() > 20 {
            return Some("frequency governors differ: not performance on all CPUs".to_owned());
        }
        Some(format!("frequency governor {governor}, not performance"))
    }

    fn clocksource_caveat(&self) -> Option<String> {
        let clocksource = self.kernel.clocksource.as_deref()?;
        if COUNTERS.contains(&clocksource) {
            return None;
        }
        let mut name = ascii(clocksource);
        name.truncate(32);
        Some(format!("clocksource {name}, not the bare counter"))
    }
}

/// So many of something.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// One line of ASCII, whatever firmware says.
pub fn ascii(text: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_graphic() || c == ' ' {
            c
        } else {
            '?'
        }
    };
    text.chars().map(plain).collect()
}
