//! What a run leaves behind: its directory, its report, its comparison with others, and how it
//! grows with threads. All text is ASCII, for mails.

pub mod breakdown;
pub mod calibration;
pub mod compare;
mod document;
#[cfg(any(test, feature = "fixture"))]
pub mod fixture;
pub mod record;
pub mod report;
pub mod results;
pub mod scaling;
pub mod writer;
