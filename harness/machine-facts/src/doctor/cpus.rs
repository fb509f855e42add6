//! The CPUs: which ones, who shares them, and whose they are.

use super::{BARE_METAL, Finding, is_guest};
use crate::environment::wording::counted;
use crate::environment::{Environment, Flaw};
use crate::topology::{format_cpu_list, parse_cpu_list};

pub(super) fn model(environment: &Environment) -> Finding {
    match &environment.processor.model {
        Some(model) => Finding::fit("CPU", model),
        None => Finding::unknown("CPU").but(
            "figures of a CPU that has no name can't be compared",
            "name the CPU beside the figures",
        ),
    }
}

pub(super) fn topology(environment: &Environment) -> Finding {
    let processor = &environment.processor;
    let used = processor.logical_cpus_used;
    let online = processor.logical_cpus_online;
    let of = match online.filter(|&online| online != used) {
        Some(online) => format!("{used} of {online} CPUs"),
        None => counted(used as u64, "CPU"),
    };
    let list = &processor.cpus_used;
    if !processor.topology_known {
        let found = format!("unknown; {of} used: {list}");
        return Finding::by(environment, Flaw::UnknownTopology, "topology", found).but(
            "two threads may have been placed on the siblings of one core",
            "give --cpus with one CPU of each core, see lscpu -e",
        );
    }
    let cores = counted(processor.cores_used as u64, "core");
    let packages = counted(processor.packages_used as u64, "package");
    let found = format!("{of} used: {list} ({cores}, {packages})");
    if processor.packages_used > 1 {
        return Finding::note("topology", found).but(
            "a cache line costs more from another package: figures depend on which threads are \
             where",
            "give --cpus of one package, see lscpu -e",
        );
    }
    Finding::fit("topology", found)
}

pub(super) fn smt(environment: &Environment) -> Finding {
    const FACT: &str = "SMT";
    let processor = &environment.processor;
    if processor.smt_siblings_used {
        let one = processor.one_cpu_per_core.as_deref();
        return Finding::by(environment, Flaw::SmtSiblings, FACT, "siblings are used").but(
            "threads on siblings share a core and slow each other down",
            format!("give --cpus {}", one.unwrap_or("with one of each core")),
        );
    }
    match processor.smt_siblings_unused.as_deref() {
        Some("") if is_guest(environment) && processor.smt_active != Some(true) => {
            Finding::note(FACT, "no siblings are shown to this guest").but(
                "its CPUs may be siblings all the same, of each other or of other guests' CPUs",
                BARE_METAL,
            )
        }
        Some("") => Finding::fit(FACT, "the CPUs used have no siblings online"),
        Some(siblings) => {
            let found = format!("one CPU of each core is used; {siblings} are siblings");
            let mend = match processor.smt_control.as_deref() {
                Some("on") => "echo off > /sys/devices/system/cpu/smt/control",
                _ => "boot with nosmt",
            };
            Finding::note(FACT, found).but("whatever runs there takes from the cores used", mend)
        }
        None => Finding::unknown(FACT).but(
            "the CPUs used may be siblings, or have some that others run on",
            "boot with nosmt",
        ),
    }
}

pub(super) fn allowed(environment: &Environment) -> Finding {
    const FACT: &str = "CPUs allowed";
    let isolation = &environment.isolation;
    let (Some(allowed), Some(online)) = (cpus(&isolation.allowed), cpus(&isolation.online)) else {
        return Finding::unknown(FACT).but(
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
        return Finding::fit(FACT, format!("{list}, all that aren't isolated"));
    }
    let found = format!("{list}; not {}", format_cpu_list(&missing));
    Finding::note(FACT, found).but(
        "others may run on the CPUs that aren't allowed, and share caches with those that are",
        format!("taskset -pc {} $$", format_cpu_list(&online)),
    )
}

pub(super) fn isolated(environment: &Environment) -> Finding {
    let list = cpus(&environment.isolation.isolated);
    kept_free("isolated", environment, list).but(
        "the scheduler may put others on the CPUs used, and interrupts there",
        isolate(environment),
    )
}

pub(super) fn nohz_full(environment: &Environment) -> Finding {
    let list = cpus(&environment.isolation.nohz_full);
    kept_free("nohz_full", environment, list).but(
        "the kernel's tick interrupts the CPUs used 100 to 1000 times a second",
        isolate(environment),
    )
}

/// Whether all CPUs used are in a list.
fn kept_free(fact: &str, environment: &Environment, list: Option<Vec<u32>>) -> Finding {
    let Some(list) = list else {
        return Finding::unknown(fact);
    };
    let used = used(environment);
    let (free, others): (Vec<_>, Vec<_>) = used.iter().partition(|cpu| list.contains(cpu));
    let plain = |cpus: &[u32]| format_cpu_list(cpus);
    match (free.is_empty(), others.is_empty()) {
        (_, true) => Finding::fit(fact, "all CPUs used"),
        (true, _) => Finding::note(fact, "none of the CPUs used"),
        _ => Finding::note(fact, format!("{}; not {}", plain(&free), plain(&others))),
    }
}

/// How the CPUs used are kept free. One has to be left over for all the others.
fn isolate(environment: &Environment) -> String {
    let mut used = used(environment);
    let online = cpus(&environment.isolation.online).unwrap_or_default();
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
fn used(environment: &Environment) -> Vec<u32> {
    let mut used = parse_cpu_list(&environment.processor.cpus_used).unwrap_or_default();
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
