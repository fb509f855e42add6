//! The build, and settings of the kernel's.

use super::{BARE_METAL, Judged, fit, is_guest, note, unknown};
use crate::environment::Environment;

pub(super) fn build(it: &Environment) -> Judged {
    let build = &it.build;
    let level = build.opt_level.as_deref().unwrap_or("unknown");
    let assertions = if build.debug_assertions {
        "assertions"
    } else {
        "no assertions"
    };
    let commit = build.commit.as_deref().unwrap_or("unknown");
    let dirty = build.dirty == Some(true);
    let changes = if dirty { " and changes" } else { "" };
    let found = format!("opt-level {level}, {assertions}, commit {commit}{changes}");
    let caveat = match (build.debug_assertions, level) {
        (true, _) => "debug build: assertions are timed too; use --release".to_owned(),
        (false, "2" | "3" | "unknown") => String::new(),
        (false, level) => format!("built with opt-level {level}: use --release"),
    };
    if !caveat.is_empty() {
        let spoils = "assertions, and code that isn't optimized, are timed with the model";
        return note(found, spoils, "cargo build --release").spoils(caveat);
    }
    if dirty {
        return note(
            found,
            "the commit doesn't say what was measured",
            "commit the changes, and cargo build --release",
        );
    }
    if build.commit.is_none() {
        return note(
            found,
            "what was measured can not be told",
            "build from a git checkout",
        );
    }
    fit(found)
}

/// Only noted, as part of what the build is.
pub(super) fn sources(it: &Environment) -> Judged {
    let caveat = "built from uncommitted changes: the commit doesn't say it all";
    fit("").spoils_if(it.build.dirty == Some(true), caveat)
}

pub(super) fn layout(it: &Environment) -> Judged {
    let Some(aligned) = it.build.aligns_functions() else {
        return unknown("figures may depend on it", LAYOUT);
    };
    if aligned {
        return fit("functions begin at cache lines");
    }
    let caveat = "built without -align-all-functions=6: layout may move figures";
    note(
        "functions begin anywhere",
        "a change of unrelated code moves functions, and that alone moves figures by 5 to 10%",
        LAYOUT,
    )
    .spoils(caveat)
}

const LAYOUT: &str =
    "unset RUSTFLAGS, and build inside the checkout, which has a .cargo/config.toml";

pub(super) fn mitigations(it: &Environment) -> Judged {
    const SPOILS: &str = "entering the kernel costs more with them, so that interrupts and sleeping \
                          waits do; code in user space hardly";
    const MEND: &str = "boot with mitigations=off, if what you compare with does";
    match it.kernel.mitigations {
        Some(them) => {
            let (mitigated, open) = (them.mitigated, them.vulnerable);
            let found = format!("vulnerabilities: {mitigated} mitigated, {open} left open");
            if mitigated == 0 {
                fit(found)
            } else {
                note(found, SPOILS, MEND)
            }
        }
        None => unknown(SPOILS, MEND),
    }
}

pub(super) fn huge_pages(it: &Environment) -> Judged {
    const SPOILS: &str = "the kernel may make the model's memory huge pages in the middle of a run";
    const MEND: &str = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";
    match it.kernel.transparent_hugepages.as_deref() {
        Some("always") => note("always", SPOILS, MEND),
        Some(setting) => fit(setting),
        None => fit("unknown: the kernel seems to have none"),
    }
}

pub(super) fn nmi_watchdog(it: &Environment) -> Judged {
    match it.kernel.nmi_watchdog {
        Some(true) => note(
            "on",
            "each CPU is interrupted every few seconds, and one hardware counter is taken",
            "sysctl kernel.nmi_watchdog=0",
        ),
        Some(false) => fit("off"),
        None => fit("unknown: the kernel seems to have none"),
    }
}

pub(super) fn counters(it: &Environment) -> Judged {
    const SPOILS: &str = "cycles, instructions and misses can't be counted; times are";
    match it.kernel.event_sources.as_deref() {
        Some(sources) => {
            let cores = sources.iter().filter(|source| counts_cores(source));
            let cores: Vec<_> = cores.map(String::as_str).collect();
            if !cores.is_empty() {
                return fit(format!("hardware ({})", cores.join(", ")));
            }
            let mend = if is_guest(it) {
                "give the guest a PMU (QEMU: -cpu host,pmu=on), or bare metal"
            } else {
                "nothing: the kernel has no driver for this CPU's counters"
            };
            let software = sources.iter().any(|source| source == "software");
            let found = if software { "software only" } else { "none" };
            note(found, SPOILS, mend)
        }
        None => unknown(SPOILS, BARE_METAL),
    }
}

/// Whether a device counts what CPU cores do: x86 (all cores, or each kind), arm64 by its
/// architecture or its core's name, Apple, s390; POWER and RISC-V have a plain `cpu`.
fn counts_cores(source: &str) -> bool {
    ["cpu", "cpu_core", "cpu_atom", "cpum_cf"].contains(&source)
        || source.starts_with("armv")
        || (source.starts_with("apple_") && source.ends_with("_pmu"))
}

pub(super) fn perf_events(it: &Environment) -> Judged {
    let Some(paranoid) = it.kernel.perf_event_paranoid else {
        return unknown(
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
        return fit(found);
    }
    note(
        found,
        "counters are refused; times are there",
        "sysctl kernel.perf_event_paranoid=2",
    )
}

pub(super) fn memlock(it: &Environment) -> Judged {
    const SPOILS: &str = "perf's buffers may be refused; nothing that is timed is locked";
    const MEND: &str = "ulimit -l unlimited";
    match it.memlock.as_deref() {
        Some("unlimited") => fit("unlimited"),
        Some(bytes) => {
            let kib = bytes.parse::<u64>().unwrap_or(0) >> 10;
            note(format!("{kib} KiB"), SPOILS, MEND)
        }
        None => unknown(SPOILS, MEND),
    }
}
