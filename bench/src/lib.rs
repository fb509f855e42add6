//! What the criterion benches and the `faultaround` command are made of.

pub mod uncontended;
