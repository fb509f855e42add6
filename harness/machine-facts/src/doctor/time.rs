//! What takes the CPUs' time, how fast they run, and what tells the time.

use super::{BARE_METAL, Finding, Verdict, is_guest};
use crate::environment::{Environment, Flaw};
use crate::noise::percent;

/// Above this, in microseconds, a thread that has slept comes late by more than the wakeup itself.
const DEEP_US: u64 = 10;

pub(super) fn hypervisor(environment: &Environment) -> Finding {
    const FACT: &str = "hypervisor";
    let virtualization = &environment.virtualization;
    let found = match (virtualization.virtual_machine, &virtualization.hypervisor) {
        (Some(true), Some(name)) => name.as_str(),
        (Some(true), None) => "one that has no name",
        (Some(false), _) => "none",
        (None, _) => {
            return Finding::unknown(FACT).but(
                "in a guest, CPUs may be shared or taken away",
                "nothing; ask the lender of the machine",
            );
        }
    };
    Finding::by(environment, Flaw::VirtualMachine, FACT, found).but(
        "CPUs may be shared or taken away at any time; cache and memory are shared with other \
         guests",
        BARE_METAL,
    )
}

/// Only noted: it is past, and a guest is spoilt already. What is stolen from a run stands in it.
pub(super) fn steal(environment: &Environment) -> Finding {
    const FACT: &str = "steal";
    match environment.stolen_share {
        Some(0.0) => Finding::fit(FACT, "none since boot"),
        Some(share) => {
            let found = format!("{} of the time since boot", percent(share));
            Finding::note(FACT, found).but(
                "the host ran something else while the CPUs used had work",
                "nothing in here; a host with fewer guests, or bare metal",
            )
        }
        None => Finding::unknown(FACT).but(
            "time that a host takes would be taken for the schemes'",
            BARE_METAL,
        ),
    }
}

pub(super) fn quota(environment: &Environment) -> Finding {
    let quota = environment.cpu_quota.as_ref();
    let found = match quota.and_then(|quota| Some((quota, quota.cpus?))) {
        None => "none".to_owned(),
        Some((quota, cpus)) => {
            let file = if quota.version_1 {
                "cfs quota and period"
            } else {
                "cpu.max"
            };
            format!("{:.0}% of a CPU ({file}: {})", cpus * 100.0, quota.cpu_max)
        }
    };
    let mend = match quota.is_some_and(|quota| quota.version_1) {
        true => "write -1 to cpu.cfs_quota_us of this control group, or run outside it",
        false => "write max to cpu.max of this control group, or run outside it",
    };
    Finding::by(environment, Flaw::Quota, "CPU quota", found).but(
        "all threads are stopped until the next period when it is used up",
        mend,
    )
}

pub(super) fn load(environment: &Environment) -> Finding {
    const FACT: &str = "load";
    match environment.load_average_1min {
        Some(load) => {
            let found = format!("{load:.2} over the last minute");
            Finding::by(environment, Flaw::Load, FACT, found).but(
                "others run, and take CPUs, caches and memory bandwidth",
                "end what ps -eo psr,pcpu,comm --sort=-pcpu shows, and wait",
            )
        }
        None => Finding::unknown(FACT).but(
            "others may run",
            "look at ps -eo psr,pcpu,comm --sort=-pcpu",
        ),
    }
}

pub(super) fn governor(environment: &Environment) -> Finding {
    const FACT: &str = "governor";
    let frequency = &environment.frequency;
    let Some(governor) = &frequency.governor else {
        return host_or_firmware(environment, FACT);
    };
    let driver = frequency.driver.as_ref();
    let driver = driver.map_or(String::new(), |driver| format!(" ({driver})"));
    let used = &environment.processor.cpus_used;
    let found = format!("{governor}{driver}");
    Finding::by(environment, Flaw::Governor, FACT, found).but(
        "the frequency follows the load: what runs first, or waits more, runs slower",
        format!("cpupower -c {used} frequency-set -g performance"),
    )
}

pub(super) fn turbo(environment: &Environment) -> Finding {
    const FACT: &str = "turbo";
    let Some(turbo) = environment.frequency.turbo else {
        return host_or_firmware(environment, FACT);
    };
    let driver = environment.frequency.driver.as_deref().unwrap_or_default();
    let mend = if driver.starts_with("intel") {
        "echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo"
    } else {
        "echo 0 > /sys/devices/system/cpu/cpufreq/boost"
    };
    let found = if turbo { "on" } else { "off" };
    Finding::by(environment, Flaw::Turbo, FACT, found).but(
        "the frequency follows heat and how many cores are busy: more threads run slower each",
        mend,
    )
}

/// Of what sets the frequency, nothing is shown.
fn host_or_firmware(environment: &Environment, fact: &str) -> Finding {
    let (who, mend) = if is_guest(environment) {
        ("the host", BARE_METAL)
    } else {
        ("the firmware", "fix the frequency in the firmware's setup")
    };
    let spoils = format!("{who} sets the frequency, and may change it in a run");
    Finding::unknown(fact).but(&spoils, mend)
}

pub(super) fn idle(environment: &Environment) -> Finding {
    const FACT: &str = "idle states";
    let idle = &environment.idle;
    let used = &environment.processor.cpus_used;
    match (&idle.deepest, idle.exit_latency_us) {
        (Some(name), Some(latency)) => {
            let found = format!("down to {name}, {latency} us to come back");
            if latency < DEEP_US {
                return Finding::fit(FACT, found);
            }
            Finding::note(FACT, found).but(
                "a thread that sleeps for a page or a semaphore comes back late; one that spins \
                 doesn't",
                format!("cpupower -c {used} idle-set -D {DEEP_US}"),
            )
        }
        _ if is_guest(environment) => Finding::unknown(FACT).but(
            "an idle CPU goes back to the host; a thread that sleeps comes back late",
            BARE_METAL,
        ),
        _ => Finding::unknown(FACT).but(
            "a thread that sleeps may come back late",
            "boot with idle=poll (x86)",
        ),
    }
}

pub(super) fn counter(environment: &Environment) -> Finding {
    const FACT: &str = "counter";
    let Some(invariant) = environment.processor.tsc_invariant else {
        // Another architecture; the kernel reads its counter unless that is broken.
        let ours = environment.caveat(Flaw::Clocksource).is_none();
        return match &environment.kernel.clocksource {
            Some(name) if ours => Finding::fit(FACT, name),
            _ => Finding::unknown(FACT).but(
                "a clock read may cost more than what it times",
                "see recording_ns in run.json",
            ),
        };
    };
    let found = if invariant {
        "TSC, invariant"
    } else {
        "TSC, not invariant"
    };
    let mend = if is_guest(environment) {
        "give the guest invtsc (QEMU: -cpu host,migratable=no,+invtsc)"
    } else {
        "nothing: another CPU"
    };
    Finding::by(environment, Flaw::VariableTsc, FACT, found).but(
        "each clock read asks the kernel instead, and latencies contain that",
        mend,
    )
}

pub(super) fn clocksource(environment: &Environment) -> Finding {
    const FACT: &str = "clocksource";
    let kernel = &environment.kernel;
    let Some(name) = &kernel.clocksource else {
        return Finding::unknown(FACT).but(
            "where the counter can't be read, clock reads may be slow",
            "see recording_ns in run.json",
        );
    };
    let finding = Finding::by(environment, Flaw::Clocksource, FACT, name);
    let sources = kernel.clocksources.as_deref().unwrap_or_default();
    let mend = if sources.iter().any(|source| source == "tsc") {
        "boot with clocksource=tsc"
    } else {
        "nothing: the kernel has no better one"
    };
    if finding.verdict == Verdict::Spoils && environment.caveat(Flaw::VariableTsc).is_none() {
        return Finding::note(FACT, name).but(
            "only waits and wakeups: what is timed is timed by the counter itself",
            mend,
        );
    }
    finding.but("every clock read of the measurement goes there", mend)
}
