//! Machines and builds that aren't as they should be.

use super::*;

#[test]
fn the_hypervisor_is_told_by_whatever_says_most() {
    let machine = kvm_guest();
    let hypervisor = || machine.capture("0").virtualization.hypervisor;
    fs::remove_file(machine.path().join(CLOCKS).join("available_clocksource")).unwrap();
    assert_eq!(hypervisor().as_deref(), Some("QEMU"));
    machine.file("sys/class/dmi/id/sys_vendor", "Amazon EC2");
    assert_eq!(hypervisor().as_deref(), Some("Amazon EC2"));
    machine.file(
        "sys/firmware/devicetree/base/hypervisor/compatible",
        "linux,kvm\0",
    );
    assert_eq!(hypervisor().as_deref(), Some("KVM"));
    machine.file("sys/hypervisor/type", "xen");
    assert_eq!(hypervisor().as_deref(), Some("Xen"));
}

/// A machine with nothing but what is in these files.
fn quota(files: &[(&str, &str)]) -> Option<(String, Option<f64>)> {
    let machine = Machine::bare();
    for (path, text) in files {
        machine.file(path, text);
    }
    let quota = machine.capture("0").cpu_quota;
    quota.map(|quota| {
        assert_eq!(quota.version_1, quota.cpu_max.ends_with(" 50000"));
        (quota.cpu_max, quota.cpus)
    })
}

#[test]
fn the_tightest_quota_counts() {
    let own = "sys/fs/cgroup/cpu.max";
    let limit = |text: &str, cpus| Some((text.to_owned(), cpus));
    assert_eq!(
        quota(&[(own, "200000 100000")]),
        limit("200000 100000", Some(2.0))
    );
    assert_eq!(quota(&[(own, "max 100000")]), limit("max 100000", None));
    assert_eq!(quota(&[(own, "nonsense")]), None);

    let nested = [
        ("proc/self/cgroup", "0::/a/b"),
        ("sys/fs/cgroup/cpu.max", "max 100000"),
        ("sys/fs/cgroup/a/cpu.max", "50000 100000"),
        ("sys/fs/cgroup/a/b/cpu.max", "400000 100000"),
        ("sys/fs/cgroup/c/cpu.max", "1000 100000"),
    ];
    assert_eq!(quota(&nested), limit("50000 100000", Some(0.5)));

    let groups = ("proc/self/cgroup", "4:cpuset:/x\n3:cpu,cpuacct:/a");
    let period = ("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "50000");
    let older = |quota| {
        [
            groups,
            period,
            ("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", quota),
        ]
    };
    assert_eq!(quota(&older("75000")), limit("75000 50000", Some(1.5)));
    assert_eq!(quota(&older("-1")), limit("max 50000", None));
}

#[test]
fn governors_that_differ_are_told_by_cpu() {
    let machine = bare_metal();
    machine.cpu_file(4, "cpufreq/scaling_governor", "powersave");
    fs::remove_file(
        machine
            .path()
            .join(format!("{CPU}/cpu7/cpufreq/scaling_governor")),
    )
    .unwrap();
    let frequency = machine.capture("5,4,3,7").frequency;
    let expected = "performance on 3,5; powersave on 4; unknown on 7";
    assert_eq!(frequency.governor.as_deref(), Some(expected));
    assert_eq!(frequency.driver.as_deref(), Some("intel_pstate"));
}

#[test]
fn turbo_is_also_told_by_boost() {
    let machine = Machine::bare();
    let boost = format!("{CPU}/cpufreq/boost");
    assert_eq!(
        machine.file(&boost, "1").capture("0").frequency.turbo,
        Some(true)
    );
    assert_eq!(
        machine.file(&boost, "0").capture("0").frequency.turbo,
        Some(false)
    );
}

#[test]
fn the_least_of_memory_is_what_there_is() {
    let machine = Machine::bare();
    let least = |limit| {
        let found = Memory::least(Root::new(machine.path()), limit);
        found.map(|memory| (memory.bytes, memory.whose.split(' ').nth(1).unwrap()))
    };
    assert_eq!(least(None), None);
    assert_eq!(least(Some(7)), Some((7, "limit")));
    machine.file("proc/meminfo", "MemTotal:       1024 kB\nMemFree: 1 kB");
    assert_eq!(least(Some(1 << 21)), Some((1 << 20, "machine")));
    // Version 1, where 2^63 or so is no limit; the group above is the tighter one.
    machine
        .file("proc/self/cgroup", "9:memory:/a/b\n0::/c")
        .file(
            "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
            "9223372036854771712",
        )
        .file("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "5000");
    assert_eq!(least(None), Some((5000, "control")));
    machine.file("sys/fs/cgroup/c/memory.max", "max");
    assert_eq!(least(None), Some((5000, "control")));
    machine.file("sys/fs/cgroup/c/memory.max", "400");
    assert_eq!(least(None), Some((400, "control")));
}

#[test]
fn the_build_in_a_line() {
    let mut environment = bare_metal().capture("0");
    assert_eq!(environment.build, Build::of_this_binary());
    assert_eq!(environment.build.debug_assertions, cfg!(debug_assertions));
    let target = environment.build.target.as_deref().unwrap();
    assert!(target.starts_with(std::env::consts::ARCH), "{target}");

    environment.build = release();
    environment.build.dirty = Some(true);
    assert_eq!(
        environment.build_line(),
        "fault-around 0.1.0, commit 0123456789ab (modified), rustc 1.95.0, x86_64-unknown-linux-gnu"
    );
    environment.build.dirty = Some(false);
    assert!(!environment.build_line().contains("modified"));
    environment.build.dirty = None;
    environment.build.commit = None;
    environment.build.rustc = None;
    assert_eq!(
        environment.build_line(),
        "fault-around 0.1.0, commit unknown, rustc unknown, x86_64-unknown-linux-gnu"
    );
}

/// Firmware and boot loaders write what they like.
#[test]
fn odd_names_stay_short_ascii_lines() {
    let machine = bare_metal();
    let long = "\u{e9}\u{1b}[31m".repeat(50);
    machine.file("proc/cpuinfo", &x86_cpu_info(8, &long, "fpu hypervisor"));
    let headline = machine.capture("0").headline();
    assert!(headline.starts_with("??[31m??[31m"), "{headline}");
    assert!(headline.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
}

/// Whatever this machine is, it has a kernel and a CPU.
#[test]
fn this_machine_is_captured() {
    let topology = Topology::detect().unwrap();
    let environment = Environment::capture(&topology);
    assert!(environment.kernel.release.is_some());
    assert_eq!(
        environment.processor.logical_cpus_used,
        topology.cpus().len()
    );
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let json = serde_json::to_string(&environment).unwrap();
    assert!(!json.contains(&format!("\"{}\"", host.trim())), "{json}");
}
