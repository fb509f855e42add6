//! What the benches and the `faultaround` command are made of.

pub mod command;
pub mod contended;
#[cfg(any(test, feature = "perf-counters"))]
pub mod perf_measurement;
pub mod uncontended;
