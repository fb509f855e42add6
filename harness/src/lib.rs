//! Everything that it takes to measure the kernel model honestly: pinned threads that start
//! together, latencies recorded without disturbing what is timed, storms, interleaved rounds,
//! audits, and results on disk.
//!
//! Nothing in here prints; what a user sees comes from the `faultaround` command and the benches.

pub mod cancel;
pub mod cell;
pub mod clock;
pub mod gate;
pub mod machine;
pub mod order;
pub mod recorder;
pub mod results;
pub mod rounds;
pub mod statistics;
pub mod storms;
pub mod topology;
