//! Interleaved rounds: every cell once in each round, in a seeded random order.
//!
//! Cells that are compared with each other, the schemes under one storm with one number of
//! threads, come one right after the other; the order of these groups and the order within each
//! are drawn anew for each round. The baseline runs twice in each group, under two names: what
//! comes out between those two is noise, and nothing less than it means anything.

mod outcome;
mod plan;

use machine_facts::cancel::Cancel;
use machine_facts::clock::Clock;

use crate::cell::{CellError, Setup, measure};

pub use crate::control::{Control, Variant};
pub use outcome::{CellRound, Finished, RemoverRound, ThreadShare};
pub use plan::{CALIBRATED, Ended, Group, Key, Plan, Rounds};

use outcome::CellPlace;

/// Follows a run.
pub trait Observer {
    /// A cell has begun.
    fn cell_begins(&mut self, round: u32, scheme: &str, storm: &str, threads: u32);
    /// A cell has ended. An error stops the run.
    fn cell_ended(&mut self, finished: Finished);
    /// All cells of a round have ended.
    ///
    /// # Errors
    /// What keeps the run from going on, in a line.
    fn round_ended(&mut self, round: u32) -> Result<(), String>;
    /// How wide the widest interval of a ratio is by now ([`Interval::width`]); asked where the
    /// number of rounds depends on it.
    ///
    /// [`Interval::width`]: machine_facts::statistics::Interval::width
    fn widest_interval(&self) -> f64;
}

/// Why a run ended before its last round.
#[derive(Debug)]
pub enum Stopped {
    /// A cell could not be measured.
    Cell(CellError),
    /// The observer didn't want to go on.
    Observer(String),
}

/// Runs a plan; says why it has come to its end.
///
/// # Errors
/// See [`Stopped`]; the observer has seen all cells that came before.
pub fn run(
    plan: &Plan,
    setup: &Setup,
    clock: &Clock,
    cancel: &Cancel,
    observer: &mut dyn Observer,
) -> Result<Ended, Stopped> {
    let start = clock.now();
    for round in 0.. {
        for (place, key) in plan.order(round).into_iter().enumerate() {
            if cancel.is_requested() {
                return Err(Stopped::Cell(CellError::Interrupted));
            }
            let cell = plan.cell(key);
            let (load, threads) = (plan.groups[key.group].load(), cell.fault_threads);
            observer.cell_begins(round, cell.subject.name(), &load, threads);
            let seed = plan.seed ^ u64::from(round) << 40 ^ (key.group as u64) << 20;
            let started_ns = clock.ns(clock.now() - start);
            let measured = measure(&cell, setup, seed, clock, cancel).map_err(Stopped::Cell)?;
            let place = CellPlace {
                cell,
                load,
                key,
                round,
                place: place as u32,
                started_ns,
            };
            observer.cell_ended(outcome::finish(measured, place, setup));
        }
        observer.round_ended(round).map_err(Stopped::Observer)?;
        let elapsed_s = clock.ns(clock.now() - start) as f64 / 1e9;
        if let Some(ended) = enough(plan.rounds, round + 1, elapsed_s, observer) {
            return Ok(ended);
        }
    }
    unreachable!("rounds are counted as far as anybody can wait")
}

/// Why so many rounds are enough, if they are.
fn enough(rounds: Rounds, done: u32, elapsed_s: f64, observer: &dyn Observer) -> Option<Ended> {
    match rounds {
        Rounds::Fixed(rounds) => (done >= rounds).then_some(Ended::AllRounds),
        Rounds::Auto { width, limit_s } => {
            if done >= Rounds::FEWEST && observer.widest_interval() < width {
                Some(Ended::Narrow)
            } else {
                (elapsed_s >= limit_s).then_some(Ended::TimeLimit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Widest(f64);

    impl Observer for Widest {
        fn cell_begins(&mut self, _round: u32, _scheme: &str, _storm: &str, _threads: u32) {}
        fn cell_ended(&mut self, _finished: Finished) {}
        fn round_ended(&mut self, _round: u32) -> Result<(), String> {
            Ok(())
        }
        fn widest_interval(&self) -> f64 {
            self.0
        }
    }

    #[test]
    fn rounds_end_by_number_by_width_or_by_time() {
        let fixed = |done| enough(Rounds::Fixed(3), done, 1e9, &Widest(0.0));
        assert_eq!((fixed(2), fixed(3)), (None, Some(Ended::AllRounds)));
        let auto = Rounds::Auto {
            width: 0.05,
            limit_s: 60.0,
        };
        let auto = |done, elapsed_s, widest| enough(auto, done, elapsed_s, &Widest(widest));
        assert_eq!(auto(Rounds::FEWEST, 1.0, 0.06), None);
        assert_eq!(auto(Rounds::FEWEST, 1.0, 0.04), Some(Ended::Narrow));
        assert_eq!(auto(Rounds::FEWEST - 1, 1.0, 0.04), None, "by chance");
        assert_eq!(auto(500, 60.0, 0.06), Some(Ended::TimeLimit));
        assert_eq!(auto(500, 60.0, f64::NAN), Some(Ended::TimeLimit));
    }
}
