mod spoilt;

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::topology::parse_cpu_list;

/// A machine made of files.
struct Machine(TempDir);

const CPU: &str = "sys/devices/system/cpu";
const CLOCKS: &str = "sys/devices/system/clocksource/clocksource0";

impl Machine {
    /// Nothing readable at all.
    fn bare() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
        self
    }

    fn cpu_file(&self, cpu: u32, path: &str, text: &str) -> &Self {
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

    fn capture(&self, cpus: &str) -> Environment {
        let cpus = parse_cpu_list(cpus).unwrap();
        let mut sorted = cpus.clone();
        sorted.sort_unstable();
        let topology = Topology::from_sysfs(self.path(), &sorted).unwrap();
        Environment::capture_from(self.path(), &topology.restrict(&cpus).unwrap())
    }

    /// What is said of the machine, by a release build of a clean tree.
    fn caveats(&self, cpus: &str) -> Vec<String> {
        let mut environment = self.capture(cpus);
        environment.build = release();
        let caveats = environment.caveats();
        for caveat in &caveats {
            assert!(caveat.is_ascii() && caveat.len() <= 72, "{caveat}");
        }
        caveats
    }
}

fn release() -> Build {
    Build {
        crate_version: "0.1.0".to_owned(),
        commit: Some("0123456789ab".to_owned()),
        dirty: Some(false),
        rustc: Some("1.95.0 (59807616e 2026-04-14)".to_owned()),
        target: Some("x86_64-unknown-linux-gnu".to_owned()),
        opt_level: Some("3".to_owned()),
        debug_assertions: false,
    }
}

fn x86_cpu_info(cpus: u32, model: &str, flags: &str) -> String {
    let block = |cpu| {
        format!("processor\t: {cpu}\nmodel name\t: {model}\ncpu family\t: 6\nflags\t\t: {flags}\n")
    };
    (0..cpus).map(block).collect::<Vec<_>>().join("\n")
}

/// Two packages of two cores of two threads, set up as they should be.
fn bare_metal() -> Machine {
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
        .file(&format!("{CPU}/smt/active"), "1")
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
    for cpu in 0..8 {
        machine
            .cpu_file(cpu, "cpufreq/scaling_governor", "performance")
            .cpu_file(cpu, "cpufreq/scaling_driver", "intel_pstate");
    }
    machine
}

fn kvm_guest() -> Machine {
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

fn arm64() -> Machine {
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

#[test]
fn a_quiet_machine_of_two_packages() {
    let machine = bare_metal();
    let environment = machine.capture("6,0,2");
    let processor = Processor {
        model: Some("Fast(R) CPU @ 2GHz".to_owned()),
        logical_cpus_online: Some(8),
        logical_cpus_used: 3,
        cpus_used: "6,0,2".to_owned(),
        packages_used: 2,
        cores_used: 3,
        topology_known: true,
        smt_active: Some(true),
        smt_siblings_used: false,
        // Only CPU 0 has any here, and isn't the first one used.
        last_level_cache_bytes: None,
        cache_line_bytes: None,
        tsc_invariant: Some(true),
    };
    assert_eq!(environment.processor, processor);
    assert_eq!(
        environment.headline(),
        "Fast(R) CPU @ 2GHz, 3 of 8 CPUs (3 cores, 2 packages), Linux 6.18.44"
    );
    assert_eq!(environment.memory_bytes, Some(24_684_096 << 10));
    assert_eq!(environment.load_average_1min, Some(0.13));
    assert_eq!(environment.cpu_quota, None);
    assert_eq!(environment.virtualization.virtual_machine, Some(false));
    assert_eq!(
        environment.virtualization.system_vendor.as_deref(),
        Some("Dell Inc.")
    );
    let frequency = Frequency {
        governor: Some("performance".to_owned()),
        driver: Some("intel_pstate".to_owned()),
        turbo: Some(false),
    };
    assert_eq!(environment.frequency, frequency);
    assert_eq!(machine.caveats("6,0,2"), [""; 0]);
}

#[test]
fn the_kernel_and_its_settings() {
    let kernel = bare_metal().capture("0").kernel;
    let parameters = ["isolcpus=2-7", "rcu-nocbs=2-7", "preempt=full", "nosmt"];
    let expected = Kernel {
        release: Some("6.18.44".to_owned()),
        version: Some("#1 SMP PREEMPT_DYNAMIC".to_owned()),
        parameters: Some(parameters.map(str::to_owned).to_vec()),
        mitigations: Some(Mitigations {
            mitigated: 2,
            vulnerable: 1,
        }),
        clocksource: Some("tsc".to_owned()),
        transparent_hugepages: Some("madvise".to_owned()),
        perf_event_paranoid: Some(-1),
    };
    assert_eq!(kernel, expected);
}

#[test]
fn the_last_level_cache_is_the_one_of_the_highest_level() {
    let processor = bare_metal().capture("0").processor;
    assert_eq!(processor.last_level_cache_bytes, Some(36 << 20));
    assert_eq!(processor.cache_line_bytes, Some(128));
}

#[test]
fn a_kvm_guest() {
    let machine = kvm_guest();
    let environment = machine.capture("0-1");
    assert_eq!(
        environment.headline(),
        "Xeon, 2 CPUs (2 cores, 1 package), VM (KVM), Linux 6.12.1-cloud"
    );
    assert_eq!(environment.frequency.governor, None);
    assert_eq!(
        machine.caveats("0-1"),
        [
            "virtual machine (KVM): CPUs may be shared or taken away",
            "clocksource kvm-clock, not the bare counter",
        ]
    );
}

#[test]
fn the_flag_alone_makes_a_virtual_machine() {
    let machine = Machine::bare();
    machine.file("proc/cpuinfo", &x86_cpu_info(1, "Xeon", "fpu hypervisor"));
    let environment = machine.capture("0");
    assert_eq!(environment.virtualization.virtual_machine, Some(true));
    assert_eq!(
        environment.headline(),
        "Xeon, 1 CPU (topology unknown), VM, Linux unknown"
    );
    machine.file("proc/cpuinfo", &x86_cpu_info(1, "Xeon", "fpu"));
    let environment = machine.capture("0");
    assert_eq!(environment.virtualization.virtual_machine, Some(false));
}

#[test]
fn arm64_is_told_by_numbers_and_has_no_tsc() {
    let machine = arm64();
    let environment = machine.capture("1-2");
    assert_eq!(
        environment.headline(),
        "ARM implementer 0x41 part 0xd0b, 2 of 3 CPUs (2 cores, 1 package), Linux 6.6.1"
    );
    assert_eq!(environment.processor.tsc_invariant, None);
    assert_eq!(environment.virtualization.virtual_machine, Some(false));
    assert_eq!(machine.caveats("1-2"), [""; 0]);
    let both = "ARM implementer 0x41 part 0xd05 and ARM implementer 0x41 part 0xd0b";
    assert_eq!(
        machine.capture("0-2").processor.model.as_deref(),
        Some(both)
    );

    machine.file("sys/class/dmi/id/product_name", "m7g.large");
    let virtualization = machine.capture("0").virtualization;
    assert_eq!(virtualization.virtual_machine, Some(true));
    assert_eq!(virtualization.hypervisor.as_deref(), Some("Amazon EC2"));
}

#[test]
fn where_nothing_is_readable_everything_is_null() {
    let machine = Machine::bare();
    let environment = machine.capture("0,3");
    assert_eq!(
        environment.headline(),
        "unknown CPU, 2 CPUs (topology unknown), Linux unknown"
    );
    assert_eq!(
        machine.caveats("0,3"),
        ["the CPU topology is unknown: each CPU is taken for a core"]
    );
    let json = serde_json::to_value(&environment).unwrap();
    for part in ["frequency", "virtualization", "kernel"] {
        let fields = json[part].as_object().unwrap();
        assert!(
            fields.len() > 2 && fields.values().all(Value::is_null),
            "{fields:?}"
        );
    }
    for (name, value) in json.as_object().unwrap() {
        assert!(value.is_object() || value.is_null(), "{name}: {value}");
    }
    let known = json["processor"].as_object().unwrap().iter();
    let known = known.filter(|(_, value)| !value.is_null());
    let known: Vec<_> = known.map(|(name, _)| name.as_str()).collect();
    let mut expected = [
        "logical_cpus_used",
        "cpus_used",
        "packages_used",
        "cores_used",
        "topology_known",
        "smt_siblings_used",
    ];
    expected.sort_unstable();
    assert_eq!(known, expected);
}
