//! Measuring under storms, on the model or on the running kernel: rounds, what is kept, what is
//! said.

mod plan;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use machine_facts::cancel::Cancel;
use machine_facts::clock::{Clock, Step};
use machine_facts::counters::Availability;
use machine_facts::doctor::{caveats, examine, judge_noise, judge_step};
use machine_facts::environment::{Environment, Memory, StealMeter};
use machine_facts::noise::{self, Noise, least_comparable_ns};
use machine_facts::progress::{Progress, say};
use machine_facts::recorder::cost_of_recording_ns;
use machine_facts::topology::{Topology, parse_cpu_list, pin_current_thread};
use measuring::cell::{CellError, Setup, Subject};
use measuring::machine::MmKind;
use measuring::rounds::{self, Ended, Finished, Observer, Plan, Rounds, Stopped};
use measuring::summary::{Results, widest_interval};
use reporting::record::{Header, Run};
use reporting::report::{self, Extras, Measured};
use reporting::writer::RunWriter;
use running_kernel::calibration::CalibrationError;
use running_kernel::cell::cost_of_sigbus_ns;
use running_kernel::host::PAGE_BYTES;

pub(super) use plan::{Asked, warm_up};
use plan::{Work, work};

use crate::command::failure::{Failure, cancel_on_signals};
use crate::command::invocation::Invocation;
use crate::command::options::Load;
use crate::command::output::{self, Format};

/// Measures, prints, and keeps what was measured; `label` is the last part of the run directory's
/// name.
pub(super) fn run(
    load: &Load,
    asked: Asked,
    label: &str,
    invocation: Invocation,
) -> Result<(), Failure> {
    machine_facts::files::size_limit_is_an_error();
    let (cancel, topology) = (
        &cancel_on_signals()?,
        &topology(load.extent.cpus.as_deref())?,
    );
    let (seed, invocation) = seeded(load.extent.seed, invocation);
    let Work {
        plan,
        setup,
        left_out,
        calibration,
    } = work(load, asked, topology, seed, &invocation)?;
    let environment = Environment::capture(topology);
    if let Some(calibration) = &calibration {
        calibration
            .may_be_carried(&environment)
            .map_err(of_the_calibration)?;
    }
    let threads = plan.groups.iter().map(|group| group.fault_threads).max();
    let page = match is_kernel(&plan) {
        true => PAGE_BYTES as u64,
        false => BYTES_PER_PAGE,
    };
    refuse_more_than_memory(setup.sizes.file_pages(), page, mappings(&setup, threads))?;
    let writer = RunWriter::create(&load.measured.out, label, &plan).map_err(Failure::usage)?;

    let clock = Clock::new();
    let prepared = prepare(load, &plan, &setup, &clock, &writer, cancel);
    let Prepared {
        noise,
        recording_ns,
        clock_step,
        sigbus_ns,
    } = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => {
            writer.discard();
            return Err(failure);
        }
    };
    let carried = match &calibration {
        Some(calibration) => calibration
            .carry(&environment, setup.sizes.orders, setup.cpus[0], &clock)
            .map_err(Failure::usage),
        None => Ok(Vec::new()),
    };
    let carried = match carried {
        Ok(caveats) => caveats,
        Err(failure) => {
            writer.discard();
            return Err(failure);
        }
    };
    let counters = Availability::probe(&setup.events);
    let mut findings = examine(&environment);
    findings.push(judge_step(&clock_step));
    findings.push(judge_noise(&noise.floors));
    let mut caveats = caveats(&environment);
    caveats.extend(carried);
    let header = Header {
        command: invocation.typed().to_owned(),
        rerun: invocation.to_string(),
        started: Timestamp::now(),
        caveats,
        environment,
        findings,
        noise: noise.floors,
        counters,
        calibration: calibration.map(Box::new),
        left_out,
        recording_ns,
        clock_step: Some(clock_step),
        sigbus_ns,
    };
    let floor_ns = least_comparable_ns(&header.noise);
    let mut measurement = Measurement {
        header: &header,
        plan: &plan,
        setup: &setup,
        results: Results::above(floor_ns.unwrap_or(0), clock_step.ns),
        writer: &writer,
        steal: StealMeter::start(topology),
        progress: progress(&plan),
        written: Instant::now(),
    };
    if let Err(line) = measurement.write() {
        drop(measurement);
        writer.discard();
        return Err(Failure::Broke(line));
    }
    announce(&measurement, topology);
    let stopped = rounds::run(&plan, &setup, &clock, cancel, &mut measurement);
    measurement.progress.finish();
    let Measurement { results, steal, .. } = measurement;
    let run = whole_run(
        &header,
        &plan,
        &setup,
        &results,
        &steal,
        stopped.as_ref().ok(),
    );
    conclude(load.printed.format, &run, &plan, &results, writer, stopped)
}

/// Prints what there is, settles the directory, and says what went wrong, if anything did.
fn conclude(
    format: Format,
    run: &Run,
    plan: &Plan,
    results: &Results,
    writer: RunWriter,
    stopped: Result<Ended, Stopped>,
) -> Result<(), Failure> {
    let failure = stopped.err().map(|stopped| match stopped {
        Stopped::Cell(CellError::Interrupted) => Failure::Interrupted,
        Stopped::Cell(error @ CellError::Stuck { .. }) => {
            say(&format!("faultaround: {error}"));
            Failure::NotAsDeclared
        }
        Stopped::Cell(error) => Failure::broke(error),
        Stopped::Observer(line) => Failure::Broke(line),
    });
    if run.rounds.is_empty() {
        writer.discard();
        let failure = failure.unwrap_or(Failure::Interrupted);
        if failure == Failure::Interrupted {
            say("faultaround: stopped before anything was measured");
        }
        return Err(failure);
    }
    let written = writer.write(run, plan, results);
    let settled = match (written, &failure) {
        (Ok(()), None) => writer.finish(),
        (Ok(()), Some(_)) => Ok(writer.keep_partial()),
        (Err(error), _) => Err(error),
    };
    let text = match format {
        Format::Text => {
            let extras = Extras {
                latencies: Some(&Measured { plan, results }),
                ..Extras::default()
            };
            report::text(run, &extras).map_err(Failure::broke)?
        }
        Format::Tsv => report::tsv(run),
        Format::Json => {
            let json = serde_json::to_string(run);
            json.map_err(Failure::broke)? + "\n"
        }
    };
    let printed = output::print(&text);
    match &settled {
        // Where the table could not be printed, neither can this.
        Ok(path) if format == Format::Text && printed.is_ok() => {
            output::print(&format!("\nrun directory: {}\n", path.display()))?;
        }
        Ok(path) => say(&format!("run directory: {}", path.display())),
        Err(_) => {}
    }
    printed?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    settled.map_err(Failure::broke)?;
    let rows = run.summary.iter().flat_map(|group| &group.rows);
    let unexpected = rows.filter(|row| !row.broken && row.totals.violations > 0);
    match unexpected.count() {
        0 => Ok(()),
        _ => Err(Failure::NotAsDeclared),
    }
}

fn whole_run(
    header: &Header,
    plan: &Plan,
    setup: &Setup,
    results: &Results,
    steal: &StealMeter,
    ended: Option<&Ended>,
) -> Run {
    let mut run = Run::new(header, plan, setup, results, ended.copied());
    run.stolen_s = steal.stolen().map(|stolen| stolen.as_secs_f64());
    run
}

/// A run that is going on.
struct Measurement<'a> {
    header: &'a Header,
    plan: &'a Plan,
    setup: &'a Setup,
    results: Results,
    writer: &'a RunWriter,
    steal: StealMeter,
    progress: Progress,
    written: Instant,
}

impl Observer for Measurement<'_> {
    fn cell_begins(&mut self, round: u32, scheme: &str, storm: &str, threads: u32) {
        let of = match self.plan.rounds {
            Rounds::Fixed(rounds) => format!("/{rounds}"),
            Rounds::Auto { .. } => String::new(),
        };
        let round = round + 1;
        self.progress.step_begins(&format!(
            "round {round}{of}, {scheme} under {storm} at {threads}"
        ));
    }

    fn cell_ended(&mut self, finished: Finished) {
        self.results.add(finished);
        self.progress.step_ended();
        // A long round isn't to be lost. What goes wrong here goes wrong at its end, too.
        if self.written.elapsed() >= WRITE_EVERY {
            let _ = self.write();
        }
    }

    /// Everything so far goes to the disk, so that nothing can take it away any more.
    fn round_ended(&mut self, _round: u32) -> Result<(), String> {
        if self.written.elapsed() < WRITE_NO_SOONER {
            return Ok(());
        }
        self.write()
    }

    fn widest_interval(&self) -> f64 {
        widest_interval(self.plan, &self.results)
    }
}

/// Rounds that are shorter share a write.
const WRITE_NO_SOONER: Duration = Duration::from_secs(1);

/// The longest time in which nothing that was measured goes to the disk.
const WRITE_EVERY: Duration = Duration::from_secs(5);

impl Measurement<'_> {
    fn write(&mut self) -> Result<(), String> {
        let Self {
            header,
            plan,
            setup,
            ..
        } = *self;
        let run = whole_run(header, plan, setup, &self.results, &self.steal, None);
        let written = self.writer.write(&run, plan, &self.results);
        self.written = Instant::now();
        written.map_err(|error| error.to_string())
    }
}

/// Of cells where their number is known, of seconds where it isn't.
fn progress(plan: &Plan) -> Progress {
    match (plan.rounds, plan.cells()) {
        (Rounds::Auto { limit_s, .. }, _) => Progress::until(Duration::from_secs_f64(limit_s)),
        (Rounds::Fixed(_), cells) => Progress::new(cells.unwrap_or(0) as u64),
    }
}

/// Says what is about to happen, and for how long.
fn announce(measurement: &Measurement<'_>, topology: &Topology) {
    let Measurement {
        plan,
        setup,
        header,
        progress,
        ..
    } = measurement;
    let cell_s = (setup.duration_ns + setup.warm_up_ns) as f64 / 1e9;
    let (rounds, takes) = match (plan.rounds, plan.cells()) {
        (Rounds::Auto { width, limit_s }, _) => {
            let round_s = plan.cells_per_round() as f64 * cell_s;
            let until = format!(
                "{round_s:.1} s a round and setting up, until all intervals are narrower than {}%, \
                 or {limit_s} s are over",
                width * 100.0
            );
            ("as many rounds".to_owned(), until)
        }
        (Rounds::Fixed(rounds), cells) => {
            let seconds = cells.unwrap_or(0) as f64 * cell_s;
            let takes = format!("{seconds:.0} s and setting up");
            (counted(rounds as usize, "round"), takes)
        }
    };
    progress.line(&format!(
        "{} and {} of the first x {} x {rounds} on {}: {takes}",
        counted(
            plan.subjects.len(),
            match is_kernel(plan) {
                true => "file",
                false => "scheme",
            }
        ),
        match plan.controls.len() {
            0 => "a second run".to_owned(),
            more => format!("{} further runs", more + 1),
        },
        counted(plan.groups.len(), "load"),
        counted(topology.cpus().len(), "CPU"),
    ));
    if let Some(line) = header.counters.line() {
        progress.line(&line);
    }
    for left_out in &header.left_out {
        progress.line(&format!("left out: {left_out}"));
    }
}

/// So many of something.
fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Whether it is the running kernel that is measured.
fn is_kernel(plan: &Plan) -> bool {
    plan.subjects.iter().any(Subject::is_kernel)
}

/// What is found out before the first cell.
struct Prepared {
    /// What the CPUs do by themselves.
    noise: Noise,
    /// What a clock read and a note of it cost.
    recording_ns: f64,
    /// By how much the clock advances at once.
    clock_step: Step,
    /// What a touch takes that survives SIGBUS, where touches may have to.
    sigbus_ns: Option<f64>,
}

fn prepare(
    load: &Load,
    plan: &Plan,
    setup: &Setup,
    clock: &Clock,
    writer: &RunWriter,
    cancel: &Cancel,
) -> Result<Prepared, Failure> {
    try_files(plan, setup)?;
    let noise = watch(load.measured.watch, setup, clock, cancel)?;
    writer.write_noise(&noise).map_err(Failure::usage)?;
    let measured = || (cost_of_recording_ns(clock), clock.step());
    let (recording_ns, clock_step) = on_the_first_cpu(setup, measured)?;
    let sigbus_ns = match is_kernel(plan) {
        true => {
            Some(on_the_first_cpu(setup, || cost_of_sigbus_ns(clock))?.map_err(Failure::usage)?)
        }
        false => None,
    };
    Ok(Prepared {
        noise,
        recording_ns,
        clock_step,
        sigbus_ns,
    })
}

/// Makes each file once: where there is no room for one, no other is to be measured before that is
/// said.
fn try_files(plan: &Plan, setup: &Setup) -> Result<(), Failure> {
    for subject in &plan.subjects {
        if let Subject::File(file) = subject {
            let made = file.try_to_create(u64::from(setup.sizes.file_pages()));
            made.map_err(Failure::usage)?;
        }
    }
    Ok(())
}

/// Watches the CPUs that will measure.
pub(in crate::command) fn watch(
    time: Duration,
    setup: &Setup,
    clock: &Clock,
    cancel: &Cancel,
) -> Result<Noise, Failure> {
    if time.is_zero() {
        return Ok(Noise::default());
    }
    noise::watch(&setup.cpus, clock, time, cancel).map_err(Failure::usage)
}

/// What comes of something on the first of the CPUs that measure.
fn on_the_first_cpu<T: Send>(
    setup: &Setup,
    measure: impl FnOnce() -> T + Send,
) -> Result<T, Failure> {
    let cpu = setup.cpus[0];
    let measured = std::thread::scope(|scope| {
        let measure = || pin_current_thread(cpu).map(|()| measure());
        let thread = std::thread::Builder::new().spawn_scoped(scope, measure);
        thread.map(|thread| thread.join())
    });
    let measured =
        measured.map_err(|error| Failure::Broke(format!("cannot start a thread: {error}")))?;
    let measured =
        measured.map_err(|_| Failure::Broke("a thread that measures costs panicked".to_owned()))?;
    measured.map_err(Failure::usage)
}

/// The CPUs to use: those that were named, or else those of the process's affinity.
pub(in crate::command) fn topology(cpus: Option<&str>) -> Result<Topology, Failure> {
    let Some(list) = cpus else {
        return Topology::detect().map_err(Failure::usage);
    };
    let chosen =
        parse_cpu_list(list).and_then(|list| Topology::detect_reachable()?.restrict(&list));
    chosen.map_err(|error| Failure::Usage(format!("--cpus: {error}")))
}

/// What is wrong with the file that `--calibrated` names.
pub(in crate::command) fn of_the_calibration(error: CalibrationError) -> Failure {
    Failure::Usage(format!("--calibrated: {error}"))
}

/// What a page takes in bytes, and what each mapping of it takes.
pub(in crate::command) const BYTES_PER_PAGE: u64 = 100;
const BYTES_PER_PTE: u64 = 8;

/// Refuses so many pages, of `page` bytes each, that are mapped so many times, where there is no
/// memory for them.
pub(in crate::command) fn refuse_more_than_memory(
    pages: u32,
    page: u64,
    mappings: u32,
) -> Result<(), Failure> {
    let needed = u64::from(pages) * (page + BYTES_PER_PTE * u64::from(mappings));
    match Memory::here() {
        Some(memory) if needed > memory.bytes => Err(Failure::Usage(format!(
            "{pages} pages mapped {mappings} times need {} MiB, and {} {}: fewer --pages",
            needed >> 20,
            memory.whose,
            memory.bytes >> 20
        ))),
        _ => Ok(()),
    }
}

/// How often a page is mapped.
fn mappings(setup: &Setup, threads: Option<u32>) -> u32 {
    match setup.mm {
        MmKind::Shared => 1,
        MmKind::Private => threads.unwrap_or(1),
    }
}

/// The seed that was given, or else one from the time, which the command then has that repeats the
/// run.
pub(in crate::command) fn seeded(seed: Option<u64>, invocation: Invocation) -> (u64, Invocation) {
    let seed = seed.unwrap_or_else(seed_from_time);
    (seed, invocation.set("seed", seed))
}

fn seed_from_time() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| u64::from(now.subsec_nanos()) ^ now.as_secs()) & 0xffff_ffff
}
