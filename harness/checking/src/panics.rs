//! Panics of a checker, or of the code under it: what they said, and where.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

use kernel_model::race;
use serde::{Deserialize, Serialize};
use shuttle::scheduler::RandomScheduler;
use shuttle::{Config, FailurePersistence, Runner};

use super::Found;

/// A panic that ended an exploration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Panic {
    /// Its message.
    pub message: String,
    /// The file and line of the source; empty where nothing is known of it.
    pub place: String,
}

impl fmt::Display for Panic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.as_str() {
            "" => out.write_str(&self.message),
            place => write!(out, "{} ({place})", self.message),
        }
    }
}

impl Panic {
    /// None of a panic without words: threads of a checker end by such.
    fn of(info: &PanicHookInfo<'_>) -> Option<Self> {
        let message = info.payload_as_str()?;
        let place = info.location().map(|at| {
            // Of a crate of the registry, what comes before its name is the machine's own.
            let file = at.file().rsplit_once("/registry/src/");
            let file = file.and_then(|(_, path)| path.split_once('/'));
            let file = file.map_or(at.file(), |(_, path)| path);
            format!("{file}:{}", at.line())
        });
        Some(Self {
            // A message is told in a line.
            message: message.split_whitespace().collect::<Vec<_>>().join(" "),
            place: place.unwrap_or_default(),
        })
    }

    /// What a checker's panic says of the code under test: that it doesn't end.
    pub(super) fn stuck(&self) -> Option<Found> {
        let says = |words| self.message.contains(words);
        let detail = if says("deadlock") {
            "all CPUs wait for each other for ever"
        } else if says("maximum number of branches") || says("max_steps") {
            "the CPUs run on and on, and get nowhere"
        } else {
            return None;
        };
        Some(Found {
            invariant: race::PROGRESS,
            detail: detail.to_owned(),
        })
    }
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// The first panic since [`quietly`] began: others come of it.
    static FIRST: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// Makes Shuttle set up what it sets up once.
fn set_up_shuttle() {
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::None;
    Runner::new(RandomScheduler::new(1), config).run(|| ());
}

/// Runs a checker, which panics when threads wait for each other for ever. No panic is printed.
pub(super) fn quietly(run: impl FnOnce()) -> Result<(), Panic> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        // Shuttle puts a hook of its own before whatever is there when it is first used. It reports
        // all panics, also those by which Loom's threads end, and so must come behind this one.
        set_up_shuttle();
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| match QUIET.get() {
            false => usual(info),
            true => {
                FIRST.with_borrow_mut(|first| *first = first.take().or_else(|| Panic::of(info)))
            }
        }));
    });
    FIRST.take();
    QUIET.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    QUIET.set(false);
    result.map_err(|_| {
        FIRST.take().unwrap_or_else(|| Panic {
            message: "a panic without words, as where a checker's thread overflows its stack"
                .to_owned(),
            place: String::new(),
        })
    })
}
