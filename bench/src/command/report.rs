//! `faultaround report`: a run again, from its directory.

use std::io;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use machine_facts::progress::say;
use reporting::record::Run;
use reporting::report::{self, CheckVerdicts, Extras, Recorded};
use running_kernel::calibration;

use super::failure::Failure;
use super::output;

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

/// How files of a run are had that aren't there.
fn instead(run: &Run) -> String {
    let command = if run.configuration.is_kernel() {
        "host"
    } else {
        "storm"
    };
    format!("copy the whole run directory, or measure again with faultaround {command}")
}

/// What is said of files that a run wrote and that can't be read: a line, if there are any.
fn lost(run: &Run, files: &[(String, io::Error)]) -> Option<String> {
    let is_missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let (missing, unreadable): (Vec<_>, Vec<_>) =
        files.iter().partition(|(_, error)| is_missing(error));
    let missing = missing.into_iter().map(|(name, _)| name.clone());
    let unreadable = unreadable.into_iter();
    let unreadable = unreadable.map(|(name, error)| format!("{name} ({error})"));
    let said = [
        ("are missing", missing.collect::<Vec<_>>()),
        ("can't be read", unreadable.collect()),
    ];
    let said: Vec<_> = said
        .iter()
        .filter_map(|(what, names)| Some(format!("{what}: {}", first(names)?)))
        .collect();
    if said.is_empty() {
        return None;
    }
    Some(format!(
        "faultaround: files of this run {}; the report's figures are whole without, but percentile \
         plots and other tools lack these latencies: {}",
        said.join("; some "),
        instead(run)
    ))
}

/// The first two of some names, and how many more there are; nothing if there are none.
fn first(names: &[String]) -> Option<String> {
    let first = names.iter().take(2).map(String::as_str);
    let first = first.collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => None,
        1 | 2 => Some(first),
        all => Some(format!("{first}, and {} more", all - 2)),
    }
}

/// Prints the report.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    if calibration::Recorded::is_in(&options.run) {
        refuse_for_calibrations(options)?;
        let recorded = calibration::Recorded::read(&options.run).map_err(Failure::usage)?;
        return output::print(&match options.markdown {
            true => reporting::calibration::markdown(&recorded),
            false => reporting::calibration::text(&recorded),
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
    let text = text.map_err(|error| {
        Failure::Usage(format!(
            "{error}; a percentile plot is drawn of it: {}; --plots none and --short do without",
            instead(&run)
        ))
    })?;
    if let Some(line) = lost(&run, &run.lost_files(&options.run)) {
        say(&line);
    }
    output::print(&text)
}
