//! The options of `faultaround storm`.

use std::path::PathBuf;

use clap::Args;
use harness::audit::Schedule;
use kernel_model::Orders;

use crate::command::measuring::Load;
use crate::command::values;

/// The options of `faultaround storm`.
#[derive(Debug, Args)]
pub struct Options {
    /// Schemes, separated by commas [default: all sound ones; broken ones run when named]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = values::scheme)]
    pub scheme: Vec<String>,

    // A doc comment would be the help of the first of them.
    #[allow(missing_docs)]
    #[command(flatten)]
    pub load: Load,

    /// Runs the baseline once more with each fault made longer by this, to see whether the run
    /// notices; with 0% to see that it notices nothing
    #[arg(long, value_name = "PERCENT", value_parser = values::percent, allow_hyphen_values = true)]
    pub plant: Option<f64>,

    /// Runs the baseline once more without recording latencies, to see what recording costs
    #[arg(long)]
    pub unrecorded: bool,

    /// Pages that a fault maps at most, a power of two
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = values::power_of_two,
          allow_hyphen_values = true)]
    pub window: u32,

    /// The order of the file's folios, from 0 (4 KiB) to 9 (2 MiB); mix: of each 256 pages of the
    /// file 64 are in folios of order 0, 2, 4 and 6 each
    #[arg(long, value_name = "N|mix", default_value = "0", value_parser = values::orders,
          allow_hyphen_values = true)]
    pub order: Orders,

    /// Let the storm hit another part of the file, as large again, which no mm maps and which the
    /// storm fills again itself
    #[arg(long)]
    pub neighbour: bool,

    /// Let the storm bring back what it took away, outside of its recorded time, and not the faults
    #[arg(long)]
    pub refill: bool,

    /// Measure every load twice: bare, and with the work that the kernel does and the model
    /// doesn't, as `faultaround host --calibrate` has measured it into a FILE
    #[arg(long, value_name = "FILE")]
    pub calibrated: Option<PathBuf>,

    /// Pages that a miss reads, a power of two [default: the window]
    #[arg(long, value_name = "N", value_parser = values::power_of_two, allow_hyphen_values = true)]
    pub readahead: Option<u32>,

    /// Nanoseconds that reading a page takes [default: 200]
    #[arg(long, value_name = "NS", value_parser = values::fill_ns, allow_hyphen_values = true)]
    pub fill_ns: Option<u32>,

    /// Direct two threads through every pair of places where they can meet, then let more stop at
    /// random sites, and check the invariants at every removal: gives verdicts, no timings, and no
    /// run directory. --duration is of an audit that finds nothing [default: 10s]
    #[arg(long, conflicts_with_all = ["rate", "rounds", "fill_ns", "out", "oversubscribe", "neighbour", "refill",
          "calibrated", "width", "limit", "arrival", "plant", "unrecorded",
          "event", "watch"])]
    pub audit: bool,

    /// No storm: show what each step of one cached, uncontended fault costs, on the first CPU.
    /// --rounds are turns [default: 300], --duration is per step and turn [default: 5 passes]; no
    /// run directory
    #[arg(long, conflicts_with_all = ["audit", "without", "storm", "rate", "threads",
          "storm_threads", "mm", "access", "readahead", "hole", "fill_ns", "out", "oversubscribe",
          "neighbour", "refill", "calibrated", "width", "limit", "arrival", "plant", "unrecorded",
          "event", "watch"])]
    pub breakdown: bool,

    /// Leave out checks of the schemes, by name (see faultaround list), to see the audit notice:
    /// exit status 0 if it does, 1 if not
    #[arg(long, value_name = "CHECKS", value_delimiter = ',')]
    pub without: Vec<String>,

    /// Repeat one schedule that an audit has printed, such as page/fault/punch-hole/A7,B12
    #[arg(long, value_name = "SCHEDULE", requires = "audit", value_parser = str::parse::<Schedule>,
          conflicts_with_all = ["threads", "storm_threads", "mm", "access", "duration", "pages", "hole",
          "cpus", "seed", "window", "order", "readahead"])]
    pub schedule: Option<Schedule>,
}
