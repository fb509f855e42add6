//! The CPUs: which ones, who shares them, and whose they are.

use super::{BARE_METAL, Judged, fit, is_guest, note, unknown};
use crate::environment::{Environment, counted};
use crate::topology::{format_cpu_list, parse_cpu_list};

pub(super) fn model(it: &Environment) -> Judged {
    match &it.processor.model {
        Some(model) => fit(model),
        None => unknown(
            "figures of a CPU that has no name can't be compared",
            "name the CPU beside the figures",
        ),
    }
}

pub(super) fn topology(it: &Environment) -> Judged {
    let processor = &it.processor;
    let used = processor.logical_cpus_used;
    let online = processor.logical_cpus_online;
    let of = match online.filter(|&online| online != used) {
        Some(online) => format!("{used} of {online} CPUs"),
        None => counted(used as u64, "CPU"),
    };
    let list = &processor.cpus_used;
    if !processor.topology_known {
        let found = format!("unknown; {of} used: {list}");
        let caveat = "the CPU topology is unknown: each CPU is taken for a core";
        return note(
            found,
            "two threads may have been placed on the siblings of one core",
            "give --cpus with one CPU of each core, see lscpu -e",
        )
        .spoils(caveat);
    }
    let cores = counted(processor.cores_used as u64, "core");
    let packages = counted(processor.packages_used as u64, "package");
    let found = format!("{of} used: {list} ({cores}, {packages})");
    if processor.packages_used > 1 {
        return note(
            found,
            "a cache line costs more from another package: figures depend on which threads are \
             where",
            "give --cpus of one package, see lscpu -e",
        );
    }
    fit(found)
}

pub(super) fn smt(it: &Environment) -> Judged {
    let processor = &it.processor;
    if processor.smt_siblings_used {
        let one = processor.one_cpu_per_core.as_deref();
        let caveat = "SMT siblings are in use: threads share cores";
        return note(
            "siblings are used",
            "threads on siblings share a core and slow each other down",
            format!("give --cpus {}", one.unwrap_or("with one of each core")),
        )
        .spoils(caveat);
    }
    match processor.smt_siblings_unused.as_deref() {
        Some("") if is_guest(it) && processor.smt_active != Some(true) => note(
            "no siblings are shown to this guest",
            "its CPUs may be siblings all the same, of each other or of other guests' CPUs",
            BARE_METAL,
        ),
        Some("") => fit("the CPUs used have no siblings online"),
        Some(siblings) => {
            let found = format!("one CPU of each core is used; {siblings} are siblings");
            let mend = match processor.smt_control.as_deref() {
                Some("on") => "echo off > /sys/devices/system/cpu/smt/control",
                _ => "boot with nosmt",
            };
            note(found, "whatever runs there takes from the cores used", mend)
        }
        None => unknown(
            "the CPUs used may be siblings, or have some that others run on",
            "boot with nosmt",
        ),
    }
}

pub(super) fn allowed(it: &Environment) -> Judged {
    let isolation = &it.isolation;
    let (Some(allowed), Some(online)) = (cpus(&isolation.allowed), cpus(&isolation.online)) else {
        return unknown(
            "there may be CPUs that aren't offered",
            "give --cpus, see lscpu -e",
        );
    };
    // Those have to be asked for by number, and can be.
    let isolated = cpus(&isolation.isolated).unwrap_or_default();
    let missing: Vec<u32> = online
        .iter()
        .copied()
        .filter(|cpu| !allowed.contains(cpu) && !isolated.contains(cpu))
        .collect();
    let list = format_cpu_list(&allowed);
    if missing.is_empty() {
        return fit(format!("{list}, all that aren't isolated"));
    }
    let found = format!("{list}; not {}", format_cpu_list(&missing));
    note(
        found,
        "others may run on the CPUs that aren't allowed, and share caches with those that are",
        format!("taskset -pc {} $$", format_cpu_list(&online)),
    )
}

pub(super) fn isolated(it: &Environment) -> Judged {
    let spoils = "the scheduler may put others on the CPUs used, and interrupts there";
    kept_free(it, &it.isolation.isolated, spoils)
}

pub(super) fn nohz_full(it: &Environment) -> Judged {
    let spoils = "the kernel's tick interrupts the CPUs used 100 to 1000 times a second";
    kept_free(it, &it.isolation.nohz_full, spoils)
}

/// Whether all CPUs used are in a list.
fn kept_free(it: &Environment, list: &Option<String>, spoils: &str) -> Judged {
    let found = match cpus(list) {
        None => "unknown".to_owned(),
        Some(list) => {
            let used = used(it);
            let (free, others): (Vec<_>, Vec<_>) = used.iter().partition(|cpu| list.contains(cpu));
            if others.is_empty() {
                return fit("all CPUs used");
            }
            match free.is_empty() {
                true => "none of the CPUs used".to_owned(),
                false => format!(
                    "{}; not {}",
                    format_cpu_list(&free),
                    format_cpu_list(&others)
                ),
            }
        }
    };
    note(found, spoils, isolate(it))
}

/// How the CPUs used are kept free. One has to be left over for all the others.
fn isolate(it: &Environment) -> String {
    let mut used = used(it);
    let online = cpus(&it.isolation.online).unwrap_or_default();
    let all = online.iter().all(|cpu| used.contains(cpu));
    if all {
        used.retain(|cpu| Some(cpu) != online.first());
    }
    if used.is_empty() {
        return "nothing: it takes a CPU more".to_owned();
    }
    let list = format_cpu_list(&used);
    let boot = format!("boot with isolcpus={list} nohz_full={list}");
    if all {
        format!("{boot}, and give --cpus {list}")
    } else {
        boot
    }
}

/// The CPUs used, ascending.
fn used(it: &Environment) -> Vec<u32> {
    let mut used = parse_cpu_list(&it.processor.cpus_used).unwrap_or_default();
    used.sort_unstable();
    used
}

/// The CPUs of a list that may be empty.
fn cpus(list: &Option<String>) -> Option<Vec<u32>> {
    match list.as_deref()? {
        "" => Some(Vec::new()),
        list => parse_cpu_list(list).ok(),
    }
}
