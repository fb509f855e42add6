//! Audit mode: the measured code on a platform that says when its threads run, with removers that
//! check the invariants before they return. It gives verdicts, never timings.
//!
//! An audit begins with directed trials, two threads in turns, which find what two threads show in
//! two turns whatever the machine does beside it. What is left of its time goes half to deeper
//! turns, at random, and then to threads that run freely: a series of short episodes with stops at
//! random sites, each on a small machine of its own, so that frames are reused at once and PTE
//! tables come and go. Each trial and each episode ends with the audit at rest; the first violation
//! ends the audit.

mod directed;
mod episode;
mod schedule;
mod trial;

use std::ops::AddAssign;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use kernel_model::fault_around::{About, FaultAround};
use kernel_model::platform::{Jittered, Leg, Native, Why};
use kernel_model::race::{Invariant, Violation};
use kernel_model::{Orders, Task};
use machine_facts::cancel::Cancel;
use machine_facts::topology::{TopologyError, current_cpu, pin_current_thread};
use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::machine::{MmKind, order_name};
use crate::order::Access;
use crate::storms::Storm;
use directed::{Directed, Shown};
use episode::Episode;
use schedule::runner_name;

pub use schedule::{Program, Schedule, Shape, Step, Trial};

/// The platform of audits.
pub type Audited = Jittered<Native>;

/// What is the same for all audits of a run. Sizes, threads, access and CPUs are those of the
/// threads that run freely: directed trials have machines of their own ([`Shape`]).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditSetup {
    /// Pages of the file.
    pub pages: u32,
    /// Pages that a fault maps at most.
    pub window_pages: u32,
    /// Pages that a miss reads.
    pub readahead_pages: u32,
    /// Of which orders folios are.
    #[serde(serialize_with = "order_name")]
    pub orders: Orders,
    /// Pages that an operation of a storm removes.
    pub hole_pages: u32,
    /// Threads that fault.
    pub fault_threads: u32,
    /// Threads that remove.
    pub storm_threads: u32,
    /// Processes or threads.
    pub mm: MmKind,
    /// How passes go through the file.
    pub access: Access,
    /// How long an audit lasts that finds nothing. Directed trials of two turns are all gone
    /// through, whatever time that takes; at zero, nothing else is done.
    pub duration: Duration,
    /// CPUs that threads are pinned to in turn, and directed trials to the first; `None`: the
    /// scheduler's choice.
    pub cpus: Option<Vec<u32>>,
    /// Names of checks that are left out.
    pub left_out: Vec<String>,
    /// Where every random choice comes from.
    pub seed: u64,
}

impl AuditSetup {
    /// How many CPUs the threads that run freely can have at once.
    fn most_cpus(&self) -> u32 {
        let cpus = match &self.cpus {
            Some(cpus) => cpus.len(),
            None => thread::available_parallelism().map_or(1, usize::from),
        };
        (self.fault_threads + self.storm_threads).min(u32::try_from(cpus).unwrap_or(u32::MAX))
    }
}

/// What threads did in an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Work {
    /// Schedules of directed trials.
    pub schedules: u64,
    /// Short machines on which threads ran freely.
    pub episodes: u64,
    /// Faults.
    pub faults: u64,
    /// Pages that they mapped.
    pub pages_mapped: u64,
    /// Pages left out because they were locked.
    pub skipped_locked: u64,
    /// Mapcounts taken back after a re-check.
    pub undone: u64,
    /// Speculative references dropped because the slot or the mapping had changed.
    pub slot_changed: u64,
    /// Operations of the storm.
    pub removals: u64,
    /// Folios that they removed.
    pub folios_removed: u64,
    /// Of those, how many had a mapcount above 0 at the point of removal.
    pub transient_mapcount: u64,
    /// The time that its threads had of their CPUs.
    #[serde(rename = "cpu_time_s", serialize_with = "in_seconds")]
    pub cpu_time: Duration,
}

fn in_seconds<S: Serializer>(time: &Duration, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_f64(time.as_secs_f64())
}

impl Work {
    /// Adds what a thread counted.
    fn add_task(&mut self, task: &Task) {
        self.pages_mapped += task.faults.mapped + task.faults.mapped_slowly;
        self.skipped_locked += task.faults.skipped_locked;
        self.undone += task.faults.undone;
        self.slot_changed += task.faults.slot_changed;
        self.folios_removed += task.removals.removed;
        self.transient_mapcount += task.removals.transient_mapcount;
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, more: Self) {
        self.schedules += more.schedules;
        self.cpu_time += more.cpu_time;
        self.episodes += more.episodes;
        self.faults += more.faults;
        self.pages_mapped += more.pages_mapped;
        self.skipped_locked += more.skipped_locked;
        self.undone += more.undone;
        self.slot_changed += more.slot_changed;
        self.removals += more.removals;
        self.folios_removed += more.folios_removed;
        self.transient_mapcount += more.transient_mapcount;
    }
}

/// What an audit says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// What the scheme declares for the storm.
    AsDeclared,
    /// Something else.
    NotAsDeclared,
    /// A check was left out, and a violation was found.
    Noticed,
    /// A check was left out, and nothing was found.
    NotNoticed,
    /// Nothing was found, and too little was done to say so: little work, or not all of the
    /// schedules that every audit goes through.
    TooLittleDone,
    /// Nothing was found, and threads that run freely had too little of the CPUs to say so.
    TooLittleTime,
}

impl Verdict {
    /// Whether it is what should come out.
    pub fn is_good(self) -> bool {
        matches!(self, Self::AsDeclared | Self::Noticed)
    }
}

/// A turn of a schedule, as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// A or B.
    pub thread: char,
    /// The accesses that it had made by the end of the turn, in all of its turns.
    pub accesses: u32,
    /// The site, or the class of the lock, that it then stood before; empty at its end.
    pub before: &'static str,
    /// Whether it waited there for the other thread.
    pub waits: bool,
}

impl From<&Leg> for Turn {
    fn from(leg: &Leg) -> Self {
        Self {
            thread: runner_name(leg.runner),
            accesses: leg.made,
            before: leg.before,
            waits: !matches!(leg.why, Why::Planned | Why::Ended),
        }
    }
}

/// How an audit ended.
#[derive(Debug, Clone, Serialize)]
pub struct Audit {
    /// The scheme.
    pub scheme: &'static str,
    /// The storm.
    pub storm: &'static str,
    /// Whether the scheme is known to be broken, under whatever storm.
    pub broken: bool,
    /// Whether this storm is declared to show it.
    pub to_be_caught: bool,
    /// How long it took.
    pub elapsed: Duration,
    /// What was done meanwhile.
    pub work: Work,
    /// What was gone through of the schedules that every audit goes through.
    pub trials: Trials,
    /// How long threads ran freely, and how much of the CPUs they could have had.
    pub free: Free,
    /// The schedule that showed the violations, if it was one: the same shows them again.
    #[serde(serialize_with = "in_words")]
    pub schedule: Option<Schedule>,
    /// Its turns.
    pub turns: Vec<Turn>,
    /// The violations of the machine that had any, up to 64 of them.
    pub found: Vec<Violation>,
    /// How many there were.
    pub violations: u64,
    /// What is to be said of it.
    pub verdict: Verdict,
}

fn in_words<S: Serializer>(schedule: &Option<Schedule>, out: S) -> Result<S::Ok, S::Error> {
    schedule.as_ref().map(ToString::to_string).serialize(out)
}

/// Directed trials: what two threads do on which machine, each in all schedules of two turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Trials {
    /// Of how many all of these schedules were gone through.
    pub done: usize,
    /// How many there are under the storm.
    pub all: usize,
}

/// The time of the threads that ran freely.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Free {
    /// The CPU time that they had, in seconds, summed over threads.
    pub had_s: f64,
    /// The CPU time that they could have had: the CPUs or the threads, whichever are fewer, all the
    /// while.
    pub possible_s: f64,
}

impl Free {
    /// Whether they had so little that finding nothing says nothing.
    fn is_too_little(self) -> bool {
        self.had_s < LEAST_SHARE * self.possible_s
    }
}

/// Why an audit came to no verdict.
#[derive(Debug, Error)]
pub enum AuditError {
    /// A thread could not be put where it belongs.
    #[error(transparent)]
    Pin(#[from] TopologyError),
    /// The system gave no thread.
    #[error("cannot start a thread: {0}")]
    Spawn(std::io::Error),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A thread panicked.
    #[error("an audited thread panicked; its message is above")]
    Panicked,
}

/// How long an episode lasts: some hundred removals, and many episodes in a second's audit.
const EPISODE: Duration = Duration::from_millis(150);

/// Below this an audit that has found nothing has looked at nothing: pages mapped, and folios
/// removed.
const LEAST_WORK: u64 = 100;

/// The share of the CPUs below which threads that ran freely have hardly met.
const LEAST_SHARE: f64 = 0.1;

/// What is to be said.
fn verdict(
    violates: &[Invariant],
    found: &[Violation],
    changed: bool,
    (work, trials, free): (&Work, Trials, Free),
) -> Verdict {
    let expected = found.iter().any(|it| violates.contains(&it.invariant));
    match found.is_empty() {
        false if changed => Verdict::Noticed,
        false if expected => Verdict::AsDeclared,
        false => Verdict::NotAsDeclared,
        true if trials.done < trials.all => Verdict::TooLittleDone,
        true if work.pages_mapped.min(work.folios_removed) < LEAST_WORK => Verdict::TooLittleDone,
        true if free.is_too_little() => Verdict::TooLittleTime,
        true if changed => Verdict::NotNoticed,
        true if violates.is_empty() => Verdict::AsDeclared,
        true => Verdict::NotAsDeclared,
    }
}

/// Runs directed trials on a thread of their own, and on one CPU: the first that was named, or the
/// one that the scheduler found for it.
///
/// The threads of a trial never run at once, and to wake one on another CPU takes longer than most
/// of their turns.
fn on_one_cpu<T: Send + 'static>(
    cpus: Option<&[u32]>,
    directed: impl FnOnce() -> Result<T, AuditError> + Send + 'static,
) -> Result<T, AuditError> {
    let named = cpus.map(|cpus| cpus[0]);
    let body = move || {
        // Threads that it starts inherit the CPU.
        match named.or_else(current_cpu).map(pin_current_thread) {
            Some(Err(error)) if named.is_some() => Err(error.into()),
            // Without it a trial shows the same, and takes longer.
            _ => directed(),
        }
    };
    let thread = thread::Builder::new().name("A".to_owned()).spawn(body);
    let thread = thread.map_err(AuditError::Spawn)?;
    thread.join().map_err(|_| AuditError::Panicked)?
}

/// Audits a scheme under a storm until something is found or the time is over.
///
/// # Errors
/// See [`AuditError`].
pub fn audit(
    scheme: &'static dyn FaultAround<Audited>,
    storm: &'static dyn Storm<Audited>,
    setup: &AuditSetup,
    cancel: &Cancel,
) -> Result<Audit, AuditError> {
    let (start, cpus) = (Instant::now(), setup.cpus.as_deref());
    let left_out: Arc<[String]> = setup.left_out.clone().into();
    let directed = {
        let (cancel, until) = (cancel.clone(), (setup.seed, start + setup.duration / 2));
        let trials = schedule::trials(&storm.removers());
        on_one_cpu(cpus, move || {
            directed::explore(scheme, &left_out, &trials, until, &cancel)
        })?
    };
    let mut seen = Seen::from(directed);
    while seen.found.is_empty() {
        let Some(left) = setup.duration.checked_sub(start.elapsed()) else {
            break;
        };
        if left.is_zero() {
            break;
        }
        let episode = Episode::new(scheme, storm, setup, seen.work.episodes);
        let began = Instant::now();
        let outcome = episode.run(left.min(EPISODE), cancel)?;
        seen.free.had_s += outcome.work.cpu_time.as_secs_f64();
        seen.free.possible_s += began.elapsed().as_secs_f64() * f64::from(setup.most_cpus());
        seen.work += outcome.work;
        seen.found.extend(outcome.violations);
        seen.violations += outcome.violation_count;
    }
    Ok(seen.judged(scheme.about(), storm, setup, start.elapsed()))
}

/// Runs one schedule of two threads.
///
/// # Errors
/// See [`AuditError`].
pub fn repeat(
    scheme: &'static dyn FaultAround<Audited>,
    storm: &'static dyn Storm<Audited>,
    setup: &AuditSetup,
    schedule: &Schedule,
) -> Result<Audit, AuditError> {
    let (start, cpus) = (Instant::now(), setup.cpus.as_deref());
    let (left_out, schedule): (Arc<[String]>, _) =
        (setup.left_out.clone().into(), schedule.clone());
    let directed = on_one_cpu(cpus, move || directed::repeat(scheme, &left_out, &schedule))?;
    Ok(Seen::from(directed).judged(scheme.about(), storm, setup, start.elapsed()))
}

/// What an audit has seen.
struct Seen {
    work: Work,
    trials: Trials,
    free: Free,
    shown: Option<(Schedule, Vec<Turn>)>,
    found: Vec<Violation>,
    violations: u64,
}

impl From<Directed> for Seen {
    fn from(directed: Directed) -> Self {
        let mut seen = Self {
            work: directed.work,
            trials: directed.trials,
            free: Free::default(),
            shown: None,
            found: Vec::new(),
            violations: 0,
        };
        if let Some(shown) = directed.shown {
            let Shown {
                schedule,
                legs,
                violations,
                violation_count,
            } = shown;
            seen.shown = Some((schedule, legs.iter().map(Turn::from).collect()));
            seen.found = violations;
            seen.violations = violation_count;
        }
        seen
    }
}

impl Seen {
    fn judged(
        self,
        about: &About,
        storm: &'static dyn Storm<Audited>,
        setup: &AuditSetup,
        elapsed: Duration,
    ) -> Audit {
        let removers = storm.removers();
        let tags = removers.iter().flat_map(|it| it.about().tags);
        let violates = about.verdict.violates(&tags.copied().collect::<Vec<_>>());
        let changed = !setup.left_out.is_empty();
        let (schedule, turns) = self.shown.unzip();
        Audit {
            scheme: about.name,
            storm: storm.about().name,
            broken: !about.verdict.is_sound(),
            to_be_caught: !violates.is_empty(),
            elapsed,
            verdict: verdict(
                &violates,
                &self.found,
                changed,
                (&self.work, self.trials, self.free),
            ),
            work: self.work,
            trials: self.trials,
            free: self.free,
            schedule,
            turns: turns.unwrap_or_default(),
            found: self.found,
            violations: self.violations,
        }
    }
}

#[cfg(test)]
mod tests;
