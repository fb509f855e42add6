//! From options to a plan: loads that fit the CPUs, rounds, and a command that runs the same.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::calibration::Recorded;
use harness::cell::Setup;
use harness::counters::{Cpu, Event};
use harness::machine::{MmKind, Sizes};
use harness::order::Access;
use harness::rounds::{Group, Plan, Rounds};
use harness::storms::{Storm, Storms};
use harness::topology::{Topology, format_cpu_list};
use kernel_model::platform::{Native, Platform};

use super::options::{Load, Mm, Order};
use crate::command::output::Format;
use crate::command::values::{self, Rate};
use crate::command::{Failure, quoted_word, refuse_repeated};

const DURATION: Duration = Duration::from_millis(200);
const ROUNDS: u32 = 10;
const WIDTH_PERCENT: f64 = 5.0;
const LIMIT: Duration = Duration::from_secs(600);
const STORM_THREADS: u32 = 1;

/// What is to be measured.
pub(in crate::command) struct Work {
    pub(in crate::command) plan: Plan,
    pub(in crate::command) setup: Setup,
    /// What was left out of the defaults, and why.
    pub(in crate::command) left_out: Vec<String>,
    /// A command that runs the same.
    pub(in crate::command) rerun: String,
    /// What calibrated loads carry.
    pub(in crate::command) calibration: Option<Recorded>,
}

/// The storms that were named, or else the default ones.
pub(in crate::command) fn storms<P: Platform>(
    names: &[String],
) -> Result<Vec<&'static dyn Storm<P>>, Failure> {
    if names.is_empty() {
        let all = Storms::<P>::ALL.iter().copied();
        return Ok(all.filter(|storm| storm.is_default()).collect());
    }
    storms_named(names)
}

/// The storms that were named.
pub(in crate::command) fn storms_named<P: Platform>(
    names: &[String],
) -> Result<Vec<&'static dyn Storm<P>>, Failure> {
    refuse_repeated("--storm", names)?;
    let named = |name: &String| Storms::<P>::named(name).expect("names are checked");
    Ok(names.iter().map(named).collect())
}

fn storm_threads(load: &Load) -> u32 {
    load.storm_threads.unwrap_or(STORM_THREADS)
}

/// The setup that is asked for, with operations at `rate` by default.
pub(in crate::command) fn setup(
    load: &Load,
    sizes: Sizes,
    topology: &Topology,
    rate: Rate,
) -> Result<Setup, Failure> {
    let duration = load.duration.unwrap_or(DURATION);
    let warm_up = (duration / 5).clamp(Duration::from_millis(10), Duration::from_millis(200));
    Ok(Setup {
        arrival: load.arrival,
        sizes,
        mm: load.mm.into(),
        access: load.access.unwrap_or(Order::Sequential).into(),
        rate_per_s: match load.rate.unwrap_or(rate) {
            Rate::PerSecond(rate) => Some(rate),
            Rate::FlatOut => None,
        },
        storm_threads: storm_threads(load),
        cpus: topology.ids(),
        events: events(load)?,
        duration_ns: duration.as_nanos() as u64,
        warm_up_ns: warm_up.as_nanos() as u64,
    })
}

/// When there are rounds enough.
pub(in crate::command) fn rounds(load: &Load) -> Result<Rounds, Failure> {
    match load.rounds {
        Some(values::Rounds::Auto) => Ok(Rounds::Auto {
            width: load.width.unwrap_or(WIDTH_PERCENT) / 100.0,
            limit_s: load.limit.unwrap_or(LIMIT).as_secs_f64(),
        }),
        _ if load.width.is_some() || load.limit.is_some() => Err(Failure::Usage(
            "--width and --limit say when --rounds auto ends: give that with them".to_owned(),
        )),
        Some(values::Rounds::Fixed(rounds)) => Ok(Rounds::Fixed(rounds)),
        None => Ok(Rounds::Fixed(ROUNDS)),
    }
}

/// What every thread counts.
pub(in crate::command) fn events(load: &Load) -> Result<Vec<Event>, Failure> {
    let cpu = Cpu::here();
    let mut events = Vec::new();
    for given in &load.event {
        let parsed = Event::parse(given, &cpu);
        events.extend(parsed.map_err(|line| Failure::Usage(format!("--{line}")))?);
    }
    Ok(Event::standard_and(events))
}

/// Refuses what is given to a storm where no storm does anything.
pub(in crate::command) fn refuse_for_no_storm(
    load: &Load,
    groups: &[Group],
    more: &[(&str, bool)],
) -> Result<(), Failure> {
    let named = [
        ("--rate", load.rate.is_some()),
        ("--storm-threads", load.storm_threads.is_some()),
        ("--hole", load.hole.is_some()),
    ];
    let given = named.iter().chain(more).find(|(_, is_given)| *is_given);
    match given {
        Some((option, _)) if !load.storm.is_empty() && !any_removes(groups) => {
            Err(Failure::Usage(format!(
                "{option} is about what storms do, and --storm none does nothing: leave one of them away"
            )))
        }
        _ => Ok(()),
    }
}

/// Whether any load has a storm that removes something.
pub(in crate::command) fn any_removes(groups: &[Group]) -> bool {
    groups
        .iter()
        .any(|group| !group.storm.removers().is_empty())
}

/// Threads of one process deal the windows out; each must get one.
pub(in crate::command) fn refuse_idle_threads(
    load: &Load,
    setup: &Setup,
    plan: &Plan,
) -> Result<(), Failure> {
    let windows = setup.sizes.pages / setup.sizes.window_pages;
    let threads = plan.groups.iter().map(|group| group.fault_threads);
    let threads = threads.max().unwrap_or(1);
    if load.mm == Mm::Shared && threads > windows {
        return Err(Failure::Usage(format!(
            "{threads} threads of one mm share {windows} windows: give at most {windows} --threads, \
             or more --pages"
        )));
    }
    Ok(())
}

/// The pages of the file and of a hole, with `pages` and `hole_windows` by default; the window is
/// the kernel's.
pub(in crate::command) fn pages_and_hole(
    load: &Load,
    window: u32,
    pages: u32,
    hole_windows: u32,
) -> Result<(u32, u32), Failure> {
    let named = format!("the kernel's window of {window} pages");
    whole_windows(load, window, &named, pages, hole_windows)
}

/// The same where there is an option for the window.
pub(in crate::command) fn pages_and_hole_of(
    load: &Load,
    window: u32,
    pages: u32,
    hole_windows: u32,
) -> Result<(u32, u32), Failure> {
    let named = format!("--window {window}");
    whole_windows(load, window, &named, pages, hole_windows)
}

fn whole_windows(
    load: &Load,
    window: u32,
    named: &str,
    pages: u32,
    hole_windows: u32,
) -> Result<(u32, u32), Failure> {
    let pages = load.pages.unwrap_or(pages);
    if !pages.is_multiple_of(window) {
        let (below, above) = (pages / window * window, (pages / window + 1) * window);
        let allowed = match below {
            0 => format!("{above} is"),
            below => format!("{below} or {above} is"),
        };
        return Err(Failure::Usage(format!(
            "--pages {pages} isn't a multiple of {named}: {allowed}"
        )));
    }
    let hole = load.hole.unwrap_or((hole_windows * window).min(pages));
    if !hole.is_multiple_of(window) || hole > pages {
        return Err(Failure::Usage(format!(
            "--hole {hole} must be a multiple of {named}, and at most --pages {pages}"
        )));
    }
    Ok((pages, hole))
}

/// Storms and numbers of threads that fit the CPUs, and what was left out because it doesn't.
pub(in crate::command) fn groups(
    load: &Load,
    topology: &Topology,
) -> Result<(Vec<Group>, Vec<String>), Failure> {
    groups_of(load, topology, storms::<Native>(&load.storm)?)
}

/// The same for these storms.
pub(in crate::command) fn groups_of(
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
            false => storm_threads(load),
        };
        let free = cpus.saturating_sub(storm_threads);
        let threads: Vec<u32> = if !load.threads.is_empty() {
            let threads = load.threads.iter();
            let threads: Vec<u32> = threads.flat_map(|it| it.numbers(free.max(1))).collect();
            refuse_repeated("--threads", &threads)?;
            threads
        } else if free == 0 && load.storm.is_empty() && !load.oversubscribe {
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

/// A time as `--duration` takes it, to the nanosecond.
pub(in crate::command) fn duration(ns: u64) -> String {
    if ns.is_multiple_of(1_000_000) {
        format!("{}ms", ns / 1_000_000)
    } else {
        format!("{ns}ns")
    }
}

/// The words of a command that are the same for all that measure.
pub(in crate::command) fn rerun(load: &Load, plan: &Plan, setup: &Setup) -> String {
    let mut storms: Vec<_> = plan
        .groups
        .iter()
        .map(|group| group.storm.about().name)
        .collect();
    storms.dedup();
    let mut words = format!(
        "--storm {} --cpus {} --mm {} --access {} --duration {} --rounds {} --arrival {} \
         --pages {} --seed {}",
        storms.join(","),
        format_cpu_list(&setup.cpus),
        match setup.mm {
            MmKind::Private => "private",
            MmKind::Shared => "shared",
        },
        match setup.access {
            Access::Random => "random",
            Access::Sequential => "sequential",
        },
        duration(setup.duration_ns),
        rounds_words(plan.rounds),
        setup.arrival,
        setup.sizes.pages,
        plan.seed
    );
    if any_removes(&plan.groups) {
        let rate = setup
            .rate_per_s
            .map_or("max".to_owned(), |rate| rate.to_string());
        words.push_str(&format!(
            " --storm-threads {} --hole {} --rate {rate}",
            setup.storm_threads, setup.sizes.hole_pages
        ));
    }
    // Left away, they depend on the CPUs and the storm, and so they do the next time.
    if !load.threads.is_empty() {
        let threads: Vec<_> = load.threads.iter().map(ToString::to_string).collect();
        words.push_str(&format!(" --threads {}", threads.join(",")));
    }
    if !load.event.is_empty() {
        words.push_str(&format!(" --event {}", quoted_word(load.event.join(","))));
    }
    if let Some(watch) = load.watch {
        words.push_str(&format!(" --watch {}", duration(watch.as_nanos() as u64)));
    }
    if load.oversubscribe {
        words.push_str(" --oversubscribe");
    }
    words
}

/// The value of `--rounds`, with what else belongs to it.
fn rounds_words(rounds: Rounds) -> String {
    match rounds {
        Rounds::Fixed(rounds) => rounds.to_string(),
        Rounds::Auto { width, limit_s } => {
            let limit = duration((limit_s * 1e9) as u64);
            format!("auto --width {}% --limit {limit}", width * 100.0)
        }
    }
}

/// The option that asks for a format.
pub(in crate::command) fn format_words(format: Format) -> &'static str {
    match format {
        Format::Text => "",
        Format::Json => " --format json",
        Format::Tsv => " --format tsv",
    }
}
