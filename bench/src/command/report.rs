//! `faultaround report`: a run again, from its directory.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use harness::calibration;
use harness::progress::say;
use harness::record::Run;
use harness::report::{self, CheckVerdicts, Extras, Recorded};

use super::{Failure, output};

/// The file of a run directory that is taken for the checker's verdicts without being named.
const VERDICTS: &str = "verdicts.json";

/// What `faultaround report` takes.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The directory of a run, or of a calibration
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Markdown with GitHub's tables, instead of text for a mail
    #[arg(long)]
    markdown: bool,

    /// Only what it amounts to, how it was measured and what to hold against it: some 120 lines at
    /// most
    #[arg(long, conflicts_with_all = ["plots", "verdicts"])]
    short: bool,

    /// What `faultaround check --format json` has printed [default: verdicts.json in RUN, if it is
    /// there]
    #[arg(long, value_name = "FILE")]
    verdicts: Option<PathBuf>,

    /// Which percentile plots are drawn [default: widest]
    #[arg(long, value_enum)]
    plots: Option<Plots>,
}

/// Of which groups there are plots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Plots {
    /// Faults under each storm with the most fault threads
    Widest,
    /// Faults and removers of every group
    All,
    /// None
    None,
}

impl From<Plots> for report::Plots {
    fn from(plots: Plots) -> Self {
        match plots {
            Plots::Widest => Self::Widest,
            Plots::All => Self::All,
            Plots::None => Self::None,
        }
    }
}

/// A calibration has neither schemes to give verdicts of nor plots.
fn refuse_for_calibrations(options: &Options) -> Result<(), Failure> {
    let given = [
        ("--verdicts", options.verdicts.is_some()),
        ("--plots", options.plots.is_some()),
        ("--short", options.short),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(Failure::Usage(format!(
            "{option} is for runs of storm and host, and {:?} holds a calibration: leave it away",
            options.run
        ))),
        None => Ok(()),
    }
}

/// What is said of files that a run wrote and that aren't there: a line, if there are any.
fn missing(names: &[String]) -> Option<String> {
    let more = match names {
        [] => return None,
        [_] | [_, _] => String::new(),
        [_, _, more @ ..] => format!(", and {} more", more.len()),
    };
    let first: Vec<_> = names.iter().take(2).map(String::as_str).collect();
    Some(format!(
        "faultaround: files of this run are missing: {}{more}",
        first.join(", ")
    ))
}

/// Prints the report.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    if calibration::Recorded::is_in(&options.run) {
        refuse_for_calibrations(options)?;
        let recorded = calibration::Recorded::read(&options.run).map_err(Failure::usage)?;
        return output::print(&match options.markdown {
            true => calibration::markdown(&recorded),
            false => calibration::text(&recorded),
        });
    }
    let run = Run::read(&options.run).map_err(Failure::usage)?;
    let beside = options.run.join(VERDICTS);
    let file = match &options.verdicts {
        Some(file) => Some(file.clone()),
        None => (beside.exists() && !options.short).then_some(beside),
    };
    let verdicts = file.map(|file| CheckVerdicts::read(&file)).transpose();
    let verdicts = verdicts.map_err(Failure::usage)?;
    let extras = Extras {
        latencies: Some(&Recorded(&options.run)),
        verdicts: verdicts.as_ref(),
        plots: options.plots.unwrap_or(Plots::Widest).into(),
        short: options.short,
    };
    let text = match options.markdown {
        true => report::markdown(&run, &extras),
        false => report::text(&run, &extras),
    };
    let text = text.map_err(Failure::usage)?;
    if let Some(line) = missing(&run.missing_files(&options.run)) {
        say(&line);
    }
    output::print(&text)
}
