//! Everything that it takes to measure the kernel model honestly: pinned threads that start
//! together, latencies recorded without disturbing what is timed, storms, interleaved rounds,
//! audits, and results on disk.
//!
//! Nothing in here prints but [`progress`], to standard error.

pub mod arrival;
pub mod audit;
pub mod breakdown;
pub mod calibration;
pub mod cancel;
pub mod cell;
#[cfg(feature = "loom")]
pub mod check;
pub mod clock;
pub mod compare;
pub mod conditions;
pub mod counters;
pub mod doctor;
pub mod environment;
pub mod gate;
pub mod host;
pub mod machine;
pub mod noise;
mod not_a_number;
pub mod order;
mod planted;
pub mod progress;
pub mod record;
pub mod recorder;
pub mod report;
pub mod results;
pub mod rounds;
pub mod scaling;
pub mod statistics;
pub mod storms;
pub mod subject;
pub mod summary;
pub mod topology;
pub mod transfer;
