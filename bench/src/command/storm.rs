//! `faultaround storm`: schemes of the model under storms.

use std::path::{Path, PathBuf};

use clap::{Args, Command, FromArgMatches};
use kernel_model::platform::Native;
use measuring::cell::Subject;
use measuring::machine::Sizes;
use measuring::rounds::Control;
use running_kernel::calibration::Recorded;

use super::failure::Failure;
use super::invocation::Invocation;
use super::options::{Load, Model, Readahead, Schemes, or, value};
use super::rounds::{self, Asked, of_the_calibration};
use super::sizes::{HOLE_WINDOWS, PAGES, sizes};
use super::values;

/// The last part of a run directory's name.
const LABEL: &str = "storm";

/// What `faultaround storm` takes.
#[derive(Debug, Args)]
#[command(
    mut_arg("scheme", or(Schemes::SOUND)),
    mut_arg("storm", or("none, truncate, punch-hole and mixed")),
    // Often enough that faults and removals meet all the time, seldom enough that most of the file
    // is there. Flat out, a storm mostly removes what it has removed already.
    mut_arg("rate", value("5000")),
    mut_arg("storm_threads", value("1")),
    mut_arg("access", value("sequential")),
)]
pub(super) struct Options {
    #[command(flatten)]
    schemes: Schemes,

    #[command(flatten)]
    load: Load,

    /// Runs the baseline once more with each fault made longer by this, to see whether the run
    /// notices; with 0% to see that it notices nothing
    #[arg(long, value_name = "PERCENT", value_parser = values::percent, allow_hyphen_values = true)]
    plant: Option<f64>,

    /// Runs the baseline once more without recording latencies, to see what recording costs
    #[arg(long)]
    unrecorded: bool,

    #[command(flatten)]
    model: Model,

    /// Let the storm hit another part of the file, as large again, which no mm maps and which the
    /// storm fills again itself
    #[arg(long)]
    neighbour: bool,

    /// Let the storm bring back what it took away, outside of its recorded time, and not the faults
    #[arg(long)]
    refill: bool,

    /// Measure every load twice: bare, and with the work that the kernel does and the model
    /// doesn't, as `faultaround calibrate` has measured it into a FILE
    #[arg(long, value_name = "FILE")]
    calibrated: Option<PathBuf>,

    #[command(flatten)]
    readahead: Readahead,

    /// Nanoseconds that reading a page takes
    #[arg(long, value_name = "NS", default_value_t = 200, value_parser = values::fill_ns,
          allow_hyphen_values = true)]
    fill_ns: u32,
}

/// Runs the command.
pub(super) fn run(options: &Options, invocation: Invocation) -> Result<(), Failure> {
    let load = &options.load;
    let sizes = sizes(
        &options.model,
        &load.extent,
        &load.hole,
        PAGES,
        HOLE_WINDOWS,
    )?;
    let schemes = options.schemes.named::<Native>()?;
    let calibration = options.calibrated.as_deref().map(Recorded::read);
    let asked = Asked {
        subjects: schemes.into_iter().map(Subject::from).collect(),
        storms: load.storms.named(|storm| storm.is_default())?,
        sizes: Sizes {
            neighbour: options.neighbour,
            refill: options.refill,
            readahead_pages: options.readahead.readahead.unwrap_or(sizes.window_pages),
            fill_ns_per_page: options.fill_ns,
            ..sizes
        },
        controls: controls(options),
        calibration: calibration.transpose().map_err(of_the_calibration)?,
        not_removed_from: None,
    };
    rounds::run(load, asked, LABEL, invocation)
}

/// What the baseline is run as, beside itself.
fn controls(options: &Options) -> Vec<Control> {
    let planted = options.plant.map(Control::Planted);
    let unrecorded = options.unrecorded.then_some(Control::Unrecorded);
    planted.into_iter().chain(unrecorded).collect()
}

/// The storm that `cargo bench` ends with: every sound scheme under every storm, all defaults.
///
/// # Errors
/// As for the command.
pub fn default_run(out: &Path) -> Result<(), Failure> {
    let command = Options::augment_args(Command::new("storm"));
    let matches = command.clone().get_matches_from(["storm"]);
    let mut options = Options::from_arg_matches(&matches).map_err(Failure::usage)?;
    options.load.measured.out = out.to_owned();
    run(
        &options,
        Invocation::of_cargo_bench().with(&command, &matches),
    )
}
