//! The command line. Whatever is wrong with it is said in one line that names what was given and
//! what is allowed, with exit status 2.

mod audit;
mod breakdown;
mod calibrate;
#[cfg(feature = "check")]
mod check;
mod compare;
mod doctor;
mod failure;
mod host;
mod invocation;
mod list;
mod litmus;
mod options;
mod output;
mod plot;
mod report;
mod rounds;
mod sizes;
mod storm;
mod values;
#[cfg(feature = "check")]
mod weaken;

use std::ffi::OsString;
use std::process::ExitCode;

#[cfg(feature = "check")]
use checking::worker as explorer;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use machine_facts::environment::BUILD;
use running_kernel::cell::worker::{self, WORKER};

pub use failure::{Failure, exit};
use invocation::Invocation;
pub use storm::default_run;

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
    /// Measure schemes under storms of removals.
    Storm(Box<storm::Options>),
    /// Audit schemes natively: direct two threads through every pair of places where they can
    /// meet, then let more stop at random sites. Verdicts, no timings.
    Audit(Box<audit::Options>),
    /// Measure what each step of one cached, uncontended fault costs, on the first CPU.
    Breakdown(Box<breakdown::Options>),
    /// Check schemes under a weak memory model, and show how the broken ones break.
    #[cfg(feature = "check")]
    Check(Box<check::Options>),
    /// Weaken every ordering of the sound schemes in turn, then all together, in the scenarios of
    /// two CPUs, and show what breaks.
    #[cfg(feature = "check")]
    Weaken(Box<weaken::Options>),
    /// Run the litmus tests of the schemes by herd7, under the kernel's own memory model.
    Litmus(Box<litmus::Options>),
    /// Measure the running kernel under the same storms.
    Host(Box<host::Options>),
    /// Measure what a fault costs per page, on this kernel and on the model, and how far the model
    /// is from the kernel; writes a file for storm --calibrated.
    Calibrate(Box<calibrate::Options>),
    /// Print a run again, ready for a mail.
    Report(report::Options),
    /// Compare two runs: of two machines, two kernels, two commits.
    Compare(compare::Options),
    /// Draw runs, as SVG and PNG.
    Plot(plot::Options),
}

/// Runs the command with these arguments, the program's name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    match arguments.get(1).and_then(|word| word.to_str()) {
        Some(WORKER) => return ExitCode::from(worker::work() as u8),
        #[cfg(feature = "check")]
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
    let (cli, invocation) = match parse(&arguments, by_cargo) {
        Ok(parsed) => parsed,
        Err(error) => return clap_says(&error),
    };
    let result = match cli.command {
        Command::List => list::run(),
        Command::Doctor(options) => doctor::run(&options),
        Command::Storm(options) => storm::run(&options, invocation),
        Command::Audit(options) => audit::run(&options, &invocation),
        Command::Breakdown(options) => breakdown::run(&options, invocation),
        #[cfg(feature = "check")]
        Command::Check(options) => check::run(&options),
        #[cfg(feature = "check")]
        Command::Weaken(options) => weaken::run(&options),
        Command::Litmus(options) => litmus::run(&options),
        Command::Host(options) => host::run(&options, invocation),
        Command::Calibrate(options) => calibrate::run(&options, invocation),
        Command::Report(options) => report::run(&options),
        Command::Compare(options) => compare::run(&options),
        Command::Plot(options) => plot::run(&options),
    };
    exit(result)
}

/// What the arguments ask for, and the command as it was given.
fn parse(arguments: &[OsString], by_cargo: bool) -> Result<(Cli, Invocation), clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    let (name, given) = matches.subcommand().expect("one is required");
    let subcommand = command.find_subcommand(name).expect("it was parsed");
    let invocation = Invocation::of(arguments, by_cargo).with(subcommand, given);
    Ok((Cli::from_arg_matches(&matches)?, invocation))
}

/// The commands there are.
fn commands() -> String {
    let cli = Cli::command();
    let names: Vec<_> = cli.get_subcommands().map(clap::Command::get_name).collect();
    names.join(", ")
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
            format!("a command is missing: known are {}; see --help", commands())
        }
        ErrorKind::InvalidSubcommand => format!("{said}: known are {}; see --help", commands()),
        _ => format!("{said}; see --help"),
    };
    exit(Err(Failure::Usage(hint)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn parsed(arguments: &[OsString]) -> (String, Invocation) {
        let (cli, invocation) = parse(arguments, false).unwrap_or_else(|error| panic!("{error}"));
        (format!("{cli:?}"), invocation)
    }

    /// What a shell makes of a command, parsed.
    fn read_again(command: &Invocation) -> String {
        let script = format!("printf '%s\\0' {command}");
        let mut shell = std::process::Command::new("sh");
        let read = shell.args(["-c", &script]).output().expect("a shell");
        let words = read.stdout.strip_suffix(b"\0").expect("words");
        let words = words.split(|byte| *byte == 0);
        let words: Vec<_> = words.map(|it| OsString::from_vec(it.to_vec())).collect();
        parsed(&words).0
    }

    /// Each command that prints itself again, with all its options (but those that exclude these).
    const WHOLE: [&str; 6] = [
        "storm --scheme fused-count --scheme page-locked,mapcount-recheck,folio-batched,sketch \
         --storm none --storm truncate --rate max --watch 0s --out it's --threads 1..,3..4 \
         --storm-threads 2 --mm shared --access random --cpus 0-1 --pages 256 --duration 20ms \
         --seed 3 --hole 16 --rounds auto --width 7% --limit 90s --arrival poisson:5 --event r1,r2 \
         --oversubscribe --format json --plant 0.5% --unrecorded --window 32 --order mix \
         --neighbour --refill --calibrated=-\u{e9} --readahead 8 --fill-ns 0",
        "host --dir \u{e9}% --write 2m --storm none --rate 5 --watch 1s --out $HOME --threads 1 \
         --storm-threads 1 --mm private --access random --cpus 0 --pages 64 --duration 20ms --seed 3 \
         --hole 16 --rounds 2 --width 7% --limit 90s --arrival closed --event r1 --oversubscribe \
         --format tsv",
        "calibrate --dir . --write 4k --rate 7.5 --watch 1s --out `x` --cpus 0 --pages 64 \
         --duration 20ms --seed 0 --hole 16 --rounds 3 --format json",
        "breakdown --scheme sketch --window 8 --order 2 --cpus 1,0 --pages 64 --duration 20ms \
         --seed 3 --rounds 3 --format tsv",
        "audit --scheme sketch --storm mixed --threads 3 --storm-threads 1 --mm shared \
         --access sequential --cpus 0 --pages 64 --duration 20ms --seed 3 --hole 16 --window 8 \
         --order 2 --readahead 4 --without recheck_mapping --format text",
        "audit --scheme sketch --storm mixed --without recheck_mapping --format text \
         --schedule page/fault/migrate/A1,B2",
    ];

    #[test]
    fn the_command_that_is_printed_gives_the_same_arguments() {
        for line in WHOLE {
            let words: Vec<_> = format!("./a&b {line}")
                .split(' ')
                .map(OsString::from)
                .collect();
            let (given, invocation) = parsed(&words);
            assert_eq!(read_again(&invocation), given, "{invocation}");
            assert!(
                invocation.to_string().starts_with("'./a&b' "),
                "{invocation}"
            );
            let cli = Cli::command();
            let name = line.split(' ').next().unwrap();
            let mut options = cli.find_subcommand(name).unwrap().get_arguments();
            let missing = options.find(|option| {
                let flag = format!("--{}", option.get_long().unwrap_or("help"));
                !line.contains("--schedule") && flag != "--schedule" && !line.contains(&flag)
            });
            assert!(
                missing.is_none(),
                "{name} has {missing:?}, which is not tried"
            );
            // The seed that was drawn makes it repeat the run.
            let with_seed = parsed(&[&words[..2], &["--seed".into(), "9".into()]].concat()).0;
            let drawn = parsed(&words[..2]).1.set("seed", 9);
            assert_eq!(drawn.to_string(), format!("'./a&b' {name} --seed 9"));
            assert_eq!(read_again(&drawn), with_seed);
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
