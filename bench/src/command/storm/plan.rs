//! From options to a plan: defaults, and what doesn't go together.

use harness::calibration::Recorded;
use harness::machine::{Sizes, orders_in_words};
use harness::rounds::{Control, Group, Plan};
use harness::subject::Subject;
use harness::topology::Topology;
use kernel_model::Orders;
use kernel_model::fault_around::{FaultAround, Schemes};
use kernel_model::platform::Platform;

use super::options::Options;
use crate::command::measuring::{
    Work, any_removes, format_words, groups, pages_and_hole_of, refuse_for_no_storm,
    refuse_idle_threads, rounds, setup,
};
use crate::command::values::Rate;
use crate::command::{Failure, Invocation, measuring, quoted_word, refuse_repeated};

/// The scheme that ratios are to, if it runs.
const BASELINE: &str = "page-locked";

const PAGES: u32 = 4096;
const FILL_NS: u32 = 200;
/// Often enough that faults and removals meet all the time, seldom enough that most of the file
/// is there. Flat out, a storm mostly removes what it has removed already.
const RATE: Rate = Rate::PerSecond(5000.0);
/// Pages of a file that has each order of a mix.
pub(super) const MIX_PAGES: u32 = Orders::MIX.len() as u32 * Orders::MIX_RUN as u32;
/// Windows that a hole takes away.
const HOLE_WINDOWS: u32 = 4;

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

/// The sizes of the model, with `pages` of file and `hole_windows` of holes by default.
pub(super) fn sizes(options: &Options, pages: u32, hole_windows: u32) -> Result<Sizes, Failure> {
    let window = options.window;
    let (pages, hole) = pages_and_hole_of(&options.load, window, pages, hole_windows)?;
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
    Ok(Sizes {
        pages,
        neighbour: options.neighbour,
        refill: options.refill,
        orders: options.order,
        window_pages: window,
        readahead_pages: options.readahead.unwrap_or(window),
        hole_pages: hole,
        fill_ns_per_page: options.fill_ns.unwrap_or(FILL_NS),
    })
}

/// What the options ask for on these CPUs.
pub(super) fn work(
    options: &Options,
    invocation: &Invocation,
    topology: &Topology,
    seed: u64,
) -> Result<Work, Failure> {
    let sizes = sizes(options, PAGES, HOLE_WINDOWS)?;
    let schemes = schemes(&options.scheme)?;
    let (mut groups, left_out) = groups(&options.load, topology)?;
    if options.calibrated.is_some() {
        groups = bare_and_calibrated(groups);
    }
    let given = [
        ("--neighbour", options.neighbour),
        ("--refill", options.refill),
        ("--readahead", options.readahead.is_some()),
        ("--fill-ns", options.fill_ns.is_some()),
    ];
    refuse_for_no_storm(&options.load, &groups, &given)?;
    let setup = setup(&options.load, sizes, topology, RATE)?;
    let plan = Plan {
        subjects: schemes.into_iter().map(Subject::from).collect(),
        groups,
        rounds: rounds(&options.load)?,
        controls: controls(options),
        seed,
    };
    refuse_idle_threads(&options.load, &setup, &plan)?;
    let calibration = options.calibrated.as_deref().map(Recorded::read);
    Ok(Work {
        calibration: calibration
            .transpose()
            .map_err(measuring::of_the_calibration)?,
        rerun: invocation.with(&rerun(options, &plan, &setup)),
        plan,
        setup,
        left_out,
    })
}

/// Each load twice: what locking could matter at most, and what a user would see of it.
fn bare_and_calibrated(groups: Vec<Group>) -> Vec<Group> {
    let twice = |group: Group| {
        [false, true].map(|calibrated| Group {
            calibrated,
            ..group
        })
    };
    groups.into_iter().flat_map(twice).collect()
}

/// What the baseline is run as, beside itself.
fn controls(options: &Options) -> Vec<Control> {
    let planted = options.plant.map(Control::Planted);
    let unrecorded = options.unrecorded.then_some(Control::Unrecorded);
    planted.into_iter().chain(unrecorded).collect()
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

/// The words of a command that runs the same again, with every default written out.
fn rerun(options: &Options, plan: &Plan, setup: &harness::cell::Setup) -> String {
    let sizes = &setup.sizes;
    let mut words = format!(
        "storm {} {} --window {}",
        scheme_words(plan.subjects.iter().map(Subject::name)),
        measuring::rerun(&options.load, plan, setup),
        sizes.window_pages,
    );
    if any_removes(&plan.groups) {
        let (pages, ns) = (sizes.readahead_pages, sizes.fill_ns_per_page);
        words.push_str(&format!(" --readahead {pages} --fill-ns {ns}"));
    }
    if sizes.orders != Orders::All(0) {
        words.push_str(&format!(" --order {}", orders_in_words(sizes.orders)));
    }
    if sizes.neighbour {
        words.push_str(" --neighbour");
    }
    if sizes.refill {
        words.push_str(" --refill");
    }
    for control in &plan.controls {
        match control {
            Control::Planted(percent) => words.push_str(&format!(" --plant {percent}%")),
            Control::Unrecorded => words.push_str(" --unrecorded"),
        }
    }
    if let Some(file) = &options.calibrated {
        words.push_str(&format!(" --calibrated {}", quoted_word(file)));
    }
    words.push_str(format_words(options.load.format));
    words
}
