//! From options to a plan: defaults, and what doesn't go together.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::cell::Setup;
use harness::counters::{Cpu, Event};
use harness::machine::{Sizes, orders_in_words};
use harness::rounds::{Control, Group, Plan, Rounds};
use harness::storms::{Storm, Storms};
use harness::topology::{Topology, format_cpu_list};
use kernel_model::Orders;
use kernel_model::fault_around::{FaultAround, Schemes};
use kernel_model::platform::{Native, Platform};

use super::options::{Mm, Options, Order};
use crate::command::output::Format;
use crate::command::values::{self, Rate};
use crate::command::{Failure, refuse_repeated};

/// The scheme that ratios are to, if it runs.
const BASELINE: &str = "page-locked";

const DURATION: Duration = Duration::from_millis(200);
const ROUNDS: u32 = 10;
const WIDTH_PERCENT: f64 = 5.0;
const LIMIT: Duration = Duration::from_secs(600);
const PAGES: u32 = 4096;
const FILL_NS: u32 = 200;
const STORM_THREADS: u32 = 1;
/// Often enough that faults and removals meet all the time, seldom enough that most of the file
/// is there. Flat out, a storm mostly removes what it has removed already.
const RATE: Rate = Rate::PerSecond(5000.0);
/// Pages of a file that has each order of a mix.
pub(super) const MIX_PAGES: u32 = Orders::MIX.len() as u32 * Orders::MIX_RUN as u32;
/// Windows that a hole takes away.
const HOLE_WINDOWS: u32 = 4;

/// What is to be measured.
pub(super) struct Work {
    pub(super) plan: Plan,
    pub(super) setup: Setup,
    /// What was left out of the defaults, and why.
    pub(super) left_out: Vec<String>,
    /// A command that runs the same.
    pub(super) rerun: String,
}

/// The schemes that were named, the baseline first; or else all sound ones.
pub(super) fn schemes<P: Platform>(
    names: &[String],
) -> Result<Vec<&'static dyn FaultAround<P>>, Failure> {
    refuse_repeated("--scheme", names)?;
    let all = Schemes::<P>::ALL.iter().copied();
    let mut schemes: Vec<_> = if names.is_empty() {
        all.filter(|scheme| scheme.about().verdict.is_sound())
            .collect()
    } else {
        let named = |name: &String| Schemes::<P>::named(name).expect("names are checked");
        names.iter().map(named).collect()
    };
    // A stable sort: the order stays as it was otherwise.
    schemes.sort_by_key(|scheme| scheme.about().name != BASELINE);
    Ok(schemes)
}

/// The storms that were named, or else the default ones.
pub(super) fn storms<P: Platform>(names: &[String]) -> Result<Vec<&'static dyn Storm<P>>, Failure> {
    refuse_repeated("--storm", names)?;
    if names.is_empty() {
        let all = Storms::<P>::ALL.iter().copied();
        return Ok(all.filter(|storm| storm.is_default()).collect());
    }
    let named = |name: &String| Storms::<P>::named(name).expect("names are checked");
    Ok(names.iter().map(named).collect())
}

fn storm_threads(options: &Options) -> u32 {
    options.storm_threads.unwrap_or(STORM_THREADS)
}

/// The sizes of the model, with `pages` of file and `hole_windows` of holes by default.
pub(super) fn sizes(options: &Options, pages: u32, hole_windows: u32) -> Result<Sizes, Failure> {
    let window = options.window;
    let pages = options.pages.unwrap_or(pages);
    if !pages.is_multiple_of(window) {
        let (below, above) = (pages / window * window, (pages / window + 1) * window);
        let allowed = match below {
            0 => format!("{above} is"),
            below => format!("{below} or {above} is"),
        };
        return Err(Failure::Usage(format!(
            "--pages {pages} isn't a multiple of --window {window}: {allowed}"
        )));
    }
    let (least, folios) = match options.order {
        Orders::All(order) => (1 << order, format!("folios of {} pages", 1_u32 << order)),
        Orders::Mix => (MIX_PAGES, format!("{MIX_PAGES} pages to have all orders")),
    };
    if pages < least {
        return Err(Failure::Usage(format!(
            "--order {} takes {folios}, and the file has {pages}: give at least --pages {least}",
            orders_in_words(options.order)
        )));
    }
    let hole = options.hole.unwrap_or((hole_windows * window).min(pages));
    if !hole.is_multiple_of(window) || hole > pages {
        return Err(Failure::Usage(format!(
            "--hole {hole} must be a multiple of --window {window}, and at most --pages {pages}"
        )));
    }
    Ok(Sizes {
        pages,
        neighbour: options.neighbour,
        orders: options.order,
        window_pages: window,
        readahead_pages: options.readahead.unwrap_or(window),
        hole_pages: hole,
        fill_ns_per_page: options.fill_ns.unwrap_or(FILL_NS),
    })
}

/// What the options ask for on these CPUs.
pub(super) fn work(options: &Options, topology: &Topology, seed: u64) -> Result<Work, Failure> {
    let sizes = sizes(options, PAGES, HOLE_WINDOWS)?;
    let schemes = schemes(&options.scheme)?;
    let (groups, left_out) = groups(options, topology)?;
    let duration = options.duration.unwrap_or(DURATION);
    let warm_up = (duration / 5).clamp(Duration::from_millis(10), Duration::from_millis(200));
    let setup = Setup {
        arrival: options.arrival,
        sizes,
        mm: options.mm.into(),
        access: options.access.unwrap_or(Order::Sequential).into(),
        rate_per_s: match options.rate.unwrap_or(RATE) {
            Rate::PerSecond(rate) => Some(rate),
            Rate::FlatOut => None,
        },
        storm_threads: storm_threads(options),
        cpus: topology.ids(),
        events: events(options)?,
        duration_ns: duration.as_nanos() as u64,
        warm_up_ns: warm_up.as_nanos() as u64,
    };
    let plan = Plan {
        schemes,
        groups,
        rounds: rounds(options)?,
        controls: controls(options),
        seed,
    };
    let threads = plan.groups.iter().map(|group| group.fault_threads).max();
    refuse_idle_threads(options, &setup, threads.unwrap_or(1))?;
    Ok(Work {
        rerun: rerun(options, &plan, &setup),
        plan,
        setup,
        left_out,
    })
}

/// When there are rounds enough.
fn rounds(options: &Options) -> Result<Rounds, Failure> {
    match options.rounds {
        Some(values::Rounds::Auto) => Ok(Rounds::Auto {
            width: options.width.unwrap_or(WIDTH_PERCENT) / 100.0,
            limit_s: options.limit.unwrap_or(LIMIT).as_secs_f64(),
        }),
        _ if options.width.is_some() || options.limit.is_some() => Err(Failure::Usage(
            "--width and --limit say when --rounds auto ends: give that with them".to_owned(),
        )),
        Some(values::Rounds::Fixed(rounds)) => Ok(Rounds::Fixed(rounds)),
        None => Ok(Rounds::Fixed(ROUNDS)),
    }
}

/// What the baseline is run as, beside itself.
fn controls(options: &Options) -> Vec<Control> {
    let planted = options.plant.map(Control::Planted);
    let unrecorded = options.unrecorded.then_some(Control::Unrecorded);
    planted.into_iter().chain(unrecorded).collect()
}

/// What every thread counts.
fn events(options: &Options) -> Result<Vec<Event>, Failure> {
    let cpu = Cpu::here();
    let mut events = Vec::new();
    for given in &options.event {
        let parsed = Event::parse(given, &cpu);
        events.extend(parsed.map_err(|line| Failure::Usage(format!("--{line}")))?);
    }
    Ok(Event::standard_and(events))
}

/// Threads of one process deal the windows out; each must get one.
fn refuse_idle_threads(options: &Options, setup: &Setup, threads: u32) -> Result<(), Failure> {
    let windows = setup.sizes.pages / setup.sizes.window_pages;
    if options.mm == Mm::Shared && threads > windows {
        return Err(Failure::Usage(format!(
            "{threads} threads of one mm share {windows} windows: give at most {windows} --threads, \
             or more --pages"
        )));
    }
    Ok(())
}

/// Storms and numbers of threads that fit the CPUs, and what was left out because it doesn't.
fn groups(options: &Options, topology: &Topology) -> Result<(Vec<Group>, Vec<String>), Failure> {
    let cpus = topology.cpus().len() as u32;
    let (mut groups, mut left_out) = (Vec::new(), Vec::new());
    for storm in storms::<Native>(&options.storm)? {
        let name = storm.about().name;
        let storm_threads = match storm.removers().is_empty() {
            true => 0,
            false => storm_threads(options),
        };
        let free = cpus.saturating_sub(storm_threads);
        let threads: Vec<u32> = if !options.threads.is_empty() {
            let threads = options.threads.iter();
            let threads: Vec<u32> = threads.flat_map(|it| it.numbers(free.max(1))).collect();
            refuse_repeated("--threads", &threads)?;
            threads
        } else if free == 0 && options.storm.is_empty() && !options.oversubscribe {
            left_out.push(format!(
                "storm {name}: its {storm_threads} thread(s) and a fault thread need CPUs of \
                 their own, and there are {cpus}"
            ));
            continue;
        } else {
            BTreeSet::from([1, free.max(1)]).into_iter().collect()
        };
        for fault_threads in threads {
            if fault_threads + storm_threads > cpus && !options.oversubscribe {
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
            });
        }
    }
    Ok((groups, left_out))
}

/// A time as `--duration` takes it, to the nanosecond.
pub(super) fn duration(ns: u64) -> String {
    if ns.is_multiple_of(1_000_000) {
        format!("{}ms", ns / 1_000_000)
    } else {
        format!("{ns}ns")
    }
}

/// The longest list of names in a command: it is a word, and must fit into a line of a mail.
const LONGEST_LIST: usize = 44;

/// `--scheme` with some names, given again where a list would be too long.
pub(super) fn scheme_words<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut lists: Vec<String> = Vec::new();
    for name in names {
        match lists.last_mut() {
            Some(list) if list.len() + 1 + name.len() <= LONGEST_LIST => {
                list.push(',');
                list.push_str(name);
            }
            _ => lists.push(name.to_owned()),
        }
    }
    let words: Vec<_> = lists
        .iter()
        .map(|list| format!("--scheme {list}"))
        .collect();
    words.join(" ")
}

/// A command that runs the same again, with every default written out.
fn rerun(options: &Options, plan: &Plan, setup: &Setup) -> String {
    let schemes = scheme_words(plan.schemes.iter().map(|scheme| scheme.about().name));
    let mut storms: Vec<_> = plan
        .groups
        .iter()
        .map(|group| group.storm.about().name)
        .collect();
    storms.dedup();
    let sizes = &setup.sizes;
    let mut words = format!(
        "cargo run --release -- storm {schemes} --storm {} --storm-threads {} --cpus {} \
         --mm {} --access {} --duration {} --rounds {} --arrival {} --pages {} --window {} --readahead {} \
         --hole {} --fill-ns {} --seed {}",
        storms.join(","),
        setup.storm_threads,
        format_cpu_list(&setup.cpus),
        if options.mm == Mm::Private {
            "private"
        } else {
            "shared"
        },
        match options.access {
            Some(Order::Random) => "random",
            _ => "sequential",
        },
        duration(setup.duration_ns),
        rounds_words(plan.rounds),
        setup.arrival,
        sizes.pages,
        sizes.window_pages,
        sizes.readahead_pages,
        sizes.hole_pages,
        sizes.fill_ns_per_page,
        plan.seed
    );
    // Left away, they depend on the CPUs and the storm, and so they do the next time.
    if !options.threads.is_empty() {
        let threads: Vec<_> = options.threads.iter().map(ToString::to_string).collect();
        words.push_str(&format!(" --threads {}", threads.join(",")));
    }
    if sizes.orders != Orders::All(0) {
        words.push_str(&format!(" --order {}", orders_in_words(sizes.orders)));
    }
    if sizes.neighbour {
        words.push_str(" --neighbour");
    }
    if !options.event.is_empty() {
        words.push_str(&format!(" --event {}", options.event.join(",")));
    }
    if let Some(watch) = options.watch {
        words.push_str(&format!(" --watch {}", duration(watch.as_nanos() as u64)));
    }
    for control in &plan.controls {
        match control {
            Control::Planted(percent) => words.push_str(&format!(" --plant {percent}%")),
            Control::Unrecorded => words.push_str(" --unrecorded"),
        }
    }
    match setup.rate_per_s {
        Some(rate) => words.push_str(&format!(" --rate {rate}")),
        None => words.push_str(" --rate max"),
    }
    if options.oversubscribe {
        words.push_str(" --oversubscribe");
    }
    words.push_str(format_words(options.format));
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
pub(super) fn format_words(format: Format) -> &'static str {
    match format {
        Format::Text => "",
        Format::Json => " --format json",
        Format::Tsv => " --format tsv",
    }
}
