//! `faultaround check`: the code that is measured, under a model checker.

mod verdicts;

use checking::trace::simplest;
use checking::weaken::sites_of;
use checking::{Bound, Cell, Ended, Exploration, Extent, Processes, explore_all};
use clap::Args;
use kernel_model::platform::checked::Mutation;
use kernel_model::race::Graded;
use machine_facts::cancel::Cancel;
use machine_facts::progress::{Progress, say};
use std::time::{Duration, Instant};

use super::failure::{Failure, cancel_on_signals};
use super::options::{Printed, Schemes, Without, of_any_family, or};
use super::output::{self, Format};
use super::values::{self, refuse_repeated};

pub(super) use verdicts::{grouped, many, told};

/// The time that `--bound none` gives a scheme in a scenario.
const EXHAUSTIVE_LIMIT: Duration = Duration::from_secs(60);

/// Preemptions within which the simplest execution is searched for; some more than any needs.
pub(super) const TRACE_BOUND: u8 = 4;

/// What is explored, and whether it is shown.
#[derive(Debug, Args)]
pub(super) struct Cells {
    /// Families, separated by commas [default: all, see list]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = values::family)]
    pub(super) family: Vec<String>,

    #[command(flatten)]
    pub(super) schemes: Schemes,

    /// Scenarios, separated by commas [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = values::scenario)]
    pub(super) scenario: Vec<String>,

    /// Preemptions that are tried in an execution at most; none: all executions
    #[arg(long, value_name = "N|none", value_parser = values::bound, allow_hyphen_values = true)]
    pub(super) bound: Option<Bound>,

    /// Show the simplest violating execution for each violation, a column for each CPU
    #[arg(long)]
    pub(super) trace: bool,

    #[command(flatten)]
    pub(super) printed: Printed,
}

/// What `faultaround check` takes.
#[derive(Debug, Args)]
#[command(
    mut_arg("scheme", or("all, the broken ones too")),
    mut_arg("scheme", of_any_family),
    mut_arg("bound", or("each scenario's own bound, see list"))
)]
pub(super) struct Options {
    #[command(flatten)]
    cells: Cells,

    /// Time for each scheme in each scenario, after which --bound none falls back to the
    /// scenario's own bound and says so [default: 60s with --bound none, or else no limit]
    #[arg(long, value_name = "TIME", value_parser = values::duration, allow_hyphen_values = true)]
    limit: Option<Duration>,

    /// Random schedules of those scenarios that are too large to be gone through [default: each
    /// scenario's own number]
    #[arg(long, value_name = "N", value_parser = values::schedules, allow_hyphen_values = true)]
    schedules: Option<u32>,

    /// Trace an execution that shows this graded outcome instead, such as transient-mapcount, in
    /// the first scenario in which each scheme shows it
    #[arg(long, value_name = "OUTCOME", requires = "trace", value_parser = values::graded)]
    show: Option<Graded>,

    /// Check with these sites weakened, such as recheck_locked=relaxed: relaxed (none, for a
    /// barrier), acquire, release or acqrel
    #[arg(long, value_name = "SITE=ORDER", value_delimiter = ',', value_parser = values::weakened)]
    with: Vec<values::Weakened>,

    #[command(flatten)]
    without: Without,

    /// Where the random schedules come from
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = values::seed,
          allow_hyphen_values = true)]
    seed: u64,
}

/// Runs the command.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let cancel = cancel_on_signals()?;
    let cells = options.cells.named()?;
    let mutation = mutation(options, &cells)?;
    let cells = affected(cells, &mutation);
    if !mutation.weakened.is_empty() {
        options.cells.refuse_random(&cells, "--with and")?;
    }
    let started = Instant::now();
    let explored = explore_cells(&cells, &mutation, &extent(options), &processes(&cancel))?;
    let complete = explored.len() == cells.len();
    let outcome = verdicts::Outcome {
        explored: &explored,
        mutation: &mutation,
        elapsed: started.elapsed(),
        complete,
    };
    output::print(&outcome.print(options.cells.printed.format))?;
    if options.cells.trace {
        print_traces(&outcome, options.show, &cancel)?;
    }
    if !complete || cancel.is_requested() {
        say(&format!(
            "interrupted: {} of {} verdicts were reached",
            explored.len(),
            cells.len()
        ));
        return Err(Failure::Interrupted);
    }
    match outcome.is_as_declared() {
        true => Ok(()),
        false => Err(Failure::NotAsDeclared),
    }
}

impl Cells {
    /// The schemes and scenarios that were named, or else all.
    pub(super) fn named(&self) -> Result<Vec<Cell>, Failure> {
        let (schemes, scenarios) = (&self.schemes.scheme, &self.scenario);
        if self.trace && self.printed.format != Format::Text {
            return Err(Failure::Usage(
                "--trace is text to be read: not with --format json or tsv".to_owned(),
            ));
        }
        refuse_repeated("--family", &self.family)?;
        refuse_repeated("--scheme", schemes)?;
        refuse_repeated("--scenario", scenarios)?;
        let named =
            |names: &[String], name: &str| names.is_empty() || names.iter().any(|it| it == name);
        let mut cells = Cell::all();
        cells.retain(|cell| {
            named(&self.family, cell.family.name)
                && named(schemes, cell.scheme.name)
                && named(scenarios, cell.scenario.name)
        });
        if cells.is_empty() {
            return Err(Failure::Usage(format!(
                "--family, --scheme and --scenario name no scheme and scenario of one family: {}",
                [&self.family[..], schemes, scenarios].concat().join(", ")
            )));
        }
        Ok(cells)
    }

    /// Refuses orderings where all that is explored is of a machine on which they make no
    /// difference.
    pub(super) fn refuse_random(&self, cells: &[Cell], what: &str) -> Result<(), Failure> {
        if cells.iter().any(|cell| !cell.scenario.is_at_random()) {
            return Ok(());
        }
        Err(Failure::Usage(format!(
            "{what} --scenario {}: random schedules are of a machine on which orderings make no \
             difference",
            self.scenario.join(",")
        )))
    }
}

/// The cells of schemes that a change is a change to.
fn affected(cells: Vec<Cell>, mutation: &Mutation) -> Vec<Cell> {
    let changes = |cell: &Cell| {
        let sites = sites_of(cell.family, cell.scheme);
        let mut weakened = mutation.weakened.iter();
        let mut left_out = mutation.left_out.iter();
        weakened.any(|(name, _)| sites.iter().any(|site| site.name == *name))
            || left_out.any(|name| cell.checks().iter().any(|check| check.name == *name))
    };
    match *mutation == Mutation::NONE {
        true => cells,
        false => cells.into_iter().filter(changes).collect(),
    }
}

/// What is to be changed in the code under test.
fn mutation(options: &Options, cells: &[Cell]) -> Result<Mutation, Failure> {
    let left_out = options.without.of(cells.iter().flat_map(Cell::checks))?;
    let mut mutation = Mutation {
        left_out: left_out.iter().map(|site| site.name).collect(),
        ..Mutation::NONE
    };
    let names: Vec<_> = options.with.iter().map(|it| it.site.name).collect();
    refuse_repeated("--with", &names)?;
    for weakened in &options.with {
        let uses = |cell: &Cell| {
            let mut sites = sites_of(cell.family, cell.scheme).into_iter();
            sites.any(|site| site.name == weakened.site.name)
        };
        if !cells.iter().any(uses) {
            return Err(Failure::Usage(format!(
                "--with {}: no scheme of this run has that site",
                weakened.site.name
            )));
        }
        mutation.weakened.push((weakened.site.name, weakened.order));
    }
    Ok(mutation)
}

fn extent(options: &Options) -> Extent {
    let unbounded = options.cells.bound == Some(Bound::None);
    Extent {
        bound: options.cells.bound,
        schedules: options.schedules,
        limit: options.limit.or(unbounded.then_some(EXHAUSTIVE_LIMIT)),
        seed: options.seed,
    }
}

/// Processes of this program.
pub(super) fn processes(cancel: &Cancel) -> Processes {
    Processes::of("/proc/self/exe", cancel)
}

/// Explores all cells in processes, and tells `done` of each as it ends.
pub(super) fn explore_each(
    cells: &[Cell],
    mutation: &Mutation,
    extent: &Extent,
    processes: &Processes,
    mut done: impl FnMut(usize),
) -> Result<Vec<Exploration>, Failure> {
    let explorations = explore_all(
        cells,
        |cell| processes.explore(*cell, mutation, extent),
        |cell, _| done(cell),
    );
    let explorations = explorations.map_err(Failure::broke)?;
    let explorations = explorations.into_iter().collect::<Result<_, _>>();
    explorations.map_err(Failure::broke)
}

/// Explores all cells; those that were interrupted are left out.
fn explore_cells(
    cells: &[Cell],
    mutation: &Mutation,
    extent: &Extent,
    processes: &Processes,
) -> Result<Vec<(Cell, Exploration)>, Failure> {
    let mut progress = Progress::new(cells.len() as u64);
    progress.step_begins("model checking");
    let explorations = explore_each(cells, mutation, extent, processes, |cell| {
        let Cell {
            scheme, scenario, ..
        } = cells[cell];
        progress.step_begins(&format!("{} in {} is done", scheme.name, scenario.name));
        progress.step_ended();
    });
    progress.finish();
    let explored = cells.iter().copied().zip(explorations?);
    let ended = explored.filter(|(_, it)| it.ended != Ended::Interrupted);
    Ok(ended.collect())
}

/// Shows an execution for each violation that was found by going through executions, or for each
/// scheme that shows the graded outcome which was asked for.
fn print_traces(
    outcome: &verdicts::Outcome<'_>,
    graded: Option<Graded>,
    cancel: &Cancel,
) -> Result<(), Failure> {
    let cells = match graded {
        Some(graded) => outcome.showing(graded),
        None => outcome.shown(),
    };
    if let (Some(graded), []) = (graded, &cells[..]) {
        say(&format!("no execution that can be traced showed {graded}"));
    }
    for cell in cells {
        if cancel.is_requested() {
            break;
        }
        if cell.scenario.is_at_random() {
            continue;
        }
        match simplest(cell, graded, outcome.mutation, TRACE_BOUND, cancel) {
            Some(trace) => {
                let title = format!("\n{} in {}:\n\n", cell.scheme.name, cell.scenario.name);
                output::print(&(title + &trace.text(outcome.mutation)))?;
            }
            None if cancel.is_requested() => break,
            None => say(&format!(
                "found no execution of {} in {} to show with up to {TRACE_BOUND} preemptions",
                cell.scheme.name, cell.scenario.name
            )),
        }
    }
    Ok(())
}
