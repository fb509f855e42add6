//! `faultaround compare`: two runs side by side.

use std::path::PathBuf;

use clap::Args;
use reporting::compare::Comparison;
use reporting::record::Run;

use super::failure::Failure;
use super::options::Printed;
use super::output::{self, Format};

/// What `faultaround compare` takes.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The run that is compared with (A)
    #[arg(value_name = "RUN")]
    first: PathBuf,

    /// The run whose changes are shown (B)
    #[arg(value_name = "RUN")]
    second: PathBuf,

    #[command(flatten)]
    printed: Printed,
}

/// Prints the comparison.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let first = Run::read(&options.first).map_err(Failure::usage)?;
    let second = Run::read(&options.second).map_err(Failure::usage)?;
    let comparison = Comparison::of(&first, &second);
    let text = match options.printed.format {
        Format::Text => comparison.text(),
        Format::Tsv => comparison.tsv(),
        Format::Json => output::json(&comparison)?,
    };
    output::print(&text)
}
