//! A run as it stands in its directory: `run.json`, `summary.tsv`, `report.txt`, and the latencies
//! of every cell as `*.hgrm` and `*.hlog`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use thiserror::Error;

use crate::cell::Setup;
use crate::environment::Environment;
use crate::report;
use crate::results::{
    HlogError, Interval, RunDirectory, RunDirectoryError, write_hgrm, write_hlog,
};
use crate::rounds::{CellRound, Key, Plan};
use crate::summary::{GroupSummary, Results, summarize};

/// The version of `run.json`'s layout; see `results/README.md`.
pub const SCHEMA_VERSION: u32 = 1;

/// What is known of a run before its first cell.
#[derive(Debug, Clone, Serialize)]
pub struct Header {
    /// The command as it was given.
    pub command: String,
    /// A command that runs the same again, every default and the seed written out.
    pub rerun: String,
    /// When it began (UTC).
    pub started: Timestamp,
    /// The machine and the build.
    pub environment: Environment,
    /// What about them spoils a measurement.
    pub caveats: Vec<String>,
    /// What was left out of what was asked for, and why.
    pub left_out: Vec<String>,
    /// What a clock read and a note of its result cost, in nanoseconds per fault. Every latency
    /// contains one of them.
    pub recording_ns: f64,
}

/// What was run.
#[derive(Debug, Clone, Serialize)]
pub struct Configuration<'a> {
    /// The schemes, the baseline first.
    pub schemes: Vec<&'static str>,
    /// The scheme that ratios are to.
    pub baseline: &'static str,
    /// Rounds that were asked for.
    pub rounds: u32,
    /// Where every random choice came from.
    pub seed: u64,
    /// What is the same for all cells.
    #[serde(flatten)]
    pub setup: &'a Setup,
}

/// A run, whole or so far.
#[derive(Debug, Serialize)]
pub struct Run<'a> {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Whether all its rounds are there.
    pub complete: bool,
    /// What was known before.
    #[serde(flatten)]
    pub header: &'a Header,
    /// What was run.
    pub configuration: Configuration<'a>,
    /// How long it took, in seconds.
    pub elapsed_s: f64,
    /// Time that the hypervisor took from the CPUs in use, summed over them, in seconds; `None`
    /// where the kernel doesn't count it.
    pub stolen_s: Option<f64>,
    /// What it amounts to.
    pub summary: Vec<GroupSummary>,
    /// Every cell of every round, in the order in which they ran.
    pub rounds: Vec<&'a CellRound>,
}

impl<'a> Run<'a> {
    /// A run as it stands.
    pub fn new(header: &'a Header, plan: &'a Plan, setup: &'a Setup, results: &'a Results) -> Self {
        let names = plan.schemes.iter().map(|scheme| scheme.about().name);
        let schemes: Vec<_> = names.collect();
        let rounds: Vec<_> = results.cells().collect();
        let elapsed = Timestamp::now().duration_since(header.started);
        Self {
            schema_version: SCHEMA_VERSION,
            complete: rounds.len() == plan.cells(),
            header,
            configuration: Configuration {
                baseline: schemes[0],
                schemes,
                rounds: plan.rounds,
                seed: plan.seed,
                setup,
            },
            elapsed_s: elapsed.as_secs_f64(),
            stolen_s: None,
            summary: summarize(plan, results, setup),
            rounds,
        }
    }
}

/// Why a run could not be recorded, in one line.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The disk's fault.
    #[error(transparent)]
    Disk(#[from] RunDirectoryError),
    /// Histograms that could not be encoded.
    #[error(transparent)]
    Histogram(#[from] HlogError),
    /// Figures that could not be encoded.
    #[error("cannot encode run.json: {0}")]
    Json(#[from] serde_json::Error),
    /// A table that could not be written to memory.
    #[error("cannot write a percentile table: {0}")]
    Table(#[from] std::io::Error),
}

/// Puts a run into its directory.
#[derive(Debug)]
pub struct RunWriter {
    directory: RunDirectory,
}

/// What a cell takes on the disk in a round, generously: its figures, and its histograms, packed.
const BYTES_PER_CELL: u64 = 32 << 10;

impl RunWriter {
    /// Creates the directory, and makes sure that there is room for all of the run.
    ///
    /// # Errors
    /// A place that can't be written to, or that is full.
    pub fn create(out: &Path, label: &str, plan: &Plan) -> Result<Self, RecordError> {
        let bytes = plan.cells() as u64 * BYTES_PER_CELL;
        let directory = RunDirectory::create(out, label, bytes)?;
        Ok(Self { directory })
    }

    /// Writes everything that there is so far, over what was written before.
    ///
    /// # Errors
    /// See [`RecordError`]; files are whole, of this call or of the one before.
    pub fn write(&self, run: &Run<'_>, plan: &Plan, results: &Results) -> Result<(), RecordError> {
        let mut json = serde_json::to_vec_pretty(run)?;
        json.push(b'\n');
        self.directory.write("run.json", &json)?;
        self.directory
            .write("summary.tsv", report::tsv(run).as_bytes())?;
        self.directory
            .write("report.txt", report::text(run).as_bytes())?;
        for group in 0..plan.groups.len() {
            for key in plan.keys_of(group) {
                self.write_latencies(run, plan, key, results)?;
            }
        }
        Ok(())
    }

    fn write_latencies(
        &self,
        run: &Run<'_>,
        plan: &Plan,
        key: Key,
        results: &Results,
    ) -> Result<(), RecordError> {
        let started = run.header.started;
        let group = &plan.groups[key.group];
        let sound = plan.schemes[key.scheme].about().verdict.is_sound();
        let broken = if sound { "" } else { "-broken" };
        let again = if key.again { "-again" } else { "" };
        let stem = format!(
            "{}-{}-{}{broken}{again}",
            group.storm.about().name,
            group.fault_threads,
            plan.schemes[key.scheme].about().name
        );
        let rounds: Vec<_> = results.histograms(key).collect();
        let (faults, operations) = results.merged(key);
        let duration = Duration::from_nanos(run.configuration.setup.duration_ns);
        for (what, merged) in [("faults", &faults), ("remover", &operations)] {
            if merged.is_empty() {
                continue;
            }
            let mut table = Vec::new();
            write_hgrm(&mut table, merged, 1.0, 5)?;
            self.directory
                .write(&format!("{stem}-{what}.hgrm"), &table)?;
            let intervals: Vec<_> = rounds
                .iter()
                .map(|(cell, faults, operations)| Interval {
                    tag: what,
                    start: started + SignedDuration::from_nanos(cell.started_ns as i64),
                    duration,
                    histogram: if what == "faults" { faults } else { operations },
                })
                .collect();
            let mut log = Vec::new();
            write_hlog(&mut log, started, &intervals, 1e6)?;
            self.directory.write(&format!("{stem}-{what}.hlog"), &log)?;
        }
        Ok(())
    }

    /// Gives the directory its final name and returns it.
    ///
    /// # Errors
    /// The disk's.
    pub fn finish(self) -> Result<PathBuf, RecordError> {
        Ok(self.directory.finish()?)
    }

    /// Leaves the directory as it is, as one of a run that isn't whole.
    pub fn keep_partial(self) -> PathBuf {
        self.directory.keep_partial()
    }

    /// Takes a directory away again in which nothing was measured.
    pub fn discard(self) {
        // What can't be taken away stays; it says itself that it isn't complete.
        let _ = self.directory.discard();
    }
}
