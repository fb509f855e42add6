//! `faultaround breakdown`: where the time of one uncontended fault goes, step by step.

use clap::Args;
use jiff::Timestamp;
use kernel_model::platform::Native;
use machine_facts::clock::Clock;
use machine_facts::doctor::caveats;
use machine_facts::environment::Environment;
use machine_facts::progress::{Progress, say};
use measuring::breakdown::{Setup, Visit, run as measure};
use reporting::breakdown::{Report, text, tsv};

use super::failure::{Failure, cancel_on_signals};
use super::invocation::Invocation;
use super::options::{Extent, Hole, Model, Printed, Schemes, Turns, or, value};
use super::output::{self, Format};
use super::rounds::{BYTES_PER_PAGE, refuse_more_than_memory, seeded, topology};
use super::sizes::{PAGES, sizes};

/// Few, and many turns: what is compared is to be measured before the machine's mood changes.
const PASSES: u32 = 5;
/// A scheme's machines: on [`Native`], and probed.
const MACHINES: u32 = 2;

/// What `faultaround breakdown` takes.
#[derive(Debug, Args)]
#[command(
    mut_arg("scheme", or(Schemes::SOUND)),
    mut_arg("cpus", |it| it.help("CPUs, of which the first is used [default: all allowed]")),
    mut_arg("duration", |it| it.help("Time per step and round [default: 5 passes]")),
    mut_arg("rounds", value("300")),
)]
pub(super) struct Options {
    #[command(flatten)]
    schemes: Schemes,

    #[command(flatten)]
    model: Model,

    #[command(flatten)]
    extent: Extent,

    #[command(flatten)]
    turns: Turns,

    #[command(flatten)]
    printed: Printed,
}

/// Runs the command.
pub(super) fn run(options: &Options, invocation: Invocation) -> Result<(), Failure> {
    let cancel = cancel_on_signals()?;
    let extent = &options.extent;
    let schemes = options.schemes.named::<Native>()?;
    let sizes = sizes(&options.model, extent, &Hole { hole: None }, PAGES, 1)?;
    let topology = topology(extent.cpus.as_deref())?;
    let (seed, invocation) = seeded(extent.seed, invocation);
    let environment = Environment::capture(&topology);
    let copies = schemes.len() as u32 * MACHINES;
    refuse_more_than_memory(sizes.pages, BYTES_PER_PAGE * u64::from(copies), copies)?;
    let setup = Setup {
        pages: sizes.pages,
        orders: sizes.orders,
        window_pages: sizes.window_pages,
        turns: options.turns.rounds,
        visit: match extent.duration {
            None => Visit::Passes(PASSES),
            Some(time) => Visit::Ns(time.as_nanos() as u64),
        },
        cpu: topology.ids()[0],
        seed,
    };
    let started = Timestamp::now();
    let mut progress = Progress::new(u64::from(setup.turns));
    let measured = measure(&schemes, &setup, &Clock::new(), &cancel, &mut progress);
    progress.finish();
    let measured = measured.map_err(Failure::broke)?;
    let complete = measured.turns == setup.turns;
    if measured.turns == 0 {
        say("faultaround: stopped before anything was measured");
        return Err(Failure::Interrupted);
    }
    let report = Report {
        complete,
        turns: measured.turns,
        setup: &setup,
        caveats: caveats(&environment),
        environment: &environment,
        started,
        rerun: invocation.to_string(),
        breakdowns: &measured.breakdowns,
    };
    output::print(&match options.printed.format {
        Format::Text => text(&report),
        Format::Tsv => tsv(&report),
        Format::Json => output::json(&report)?,
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
