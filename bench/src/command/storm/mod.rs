//! `faultaround storm`: schemes under storms, measured or audited, or one fault broken down.

mod audit;
mod breakdown;
mod options;
mod plan;

use std::path::Path;

use super::measuring::{self, seed_from_time, topology};
use super::{Failure, Invocation, cancel_on_signals};

pub use options::Options;

/// The last part of a run directory's name.
const LABEL: &str = "storm";

/// Runs the command.
pub(super) fn run(options: &Options, invocation: &Invocation) -> Result<(), Failure> {
    harness::results::size_limit_is_an_error();
    let cancel = cancel_on_signals()?;
    if !options.audit && !options.without.is_empty() {
        return Err(Failure::Usage(
            "--without leaves out checks in an audit only: give --audit with it".to_owned(),
        ));
    }
    if options.breakdown {
        breakdown::run(options, invocation, &cancel)
    } else if options.audit {
        audit::run(options, invocation, &cancel)
    } else {
        let topology = topology(options.load.cpus.as_deref())?;
        let seed = options.load.seed.unwrap_or_else(seed_from_time);
        let work = plan::work(options, invocation, &topology, seed)?;
        measuring::run(&options.load, work, &topology, LABEL, invocation, &cancel)
    }
}

/// The storm that `cargo bench` ends with: every sound scheme under every storm, all defaults.
///
/// # Errors
/// As for the command.
pub fn default_run(out: &Path) -> Result<(), Failure> {
    use clap::Parser;
    #[derive(Parser)]
    struct Defaults {
        #[command(flatten)]
        options: Options,
    }
    let out = out.as_os_str();
    let arguments = [
        std::ffi::OsStr::new("storm"),
        std::ffi::OsStr::new("--out"),
        out,
    ];
    let options = Defaults::try_parse_from(arguments).map_err(Failure::usage)?;
    run(&options.options, &Invocation::of_cargo_bench())
}
