//! Standard output, which may be a pipe that nobody reads any more.

use std::io::{ErrorKind, Write, stdout};

use clap::ValueEnum;

use super::Failure;

/// What goes to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A report of at most 72 columns
    Text,
    /// All there is
    Json,
    /// A table, a line for each thing that was measured or checked
    Tsv,
}

/// Prints text to standard output.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads has seen enough: `faultaround list | head -1` is no failure.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::Broke(format!(
            "cannot write to standard output: {error}"
        ))),
        Ok(()) => Ok(()),
    }
}
