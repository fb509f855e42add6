//! `faultaround calibrate`: what a fault costs, on the running kernel and on the model.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use clap::Args;
use jiff::Timestamp;
use machine_facts::clock::Clock;
use machine_facts::counters::Event;
use machine_facts::doctor::caveats;
use machine_facts::environment::{Environment, StealMeter};
use machine_facts::progress::{Progress, say};
use measuring::arrival::Arrival;
use measuring::cell::{CellError, Setup};
use measuring::machine::{MmKind, Sizes};
use measuring::order::Access;
use reporting::results::RunDirectory;
use running_kernel::calibration::{
    FILE, Recorded, Request, SCHEMA_VERSION, Stopped, Watcher, calibrate,
};
use running_kernel::host::{PAGE_BYTES, fault_around_pages, uses_folio_batching};

use super::failure::{Failure, cancel_on_signals};
use super::host::subject;
use super::invocation::Invocation;
use super::options::{Extent, Files, Hole, Measured, Printed, Turns, value};
use super::output::{self, Format};
use super::rounds::{refuse_more_than_memory, seeded, topology, warm_up, watch};
use super::sizes::kernel_sizes;

/// The last part of a run directory's name.
const LABEL: &str = "calibration";
const DURATION: Duration = Duration::from_millis(100);
/// Rounds of fits, which are short, for each round of storms.
const STORM_ROUNDS_SHARE: u32 = 6;
/// What run directories reserve before anything is measured.
const RESERVE_BYTES: u64 = 1 << 20;

/// What `faultaround calibrate` takes.
#[derive(Debug, Args)]
#[command(
    // What the kernel's storm can keep, and the pages be brought back.
    mut_arg("rate", value("2000")),
    mut_arg("duration", |it| it.help("Time for each storm, in each round [default: 100ms]")),
    mut_arg("rounds", value("120")),
    mut_arg("rounds", |it| it.help("Rounds of fits; storms have a sixth of that")),
)]
pub(super) struct Options {
    #[command(flatten)]
    files: Files,

    #[command(flatten)]
    measured: Measured,

    #[command(flatten)]
    extent: Extent,

    #[command(flatten)]
    hole: Hole,

    #[command(flatten)]
    turns: Turns,

    #[command(flatten)]
    printed: Printed,
}

/// Runs the command.
pub(super) fn run(options: &Options, invocation: Invocation) -> Result<(), Failure> {
    machine_facts::files::size_limit_is_an_error();
    let cancel = &cancel_on_signals()?;
    let (extent, format) = (&options.extent, options.printed.format);
    let topology = &topology(extent.cpus.as_deref())?;
    let (seed, invocation) = seeded(extent.seed, invocation);
    if format == Format::Tsv {
        return Err(Failure::Usage(
            "--format tsv is for storms: a calibration is text or json".to_owned(),
        ));
    }
    let files = options.files.kinds()?;
    let window_pages = fault_around_pages().map_err(Failure::usage)?;
    let sizes = Sizes {
        // tmpfs brings in the page that is touched, and no other.
        readahead_pages: 1,
        ..kernel_sizes(extent, &options.hole, window_pages)?
    };
    let duration = extent.duration.unwrap_or(DURATION);
    let setup = Setup {
        arrival: Arrival::Closed,
        sizes,
        mm: MmKind::Private,
        access: Access::Sequential,
        rate_per_s: options.measured.rate.per_second(),
        storm_threads: 1,
        cpus: topology.ids(),
        events: Event::standard_and(Vec::new()),
        duration_ns: duration.as_nanos() as u64,
        warm_up_ns: warm_up(duration).as_nanos() as u64,
    };
    let rounds = options.turns.rounds;
    let environment = Environment::capture(topology);
    let page = PAGE_BYTES as u64;
    refuse_more_than_memory(setup.sizes.pages, page, topology.cpus().len() as u32)?;
    let release = environment.kernel.release.clone().unwrap_or_default();
    let scheme = match uses_folio_batching(&release) {
        true => "folio-batched",
        false => "page-locked",
    };
    let request = Request {
        subject: subject(&files[0]),
        scheme: scheme.to_owned(),
        setup,
        rounds,
        storm_rounds: (rounds / STORM_ROUNDS_SHARE).max(1),
        seed,
        files,
    };
    let out = &options.measured.out;
    let directory = RunDirectory::create(out, LABEL, RESERVE_BYTES).map_err(Failure::usage)?;
    let (started, began) = (Timestamp::now(), Instant::now());
    let steal = StealMeter::start(topology);
    let clock = Clock::new();
    let noise = match watch(options.measured.watch, &request.setup, &clock, cancel) {
        Ok(noise) => noise.floors,
        Err(failure) => {
            // What can't be taken away stays; it has nothing in it.
            let _ = directory.discard();
            return Err(failure);
        }
    };
    announce(&request);
    let mut shown = Shown(Progress::new(1));
    let found = calibrate(&request, &clock, cancel, &mut shown);
    shown.0.finish();
    let (calibration, failure) = match found {
        Ok(calibration) => (calibration, None),
        Err(Stopped { error, kept }) => {
            let failure = match error {
                CellError::Interrupted => Failure::Interrupted,
                CellError::Kernel(_) | CellError::Worker(_) => Failure::usage(error),
                error => Failure::broke(error),
            };
            let Some(kept) = kept else {
                let _ = directory.discard();
                if failure == Failure::Interrupted {
                    say("faultaround: stopped before anything was measured");
                }
                return Err(failure);
            };
            (*kept, Some(failure))
        }
    };
    let recorded = Recorded {
        schema_version: SCHEMA_VERSION,
        command: invocation.typed().to_owned(),
        rerun: invocation.to_string(),
        started,
        caveats: caveats(&environment),
        environment,
        files: (request.files.iter())
            .map(|kind| (kind.name.clone(), kind.lineage()))
            .collect(),
        setup: request.setup,
        seed,
        elapsed_s: began.elapsed().as_secs_f64(),
        stolen_s: steal.stolen().map(|stolen| stolen.as_secs_f64()),
        noise,
        calibration,
    };
    keep(format, &recorded, directory)?;
    failure.map_or(Ok(()), Err)
}

/// Says what is about to happen.
fn announce(request: &Request) {
    let Request {
        files,
        setup,
        rounds,
        storm_rounds,
        ..
    } = request;
    let cell_s = (setup.duration_ns + setup.warm_up_ns) as f64 / 1e9;
    let files: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
    say(&format!(
        "{} and the model: rounds of fits: {rounds}; then of storms, and of schemes: {storm_rounds}, with {cell_s:.2} s a piece",
        files.join(", ")
    ));
}

/// Prints what there is, and settles its directory: what isn't whole stays `.partial`.
fn keep(format: Format, recorded: &Recorded, directory: RunDirectory) -> Result<(), Failure> {
    let json = serde_json::to_string(recorded).map_err(Failure::broke)? + "\n";
    let text = reporting::calibration::text(recorded);
    let mut batch = directory.batch();
    let written = batch
        .write(FILE, json.as_bytes())
        .and_then(|()| batch.write("report.txt", text.as_bytes()))
        .and_then(|()| batch.commit())
        .and_then(|()| match recorded.calibration.complete {
            true => directory.finish(),
            false => Ok(directory.keep_partial()),
        });
    output::print(match format {
        Format::Json => &json,
        _ => &text,
    })?;
    let path = written.map_err(Failure::broke)?;
    let line = format!("calibration: {}", path.join(FILE).display());
    match format {
        Format::Text => output::print(&format!("\n{line}\n")),
        _ => {
            say(&line);
            Ok(())
        }
    }
}

/// Shows how far a calibration has come.
struct Shown(Progress);

impl Watcher for Shown {
    fn part_begins(&mut self, what: &str, rounds: u32) {
        self.0.finish();
        self.0 = Progress::new(u64::from(rounds));
        self.0.step_begins(what);
        if !std::io::stderr().is_terminal() {
            let plural = if rounds == 1 { "" } else { "s" };
            say(&format!("{what}: {rounds} round{plural}"));
        }
    }

    fn round_over(&mut self) {
        self.0.step_ended();
    }
}
