//! `faultaround check`: the code that is measured, under a model checker.

mod litmus;
mod options;
mod verdicts;
mod weaken;

use harness::cancel::Cancel;
use harness::check::trace::simplest;
use harness::check::weaken::sites_of;
use harness::check::{Bound, Cell, Ended, Exploration, Extent, Processes, explore_all};
use harness::progress::{Progress, say};
use kernel_model::platform::checked::Mutation;
use kernel_model::{Graded, shared_checks};
use std::time::{Duration, Instant};

use super::output::Format;
use super::{Failure, cancel_on_signals, checks_named, output, refuse_repeated};

pub(super) use options::Options;

/// The time that `--bound none` gives a scheme in a scenario.
const EXHAUSTIVE_LIMIT: Duration = Duration::from_secs(60);

/// Preemptions within which the simplest execution is searched for; some more than any needs.
const TRACE_BOUND: u8 = 4;

/// Runs the command.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let cancel = cancel_on_signals()?;
    if let Some(directory) = &options.litmus {
        refuse_repeated("--scheme", &options.scheme)?;
        return litmus::run(directory, options, &cancel);
    }
    if options.trace && options.format != Format::Text {
        return Err(Failure::Usage(
            "--trace is text to be read: not with --format json or tsv".to_owned(),
        ));
    }
    let cells = cells(options)?;
    if options.weaken {
        return weaken::run(options, &cells, &cancel);
    }
    let mutation = mutation(options, &cells)?;
    let cells = affected(cells, &mutation);
    if !mutation.weakened.is_empty() && cells.iter().all(|cell| cell.scenario.is_at_random()) {
        return Err(Failure::Usage(format!(
            "--with and --scenario {}: random schedules are of a machine on which orderings make no \
             difference",
            options.scenario.join(",")
        )));
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
    output::print(&outcome.print(options.format))?;
    if options.trace {
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

/// The schemes and scenarios that were named, or else all.
fn cells(options: &Options) -> Result<Vec<Cell>, Failure> {
    refuse_repeated("--scheme", &options.scheme)?;
    refuse_repeated("--scenario", &options.scenario)?;
    let named =
        |names: &[String], name: &str| names.is_empty() || names.iter().any(|it| it == name);
    let mut cells = Cell::all();
    cells.retain(|cell| {
        named(&options.scheme, cell.scheme.name) && named(&options.scenario, cell.scenario.name)
    });
    Ok(cells)
}

/// The cells of schemes that a change is a change to.
fn affected(cells: Vec<Cell>, mutation: &Mutation) -> Vec<Cell> {
    let changes = |cell: &Cell| {
        let sites = sites_of(cell.scheme.name);
        let mut weakened = mutation.weakened.iter();
        let mut left_out = mutation.left_out.iter();
        weakened.any(|(name, _)| sites.iter().any(|site| site.name == *name))
            || left_out.any(|name| {
                let mut checks = cell.scheme.checks().chain(shared_checks());
                checks.any(|check| check.name == *name)
            })
    };
    match *mutation == Mutation::NONE {
        true => cells,
        false => cells.into_iter().filter(changes).collect(),
    }
}

/// What is to be changed in the code under test.
fn mutation(options: &Options, cells: &[Cell]) -> Result<Mutation, Failure> {
    let schemes = cells.iter().map(|cell| cell.scheme);
    let left_out = checks_named(&options.without, schemes)?;
    let mut mutation = Mutation {
        left_out: left_out.iter().map(|site| site.name).collect(),
        ..Mutation::NONE
    };
    let names: Vec<_> = options.with.iter().map(|it| it.site.name).collect();
    refuse_repeated("--with", &names)?;
    for weakened in &options.with {
        let uses = |cell: &Cell| {
            let mut sites = sites_of(cell.scheme.name).into_iter();
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
    let unbounded = options.bound == Some(Bound::None);
    Extent {
        bound: options.bound,
        schedules: options.schedules,
        limit: options.limit.or(unbounded.then_some(EXHAUSTIVE_LIMIT)),
        seed: options.seed,
    }
}

/// Processes of this program.
fn processes(cancel: &Cancel) -> Processes {
    Processes::of("/proc/self/exe", cancel)
}

/// Explores all cells in processes, and tells `done` of each as it ends.
fn explore_each(
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
        let Cell { scheme, scenario } = cells[cell];
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
