//! What takes the CPUs' time, how fast they run, and what tells the time.

use super::{BARE_METAL, Judged, fit, is_guest, note, unknown};
use crate::environment::Environment;
use crate::environment::wording::ascii;
use crate::noise::percent;

/// Above this, in microseconds, a thread that has slept comes late by more than the wakeup itself.
const DEEP_US: u64 = 10;

/// More than this, and something else was running, not only what the kernel does on its own.
const QUIET_LOAD: f64 = 0.5;

/// The kernel's names of the counters that the architectures have of their own. Anything else
/// stands in for one that was missing or that failed.
const COUNTERS: [&str; 4] = ["tsc", "arch_sys_counter", "timebase", "riscv_clocksource"];

pub(super) fn hypervisor(it: &Environment) -> Judged {
    let virtualization = &it.virtualization;
    let name = virtualization.hypervisor.as_deref();
    match virtualization.virtual_machine {
        Some(false) => return fit("none"),
        None => {
            return unknown(
                "in a guest, CPUs may be shared or taken away",
                "nothing; ask the lender of the machine",
            );
        }
        Some(true) => {}
    }
    // What firmware and device trees say may be long.
    let short = name.map(ascii).filter(|name| name.len() <= 20);
    let short = short.map_or(String::new(), |name| format!(" ({name})"));
    note(
        name.unwrap_or("one that has no name"),
        "CPUs may be shared or taken away at any time; cache and memory are shared with other \
         guests",
        BARE_METAL,
    )
    .spoils(format!(
        "virtual machine{short}: CPUs may be shared or taken away"
    ))
}

/// Only noted: it is past, and a guest is spoilt already. What is stolen from a run stands in it.
pub(super) fn steal(it: &Environment) -> Judged {
    match it.stolen_share {
        Some(0.0) => fit("none since boot"),
        Some(share) => {
            let found = format!("{} of the time since boot", percent(share));
            note(
                found,
                "the host ran something else while the CPUs used had work",
                "nothing in here; a host with fewer guests, or bare metal",
            )
        }
        None => unknown(
            "time that a host takes would be taken for the schemes'",
            BARE_METAL,
        ),
    }
}

pub(super) fn quota(it: &Environment) -> Judged {
    let quota = it.cpu_quota.as_ref();
    let Some((quota, cpus)) = quota.and_then(|quota| Some((quota, quota.cpus?))) else {
        return fit("none");
    };
    let percent = cpus * 100.0;
    let (file, mend) = match quota.version_1 {
        true => (
            "cfs quota and period",
            "write -1 to cpu.cfs_quota_us of this control group, or run outside it",
        ),
        false => (
            "cpu.max",
            "write max to cpu.max of this control group, or run outside it",
        ),
    };
    note(
        format!("{percent:.0}% of a CPU ({file}: {})", quota.cpu_max),
        "all threads are stopped until the next period when it is used up",
        mend,
    )
    .spoils(format!(
        "CPU quota {percent:.0}%: threads are stopped when it is used up"
    ))
}

pub(super) fn load(it: &Environment) -> Judged {
    let Some(load) = it.load_average_1min else {
        return unknown(
            "others may run",
            "look at ps -eo psr,pcpu,comm --sort=-pcpu",
        );
    };
    let caveat = format!("load average {load:.2} at the start: the machine wasn't idle");
    note(
        format!("{load:.2} over the last minute"),
        "others run, and take CPUs, caches and memory bandwidth",
        "end what ps -eo psr,pcpu,comm --sort=-pcpu shows, and wait",
    )
    .spoils_if(load > QUIET_LOAD, caveat)
}

pub(super) fn governor(it: &Environment) -> Judged {
    let frequency = &it.frequency;
    let Some(governor) = &frequency.governor else {
        return host_or_firmware(it);
    };
    let driver = frequency.driver.as_ref();
    let driver = driver.map_or(String::new(), |driver| format!(" ({driver})"));
    let used = &it.processor.cpus_used;
    let found = format!("{governor}{driver}");
    // It is long where it differs between CPUs.
    let name = ascii(governor);
    let caveat = match name.len() {
        ..=20 => format!("frequency governor {name}, not performance"),
        _ => "frequency governors differ: not performance on all CPUs".to_owned(),
    };
    note(
        found,
        "the frequency follows the load: what runs first, or waits more, runs slower",
        format!("cpupower -c {used} frequency-set -g performance"),
    )
    .spoils_if(governor != "performance", caveat)
}

pub(super) fn turbo(it: &Environment) -> Judged {
    let Some(turbo) = it.frequency.turbo else {
        return host_or_firmware(it);
    };
    let driver = it.frequency.driver.as_deref().unwrap_or_default();
    let mend = if driver.starts_with("intel") {
        "echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo"
    } else {
        "echo 0 > /sys/devices/system/cpu/cpufreq/boost"
    };
    let caveat = "turbo is on: the frequency varies with load and heat";
    note(
        if turbo { "on" } else { "off" },
        "the frequency follows heat and how many cores are busy: more threads run slower each",
        mend,
    )
    .spoils_if(turbo, caveat)
}

/// Of what sets the frequency, nothing is shown.
fn host_or_firmware(it: &Environment) -> Judged {
    let (who, mend) = if is_guest(it) {
        ("the host", BARE_METAL)
    } else {
        ("the firmware", "fix the frequency in the firmware's setup")
    };
    let spoils = format!("{who} sets the frequency, and may change it in a run");
    unknown(spoils, mend)
}

pub(super) fn idle(it: &Environment) -> Judged {
    let idle = &it.idle;
    let used = &it.processor.cpus_used;
    match (&idle.deepest, idle.exit_latency_us) {
        (Some(name), Some(latency)) => {
            let found = format!("down to {name}, {latency} us to come back");
            if latency < DEEP_US {
                return fit(found);
            }
            note(
                found,
                "a thread that sleeps for a page or a semaphore comes back late; one that spins \
                 doesn't",
                format!("cpupower -c {used} idle-set -D {DEEP_US}"),
            )
        }
        _ if is_guest(it) => unknown(
            "an idle CPU goes back to the host; a thread that sleeps comes back late",
            BARE_METAL,
        ),
        _ => unknown(
            "a thread that sleeps may come back late",
            "boot with idle=poll (x86)",
        ),
    }
}

pub(super) fn counter(it: &Environment) -> Judged {
    let Some(invariant) = it.processor.tsc_invariant else {
        // Another architecture; the kernel reads its counter unless that is broken.
        return match it.kernel.clocksource.as_deref() {
            Some(name) if COUNTERS.contains(&name) => fit(name),
            _ => unknown(
                "a clock read may cost more than what it times",
                "see recording_ns in run.json",
            ),
        };
    };
    if invariant {
        return fit("TSC, invariant");
    }
    let mend = match is_guest(it) {
        true => "give the guest invtsc (QEMU: -cpu host,migratable=no,+invtsc)",
        false => "nothing: another CPU",
    };
    let caveat = "no invariant TSC: latencies contain slower clock reads";
    note(
        "TSC, not invariant",
        "each clock read asks the kernel instead, and latencies contain that",
        mend,
    )
    .spoils(caveat)
}

pub(super) fn clocksource(it: &Environment) -> Judged {
    let kernel = &it.kernel;
    let Some(name) = kernel.clocksource.as_deref() else {
        return unknown(
            "where the counter can't be read, clock reads may be slow",
            "see recording_ns in run.json",
        );
    };
    if COUNTERS.contains(&name) {
        return fit(name);
    }
    let sources = kernel.clocksources.as_deref().unwrap_or_default();
    let mend = match sources.iter().any(|source| source == "tsc") {
        true => "boot with clocksource=tsc",
        false => "nothing: the kernel has no better one",
    };
    let mut shown = ascii(name);
    shown.truncate(32);
    let caveat = format!("clocksource {shown}, not the bare counter");
    if it.processor.tsc_invariant == Some(false) {
        let spoils = "every clock read of the measurement goes there";
        return note(name, spoils, mend).spoils(caveat);
    }
    let spoils = "only waits and wakeups: what is timed is timed by the counter itself";
    Judged {
        caveat: Some(caveat),
        ..note(name, spoils, mend)
    }
}
