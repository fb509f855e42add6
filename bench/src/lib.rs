//! What the benches and the `faultaround` command are made of.

pub mod command;
pub mod contended;
pub mod uncontended;
