//! `faultaround plot`: runs as pictures.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::failure::Failure;
use super::output;
use super::values::refuse_repeated;

/// Where figures go, in the first run's directory.
const PLOTS: &str = "plots";

/// What `faultaround plot` takes.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The runs' directories; several that differ in --window or in --rate give curves over those
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,

    /// What `faultaround breakdown --format tsv` has printed
    #[arg(long, value_name = "FILE")]
    breakdown: Option<PathBuf>,

    /// The directory that the figures go to [default: plots in the first RUN]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// What they are written as
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Format::Svg, Format::Png])]
    format: Vec<Format>,
}

/// What a figure is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Format {
    /// Vectors
    Svg,
    /// Pixels
    Png,
    /// Values, names and looks, which plots/gnuplot/figure.gp draws
    Gnuplot,
}

impl std::fmt::Display for Format {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.to_possible_value().expect("none is hidden");
        out.write_str(value.get_name())
    }
}

impl From<Format> for plots::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Svg => Self::Svg,
            Format::Png => Self::Png,
            Format::Gnuplot => Self::Gnuplot,
        }
    }
}

/// Draws, and prints what is there now and what isn't.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    refuse_repeated("--format", &options.format)?;
    let runs: Vec<&Path> = options.runs.iter().map(PathBuf::as_path).collect();
    let out = options.out.clone();
    let out = out.unwrap_or_else(|| options.runs[0].join(PLOTS));
    let formats: Vec<_> = options.format.iter().map(|it| (*it).into()).collect();
    let plotted = plots::plot(&runs, options.breakdown.as_deref(), &out, &formats);
    let plotted = plotted.map_err(Failure::usage)?;
    let files = plotted.files.iter().map(|it| it.display().to_string());
    let left_out = plotted.left_out.iter().map(|it| format!("left out: {it}"));
    let lines: Vec<String> = files.chain(left_out).collect();
    output::print(&(lines.join("\n") + "\n"))
}
