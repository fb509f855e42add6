//! `faultaround host`: the kernel that is running, under the same storms.

mod calibrate;
mod options;
mod plan;

use super::measuring::{self, seed_from_time, topology};
use super::{Failure, Invocation, cancel_on_signals};

pub(super) use options::{Options, with_own_help};
pub(super) use plan::can_be_called;

/// The last part of a run directory's name.
const LABEL: &str = "host";

/// Runs the command.
pub(super) fn run(options: &Options, invocation: &Invocation) -> Result<(), Failure> {
    harness::results::size_limit_is_an_error();
    let cancel = cancel_on_signals()?;
    let topology = topology(options.load.cpus.as_deref())?;
    let seed = options.load.seed.unwrap_or_else(seed_from_time);
    if options.calibrate {
        return calibrate::run(options, &topology, seed, invocation, &cancel);
    }
    let work = plan::work(options, invocation, &topology, seed)?;
    measuring::run(&options.load, work, &topology, LABEL, invocation, &cancel)
}
