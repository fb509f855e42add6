//! The build, and settings of the kernel's.

use super::{BARE_METAL, Finding, is_guest};
use crate::environment::{Environment, Flaw};

pub(super) fn build(environment: &Environment) -> Finding {
    const FACT: &str = "build";
    let build = &environment.build;
    let level = build.opt_level.as_deref().unwrap_or("unknown");
    let assertions = if build.debug_assertions {
        "assertions"
    } else {
        "no assertions"
    };
    let commit = build.commit.as_deref().unwrap_or("unknown");
    let dirty = environment.caveat(Flaw::DirtyBuild).is_some();
    let changes = if dirty { " and changes" } else { "" };
    let found = format!("opt-level {level}, {assertions}, commit {commit}{changes}");
    if environment.caveat(Flaw::DebugBuild).is_some() {
        return Finding::by(environment, Flaw::DebugBuild, FACT, found).but(
            "assertions, and code that isn't optimized, are timed with the model",
            "cargo build --release",
        );
    }
    if dirty {
        return Finding::note(FACT, found).but(
            "the commit doesn't say what was measured",
            "commit the changes, and cargo build --release",
        );
    }
    if build.commit.is_none() {
        return Finding::note(FACT, found).but(
            "what was measured can not be told",
            "build from a git checkout",
        );
    }
    Finding::fit(FACT, found)
}

pub(super) fn layout(environment: &Environment) -> Finding {
    const FACT: &str = "code layout";
    let build = &environment.build;
    let found = match build.aligns_functions() {
        Some(true) => "functions begin at cache lines",
        Some(false) => "functions begin anywhere",
        None => return Finding::unknown(FACT).but("figures may depend on it", LAYOUT),
    };
    Finding::by(environment, Flaw::Unaligned, FACT, found).but(
        "a change of unrelated code moves functions, and that alone moves figures by 5 to 10%",
        LAYOUT,
    )
}

const LAYOUT: &str =
    "unset RUSTFLAGS, and build inside the checkout, which has a .cargo/config.toml";

pub(super) fn mitigations(environment: &Environment) -> Finding {
    const FACT: &str = "mitigations";
    const SPOILS: &str = "entering the kernel costs more with them, so that interrupts and sleeping \
                          waits do; code in user space hardly";
    const MEND: &str = "boot with mitigations=off, if what you compare with does";
    match environment.kernel.mitigations {
        Some(them) => {
            let (mitigated, open) = (them.mitigated, them.vulnerable);
            let found = format!("vulnerabilities: {mitigated} mitigated, {open} left open");
            if mitigated == 0 {
                Finding::fit(FACT, found)
            } else {
                Finding::note(FACT, found).but(SPOILS, MEND)
            }
        }
        None => Finding::unknown(FACT).but(SPOILS, MEND),
    }
}

pub(super) fn huge_pages(environment: &Environment) -> Finding {
    const FACT: &str = "THP";
    const SPOILS: &str = "the kernel may make the model's memory huge pages in the middle of a run";
    const MEND: &str = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";
    match environment.kernel.transparent_hugepages.as_deref() {
        Some("always") => Finding::note(FACT, "always").but(SPOILS, MEND),
        Some(setting) => Finding::fit(FACT, setting),
        None => Finding::fit(FACT, "unknown: the kernel seems to have none"),
    }
}

pub(super) fn nmi_watchdog(environment: &Environment) -> Finding {
    const FACT: &str = "NMI watchdog";
    match environment.kernel.nmi_watchdog {
        Some(true) => Finding::note(FACT, "on").but(
            "each CPU is interrupted every few seconds, and one hardware counter is taken",
            "sysctl kernel.nmi_watchdog=0",
        ),
        Some(false) => Finding::fit(FACT, "off"),
        None => Finding::fit(FACT, "unknown: the kernel seems to have none"),
    }
}

pub(super) fn counters(environment: &Environment) -> Finding {
    const FACT: &str = "counters";
    const SPOILS: &str = "cycles, instructions and misses can't be counted; times are";
    match environment.kernel.event_sources.as_deref() {
        Some(sources) => {
            let cores = sources.iter().filter(|source| counts_cores(source));
            let cores: Vec<_> = cores.map(String::as_str).collect();
            if !cores.is_empty() {
                return Finding::fit(FACT, format!("hardware ({})", cores.join(", ")));
            }
            let mend = if is_guest(environment) {
                "give the guest a PMU (QEMU: -cpu host,pmu=on), or bare metal"
            } else {
                "nothing: the kernel has no driver for this CPU's counters"
            };
            let software = sources.iter().any(|source| source == "software");
            let found = if software { "software only" } else { "none" };
            Finding::note(FACT, found).but(SPOILS, mend)
        }
        None => Finding::unknown(FACT).but(SPOILS, BARE_METAL),
    }
}

/// Whether a device counts what CPU cores do: x86 (all cores, or each kind), arm64 by its
/// architecture or its core's name, Apple, s390; POWER and RISC-V have a plain `cpu`.
fn counts_cores(source: &str) -> bool {
    ["cpu", "cpu_core", "cpu_atom", "cpum_cf"].contains(&source)
        || source.starts_with("armv")
        || (source.starts_with("apple_") && source.ends_with("_pmu"))
}

pub(super) fn perf_events(environment: &Environment) -> Finding {
    const FACT: &str = "perf events";
    let Some(paranoid) = environment.kernel.perf_event_paranoid else {
        return Finding::unknown(FACT).but(
            "counters may be refused; times are there",
            "a kernel with CONFIG_PERF_EVENTS",
        );
    };
    let allowed = match paranoid {
        ..=1 => "own events, kernel too",
        2 => "own events",
        _ => "none without CAP_PERFMON",
    };
    let found = format!("perf_event_paranoid {paranoid}: {allowed}");
    if paranoid <= 2 {
        return Finding::fit(FACT, found);
    }
    Finding::note(FACT, found).but(
        "counters are refused; times are there",
        "sysctl kernel.perf_event_paranoid=2",
    )
}

pub(super) fn memlock(environment: &Environment) -> Finding {
    const FACT: &str = "memlock";
    const SPOILS: &str = "perf's buffers may be refused; nothing that is timed is locked";
    const MEND: &str = "ulimit -l unlimited";
    match environment.memlock.as_deref() {
        Some("unlimited") => Finding::fit(FACT, "unlimited"),
        Some(bytes) => {
            let kib = bytes.parse::<u64>().unwrap_or(0) >> 10;
            Finding::note(FACT, format!("{kib} KiB")).but(SPOILS, MEND)
        }
        None => Finding::unknown(FACT).but(SPOILS, MEND),
    }
}
