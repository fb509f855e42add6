//! Many explorations at once, one to each CPU.

use std::io;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use thiserror::Error;

/// Does `work` for every job, as many at a time as there are CPUs, and tells `done` of each in the
/// order in which they end. Returns the results in the order of the jobs.
///
/// # Errors
/// The system's, where it gives no thread for each CPU.
///
/// # Panics
/// If `work` does.
pub fn explore_all<J: Sync, R: Send>(
    jobs: &[J],
    work: impl Fn(&J) -> R + Sync,
    mut done: impl FnMut(usize, &R),
) -> Result<Vec<R>, NoThread> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let next = Mutex::new(0..jobs.len());
    let take = || {
        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
        next.next()
    };
    let mut results: Vec<Option<R>> = jobs.iter().map(|_| None).collect();
    thread::scope(|scope| {
        let (results_of, ended) = channel();
        for _ in 0..workers.min(jobs.len()) {
            let results_of: Sender<(usize, R)> = results_of.clone();
            let (take, work) = (&take, &work);
            let worker = move || {
                while let Some(job) = take() {
                    if results_of.send((job, work(&jobs[job]))).is_err() {
                        return;
                    }
                }
            };
            if let Err(error) = thread::Builder::new().spawn_scoped(scope, worker) {
                // Those that did begin find no more to do.
                while take().is_some() {}
                return Err(NoThread(error));
            }
        }
        drop(results_of);
        for (job, result) in ended {
            done(job, &result);
            results[job] = Some(result);
        }
        Ok(())
    })?;
    let results: Option<Vec<R>> = results.into_iter().collect();
    Ok(results.expect("every job has ended, or its panic has been passed on"))
}

/// The system gave no thread to explore on.
#[derive(Debug, Error)]
#[error("cannot start a thread: {0}")]
pub struct NoThread(#[from] io::Error);
