//! Measuring: pinned threads that start together and fault, storms beside them, interleaved rounds
//! of cells, audits, and the steps of one fault.
//!
//! What the threads work on is a [`Subject`](cell::Subject): the model in here, the running kernel
//! elsewhere.

pub mod arrival;
pub mod audit;
pub mod breakdown;
pub mod cell;
pub mod control;
#[cfg(any(test, feature = "fixture"))]
pub mod fixture;
pub mod machine;
pub mod order;
mod planted;
pub mod rounds;
pub mod storms;
pub mod summary;
