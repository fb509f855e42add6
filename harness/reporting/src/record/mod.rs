//! A run as it stands in its directory: `run.json`, `summary.tsv`, `report.txt`, and the latencies
//! of every cell as `*.hgrm` and `*.hlog`.

mod reader;
mod unique;

use jiff::Timestamp;
use kernel_model::fault_around::About;
use kernel_model::race::Verdict;
use serde::{Deserialize, Serialize};

use machine_facts::clock::Step;
use machine_facts::counters::Availability;
use machine_facts::doctor::Finding;
use machine_facts::environment::Environment;
use machine_facts::noise::Floor;
use machine_facts::transfer::Transfers;
use measuring::cell::{Setup, Subject};
use measuring::rounds::{CellRound, Control, Ended, Plan, Rounds};
use measuring::summary::{GroupSummary, Results, Row, summarize};
use running_kernel::calibration::Recorded;

pub use reader::ReadError;

/// The version of `run.json`'s layout; see `results/README.md`.
pub const SCHEMA_VERSION: u32 = 2;

/// What is known of a run before its first cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The command as it was given.
    pub command: String,
    /// A command that runs the same again: what was given, and the seed.
    pub rerun: String,
    /// When it began (UTC).
    pub started: Timestamp,
    /// The machine and the build.
    pub environment: Environment,
    /// What about them spoils a measurement.
    pub caveats: Vec<String>,
    /// What was found about the machine, fact by fact.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// What the machine does by itself to a thread on each CPU, watched before the run.
    #[serde(default)]
    pub noise: Vec<Floor>,
    /// What was counted, and what wasn't and why.
    #[serde(default)]
    pub counters: Availability,
    /// What calibrated loads carry; `None` without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Box<Recorded>>,
    /// What was left out of what was asked for, and why.
    pub left_out: Vec<String>,
    /// What a clock read and a note of its result cost, in nanoseconds per fault. Every latency
    /// contains one of them.
    pub recording_ns: f64,
    /// By how much the clock advances at once; `None` in runs from before that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_step: Option<Step>,
    /// What a touch that ends in a survived SIGBUS takes, in nanoseconds, the median of some
    /// hundreds before the run; `None` where no file of the running kernel was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigbus_ns: Option<f64>,
}

/// A scheme as its file declares it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SchemeInfo {
    /// The name.
    pub name: String,
    /// Where it comes from.
    pub lineage: String,
    /// Whether it is declared to be sound; `faultaround check` says whether that is so.
    pub sound: bool,
    /// Why it is, or what breaks it.
    pub reason: String,
    /// Whether it is a file of the running kernel, of which nothing is declared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kernel: bool,
}

impl SchemeInfo {
    /// What a subject says of itself.
    pub fn of(subject: &Subject) -> Self {
        match subject {
            Subject::Scheme(scheme) => Self::of_scheme(scheme.about()),
            Subject::File(file) => Self {
                name: file.name().to_owned(),
                lineage: file.lineage(),
                sound: true,
                reason: "the running kernel; what was read was looked at, and nothing else"
                    .to_owned(),
                kernel: true,
            },
        }
    }

    fn of_scheme(about: &About) -> Self {
        let (sound, reason) = match &about.verdict {
            Verdict::Sound { why } => (true, why),
            Verdict::Broken { why, .. } => (false, why),
        };
        Self {
            name: about.name.to_owned(),
            lineage: about.lineage.to_owned(),
            sound,
            reason: (*reason).to_owned(),
            kernel: false,
        }
    }
}

/// What was run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// The schemes, the baseline first.
    pub schemes: Vec<SchemeInfo>,
    /// The scheme that ratios are to.
    pub baseline: String,
    /// Rounds that were asked for.
    pub rounds: Rounds,
    /// What the baseline was run as, beside itself.
    pub controls: Vec<Control>,
    /// Where every random choice came from.
    pub seed: u64,
    /// What is the same for all cells.
    #[serde(flatten)]
    pub setup: Setup,
}

impl Configuration {
    /// Whether it is the running kernel that was measured, and not the model.
    pub fn is_kernel(&self) -> bool {
        self.schemes.iter().any(|scheme| scheme.kernel)
    }

    /// Whether a row of this name is a file of the running kernel.
    pub fn is_file(&self, name: &str) -> bool {
        let mut schemes = self.schemes.iter();
        schemes.any(|scheme| scheme.kernel && scheme.name == name)
    }

    /// What its rows are.
    pub fn noun(&self) -> &'static str {
        match self.is_kernel() {
            true => "file",
            false => "scheme",
        }
    }
}

/// The step of a slow generic timer of arm64, at 25 MHz.
const COARSE_NS: f64 = 40.0;

/// A run, whole or so far.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Whether it came to its end.
    pub complete: bool,
    /// Why it did; `None` if it was stopped or is going on.
    pub ended: Option<Ended>,
    /// What was known before.
    #[serde(flatten)]
    pub header: Header,
    /// What was run.
    pub configuration: Configuration,
    /// How long it took, in seconds.
    pub elapsed_s: f64,
    /// Time that the hypervisor took from the CPUs in use, summed over them, in seconds; `None`
    /// where the kernel doesn't count it.
    pub stolen_s: Option<f64>,
    /// What it amounts to.
    pub summary: Vec<GroupSummary>,
    /// Every cell of every round, in the order in which they ran.
    pub rounds: Vec<CellRound>,
}

impl Run {
    /// A run as it stands; `ended` if it has come to its end.
    pub fn new(
        header: &Header,
        plan: &Plan,
        setup: &Setup,
        results: &Results,
        ended: Option<Ended>,
    ) -> Self {
        let schemes: Vec<_> = plan.subjects.iter().map(SchemeInfo::of).collect();
        let elapsed = Timestamp::now().duration_since(header.started);
        Self {
            schema_version: SCHEMA_VERSION,
            complete: ended.is_some(),
            ended,
            header: header.clone(),
            configuration: Configuration {
                baseline: schemes[0].name.clone(),
                schemes,
                rounds: plan.rounds,
                controls: plan.controls.clone(),
                seed: plan.seed,
                setup: setup.clone(),
            },
            elapsed_s: elapsed.as_secs_f64(),
            stolen_s: None,
            summary: summarize(plan, results, setup),
            rounds: results.cells().cloned().collect(),
        }
    }

    /// The clock's step in nanoseconds, as coarse as any is known to be where it wasn't measured.
    pub fn step_ns(&self) -> f64 {
        self.header.clock_step.map_or(COARSE_NS, |step| step.ns)
    }

    /// The cache line's way between the two CPUs for which it varied most beside the run's cells.
    pub fn transfers(&self) -> Option<Transfers> {
        let cpus = &self.configuration.setup.cpus;
        Transfers::widest(self.rounds.iter().map(|cell| {
            let transfers = &cell.conditions.transfers_ns[..];
            let used = cpus.len().min(transfers.len() + 1);
            (&cpus[..used], transfers)
        }))
    }

    /// How many rounds there are, of the cell that has the fewest.
    pub fn rounds_done(&self) -> u32 {
        let rows = self.summary.iter().flat_map(|group| &group.rows);
        rows.map(|row| row.rounds).min().unwrap_or(0)
    }
}

/// Whose latencies a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The faults'.
    Faults,
    /// The operations' of the storm.
    Remover,
}

impl Side {
    /// As files and interval logs name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Faults => "faults",
            Self::Remover => "remover",
        }
    }
}

/// The name, without its ending, of the files with a row's latencies.
pub fn stem(storm: &str, threads: u32, row: &Row, side: Side) -> String {
    let broken = if row.broken { "-broken" } else { "" };
    let (scheme, variant) = (&row.scheme, row.variant.suffix());
    format!(
        "{storm}-{threads}-{scheme}{broken}{variant}-{}",
        side.name()
    )
}
