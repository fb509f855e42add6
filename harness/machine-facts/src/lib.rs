//! The machine that measures: what it is and whether it is fit for it, its clock, its counters and
//! its noise, and how latencies are recorded and summed up.
//!
//! Nothing in here knows what is measured, and nothing prints but [`progress`], to standard error.

pub mod cancel;
pub mod clock;
pub mod conditions;
pub mod counters;
pub mod doctor;
pub mod environment;
pub mod files;
pub mod gate;
pub mod histogram;
pub mod noise;
pub mod not_a_number;
pub mod progress;
pub mod recorder;
pub mod statistics;
pub mod text;
pub mod topology;
pub mod transfer;
