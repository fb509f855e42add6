//! `faultaround storm --breakdown`: where the time of one uncontended fault goes, step by step.

use harness::breakdown::{Report, Setup, Visit, run as measure, text, tsv};
use harness::cancel::Cancel;
use harness::clock::Clock;
use harness::environment::Environment;
use harness::machine::orders_in_words;
use harness::progress::{Progress, say};
use jiff::Timestamp;
use kernel_model::fault_around::FaultAround;
use kernel_model::platform::Native;

use super::options::Options;
use super::plan::{self, schemes, sizes};
use crate::command::measuring::{
    BYTES_PER_PAGE, duration, format_words, refuse_more_than_memory, seed_from_time,
};
use crate::command::output::Format;
use crate::command::values::Rounds;
use crate::command::{Failure, Invocation, output};

/// Few, and many turns: what is compared is to be measured before the machine's mood changes.
const PASSES: u32 = 5;
const TURNS: u32 = 300;
const PAGES: u32 = 4096;
/// A scheme's machines: on [`Native`], and probed.
const MACHINES: u32 = 2;

pub(super) fn run(
    options: &Options,
    invocation: &Invocation,
    cancel: &Cancel,
) -> Result<(), Failure> {
    let schemes = schemes::<Native>(&options.scheme)?;
    let sizes = sizes(options, PAGES, 1)?;
    let topology = super::topology(options.load.cpus.as_deref())?;
    let environment = Environment::capture(&topology);
    let copies = schemes.len() as u32 * MACHINES;
    refuse_more_than_memory(sizes.pages, BYTES_PER_PAGE * u64::from(copies), copies)?;
    let setup = Setup {
        pages: sizes.pages,
        orders: sizes.orders,
        window_pages: sizes.window_pages,
        turns: match options.load.rounds {
            None => TURNS,
            Some(Rounds::Fixed(turns)) => turns,
            Some(Rounds::Auto) => {
                return Err(Failure::Usage(
                    "--rounds auto is for storms: a breakdown takes a number of turns".to_owned(),
                ));
            }
        },
        visit: match options.load.duration {
            None => Visit::Passes(PASSES),
            Some(time) => Visit::Ns(time.as_nanos() as u64),
        },
        cpu: topology.ids()[0],
        seed: options.load.seed.unwrap_or_else(seed_from_time),
    };
    let started = Timestamp::now();
    let mut progress = Progress::new(u64::from(setup.turns));
    let measured = measure(&schemes, &setup, &Clock::new(), cancel, &mut progress);
    progress.finish();
    let measured = measured.map_err(|error| Failure::Broke(error.to_string()))?;
    let complete = measured.turns == setup.turns;
    if measured.turns == 0 {
        say("faultaround: stopped before anything was measured");
        return Err(Failure::Interrupted);
    }
    let report = Report {
        complete,
        turns: measured.turns,
        setup: &setup,
        caveats: environment.caveats(),
        environment: &environment,
        started,
        rerun: invocation.with(&rerun(options.load.format, &schemes, &setup)),
        breakdowns: &measured.breakdowns,
    };
    output::print(&match options.load.format {
        Format::Text => text(&report),
        Format::Tsv => tsv(&report),
        Format::Json => {
            let json = serde_json::to_string_pretty(&report);
            json.map_err(|error| Failure::Broke(error.to_string()))? + "\n"
        }
    })?;
    if complete {
        return Ok(());
    }
    say(&format!(
        "interrupted: {} of {} turns came to an end",
        measured.turns, setup.turns
    ));
    Err(Failure::Interrupted)
}

/// The words of a command that runs the same again, with every default written out.
fn rerun(format: Format, schemes: &[&'static dyn FaultAround<Native>], setup: &Setup) -> String {
    let names = schemes.iter().map(|scheme| scheme.about().name);
    let duration = match setup.visit {
        Visit::Passes(_) => String::new(),
        Visit::Ns(ns) => format!(" --duration {}", duration(ns)),
    };
    format!(
        "storm --breakdown {} --cpus {} --window {} --pages {} \
         --order {} --rounds {}{} --seed {}{}",
        plan::scheme_words(names),
        setup.cpu,
        setup.window_pages,
        setup.pages,
        orders_in_words(setup.orders),
        setup.turns,
        duration,
        setup.seed,
        format_words(format)
    )
}
