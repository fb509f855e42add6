mod guests;

use std::fs;

use super::*;
use crate::environment::Build;
use crate::environment::fake::*;

/// What the doctor says of CPUs of a fake machine, by a release build of a clean tree.
fn examined(machine: &Machine, cpus: &str) -> Vec<Finding> {
    let mut environment = machine.capture(cpus);
    environment.build = release();
    let findings = examine(&environment);
    is_sane(&environment, &findings);
    findings
}

/// Its caveats.
fn told(machine: &Machine, cpus: &str) -> Vec<String> {
    let mut environment = machine.capture(cpus);
    environment.build = release();
    caveats(&environment)
}

/// What holds of all findings, whatever the machine.
fn is_sane(environment: &Environment, findings: &[Finding]) {
    for finding in findings {
        let said = (finding.spoils.is_some(), finding.mend.is_some());
        let fit = finding.verdict == Verdict::Fit;
        assert_eq!(said, (!fit, !fit), "{finding:?}");
        assert!(!finding.found.is_empty(), "{finding:?}");
    }
    for caveat in caveats(environment) {
        assert!(caveat.is_ascii() && caveat.len() <= 72, "{caveat}");
    }
    let text = text(findings);
    for line in text.lines() {
        assert!(line.is_ascii() && line.len() <= 72, "{line}");
        assert_eq!(line.trim_end(), line);
    }
    for line in tsv(findings).lines() {
        assert_eq!(line.matches('\t').count(), 4, "{line:?}");
    }
    let json = serde_json::to_string(findings).unwrap();
    assert_eq!(
        serde_json::from_str::<Vec<Finding>>(&json).unwrap(),
        findings
    );
}

fn of<'a>(findings: &'a [Finding], fact: &str) -> &'a Finding {
    let mut found = findings.iter().filter(|finding| finding.fact == fact);
    let finding = found.next().unwrap_or_else(|| panic!("nothing on {fact}"));
    assert!(found.next().is_none(), "{fact} twice");
    finding
}

/// The facts that got this verdict, in order.
fn with(findings: &[Finding], verdict: Verdict) -> Vec<&str> {
    let such = findings.iter().filter(|it| it.verdict == verdict);
    such.map(|it| it.fact.as_str()).collect()
}

/// Found, verdict, mend.
fn judged<'a>(findings: &'a [Finding], fact: &str) -> (&'a str, Verdict, Option<&'a str>) {
    let finding = of(findings, fact);
    (&finding.found, finding.verdict, finding.mend.as_deref())
}

/// A machine as it should be: the fake one without mitigations, sibling threads and deep sleep.
fn fit() -> Machine {
    let machine = bare_metal();
    fs::remove_dir_all(machine.path().join(CPU).join("vulnerabilities")).unwrap();
    machine.file(&format!("{CPU}/vulnerabilities/l1tf"), "Not affected");
    machine.file("proc/self/status", "Cpus_allowed_list:\t0-1");
    for cpu in [2, 4] {
        let file = |name| format!("topology/{name}");
        machine
            .cpu_file(cpu, &file("core_cpus_list"), &cpu.to_string())
            .cpu_file(cpu, &file("physical_package_id"), "0")
            .cpu_file(cpu, "cpuidle/state2/disable", "1");
    }
    machine
}

#[test]
fn a_fit_machine_has_nothing_to_mend() {
    let findings = examined(&fit(), "2,4");
    assert_eq!(with(&findings, Verdict::Fit).len(), 23, "{findings:#?}");
    assert!(is_fit(&findings));
    let text = text(&findings);
    assert_eq!(text.lines().count(), 23 + 1, "{text}");
    assert!(text.ends_with("fit: 0 findings spoil a measurement, 0 notes\n"));
    assert!(text.contains("\nok     CPU           Fast(R) CPU @ 2GHz\n"));
    assert!(text.contains("2 of 8 CPUs used: 2,4 (2 cores, 1 package)"));
}

#[test]
fn each_flaw_is_found_with_what_mends_it() {
    let machine = fit();
    machine
        .file("proc/loadavg", "1.5 0 0 1/81 1")
        .file("sys/fs/cgroup/cpu.max", "150000 100000")
        .file(&format!("{CPU}/intel_pstate/no_turbo"), "0")
        .cpu_file(4, "cpufreq/scaling_governor", "powersave");
    assert_eq!(
        told(&machine, "4-5"),
        [
            "CPU quota 150%: threads are stopped when it is used up",
            "load average 1.50 at the start: the machine wasn't idle",
            "frequency governors differ: not performance on all CPUs",
            "turbo is on: the frequency varies with load and heat",
            "SMT siblings are in use: threads share cores",
        ]
    );
    let findings = examined(&machine, "4-5");
    let spoiling = ["SMT", "CPU quota", "load", "governor", "turbo"];
    // 4 and 5 were made cores of their own, but 5's siblings say otherwise.
    assert_eq!(with(&findings, Verdict::Spoils), spoiling);
    assert!(!is_fit(&findings));
    let governor = judged(&findings, "governor");
    assert_eq!(
        governor.0,
        "powersave on 4; performance on 5 (intel_pstate)"
    );
    let mend = "cpupower -c 4-5 frequency-set -g performance";
    assert_eq!(governor.2, Some(mend));
    let no_turbo = "echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo";
    assert_eq!(
        judged(&findings, "turbo"),
        ("on", Verdict::Spoils, Some(no_turbo))
    );
    let quota = judged(&findings, "CPU quota");
    assert_eq!(quota.0, "150% of a CPU (cpu.max: 150000 100000)");
    assert_eq!(judged(&findings, "load").0, "1.50 over the last minute");
    let text = text(&findings);
    assert!(text.contains(&format!("\n  mend:   {mend}\n")), "{text}");
    assert!(
        text.contains("SPOILS turbo         on\n  spoils: "),
        "{text}"
    );
    assert!(
        text.contains("\nunfit: 5 findings spoil a measurement, "),
        "{text}"
    );
}

#[test]
fn turbo_without_intel_pstate_is_boost() {
    let machine = fit();
    fs::remove_file(machine.path().join(format!("{CPU}/intel_pstate/no_turbo"))).unwrap();
    machine.file(&format!("{CPU}/cpufreq/boost"), "1");
    for cpu in [2, 4] {
        machine.cpu_file(cpu, "cpufreq/scaling_driver", "acpi-cpufreq");
    }
    let findings = examined(&machine, "2,4");
    let mend = "echo 0 > /sys/devices/system/cpu/cpufreq/boost";
    assert_eq!(judged(&findings, "turbo").2, Some(mend));
    assert_eq!(with(&findings, Verdict::Spoils), ["turbo"]);
}

#[test]
fn siblings_are_told_apart_from_cores() {
    let machine = bare_metal();
    let smt = |cpus| {
        let findings = examined(&machine, cpus);
        let (found, verdict, mend) = judged(&findings, "SMT");
        (found.to_owned(), verdict, mend.map(str::to_owned))
    };
    let (_, verdict, mend) = smt("0-3");
    assert_eq!(
        (verdict, mend.as_deref()),
        (Verdict::Spoils, Some("give --cpus 0,2"))
    );
    let (found, verdict, mend) = smt("0,2");
    assert_eq!(found, "one CPU of each core is used; 1,3 are siblings");
    assert_eq!(verdict, Verdict::Note);
    let off = "echo off > /sys/devices/system/cpu/smt/control";
    assert_eq!(mend.as_deref(), Some(off));
    machine.file(&format!("{CPU}/smt/control"), "notimplemented");
    assert_eq!(smt("0,2").2.as_deref(), Some("boot with nosmt"));
    let packages = examined(&machine, "0,4");
    assert_eq!(with(&packages, Verdict::Spoils), [""; 0]);
    let (found, verdict, _) = judged(&packages, "topology");
    assert_eq!(found, "2 of 8 CPUs used: 0,4 (2 cores, 2 packages)");
    assert_eq!(verdict, Verdict::Note);
}

#[test]
fn cpus_are_isolated_but_for_one_that_takes_the_rest() {
    let machine = fit();
    let file = |name: &str, list: &str| {
        machine.file(&format!("{CPU}/{name}"), list);
    };
    file("isolated", "");
    file("nohz_full", "(null)");
    let mend = |cpus, fact| {
        let findings = examined(&machine, cpus);
        let (found, verdict, mend) = judged(&findings, fact);
        assert_eq!(
            verdict,
            Verdict::Note,
            "no isolation spoils nothing by itself"
        );
        (found.to_owned(), mend.unwrap().to_owned())
    };
    let none = "none of the CPUs used".to_owned();
    let boot = "boot with isolcpus=2,4 nohz_full=2,4".to_owned();
    assert_eq!(mend("4,2", "isolated"), (none.clone(), boot.clone()));
    assert_eq!(mend("4,2", "nohz_full"), (none, boot));
    file("isolated", "4-7");
    assert_eq!(mend("2,4", "isolated").0, "4; not 2");
    let all = mend("0-7", "isolated").1;
    assert_eq!(
        all,
        "boot with isolcpus=1-7 nohz_full=1-7, and give --cpus 1-7"
    );
    file("online", "2");
    assert_eq!(mend("2", "isolated").1, "nothing: it takes a CPU more");
    fs::remove_file(machine.path().join(format!("{CPU}/nohz_full"))).unwrap();
    assert_eq!(mend("2", "nohz_full").0, "unknown");
}

#[test]
fn cpus_that_are_neither_allowed_nor_isolated_are_missed() {
    let machine = fit();
    let allowed = |list| {
        machine.file("proc/self/status", &format!("Cpus_allowed_list:\t{list}"));
        let findings = examined(&machine, "2,4");
        let (found, verdict, mend) = judged(&findings, "CPUs allowed");
        (found.to_owned(), verdict, mend.map(str::to_owned))
    };
    // 2 to 7 are isolated.
    assert_eq!(allowed("0-1").1, Verdict::Fit);
    let (found, verdict, mend) = allowed("0,4");
    assert_eq!((found.as_str(), verdict), ("0,4; not 1", Verdict::Note));
    assert_eq!(mend.as_deref(), Some("taskset -pc 0-7 $$"));
}

#[test]
fn settings_of_the_kernel_are_noted() {
    let machine = fit();
    machine
        .file(
            "sys/kernel/mm/transparent_hugepage/enabled",
            "[always] never",
        )
        .file("proc/sys/kernel/nmi_watchdog", "1")
        .file("proc/sys/kernel/perf_event_paranoid", "4")
        .file("proc/self/limits", "Max locked memory  65536  65536  bytes")
        .file(&format!("{CPU}/vulnerabilities/mds"), "Mitigation: Clear")
        .file(&format!("{CPU}/vulnerabilities/srbds"), "Vulnerable");
    fs::remove_dir_all(machine.path().join("sys/bus/event_source/devices/cpu")).unwrap();
    machine.cpu_file(4, "cpuidle/state2/disable", "0");
    let findings = examined(&machine, "2,4");
    assert!(is_fit(&findings));
    let mut noted = vec!["idle states", "mitigations", "THP", "NMI watchdog"];
    noted.extend(["counters", "perf events", "memlock"]);
    assert_eq!(with(&findings, Verdict::Note), noted);
    let all = |fact| judged(&findings, fact);
    assert_eq!(all("idle states").0, "down to C6, 133 us to come back");
    assert_eq!(all("idle states").2, Some("cpupower -c 2,4 idle-set -D 10"));
    assert_eq!(
        all("mitigations").0,
        "vulnerabilities: 1 mitigated, 1 left open"
    );
    assert_eq!(all("NMI watchdog").2, Some("sysctl kernel.nmi_watchdog=0"));
    assert_eq!(all("counters").0, "software only");
    assert_eq!(
        all("perf events").2,
        Some("sysctl kernel.perf_event_paranoid=2")
    );
    assert_eq!(all("memlock").0, "64 KiB");
    assert!(text(&findings).ends_with("\nfit: 0 findings spoil a measurement, 7 notes\n"));
    machine.file("proc/sys/kernel/perf_event_paranoid", "2");
    let findings = examined(&machine, "2,4");
    assert_eq!(judged(&findings, "perf events").1, Verdict::Fit);
}

#[test]
fn devices_that_count_cores_are_known_by_their_names() {
    let machine = fit();
    let devices = "sys/bus/event_source/devices";
    for (name, hardware) in [
        ("cpu_atom", true),
        ("armv8_pmuv3_0", true),
        ("armv8_cortex_a76", true),
        ("apple_firestorm_pmu", true),
        ("cpum_cf", true),
        ("power", false),
        ("uncore_imc_0", false),
        ("arm_spe_0", false),
        ("breakpoint", false),
    ] {
        fs::remove_dir_all(machine.path().join(devices)).unwrap();
        machine.file(&format!("{devices}/{name}/type"), "8");
        let findings = examined(&machine, "2,4");
        let verdict = judged(&findings, "counters").1;
        assert_eq!(verdict == Verdict::Fit, hardware, "{name}");
    }
}

#[test]
fn builds_are_judged_and_have_their_caveats() {
    let mut environment = fit().capture("2,4");
    let unaligned = "built without -align-all-functions=6: layout may move figures";
    /// Of which fact, what it is judged, its caveat, and the change.
    type Change<'a> = (&'a str, Verdict, &'a str, fn(&mut Build));
    let changes: [Change<'_>; 9] = [
        ("build", Verdict::Fit, "", |_| ()),
        (
            "build",
            Verdict::Spoils,
            "debug build: assertions are timed too; use --release",
            |it| it.debug_assertions = true,
        ),
        (
            "build",
            Verdict::Spoils,
            "built with opt-level 1: use --release",
            |it| it.opt_level = Some("1".into()),
        ),
        (
            "build",
            Verdict::Note,
            "built from uncommitted changes: the commit doesn't say it all",
            |it| it.dirty = Some(true),
        ),
        ("build", Verdict::Note, "", |it| it.commit = None),
        ("build", Verdict::Fit, "", |it| {
            (it.dirty, it.opt_level) = (None, None);
        }),
        ("code layout", Verdict::Spoils, unaligned, |it| {
            it.rustflags = Some("-C target-cpu=native".into());
        }),
        ("code layout", Verdict::Spoils, unaligned, |it| {
            it.rustflags = Some("-C llvm-args=-align-all-functions=5".into());
        }),
        ("code layout", Verdict::Note, "", |it| it.rustflags = None),
    ];
    for (fact, verdict, caveat, change) in changes {
        environment.build = release();
        change(&mut environment.build);
        let findings = examine(&environment);
        is_sane(&environment, &findings);
        let (found, judged, mend) = judged(&findings, fact);
        assert_eq!(judged, verdict, "{:?}", environment.build);
        assert_eq!(caveats(&environment).concat(), caveat);
        if fact == "code layout" {
            assert!(mend.unwrap().contains("unset RUSTFLAGS"));
        } else if verdict == Verdict::Note && environment.build.commit.is_some() {
            let expected = "opt-level 3, no assertions, commit 0123456789ab and changes";
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn a_quota_is_mended_in_the_file_that_it_is_in() {
    let machine = fit();
    machine
        .file("proc/self/cgroup", "3:cpu,cpuacct:/a")
        .file("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "50000")
        .file("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "10000");
    let findings = examined(&machine, "2,4");
    let (found, _, mend) = judged(&findings, "CPU quota");
    assert!(!found.contains("cpu.max"), "{found}");
    assert!(mend.unwrap().starts_with("write -1 to cpu.cfs_quota_us"));
}

#[test]
fn where_nothing_can_be_read_every_fact_is_named_all_the_same() {
    let findings = examined(&Machine::bare(), "0,3");
    let known = examined(&fit(), "2,4");
    let facts = |findings: &[Finding]| -> Vec<String> {
        findings.iter().map(|it| it.fact.clone()).collect()
    };
    assert_eq!(facts(&findings), facts(&known));
    let unknown = findings.iter().filter(|it| it.found.starts_with("unknown"));
    // The build is known, and a quota that can't be read is none.
    assert_eq!(unknown.count(), 20, "{findings:#?}");
    assert_eq!(with(&findings, Verdict::Spoils), ["topology"]);
}

#[test]
fn only_what_is_used_and_is_a_flaw_has_a_caveat() {
    let machine = bare_metal();
    machine
        .file("proc/loadavg", "0.50 9 9 1/81 1")
        .file("sys/fs/cgroup/cpu.max", "max 100000")
        .cpu_file(4, "cpufreq/scaling_governor", "powersave");
    assert_eq!(told(&machine, "0,2,6"), [""; 0]);
    let governor = ["frequency governor powersave, not performance"];
    assert_eq!(told(&machine, "4"), governor);
    let kvm = [
        "virtual machine (KVM): CPUs may be shared or taken away",
        "clocksource kvm-clock, not the bare counter",
    ];
    assert_eq!(told(&kvm_guest(), "0-1"), kvm);
    // The worst first, and uncommitted sources last.
    let mut guest = kvm_guest().capture("0-1");
    guest.build = release();
    (guest.build.debug_assertions, guest.build.dirty) = (true, Some(true));
    let all = caveats(&guest);
    assert_eq!((all.len(), &all[1..3]), (4, &kvm.map(str::to_owned)[..]));
    assert!(all[0].starts_with("debug build") && all[3].starts_with("built from"));
    assert_eq!(told(&arm64(), "1-2"), [""; 0]);
    let unknown = ["the CPU topology is unknown: each CPU is taken for a core"];
    assert_eq!(told(&Machine::bare(), "0,3"), unknown);
    // Firmware and boot loaders write what they like.
    let long = "\u{e9}\u{1b}[31m".repeat(50);
    machine
        .file("proc/cpuinfo", &x86_cpu_info(8, &long, "fpu hypervisor"))
        .file("sys/hypervisor/type", &long)
        .file(&format!("{CLOCKS}/current_clocksource"), &long)
        .cpu_file(0, "cpufreq/scaling_governor", &long);
    let odd = told(&machine, "0");
    let expected = [
        "virtual machine: CPUs may be shared or taken away",
        "frequency governors differ: not performance on all CPUs",
        "no invariant TSC: latencies contain slower clock reads",
        "clocksource ??[31m??[31m??[31m??[31m??[31m??, not the bare counter",
    ];
    assert_eq!(odd, expected);
    examined(&machine, "0");
}

/// Whatever this machine is, the doctor has something to say on all of it.
#[test]
fn this_machine_is_examined() {
    let topology = crate::topology::Topology::detect().unwrap();
    let environment = Environment::capture(&topology);
    is_sane(&environment, &examine(&environment));
}

#[test]
fn long_lists_and_long_names_are_broken_to_fit() {
    let mut environment = fit().capture("2,4");
    let odd: Vec<u32> = (0..200).map(|cpu| 2 * cpu).collect();
    let list = crate::topology::format_cpu_list(&odd);
    environment.processor.cpus_used = list.clone();
    environment.processor.model = Some("\u{e9}".repeat(300));
    environment.frequency.governor = Some("powersave".to_owned());
    let findings = examine(&environment);
    is_sane(&environment, &findings);
    let text: String = text(&findings).split_whitespace().collect();
    assert!(text.contains(&format!("cpupower-c{list}frequency-set")));
    assert!(text.contains(&"?".repeat(300)));
}
