//! `faultaround host --calibrate`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::calibration::{
    self, FILE, Recorded, Request, SCHEMA_VERSION, Stopped, Watcher, calibrate,
};
use harness::cancel::Cancel;
use harness::cell::CellError;
use harness::clock::Clock;
use harness::environment::{Environment, StealMeter};
use harness::host::{FileKind, PAGE_BYTES, fault_around_pages, uses_folio_batching};
use harness::machine::Sizes;
use harness::progress::{Progress, say};
use harness::results::RunDirectory;
use harness::subject::{KernelFile, Subject};
use harness::topology::Topology;
use jiff::Timestamp;
use kernel_model::Orders;

use super::options::Options;
use super::plan::files;
use crate::command::measuring::{
    RESULTS, duration, format_words, pages_and_hole, refuse_more_than_memory, setup, watch,
};
use crate::command::output::Format;
use crate::command::values::{Rate, Rounds};
use crate::command::{Failure, Invocation, output, quoted_word};

/// The last part of a run directory's name.
const LABEL: &str = "calibration";
const PAGES: u32 = 4096;
const HOLE_WINDOWS: u32 = 4;
/// What the kernel's storm can keep, and the pages be brought back.
const RATE: Rate = Rate::PerSecond(2000.0);
const ROUNDS: u32 = 120;
const DURATION: Duration = Duration::from_millis(100);
/// Rounds of fits, which are short, for each round of storms.
const STORM_ROUNDS_SHARE: u32 = 6;
/// What run directories reserve before anything is measured.
const RESERVE_BYTES: u64 = 1 << 20;

pub(super) fn run(
    options: &Options,
    topology: &Topology,
    seed: u64,
    invocation: &Invocation,
    cancel: &Cancel,
) -> Result<(), Failure> {
    let load = &options.load;
    if load.format == Format::Tsv {
        return Err(Failure::Usage(
            "--format tsv is for storms: a calibration is text or json".to_owned(),
        ));
    }
    let files = files(options)?;
    let window_pages = fault_around_pages().map_err(Failure::usage)?;
    let (pages, hole_pages) = pages_and_hole(load, window_pages, PAGES, HOLE_WINDOWS)?;
    let rounds = match load.rounds {
        None => ROUNDS,
        Some(Rounds::Fixed(rounds)) => rounds,
        Some(Rounds::Auto) => {
            return Err(Failure::Usage(
                "--rounds auto is for storms: a calibration takes a number".to_owned(),
            ));
        }
    };
    let sizes = Sizes {
        pages,
        neighbour: false,
        refill: true,
        orders: Orders::All(0),
        window_pages,
        // tmpfs brings in the page that is touched, and no other.
        readahead_pages: 1,
        hole_pages,
        fill_ns_per_page: 0,
    };
    let mut setup = setup(load, sizes, topology, RATE)?;
    if load.duration.is_none() {
        setup.duration_ns = DURATION.as_nanos() as u64;
        setup.warm_up_ns = setup.duration_ns / 5;
    }
    let environment = Environment::capture(topology);
    let page = PAGE_BYTES as u64;
    refuse_more_than_memory(setup.sizes.pages, page, topology.cpus().len() as u32)?;
    let release = environment.kernel.release.clone().unwrap_or_default();
    let scheme = match uses_folio_batching(&release) {
        true => "folio-batched",
        false => "page-locked",
    };
    let subject = |kind: &FileKind| {
        Subject::File(Arc::new(KernelFile {
            kind: kind.clone(),
            worker: PathBuf::from("/proc/self/exe"),
        }))
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
    let out = load.out.as_deref().unwrap_or(Path::new(RESULTS));
    let directory = RunDirectory::create(out, LABEL, RESERVE_BYTES).map_err(Failure::usage)?;
    let (started, began) = (Timestamp::now(), Instant::now());
    let steal = StealMeter::start(topology);
    let clock = Clock::new();
    let noise = match watch(load, &request.setup, &clock, cancel) {
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
                error => Failure::Broke(error.to_string()),
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
        command: invocation.command().to_owned(),
        rerun: invocation.with(&rerun(options, &request)),
        started,
        caveats: environment.caveats(),
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
    keep(load.format, &recorded, directory)?;
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
    let broke = |error: &dyn std::fmt::Display| Failure::Broke(error.to_string());
    let json = serde_json::to_string(recorded).map_err(|error| broke(&error))? + "\n";
    let text = calibration::text(recorded);
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
    let path = written.map_err(|error| broke(&error))?;
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

/// The words of a command that runs the same again, with every default written out.
fn rerun(options: &Options, request: &Request) -> String {
    let setup = &request.setup;
    let rate = match setup.rate_per_s {
        Some(rate) => rate.to_string(),
        None => "max".to_owned(),
    };
    let cpus = harness::topology::format_cpu_list(&setup.cpus);
    let mut words = format!(
        "host --calibrate --cpus {cpus} --duration {} --rounds {} --pages {} \
         --hole {} --rate {rate} --seed {}",
        duration(setup.duration_ns),
        request.rounds,
        setup.sizes.pages,
        setup.sizes.hole_pages,
        request.seed
    );
    if let Some(dir) = &options.dir {
        let writes: Vec<_> = request.files[1..]
            .iter()
            .map(FileKind::write_size)
            .collect();
        let dir = quoted_word(dir);
        words.push_str(&format!(" --dir {dir} --write {}", writes.join(",")));
    }
    words.push_str(format_words(options.load.format));
    words
}
