//! The options of `faultaround check`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use harness::check::Bound;
use kernel_model::Graded;

use crate::command::output::Format;
use crate::command::values;

/// The options of `faultaround check`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Schemes, separated by commas [default: all, the broken ones too]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = values::scheme)]
    pub(super) scheme: Vec<String>,

    /// Scenarios, separated by commas [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = values::scenario)]
    pub(super) scenario: Vec<String>,

    /// Preemptions that are tried in an execution at most; none: all executions [default: each
    /// scenario's own bound, see list; 2 with --weaken]
    #[arg(long, value_name = "N|none", value_parser = values::bound, allow_hyphen_values = true)]
    pub(super) bound: Option<Bound>,

    /// Time for each scheme in each scenario, after which --bound none falls back to the
    /// scenario's own bound and says so [default: 60s with --bound none, or else no limit]
    #[arg(long, value_name = "TIME", value_parser = values::duration, allow_hyphen_values = true)]
    pub(super) limit: Option<Duration>,

    /// Random schedules of those scenarios that are too large to be gone through [default: each
    /// scenario's own number]
    #[arg(long, value_name = "N", value_parser = values::schedules, allow_hyphen_values = true)]
    pub(super) schedules: Option<u32>,

    /// Show the simplest violating execution for each violation, a column for each CPU
    #[arg(long)]
    pub(super) trace: bool,

    /// Trace an execution that shows this graded outcome instead, such as transient-mapcount, in
    /// the first scenario in which each scheme shows it
    #[arg(long, value_name = "OUTCOME", requires = "trace", conflicts_with = "weaken",
          value_parser = values::graded)]
    pub(super) show: Option<Graded>,

    /// Weaken every ordering of the sound schemes in turn, then all together, in the scenarios of
    /// two CPUs, and show what breaks
    #[arg(long, conflicts_with_all = ["limit", "schedules", "with", "without"])]
    pub(super) weaken: bool,

    /// Check with these sites weakened, such as recheck_locked=relaxed: relaxed (none, for a
    /// barrier), acquire, release or acqrel
    #[arg(long, value_name = "SITE=ORDER", value_delimiter = ',', value_parser = values::weakened)]
    pub(super) with: Vec<values::Weakened>,

    /// Check without these checks, named by their sites, see list
    #[arg(long, value_name = "SITES", value_delimiter = ',')]
    pub(super) without: Vec<String>,

    /// Run the litmus tests of the schemes by herd7 in this directory of a Linux source tree
    /// (tools/memory-model) and compare
    #[arg(long, value_name = "DIR", conflicts_with_all =
          ["scenario", "bound", "limit", "schedules", "trace", "show", "weaken", "with", "without"])]
    pub(super) litmus: Option<PathBuf>,

    /// The herd7 to run [default: the one on PATH]
    #[arg(long, value_name = "FILE", requires = "litmus")]
    pub(super) herd7: Option<PathBuf>,

    /// Where the random schedules come from
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = values::seed,
          allow_hyphen_values = true)]
    pub(super) seed: u64,

    /// How the verdicts are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}
