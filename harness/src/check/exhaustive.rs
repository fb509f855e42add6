//! Going through all executions, by Loom.

use std::panic::resume_unwind;
use std::sync::Arc;

use kernel_model::Task;
use kernel_model::fault_around::Schemes;
use kernel_model::platform::checked::{Mutation, mutate};
use kernel_model::platform::{Loom, Step};
use kernel_model::scenario::{Scenarios, Work};

use super::gathered::Gathered;
use super::{Ended, Found, execute, quietly};

/// Bytes of stack for a thread of Loom's.
const STACK: usize = 1 << 16;

/// Steps after which an execution counts as one that never ends. None of a scenario that ends has
/// as many as a tenth of that.
const MAX_BRANCHES: usize = 20_000;

/// Goes through the executions of a scheme in a scenario, by their names.
pub(super) fn explore(
    names: (&str, &str),
    mutation: &Mutation,
    bound: Option<u8>,
    gathered: &Arc<Gathered>,
) -> Ended {
    explore_with(names, mutation, bound, gathered, |_, _| ())
}

/// The same; `violating` gets what each violating execution showed, and its steps if they are kept.
pub(super) fn explore_with(
    (scheme, scenario): (&str, &str),
    mutation: &Mutation,
    bound: Option<u8>,
    gathered: &Arc<Gathered>,
    violating: impl Fn(Found, Vec<Step>) + Send + Sync + 'static,
) -> Ended {
    let scheme = Schemes::<Loom>::named(scheme).expect("a scheme of the registry");
    let scenario = Scenarios::<Loom>::named(scenario).expect("a scenario of the registry");
    mutate(mutation.clone());
    let mut builder = loom::model::Builder::new();
    builder.max_branches = MAX_BRANCHES;
    builder.preemption_bound = bound.map(usize::from);
    builder.max_permutations = None;
    builder.max_duration = None;
    let watch = Arc::clone(gathered);
    let result = quietly(|| {
        builder.check(move || {
            watch.begins();
            let shown = execute(|| scenario.stage(scheme), watch.for_trace, run);
            let last = watch.shown(&shown);
            if let Some(found) = shown.found {
                violating(found, shown.steps);
            }
            if last {
                // The only way out of Loom before its end. No hook sees it.
                resume_unwind(Box::new(()));
            }
        });
    });
    mutate(Mutation::NONE);
    gathered.conclude(result)
}

fn run(cpus: Vec<Work>) -> Vec<Task> {
    let threads: Vec<_> = cpus
        .into_iter()
        .enumerate()
        .map(|(cpu, work)| {
            let builder = loom::thread::Builder::new().name(cpu.to_string());
            builder.stack_size(STACK).spawn(work)
        })
        .collect();
    let join = |thread: std::io::Result<loom::thread::JoinHandle<Task>>| {
        thread.expect("a thread of Loom").join()
    };
    threads
        .into_iter()
        .map(|thread| join(thread).expect("a panic ends all of an execution"))
        .collect()
}
