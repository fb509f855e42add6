//! Everything that it takes to measure the kernel model honestly: pinned threads that start
//! together, latencies recorded without disturbing what is timed, storms, interleaved rounds,
//! audits, and results on disk.
//!
//! Nothing in here prints but [`progress`], to standard error.

pub mod audit;
pub mod breakdown;
pub mod cancel;
pub mod cell;
#[cfg(feature = "loom")]
pub mod check;
pub mod clock;
pub mod counters;
pub mod environment;
pub mod gate;
pub mod machine;
pub mod order;
pub mod progress;
pub mod record;
pub mod recorder;
pub mod report;
pub mod results;
pub mod rounds;
pub mod statistics;
pub mod storms;
pub mod summary;
pub mod topology;
