//! Machines made of files, for tests of whatever looks at one.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{Build, Environment};
use crate::topology::{Topology, parse_cpu_list};

/// A machine made of files.
pub(crate) struct Machine(TempDir);

pub(crate) const CPU: &str = "sys/devices/system/cpu";
pub(crate) const CLOCKS: &str = "sys/devices/system/clocksource/clocksource0";

impl Machine {
    /// Nothing readable at all.
    pub(crate) fn bare() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
        self
    }

    pub(crate) fn cpu_file(&self, cpu: u32, path: &str, text: &str) -> &Self {
        self.file(&format!("{CPU}/cpu{cpu}/{path}"), text)
    }

    /// Single-threaded cores, or cores of the pairs 0 and 1, 2 and 3.
    fn cores(&self, cpus: u32, smt: u32, cores_per_package: u32) -> &Self {
        for cpu in 0..cpus {
            let (core, first) = (cpu / smt, cpu / smt * smt);
            let siblings = format!("{first}-{}", first + smt - 1);
            let package = (core / cores_per_package).to_string();
            self.cpu_file(cpu, "topology/core_cpus_list", &siblings)
                .cpu_file(cpu, "topology/physical_package_id", &package);
        }
        self.file(&format!("{CPU}/online"), &format!("0-{}", cpus - 1))
    }

    fn cache(&self, index: u32, level: &str, size: &str, line: &str) -> &Self {
        let file = |name: &str| format!("cache/index{index}/{name}");
        self.cpu_file(0, &file("level"), level)
            .cpu_file(0, &file("size"), size)
            .cpu_file(0, &file("coherency_line_size"), line)
    }

    pub(crate) fn capture(&self, cpus: &str) -> Environment {
        let cpus = parse_cpu_list(cpus).unwrap();
        let mut sorted = cpus.clone();
        sorted.sort_unstable();
        let topology = Topology::from_sysfs(self.path(), &sorted).unwrap();
        Environment::capture_from(self.path(), &topology.restrict(&cpus).unwrap())
    }
}

pub(crate) fn release() -> Build {
    Build {
        crate_version: "0.1.0".to_owned(),
        commit: Some("0123456789ab".to_owned()),
        dirty: Some(false),
        rustc: Some("1.95.0 (59807616e 2026-04-14)".to_owned()),
        target: Some("x86_64-unknown-linux-gnu".to_owned()),
        opt_level: Some("3".to_owned()),
        rustflags: Some("-C llvm-args=-align-all-functions=6".to_owned()),
        debug_assertions: false,
    }
}

pub(crate) fn x86_cpu_info(cpus: u32, model: &str, flags: &str) -> String {
    let block = |cpu| {
        format!("processor\t: {cpu}\nmodel name\t: {model}\ncpu family\t: 6\nflags\t\t: {flags}\n")
    };
    (0..cpus).map(block).collect::<Vec<_>>().join("\n")
}

/// Two packages of two cores of two threads, set up as they should be.
pub(crate) fn bare_metal() -> Machine {
    let machine = Machine::bare();
    let info = x86_cpu_info(
        8,
        "Fast(R)   CPU  @ 2GHz",
        "fpu tsc constant_tsc nonstop_tsc",
    );
    machine
        .cores(8, 2, 2)
        .cache(0, "1", "32K", "64")
        .cache(1, "3", "36M", "128")
        .cache(2, "2", "1024K", "64")
        .file("proc/cpuinfo", &info)
        .file("proc/meminfo", "MemTotal:       24684096 kB\nMemFree: 1 kB")
        .file("proc/loadavg", "0.13 2.00 3.00 1/81 17110")
        .file("proc/sys/kernel/osrelease", "6.18.44")
        .file("proc/sys/kernel/version", "#1 SMP PREEMPT_DYNAMIC")
        .file("proc/sys/kernel/perf_event_paranoid", "-1")
        .file(
            "proc/cmdline",
            "root=/dev/secret isolcpus=2-7 rcu-nocbs=2-7 quiet preempt=full idlewild=1 nosmt \
             -- idle=poll",
        )
        .file("proc/sys/kernel/nmi_watchdog", "0")
        .file("proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-1")
        .file(
            "proc/self/limits",
            "Max locked memory         unlimited            unlimited            bytes",
        )
        .file("sys/bus/event_source/devices/cpu/type", "4")
        .file("sys/bus/event_source/devices/software/type", "1")
        .file(&format!("{CPU}/isolated"), "2-7")
        .file(&format!("{CPU}/nohz_full"), "2-7")
        .file(&format!("{CPU}/cpuidle/current_driver"), "intel_idle")
        .file(&format!("{CPU}/smt/active"), "1")
        .file(&format!("{CPU}/smt/control"), "on")
        .file(&format!("{CPU}/intel_pstate/no_turbo"), "1")
        .file(&format!("{CPU}/vulnerabilities/l1tf"), "Not affected")
        .file(&format!("{CPU}/vulnerabilities/mds"), "Mitigation: Clear")
        .file(
            &format!("{CPU}/vulnerabilities/itlb_multihit"),
            "KVM: Mitigation: Split",
        )
        .file(
            &format!("{CPU}/vulnerabilities/srbds"),
            "Vulnerable: No microcode",
        )
        .file(&format!("{CLOCKS}/current_clocksource"), "tsc")
        .file(
            &format!("{CLOCKS}/available_clocksource"),
            "tsc hpet acpi_pm",
        )
        .file(
            "sys/kernel/mm/transparent_hugepage/enabled",
            "always [madvise] never",
        )
        .file("sys/class/dmi/id/sys_vendor", "Dell Inc.")
        .file("sys/class/dmi/id/product_name", "PowerEdge R740");
    let ticks = |cpu: u32| format!("cpu{cpu} 1 2 3 9000 5 6 7 0 0 0");
    let stat: Vec<_> = (0..8).map(ticks).collect();
    machine.file("proc/stat", &stat.join("\n"));
    for cpu in 0..8 {
        for (state, name, latency) in [(0, "POLL", "0"), (1, "C1", "2"), (2, "C6", "133")] {
            let state = format!("cpuidle/state{state}");
            let disabled = name == "C6" && (2..=3).contains(&cpu);
            machine
                .cpu_file(cpu, &format!("{state}/name"), name)
                .cpu_file(cpu, &format!("{state}/latency"), latency)
                .cpu_file(
                    cpu,
                    &format!("{state}/disable"),
                    if disabled { "1" } else { "0" },
                );
        }
        machine
            .cpu_file(cpu, "cpufreq/scaling_governor", "performance")
            .cpu_file(cpu, "cpufreq/scaling_driver", "intel_pstate");
    }
    machine
}

pub(crate) fn kvm_guest() -> Machine {
    let machine = Machine::bare();
    let info = x86_cpu_info(2, "Xeon", "fpu constant_tsc nonstop_tsc hypervisor");
    machine
        .cores(2, 1, 2)
        .file("proc/cpuinfo", &info)
        .file("proc/sys/kernel/osrelease", "6.12.1-cloud")
        .file(&format!("{CLOCKS}/current_clocksource"), "kvm-clock")
        .file(
            &format!("{CLOCKS}/available_clocksource"),
            "kvm-clock tsc acpi_pm",
        )
        .file("sys/class/dmi/id/sys_vendor", "QEMU");
    machine
}

pub(crate) fn arm64() -> Machine {
    let machine = Machine::bare();
    let block = |cpu: u32, part: &str| {
        format!(
            "processor\t: {cpu}\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: {part}\n"
        )
    };
    let info = [block(0, "0xd05"), block(1, "0xd0b"), block(2, "0xd0b")].join("\n");
    machine
        .cores(3, 1, 3)
        .file("proc/cpuinfo", &info)
        .file("proc/sys/kernel/osrelease", "6.6.1")
        .file(&format!("{CLOCKS}/current_clocksource"), "arch_sys_counter")
        .file("sys/class/dmi/id/sys_vendor", "Amazon EC2")
        .file("sys/class/dmi/id/product_name", "m7g.metal");
    machine
}
