//! Guests, clocks, and noise.

use super::*;
use crate::noise::{Floor, GapsOver, LONG_NS};

#[test]
fn a_guest_is_unfit_and_only_bare_metal_mends_it() {
    let machine = kvm_guest();
    machine.file(
        "proc/stat",
        "cpu0 10 0 0 970 0 0 0 20 0 0\ncpu1 10 0 0 990 0 0 0 0 0 0",
    );
    let findings = examined(&machine, "0-1");
    assert_eq!(with(&findings, Verdict::Spoils), ["hypervisor"]);
    let kvm = ("KVM", Verdict::Spoils, Some("nothing: use bare metal"));
    assert_eq!(judged(&findings, "hypervisor"), kvm);
    let (stolen, verdict, _) = judged(&findings, "steal");
    assert_eq!(
        (stolen, verdict),
        ("1.00 % of the time since boot", Verdict::Note)
    );
    // No siblings are shown, which says nothing about the host.
    assert_eq!(judged(&findings, "SMT").1, Verdict::Note);
    let (found, verdict, mend) = judged(&findings, "governor");
    assert_eq!((found, verdict), ("unknown", Verdict::Note));
    assert_eq!(mend, Some("nothing: use bare metal"));
    let spoils = of(&findings, "governor").spoils.as_deref().unwrap();
    assert!(spoils.starts_with("the host sets"), "{spoils}");
}

#[test]
fn the_kernels_clock_matters_only_where_the_counter_cannot_be_read() {
    let findings = examined(&kvm_guest(), "0-1");
    let (found, verdict, mend) = judged(&findings, "clocksource");
    assert_eq!((found, verdict), ("kvm-clock", Verdict::Note));
    assert_eq!(mend, Some("boot with clocksource=tsc"));
    assert_eq!(judged(&findings, "counter").1, Verdict::Fit);

    let machine = fit();
    let info = x86_cpu_info(8, "Slow", "fpu tsc constant_tsc");
    machine
        .file("proc/cpuinfo", &info)
        .file(&format!("{CLOCKS}/current_clocksource"), "hpet")
        .file(&format!("{CLOCKS}/available_clocksource"), "hpet acpi_pm");
    let findings = examined(&machine, "2,4");
    assert_eq!(with(&findings, Verdict::Spoils), ["counter", "clocksource"]);
    let mend = judged(&findings, "clocksource").2;
    assert_eq!(mend, Some("nothing: the kernel has no better one"));
    assert_eq!(judged(&findings, "counter").2, Some("nothing: another CPU"));
}

#[test]
fn arm64_has_a_counter_of_its_own() {
    let findings = examined(&arm64(), "1-2");
    assert_eq!(
        judged(&findings, "counter"),
        ("arch_sys_counter", Verdict::Fit, None)
    );
    assert_eq!(judged(&findings, "hypervisor").1, Verdict::Fit);
    assert!(is_fit(&findings));
    let machine = arm64();
    machine.file(&format!("{CLOCKS}/current_clocksource"), "jiffies");
    let findings = examined(&machine, "1-2");
    assert_eq!(judged(&findings, "counter").0, "unknown");
    // Whether the counter can be read isn't known; the kernel's own clock is what is.
    assert_eq!(judged(&findings, "clocksource").1, Verdict::Note);
}

/// A CPU with so many gaps over a microsecond in a second, of which all together took a share.
fn floor(cpu: u32, gaps: u64, lost_share: f64) -> Floor {
    let over = |over_ns, count| GapsOver {
        over_ns,
        count,
        per_s: count as f64,
    };
    Floor {
        cpu,
        watched_ns: 1_000_000_000,
        reads: 100_000_000,
        p50_ns: Some(9),
        p99_ns: Some(10),
        p999_ns: Some(21),
        p9999_ns: Some(35),
        max_ns: 4_000,
        gaps: vec![over(LONG_NS, gaps), over(10_000, 0), over(100_000, 0)],
        lost_share,
    }
}

#[test]
fn noise_spoils_by_what_it_hits_or_by_what_it_takes() {
    let verdict = |floors: &[Floor]| judge_noise(floors).verdict;
    assert_eq!(verdict(&[floor(0, 10, 0.000_02)]), Verdict::Fit);
    // A tick of 250 Hz.
    assert_eq!(verdict(&[floor(0, 250, 0.000_5)]), Verdict::Note);
    assert_eq!(verdict(&[floor(0, 10, 0.002)]), Verdict::Note);
    assert_eq!(verdict(&[floor(0, 1_500, 0.003)]), Verdict::Spoils);
    assert_eq!(verdict(&[floor(0, 10, 0.02)]), Verdict::Spoils);
    // The worst of the CPUs counts, and is the one that is told of.
    let floors = [
        floor(0, 10, 0.0),
        floor(5, 1_500, 0.003),
        floor(1, 20, 0.004),
    ];
    let finding = judge_noise(&floors);
    assert_eq!(finding.verdict, Verdict::Spoils);
    assert!(finding.found.starts_with("CPU 5: "), "{}", finding.found);
    let spoils = finding.spoils.unwrap();
    let expected =
        "0.15 % of operations of 1 us are hit: beyond p99.8496 the tail is the machine's";
    assert_eq!(spoils, expected);
    let finding = judge_noise(&[floor(4, 1_500, 0.003), floor(1, 20, 0.4)]);
    assert!(finding.found.starts_with("CPU 1: "), "{}", finding.found);
}

#[test]
fn without_a_watch_the_floor_is_unknown() {
    let finding = judge_noise(&[]);
    assert_eq!(
        (finding.found.as_str(), finding.verdict),
        ("unknown", Verdict::Note)
    );
}
