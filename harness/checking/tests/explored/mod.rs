//! Small machines of a few CPUs under either checker, for what the platforms give to the model.

#![allow(
    dead_code,
    reason = "each binary that has this module uses another part of it"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use shuttle::scheduler::RandomScheduler;

use kernel_model::platform::{Loom, Platform, Shuttle, Site, checked};

/// What a CPU does.
pub(crate) type Cpu = Box<dyn FnOnce() + Send>;

/// A CPU that does this.
pub(crate) fn cpu(does: impl FnOnce() + Send + 'static) -> Cpu {
    Box::new(does)
}

/// Schedules that Shuttle tries.
const SCHEDULES: usize = 2_000;

/// Where they come from.
const SEED: u64 = 1;

/// A platform that goes through executions.
pub(crate) trait Checker: Platform {
    /// Goes through the executions of the CPUs that `set_up` gives; returns what the first of them
    /// that didn't end well panicked with.
    fn explore(set_up: impl Fn() -> Vec<Cpu> + Send + Sync + 'static) -> Option<String>;
}

impl Checker for Loom {
    fn explore(set_up: impl Fn() -> Vec<Cpu> + Send + Sync + 'static) -> Option<String> {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(2);
        panicked(move || {
            builder.check(move || {
                checked::begin_execution(false);
                let cpus = set_up();
                checked::begin_race();
                let threads = cpus.into_iter().enumerate().map(|(number, does)| {
                    let builder = loom::thread::Builder::new().name(number.to_string());
                    builder.spawn(does).expect("a thread of Loom")
                });
                for thread in threads.collect::<Vec<_>>() {
                    thread.join().expect("a panic ends all of an execution");
                }
            });
        })
    }
}

impl Checker for Shuttle {
    fn explore(set_up: impl Fn() -> Vec<Cpu> + Send + Sync + 'static) -> Option<String> {
        panicked(move || {
            // Of a seed: what is found once is found always.
            let scheduler = RandomScheduler::new_from_seed(SEED, SCHEDULES);
            shuttle::Runner::new(scheduler, shuttle::Config::default()).run(move || {
                checked::begin_execution(false);
                let cpus = set_up();
                checked::begin_race();
                let threads = cpus.into_iter().enumerate().map(|(number, does)| {
                    let builder = shuttle::thread::Builder::new().name(number.to_string());
                    builder.spawn(does).expect("a thread of Shuttle")
                });
                for thread in threads.collect::<Vec<_>>() {
                    thread.join().expect("a panic ends all of an execution");
                }
            });
        })
    }
}

fn panicked(run: impl FnOnce()) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(run)).err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.unwrap_or_else(|| match panic.downcast_ref::<&str>() {
        Some(text) => (*text).to_owned(),
        None => "a panic without words".to_owned(),
    }))
}

/// Asserts that all executions end well.
#[track_caller]
pub(crate) fn ends_well<P: Checker>(set_up: impl Fn() -> Vec<Cpu> + Send + Sync + 'static) {
    assert_eq!(P::explore(set_up), None, "{}", P::NAME);
}

/// Asserts that in some execution the CPUs wait for each other for ever.
#[track_caller]
pub(crate) fn deadlocks<P: Checker>(set_up: impl Fn() -> Vec<Cpu> + Send + Sync + 'static) {
    let panic = P::explore(set_up).unwrap_or_default();
    assert!(panic.contains("deadlock"), "{}: {panic:?}", P::NAME);
}

/// Changes what the next exploration of this thread runs.
pub(crate) fn mutated(mutation: checked::Mutation, explores: impl FnOnce()) {
    checked::mutate(mutation);
    explores();
    checked::mutate(checked::Mutation::NONE);
}

/// The code without a check.
pub(crate) fn without(check: &Site) -> checked::Mutation {
    checked::Mutation {
        left_out: vec![check.name],
        ..checked::Mutation::NONE
    }
}

/// The code with a site relaxed.
pub(crate) fn relaxed(site: &Site) -> checked::Mutation {
    checked::Mutation {
        weakened: vec![(site.name, std::sync::atomic::Ordering::Relaxed)],
        ..checked::Mutation::NONE
    }
}

/// Makes a test of each checker out of a function that is generic over them.
macro_rules! under_both {
    ($($test:ident),* $(,)?) => {
        mod loom_checks {
            $(#[test] fn $test() { super::$test::<kernel_model::platform::Loom>(); })*
        }
        mod shuttle_checks {
            $(#[test] fn $test() { super::$test::<kernel_model::platform::Shuttle>(); })*
        }
    };
}
pub(crate) use under_both;
