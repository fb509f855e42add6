//! An execution that violates something, or shows a graded outcome, as a kernel changelog would
//! show it: a column for each CPU.

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kernel_model::address_space::site::SLOT_RELOAD;
use kernel_model::platform::checked::{self, Mutation};
use kernel_model::platform::{Holds, Note, Step, What};
use kernel_model::race::Graded;
use machine_facts::cancel::Cancel;
use machine_facts::text::wrap_to;

use super::gathered::Gathered;
use super::words::{self, Words};
use super::{Cell, Ended, PANICKED, exhaustive};

/// The widest line of a trace.
pub const TRACE_COLUMNS: usize = 75;

/// Lines after which a trace is cut off: of CPUs that get nowhere.
const MOST_LINES: usize = 120;

/// The time that is spent on finding a simpler execution at one bound.
const SEARCH: Duration = Duration::from_secs(4);

/// An execution that shows something.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Whose it is.
    pub cell: Cell,
    /// What it shows: the name of an invariant or of a graded outcome, or `panicked`.
    pub shows: &'static str,
    /// Where, and what was seen.
    pub detail: String,
    /// Preemptions that it takes.
    pub preemptions: u8,
    /// What was done, in order.
    pub steps: Vec<Step>,
}

/// Finds the simplest execution of a cell that violates something, or shows a graded outcome: with
/// as few preemptions as there can be, then as few stale reads, then as few steps; one preemption
/// more if that spares all stale reads. `None` if there is none with up to `bound` preemptions, or
/// if somebody asked to stop, or where the scenario is explored at random.
pub fn simplest(
    cell: Cell,
    graded: Option<Graded>,
    mutation: &Mutation,
    bound: u8,
    cancel: &Cancel,
) -> Option<Trace> {
    if cell.scenario.is_at_random() {
        return None;
    }
    let search = |preemptions| simplest_with(cell, graded, mutation, preemptions, cancel);
    let first = (0..=bound).find_map(search)?;
    let has_stale = |trace: &Trace| cost(&trace.steps).0 > 0;
    if !has_stale(&first) || first.preemptions == bound {
        return Some(first);
    }
    let second = search(first.preemptions + 1).filter(|trace| !has_stale(trace));
    Some(second.unwrap_or(first))
}

/// The simplest one with at most so many preemptions.
fn simplest_with(
    cell: Cell,
    graded: Option<Graded>,
    mutation: &Mutation,
    preemptions: u8,
    cancel: &Cancel,
) -> Option<Trace> {
    let best: Arc<Mutex<Option<Trace>>> = Arc::default();
    let gathered = Arc::new(Gathered::for_trace(cell, SEARCH, cancel.clone()));
    let keep = Arc::clone(&best);
    let trace = move |shows, detail, steps| Trace {
        cell,
        shows,
        detail,
        preemptions,
        steps,
    };
    let ended = gathered.conclude(mutation, || {
        let set_up = cell.set_up_for_loom();
        exhaustive::explore(set_up, Some(preemptions), &gathered, move |shown| {
            let (shows, detail) = match graded {
                Some(graded) if graded.shows_in(&shown.cpus) => {
                    (graded.name, graded.says.to_owned())
                }
                None if let Some(found) = shown.found => (found.invariant.name, found.detail),
                _ => return,
            };
            let mut best = keep.lock().unwrap_or_else(PoisonError::into_inner);
            let simpler = best
                .as_ref()
                .is_none_or(|best| cost(&shown.steps) < cost(&best.steps));
            if simpler {
                *best = Some(trace(shows, detail, shown.steps));
            }
        });
    });
    let best = best.lock().unwrap_or_else(PoisonError::into_inner).take();
    best.or_else(|| {
        // The last execution didn't come to its end: its steps are still there.
        let (shows, detail) = match ended {
            _ if graded.is_some() => return None,
            Ended::Violated(found) => (found.invariant.name, found.detail),
            Ended::Panicked(panic) => (PANICKED, panic.to_string()),
            _ => return None,
        };
        Some(trace(shows, detail, checked::take_steps()))
    })
}

/// What makes an execution hard to follow.
fn cost(steps: &[Step]) -> (usize, usize) {
    let stale = steps
        .iter()
        .filter(|step| matches!(step.what, What::Load { got, newest, .. } if got != newest));
    (stale.count(), steps.len())
}

impl Trace {
    /// The trace as text, at most [`TRACE_COLUMNS`] wide, ASCII.
    pub fn text(&self, mutation: &Mutation) -> String {
        let heads = self.cell.scenario.cpus;
        let columns = heads.len();
        let width = (TRACE_COLUMNS - 3 * (columns - 1)) / columns;
        let mut out = String::new();
        let heads: Vec<String> = (0..)
            .zip(heads)
            .map(|(cpu, does)| format!("CPU{cpu}: {does}"))
            .collect();
        push_row(&mut out, &heads, width);
        let rule: Vec<String> = heads.iter().map(|_| "-".repeat(width)).collect();
        let _ = writeln!(out, "{}", rule.join("-+-"));
        for (cpu, line) in self.lines(mutation) {
            for part in fold(&line, width) {
                let mut row = vec![String::new(); columns];
                row[cpu] = part;
                push_row(&mut out, &row, width);
            }
        }
        let head = format!("{}: ", self.shows);
        out.push_str(&wrap_to(TRACE_COLUMNS, &head, &self.detail));
        out
    }

    /// The lines of all CPUs, without those that don't matter.
    fn lines(&self, mutation: &Mutation) -> Vec<(usize, String)> {
        let words = Words::of(self.shows, &self.steps, mutation);
        let mut lines: Vec<(usize, String)> = Vec::new();
        // What each CPU is doing: a remover that looks whether anything is left finds empty slots.
        let mut doing = vec![""; self.cell.scenario.cpus.len()];
        for step in &self.steps {
            if lines.len() == MOST_LINES {
                let line = "  and on and on".to_owned();
                lines.push((step.cpu as usize, line));
                break;
            }
            let cpu = step.cpu as usize;
            match step.what {
                What::Note(Note::Begins(what, _)) => doing[cpu] = what,
                What::Load {
                    site,
                    word,
                    got,
                    newest,
                } if word.holds == Holds::Slot
                    && got == newest
                    && (got == 0 || site.name == SLOT_RELOAD.name)
                    && !doing[cpu].contains("fault") =>
                {
                    continue;
                }
                _ => {}
            }
            let Some(line) = words.line(step) else {
                continue;
            };
            let own_last = lines.last_mut().filter(|(its, _)| *its == cpu);
            match own_last {
                // Nothing was done with the lock held.
                Some((_, last)) if line == words::UNLOCKS && *last == words::LOCKS => {
                    *last = words::PASSES.to_owned();
                }
                // The lock of a table that no other CPU can reach yet.
                Some((_, last)) if line.starts_with(words::INSTALLS) && *last == words::PASSES => {
                    *last = line;
                }
                _ => lines.push((cpu, line)),
            }
            if let What::Note(Note::Violated(_)) = step.what {
                // What comes later doesn't matter any more.
                break;
            }
        }
        lines
    }
}

fn push_row(out: &mut String, row: &[String], width: usize) {
    let cells: Vec<String> = row.iter().map(|cell| format!("{cell:<width$}")).collect();
    let _ = writeln!(out, "{}", cells.join(" | ").trim_end());
}

/// Breaks a line at its spaces; what follows is indented further.
fn fold(line: &str, width: usize) -> Vec<String> {
    let indent = line.len() - line.trim_start().len();
    let mut lines = vec![" ".repeat(indent)];
    for word in line.split_whitespace() {
        let last = lines.last_mut().expect("there is always one");
        let fresh = last.trim().is_empty();
        if !fresh && last.len() + 1 + word.len() > width {
            let further = if width < 30 { 2 } else { 4 };
            lines.push(format!("{}{word}", " ".repeat(indent + further)));
        } else {
            if !fresh {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    // A word that is wider than a column is cut in two.
    let cut = |line: String| match line.len() > width {
        true => vec![line[..width].to_owned(), line[width..].to_owned()],
        false => vec![line],
    };
    lines.into_iter().flat_map(cut).collect()
}
