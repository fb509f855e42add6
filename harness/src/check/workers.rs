//! Many explorations at once, one to each CPU.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// Does `work` for every job, as many at a time as there are CPUs, and tells `done` of each in the
/// order in which they end. Returns the results in the order of the jobs.
///
/// # Panics
/// If `work` does.
pub fn explore_all<J: Sync, R: Send>(
    jobs: &[J],
    work: impl Fn(&J) -> R + Sync,
    mut done: impl FnMut(usize, &R),
) -> Vec<R> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let next = Mutex::new(0..jobs.len());
    let mut results: Vec<Option<R>> = jobs.iter().map(|_| None).collect();
    thread::scope(|scope| {
        let (results_of, ended) = channel();
        for _ in 0..workers.min(jobs.len()) {
            let results_of: Sender<(usize, R)> = results_of.clone();
            let (next, work) = (&next, &work);
            scope.spawn(move || {
                loop {
                    let job = next.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(job) = job else { return };
                    if results_of.send((job, work(&jobs[job]))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results_of);
        for (job, result) in ended {
            done(job, &result);
            results[job] = Some(result);
        }
    });
    let results: Option<Vec<R>> = results.into_iter().collect();
    results.expect("every job has ended, or its panic has been passed on")
}
