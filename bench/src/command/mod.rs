//! The command line. Whatever is wrong with it is said in one line that names what was given and
//! what is allowed, with exit status 2.

#[cfg(feature = "loom")]
mod check;
mod compare;
mod doctor;
mod host;
mod invocation;
mod list;
pub mod measuring;
pub mod output;
mod plot;
mod report;
pub mod storm;
pub mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use harness::cancel::{Cancel, INTERRUPTED};
use harness::cell::worker::{self, WORKER};
#[cfg(feature = "loom")]
use harness::check::worker as explorer;
use harness::environment::BUILD;
use harness::progress::say;
use kernel_model::fault_around::About;
use kernel_model::platform::Site;
use kernel_model::shared_checks;

use invocation::{Invocation, quoted_word};

/// Measures and audits locking schemes for Linux's fault-around (filemap_map_pages).
#[derive(Debug, Parser)]
#[command(name = "faultaround", version = BUILD, max_term_width = 80)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List schemes, storms and invariants.
    List,
    /// Say whether this machine is fit to be measured on, and what mends it.
    Doctor(doctor::Options),
    /// Measure schemes under storms of removals, or audit them.
    Storm(Box<storm::Options>),
    /// Measure the running kernel under the same storms, and how far the model is from it.
    Host(Box<host::Options>),
    /// Print a run again, ready for a mail.
    Report(report::Options),
    /// Compare two runs: of two machines, two kernels, two commits.
    Compare(compare::Options),
    /// Draw runs, as SVG and PNG.
    Plot(plot::Options),
    /// Check schemes under a weak memory model, and show how the broken ones break.
    #[cfg(feature = "loom")]
    Check(Box<check::Options>),
}

/// The commands there are, for whoever gives none or another.
const COMMANDS: &str = if cfg!(feature = "loom") {
    "list, doctor, storm, host, report, compare, plot and check"
} else {
    "list, doctor, storm, host, report, compare and plot"
};

/// Why a command did not do what it was asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// What was found isn't what is declared; it has been said already.
    NotAsDeclared,
    /// The machine isn't fit to be measured on; it has been said already, and why.
    Unfit,
    /// Bad usage or bad input: one line that says what was given and what is allowed.
    Usage(String),
    /// The work could not be done or finished: one line that says why.
    Broke(String),
    /// Ctrl-C was pressed; what was measured has been kept.
    Interrupted,
}

impl Failure {
    /// A failure of the machine or of the input, told by an error of one line.
    fn usage(error: impl std::fmt::Display) -> Self {
        Self::Usage(error.to_string())
    }

    /// A failure of the work, told by an error of one line.
    #[cfg(feature = "loom")]
    fn broke(error: impl std::fmt::Display) -> Self {
        Self::Broke(error.to_string())
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::NotAsDeclared | Self::Unfit => 1,
            Self::Usage(_) | Self::Broke(_) => 2,
            Self::Interrupted => INTERRUPTED as u8,
        }
    }
}

/// Runs the command with these arguments, the program's name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    match arguments.get(1).and_then(|word| word.to_str()) {
        Some(WORKER) => return ExitCode::from(worker::work() as u8),
        #[cfg(feature = "loom")]
        Some(explorer::WORKER) => return ExitCode::from(explorer::work() as u8),
        _ => {}
    }
    // They would break the line that an error is told in.
    let mut given = arguments.iter().map(|argument| argument.to_string_lossy());
    if let Some(bad) = given.find(|argument| argument.contains(char::is_control)) {
        let line = format!("argument {bad:?} has a control character in it, and none may");
        return exit(Err(Failure::Usage(line)));
    }
    let by_cargo = std::env::var_os("CARGO_MANIFEST_DIR").is_some();
    let invocation = Invocation::of(&arguments, by_cargo);
    let cli = Cli::command().mut_subcommand("host", host::with_own_help);
    let matches = cli.try_get_matches_from(&arguments);
    let result = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Err(error) => return clap_says(&error),
        Ok(cli) => match cli.command {
            Command::List => list::run(),
            Command::Doctor(options) => doctor::run(&options),
            Command::Storm(options) => storm::run(&options, &invocation),
            Command::Host(options) => host::run(&options, &invocation),
            Command::Report(options) => report::run(&options),
            Command::Compare(options) => compare::run(&options),
            Command::Plot(options) => plot::run(&options),
            #[cfg(feature = "loom")]
            Command::Check(options) => check::run(&options),
        },
    };
    exit(result)
}

/// Says what went wrong, if anything did, and gives the exit status.
pub fn exit(result: Result<(), Failure>) -> ExitCode {
    let Err(failure) = result else {
        return ExitCode::SUCCESS;
    };
    match &failure {
        Failure::Usage(line) | Failure::Broke(line) => {
            say(&format!("faultaround: {}", shortened(line)));
        }
        Failure::NotAsDeclared | Failure::Unfit | Failure::Interrupted => {}
    }
    ExitCode::from(failure.exit_code())
}

/// The longest word that is said again: longer than any path that one types.
const LONGEST_WORD: usize = 200;
/// The longest line that is said, for words that come by the thousand.
const LONGEST_LINE: usize = 2_000;

/// A line in which nobody's value is so long that the rest of it can't be found.
fn shortened(line: &str) -> String {
    let cut = |text: &str, kept: usize| {
        let start: String = text.chars().take(kept).collect();
        format!("{start}...({} characters)", text.chars().count())
    };
    let word = |word: &str| match word.chars().count() > LONGEST_WORD {
        true => cut(word, LONGEST_WORD / 4),
        false => word.to_owned(),
    };
    let words: Vec<_> = line.split(' ').map(word).collect();
    match words.join(" ") {
        line if line.chars().count() > LONGEST_LINE => cut(&line, LONGEST_LINE),
        line => line,
    }
}

/// Help goes out as clap makes it; an error is cut down to a line.
fn clap_says(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let text = error.to_string();
        return exit(output::print(&text));
    }
    let text = error.to_string();
    // What belongs to the error comes before the first empty line, some of it in lines of its own.
    let said = text.lines().take_while(|line| !line.is_empty());
    let said: Vec<_> = said.map(str::trim).collect();
    let said = said.join(" ");
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    let hint = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            format!("a command is missing: {COMMANDS}; see faultaround --help")
        }
        ErrorKind::InvalidSubcommand => format!("{said}: known are {COMMANDS}; see --help"),
        _ => format!("{said}; see --help"),
    };
    exit(Err(Failure::Usage(hint)))
}

/// What Ctrl-C and its like ask to stop.
fn cancel_on_signals() -> Result<Cancel, Failure> {
    let cancel = Cancel::default();
    let heard = cancel.on_signals();
    heard.map_err(|error| Failure::Broke(error.to_string()))?;
    Ok(cancel)
}

/// Refuses values that are given twice to an option.
fn refuse_repeated<T: Ord + std::fmt::Display>(option: &str, values: &[T]) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    match values.iter().find(|value| !seen.insert(*value)) {
        Some(value) => Err(Failure::Usage(format!(
            "{value} is given twice to {option}: once is enough"
        ))),
        None => Ok(()),
    }
}

/// The checks that are named to `--without`; refuses those that no scheme of the run makes, nor any
/// remover.
fn checks_named(
    names: &[String],
    schemes: impl Iterator<Item = &'static About>,
) -> Result<Vec<&'static Site>, Failure> {
    refuse_repeated("--without", names)?;
    let checks = schemes
        .flat_map(|scheme| scheme.checks())
        .chain(shared_checks());
    let known: BTreeMap<_, _> = checks.map(|site| (site.name, site)).collect();
    let site = |name: &String| {
        known.get(name.as_str()).copied().ok_or_else(|| {
            let known: Vec<_> = known.keys().copied().collect();
            Failure::Usage(format!(
                "--without {name}: no scheme of this run makes such a check, nor a remover; they make {}",
                known.join(", ")
            ))
        })
    };
    names.iter().map(site).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_no_longer_than_one_can_read() {
        let usual = "cannot read \"results/x\": no such file";
        assert_eq!(shortened(usual), usual);
        let long = shortened(&format!(
            "invalid value '{}' for --seed: 0 to 9",
            "\u{e9}".repeat(5_000)
        ));
        assert!(
            long.ends_with("...(5002 characters) for --seed: 0 to 9"),
            "{long}"
        );
        assert!(shortened(&"a b ".repeat(5_000)).len() < LONGEST_LINE + 100);
    }

    #[test]
    fn each_command_tells_its_own_defaults() {
        let mut cli = Cli::command().mut_subcommand("host", host::with_own_help);
        let mut help = |name: &str| {
            let command = cli.find_subcommand_mut(name).expect(name);
            let help = command.render_long_help().to_string();
            help.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let host = help("host");
        assert!(host.contains("with --calibrate 2000"), "{host}");
        for other in ["audit", "mixed", "5000"] {
            assert!(!host.contains(other), "{other}: {host}");
        }
        assert!(!help("storm").contains("2000") && help("storm").contains("[default: 5000]"));
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
