//! A run as text for a mail and as a table for programs.

mod sentence;
mod text;
mod tsv;

pub use sentence::in_a_sentence;
pub use text::{COLUMNS, text, wrap, wrap_to};
pub(crate) use tsv::number;
pub use tsv::{HEADER, tsv};
