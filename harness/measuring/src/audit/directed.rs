//! Directed trials: two threads that meet at every pair of places, one schedule after the other.
//!
//! First all schedules of each trial with two turns before the threads run to their ends (with
//! three, of the smallest trial); then deeper ones, drawn at random. Each is a machine of its own,
//! so that what it shows is a function of the schedule.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kernel_model::fault_around::FaultAround;
use kernel_model::platform::{Jitter, Leg, Relay, Why};
use kernel_model::race::{PROGRESS, Violation};
use machine_facts::cancel::Cancel;
use machine_facts::conditions::thread_cpu_time;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::schedule::{Program, Schedule, Trial, runner_name};
use super::trial::Machine;
use super::{AuditError, Audited, Trials, Work};

/// Turns of a random schedule before the threads run to their ends.
const TURNS: std::ops::RangeInclusive<usize> = 3..=4;

/// A schedule that showed something, and what.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) schedule: Schedule,
    pub(super) legs: Vec<Leg>,
    pub(super) violations: Vec<Violation>,
    pub(super) violation_count: u64,
}

/// What directed trials came to.
#[derive(Debug, Default)]
pub(super) struct Directed {
    pub(super) work: Work,
    pub(super) trials: Trials,
    pub(super) shown: Option<Shown>,
}

/// What the second thread does next; nothing: it ends.
type Errand = Mutex<Option<(Arc<Machine>, Program)>>;

/// Two threads and their baton. The calling thread is the first of them.
struct Crew {
    scheme: &'static dyn FaultAround<Audited>,
    relay: Arc<Relay>,
    errand: Arc<Errand>,
    done: Arc<Mutex<Option<Work>>>,
    second: Option<JoinHandle<Duration>>,
    work: Work,
}

impl Crew {
    fn new(
        scheme: &'static dyn FaultAround<Audited>,
        left_out: &Arc<[String]>,
    ) -> Result<Self, AuditError> {
        let relay = Arc::new(Relay::default());
        let errand = Arc::new(Errand::default());
        let done = Arc::default();
        let enter = |left_out| Jitter {
            left_out,
            ..Jitter::default()
        };
        enter(Arc::clone(left_out)).enter();
        let second = {
            let (relay, errand, done) =
                (Arc::clone(&relay), Arc::clone(&errand), Arc::clone(&done));
            let jitter = enter(Arc::clone(left_out));
            let body = move || {
                jitter.enter();
                second(&relay, &errand, &done)
            };
            thread::Builder::new().name("B".to_owned()).spawn(body)
        };
        Ok(Self {
            scheme,
            relay,
            errand,
            done,
            second: Some(second.map_err(AuditError::Spawn)?),
            work: Work::default(),
        })
    }

    /// Runs a schedule; returns how it went, and what was seen if anything was.
    fn run(&mut self, schedule: &Schedule) -> Result<(Vec<Leg>, Option<Shown>), AuditError> {
        let Schedule {
            trial,
            first,
            turns,
        } = schedule;
        let machine = Arc::new(Machine::new(self.scheme, trial.shape));
        let [a, b] = &trial.programs;
        *lock(&self.errand) = Some((Arc::clone(&machine), b.clone()));
        self.relay.start(*first, turns);
        let result = self.relay.run(0, || machine.run(0, a));
        let (legs, is_stuck) = self.relay.ran();
        let done = lock(&self.done).take();
        match result {
            Ok(work) => self.work += work.unwrap_or_default(),
            Err(_) => return Err(AuditError::Panicked),
        }
        if done.is_none() && !is_stuck {
            return Err(AuditError::Panicked);
        }
        self.work += done.unwrap_or_default();
        self.work.schedules += 1;
        if !is_stuck {
            machine.audit();
        }
        let mut violations = machine.system.violations.kept();
        let mut violation_count = machine.system.violations.count();
        if is_stuck {
            violation_count += 1;
            violations.push(stuck(&legs));
        }
        let shown = (violation_count > 0).then(|| Shown {
            schedule: schedule.clone(),
            legs: legs.clone(),
            violations,
            violation_count,
        });
        Ok((legs, shown))
    }
}

impl Crew {
    /// Lets the second thread go; returns its CPU time.
    fn leave(&mut self) -> Duration {
        let Some(second) = self.second.take() else {
            return Duration::ZERO;
        };
        *lock(&self.errand) = None;
        self.relay.start(1, &[]);
        let _ = self.relay.run(0, || ());
        second.join().unwrap_or_default()
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.leave();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The second thread: one trial after the other. A panic in one is told by the work that isn't
/// there.
fn second(relay: &Arc<Relay>, errand: &Errand, done: &Mutex<Option<Work>>) -> Duration {
    let mut is_over = false;
    while !is_over {
        let trial = relay.run(1, || match lock(errand).take() {
            Some((machine, program)) => {
                let work = machine.run(1, &program);
                *lock(done) = Some(work);
                false
            }
            None => true,
        });
        is_over = matches!(trial, Ok(Some(true)));
    }
    thread_cpu_time()
}

/// What is reported of threads that wait for each other, or one for ever.
fn stuck(legs: &[Leg]) -> Violation {
    let mut last = legs.iter().rev().filter(|leg| leg.why != Why::Ended);
    let detail = match last.next() {
        Some(leg) => format!(
            "thread {} stood before {}, and none could go on",
            runner_name(leg.runner),
            leg.before
        ),
        None => "a thread never came to an end".to_owned(),
    };
    Violation {
        invariant: PROGRESS,
        place: None,
        detail,
    }
}

/// Runs one schedule.
pub(super) fn repeat(
    scheme: &'static dyn FaultAround<Audited>,
    left_out: &Arc<[String]>,
    schedule: &Schedule,
) -> Result<Directed, AuditError> {
    let mut crew = Crew::new(scheme, left_out)?;
    let (_, shown) = crew.run(schedule)?;
    Ok(Directed {
        work: crew.work,
        // The others weren't asked for.
        trials: Trials { done: 0, all: 1 },
        shown,
    })
}

/// Goes through the trials' pairs of places, and on at random until `end`.
pub(super) fn explore(
    scheme: &'static dyn FaultAround<Audited>,
    left_out: &Arc<[String]>,
    trials: &[(Trial, usize)],
    (seed, end): (u64, Instant),
    cancel: &Cancel,
) -> Result<Directed, AuditError> {
    let mut crew = Crew::new(scheme, left_out)?;
    let mut lengths = Vec::new();
    let mut shown = None;
    for (trial, depth) in trials {
        let mut search = Search {
            crew: &mut crew,
            depth: *depth,
            longest: [1; 2],
            cancel,
        };
        for first in [0, 1] {
            let mut schedule = Schedule {
                trial: trial.clone(),
                first,
                turns: Vec::new(),
            };
            shown = match shown {
                None => search.go_through(&mut schedule)?.1,
                shown => shown,
            };
        }
        if shown.is_some() {
            break;
        }
        lengths.push(search.longest);
    }
    let done = lengths.len();
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    while shown.is_none() && Instant::now() < end {
        let number = random.random_range(0..trials.len());
        let first = random.random_range(0..2);
        let turns = random.random_range(TURNS);
        let turns = (0..turns).map(|turn| {
            let most = lengths[number][(first + turn) % 2];
            random.random_range(1..=most)
        });
        let schedule = Schedule {
            trial: trials[number].0.clone(),
            first,
            turns: turns.collect(),
        };
        shown = go(&mut crew, &schedule, cancel)?.1;
    }
    let mut work = crew.work;
    work.cpu_time = thread_cpu_time() + crew.leave();
    Ok(Directed {
        work,
        trials: Trials {
            done,
            all: trials.len(),
        },
        shown,
    })
}

fn go(
    crew: &mut Crew,
    schedule: &Schedule,
    cancel: &Cancel,
) -> Result<(Vec<Leg>, Option<Shown>), AuditError> {
    if cancel.is_requested() {
        return Err(AuditError::Interrupted);
    }
    crew.run(schedule)
}

/// A search through the schedules of a trial.
struct Search<'a> {
    crew: &'a mut Crew,
    /// Turns of a schedule.
    depth: usize,
    /// The most accesses that each thread made.
    longest: [u32; 2],
    cancel: &'a Cancel,
}

impl Search<'_> {
    /// Goes through all schedules that begin with these turns, each longer until the thread waits
    /// or ends within it. Returns how many turns of the last one were as planned, and what was
    /// shown.
    fn go_through(
        &mut self,
        schedule: &mut Schedule,
    ) -> Result<(usize, Option<Shown>), AuditError> {
        let turn = schedule.turns.len();
        if turn == self.depth {
            let (legs, shown) = go(self.crew, schedule, self.cancel)?;
            for leg in &legs {
                let longest = &mut self.longest[leg.runner];
                *longest = leg.made.max(*longest);
            }
            let planned = legs.iter().take_while(|leg| leg.why == Why::Planned);
            return Ok((planned.count(), shown));
        }
        for accesses in 1.. {
            schedule.turns.push(accesses);
            let (planned, shown) = self.go_through(schedule)?;
            schedule.turns.pop();
            if shown.is_some() || planned <= turn {
                return Ok((planned, shown));
            }
        }
        unreachable!("every thread comes to an end")
    }
}
