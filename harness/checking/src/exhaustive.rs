//! Going through all executions, by Loom.

use std::panic::resume_unwind;
use std::sync::Arc;

use kernel_model::race::{Counts, Race, Work};

use super::gathered::Gathered;
use super::{Shown, execute};

/// Stack of a thread of Loom's, in words: its builder takes words, and not the standard library's
/// bytes.
const STACK: usize = 1 << 14;

/// Steps after which an execution counts as one that never ends. None of a scenario that ends has
/// as many as a tenth of that.
const MAX_BRANCHES: usize = 20_000;

/// Goes through the executions of a race; `each` gets what each of them showed.
///
/// # Panics
/// If the code under test does, or with Loom's words where it doesn't end.
pub(super) fn explore(
    set_up: impl Fn() -> Race + Send + Sync + 'static,
    bound: Option<u8>,
    gathered: &Arc<Gathered>,
    each: impl Fn(Shown) + Send + Sync + 'static,
) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = MAX_BRANCHES;
    builder.preemption_bound = bound.map(usize::from);
    builder.max_permutations = None;
    builder.max_duration = None;
    let watch = Arc::clone(gathered);
    builder.check(move || {
        let shown = execute(&set_up, &watch, run);
        let last = watch.shown(&shown);
        each(shown);
        if last {
            // The only way out of Loom before its end. No hook sees it.
            resume_unwind(Box::new(()));
        }
    });
}

fn run(cpus: Vec<Work>) -> Vec<Counts> {
    let threads: Vec<_> = cpus
        .into_iter()
        .enumerate()
        .map(|(cpu, work)| {
            let builder = loom::thread::Builder::new().name(cpu.to_string());
            builder.stack_size(STACK).spawn(work)
        })
        .collect();
    let join = |thread: std::io::Result<loom::thread::JoinHandle<Counts>>| {
        thread.expect("a thread of Loom").join()
    };
    threads
        .into_iter()
        .map(|thread| join(thread).expect("a panic ends all of an execution"))
        .collect()
}
