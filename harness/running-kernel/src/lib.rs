//! The running kernel as the yardstick: its files under the same storms, and the model calibrated
//! against what its faults and removals cost.

pub mod calibration;
pub mod cell;
pub mod host;
