//! From options to a plan: loads that fit the CPUs, and rounds.

use std::collections::BTreeSet;
use std::time::Duration;

use kernel_model::platform::Native;
use machine_facts::counters::{Cpu, Event};
use machine_facts::topology::{Topology, format_cpu_list};
use measuring::cell::{Setup, Subject};
use measuring::machine::Sizes;
use measuring::rounds::{Control, Group, Plan, Rounds};
use measuring::storms::Storm;
use running_kernel::calibration::Recorded;

use crate::command::failure::Failure;
use crate::command::invocation::Invocation;
use crate::command::options::{Load, Mm};
use crate::command::values::{self, refuse_repeated};

const DURATION: Duration = Duration::from_millis(200);
const WIDTH_PERCENT: f64 = 5.0;
const LIMIT: Duration = Duration::from_secs(600);

/// What a command wants measured, beside the load.
pub(in crate::command) struct Asked {
    pub(in crate::command) subjects: Vec<Subject>,
    pub(in crate::command) storms: Vec<&'static dyn Storm<Native>>,
    pub(in crate::command) sizes: Sizes,
    pub(in crate::command) controls: Vec<Control>,
    /// What every load is measured with once more: what locking could matter at most, and what a
    /// user would see of it.
    pub(in crate::command) calibration: Option<Recorded>,
    /// The subjects that storms leave alone, and why.
    pub(in crate::command) not_removed_from: Option<String>,
}

/// What is to be measured.
pub(super) struct Work {
    pub(super) plan: Plan,
    pub(super) setup: Setup,
    /// What was left out of the defaults, and why.
    pub(super) left_out: Vec<String>,
    /// What calibrated loads carry.
    pub(super) calibration: Option<Recorded>,
}

/// The plan for it on these CPUs.
pub(super) fn work(
    load: &Load,
    asked: Asked,
    topology: &Topology,
    seed: u64,
    invocation: &Invocation,
) -> Result<Work, Failure> {
    let (mut groups, mut left_out) = groups(load, topology, asked.storms)?;
    if any_removes(&groups) {
        left_out.extend(asked.not_removed_from);
    }
    if asked.calibration.is_some() {
        let twice = |group: Group| {
            [false, true].map(|calibrated| Group {
                calibrated,
                ..group
            })
        };
        groups = groups.into_iter().flat_map(twice).collect();
    }
    refuse_for_no_storm(invocation, load, &groups)?;
    let setup = setup(load, asked.sizes, topology)?;
    let plan = Plan {
        subjects: asked.subjects,
        groups,
        rounds: rounds(load)?,
        controls: asked.controls,
        seed,
    };
    refuse_idle_threads(load, &setup, &plan)?;
    Ok(Work {
        plan,
        setup,
        left_out,
        calibration: asked.calibration,
    })
}

/// The setup that is asked for.
fn setup(load: &Load, sizes: Sizes, topology: &Topology) -> Result<Setup, Failure> {
    let duration = load.extent.duration.unwrap_or(DURATION);
    Ok(Setup {
        arrival: load.arrival,
        sizes,
        mm: load.actors.mm.into(),
        access: load.actors.access.into(),
        rate_per_s: load.measured.rate.per_second(),
        storm_threads: load.actors.storm_threads,
        cpus: topology.ids(),
        events: events(load)?,
        duration_ns: duration.as_nanos() as u64,
        warm_up_ns: warm_up(duration).as_nanos() as u64,
    })
}

/// How long a cell runs before it is measured for so long.
pub(in crate::command) fn warm_up(duration: Duration) -> Duration {
    (duration / 5).clamp(Duration::from_millis(10), Duration::from_millis(200))
}

/// When there are rounds enough.
fn rounds(load: &Load) -> Result<Rounds, Failure> {
    match load.rounds {
        values::Rounds::Auto => Ok(Rounds::Auto {
            width: load.width.unwrap_or(WIDTH_PERCENT) / 100.0,
            limit_s: load.limit.unwrap_or(LIMIT).as_secs_f64(),
        }),
        _ if load.width.is_some() || load.limit.is_some() => Err(Failure::Usage(
            "--width and --limit say when --rounds auto ends: give that with them".to_owned(),
        )),
        values::Rounds::Fixed(rounds) => Ok(Rounds::Fixed(rounds)),
    }
}

/// What every thread counts.
fn events(load: &Load) -> Result<Vec<Event>, Failure> {
    let cpu = Cpu::here();
    let mut events = Vec::new();
    for given in &load.event {
        let parsed = Event::parse(given, &cpu);
        events.extend(parsed.map_err(|line| Failure::Usage(format!("--{line}")))?);
    }
    Ok(Event::standard_and(events))
}

/// Refuses what is given to a storm where no storm does anything.
fn refuse_for_no_storm(
    invocation: &Invocation,
    load: &Load,
    groups: &[Group],
) -> Result<(), Failure> {
    let given = invocation.first_given(&[
        "rate",
        "storm_threads",
        "hole",
        "neighbour",
        "refill",
        "readahead",
        "fill_ns",
    ]);
    match given {
        Some(option) if !load.storms.storm.is_empty() && !any_removes(groups) => {
            Err(Failure::Usage(format!(
                "{option} is about what storms do, and --storm none does nothing: leave one of \
                 them away"
            )))
        }
        _ => Ok(()),
    }
}

/// Whether any load has a storm that removes something.
fn any_removes(groups: &[Group]) -> bool {
    groups
        .iter()
        .any(|group| !group.storm.removers().is_empty())
}

/// Threads of one process deal the windows out; each must get one.
fn refuse_idle_threads(load: &Load, setup: &Setup, plan: &Plan) -> Result<(), Failure> {
    let windows = setup.sizes.pages / setup.sizes.window_pages;
    let threads = plan.groups.iter().map(|group| group.fault_threads);
    let threads = threads.max().unwrap_or(1);
    if load.actors.mm == Mm::Shared && threads > windows {
        return Err(Failure::Usage(format!(
            "{threads} threads of one mm share {windows} windows: give at most {windows} --threads, \
             or more --pages"
        )));
    }
    Ok(())
}

/// These storms with numbers of threads that fit the CPUs, and what was left out because it
/// doesn't.
fn groups(
    load: &Load,
    topology: &Topology,
    storms: Vec<&'static dyn Storm<Native>>,
) -> Result<(Vec<Group>, Vec<String>), Failure> {
    let cpus = topology.cpus().len() as u32;
    let (mut groups, mut left_out) = (Vec::new(), Vec::new());
    for storm in storms {
        let name = storm.about().name;
        let storm_threads = match storm.removers().is_empty() {
            true => 0,
            false => load.actors.storm_threads,
        };
        let free = cpus.saturating_sub(storm_threads);
        let threads: Vec<u32> = if !load.threads.is_empty() {
            let threads = load.threads.iter();
            let threads: Vec<u32> = threads.flat_map(|it| it.numbers(free.max(1))).collect();
            refuse_repeated("--threads", &threads)?;
            threads
        } else if free == 0 && load.storms.storm.is_empty() && !load.oversubscribe {
            left_out.push(format!(
                "storm {name}: its {storm_threads} thread(s) and a fault thread need CPUs of \
                 their own, and there are {cpus}"
            ));
            continue;
        } else {
            BTreeSet::from([1, free.max(1)]).into_iter().collect()
        };
        for fault_threads in threads {
            if fault_threads + storm_threads > cpus && !load.oversubscribe {
                return Err(Failure::Usage(format!(
                    "{fault_threads} fault and {storm_threads} storm threads ({name}) need {} \
                     CPUs, but {cpus} may be used ({}): fewer --threads, or --oversubscribe",
                    fault_threads + storm_threads,
                    format_cpu_list(&topology.ids())
                )));
            }
            groups.push(Group {
                storm,
                fault_threads,
                calibrated: false,
            });
        }
    }
    Ok((groups, left_out))
}
