//! The options of `faultaround host`.

use std::path::PathBuf;

use clap::{Args, Command};

use crate::command::measuring::Load;
use crate::command::values;

/// What options of both commands that measure mean for this one.
pub(in crate::command) fn with_own_help(host: Command) -> Command {
    let helps = [
        (
            "storm",
            "Storms, separated by commas [default: none, truncate and punch-hole]",
        ),
        (
            "rate",
            "Operations per second that all storm threads together start, latencies counted from the \
             intended start; max: flat out, each when the one before has ended [default: 1000; with \
             --calibrate 2000]",
        ),
        (
            "threads",
            "Numbers of fault threads, separated by commas; 1..8: from 1 to 8; 1..: as many as the CPUs \
             allow [default: 1 and as many as the CPUs allow]",
        ),
        (
            "storm_threads",
            "Threads of each storm, on CPUs of their own [default: 1]",
        ),
        (
            "cpus",
            "CPUs in the order in which threads are placed on them, such as 0-3,8 [default: all allowed, \
             cores before their SMT siblings, one package before the next]",
        ),
        (
            "access",
            "The order in which windows are touched [default: sequential]",
        ),
        (
            "duration",
            "Time measured per file, storm, number of threads and round [default: 200ms]; of each storm \
             with --calibrate [default: 100ms]",
        ),
        (
            "rounds",
            "Rounds, each of them all files under all storms; auto: until the interval of each ratio is \
             narrower than --width, or --limit is over [default: 10]; of a calibration's fits, of which \
             storms have a sixth [default: 120]",
        ),
        (
            "pages",
            "Pages of the file, a multiple of the kernel's window [default: 4096]",
        ),
        (
            "hole",
            "Pages that an operation of a storm removes, a multiple of the window [default: 4 windows, \
             or what there is]",
        ),
        (
            "seed",
            "Where all random choices come from [default: the time]",
        ),
    ];
    helps.into_iter().fold(host, |host, (name, help)| {
        host.mut_arg(name, |argument| argument.help(help).long_help(None::<&str>))
    })
}

/// The options of `faultaround host`.
#[derive(Debug, Args)]
pub(in crate::command) struct Options {
    /// Measure files in this directory, too, on whatever file system it is; a memfd (tmpfs) is
    /// measured always. Nothing is left behind there
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// How much each write to those files writes, separated by commas: the larger, the larger the
    /// folios, where the file system has large ones [default: 4k,64k]
    #[arg(long, value_name = "4k|64k|2m", value_delimiter = ',', value_parser = values::write_pages,
          requires = "dir")]
    pub write: Vec<u32>,

    /// Measure what a fault costs per page, on this kernel and on the model, and how far the model
    /// is from the kernel; writes a file for storm --calibrated
    #[arg(long, conflicts_with_all = ["storm", "threads", "storm_threads", "mm", "access", "width",
          "limit", "arrival", "event", "oversubscribe"])]
    pub calibrate: bool,

    // A doc comment would be the help of the first of them.
    #[allow(missing_docs)]
    #[command(flatten)]
    pub load: Load,
}
