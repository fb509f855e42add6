//! Why nothing came out of a cell.

use machine_facts::topology::TopologyError;
use thiserror::Error;

/// Why nothing came out of a cell.
#[derive(Debug, Error)]
pub enum CellError {
    /// A thread could not be put where it belongs.
    #[error(transparent)]
    Pin(#[from] TopologyError),
    /// The system gave no thread.
    #[error("cannot start a thread: {0}")]
    Spawn(std::io::Error),
    /// The system gave no process.
    #[error("cannot start a worker process: {0}")]
    SpawnWorker(std::io::Error),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// Threads did not come to an end.
    #[error("progress violated: {threads} thread(s) of {subject} under {storm} never ended")]
    Stuck {
        /// The scheme, or the kernel's file.
        subject: String,
        /// The storm.
        storm: &'static str,
        /// How many.
        threads: usize,
    },
    /// The running kernel refused something.
    #[error(transparent)]
    Kernel(Box<dyn std::error::Error + Send + Sync>),
    /// A process that faults did not do its work.
    #[error("a worker: {0}")]
    Worker(String),
    /// What looks on as rounds end could not go on: its own line.
    #[error("{0}")]
    Observer(String),
    /// A thread panicked.
    #[error("a measuring thread panicked; its message is above")]
    Panicked,
}
