//! Draws runs.
#![forbid(unsafe_code)]

pub mod chart;
mod render;
pub mod style;

pub use render::{PNG_SCALE, write_png, write_svg};
