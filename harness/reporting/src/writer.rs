//! Putting a run into its directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use machine_facts::noise::Noise;
use measuring::rounds::{Key, Plan, Rounds};
use measuring::summary::{GroupSummary, Results, Row};
use thiserror::Error;

use crate::record::{ReadError, Run, Side, stem};
use crate::report;
use crate::results::{
    Batch, HlogError, Interval, RunDirectory, RunDirectoryError, write_hgrm, write_hlog,
};

/// Why a run could not be recorded, in one line.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The disk's fault.
    #[error(transparent)]
    Disk(#[from] RunDirectoryError),
    /// Latencies that a report needs and that are not there.
    #[error(transparent)]
    Report(#[from] ReadError),
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

/// Rounds that there is room to be made for where it isn't known how many there will be.
const ROUNDS_UNKNOWN: u32 = 20;

impl RunWriter {
    /// Creates the directory, and makes sure that there is room for all of the run.
    ///
    /// # Errors
    /// A place that can't be written to, or that is full.
    pub fn create(out: &Path, label: &str, plan: &Plan) -> Result<Self, RecordError> {
        let rounds = match plan.rounds {
            Rounds::Fixed(rounds) => rounds,
            Rounds::Auto { .. } => ROUNDS_UNKNOWN,
        };
        let cells = plan.cells_per_round() as u64 * u64::from(rounds);
        let bytes = cells * BYTES_PER_CELL;
        let directory = RunDirectory::create(out, label, bytes)?;
        Ok(Self { directory })
    }

    /// Writes what the CPUs' watch gave.
    ///
    /// # Errors
    /// The disk's.
    pub fn write_noise(&self, noise: &Noise) -> Result<(), RecordError> {
        for (name, histogram) in noise.files() {
            let mut table = Vec::new();
            write_hgrm(&mut table, histogram, 1.0, 5)?;
            self.directory.write(&name, &table)?;
        }
        Ok(())
    }

    /// Writes everything that there is so far, over what was written before.
    ///
    /// # Errors
    /// See [`RecordError`]; what was written before is there then, and no less.
    pub fn write(&self, run: &Run, plan: &Plan, results: &Results) -> Result<(), RecordError> {
        let mut json = serde_json::to_vec(run)?;
        json.push(b'\n');
        let extras = report::Extras {
            latencies: Some(&report::Measured { plan, results }),
            ..report::Extras::default()
        };
        let text = report::text(run, &extras)?;
        // Together: histograms belong to the run.json that counts them.
        let mut batch = self.directory.batch();
        batch.write("run.json", &json)?;
        batch.write("summary.tsv", report::tsv(run).as_bytes())?;
        batch.write("report.txt", text.as_bytes())?;
        for (number, group) in run.summary.iter().enumerate() {
            let keys: Vec<Key> = plan.keys_of(number).collect();
            for row in &group.rows {
                let of_row = |key: &&Key| {
                    plan.subjects[key.scheme].name() == row.scheme && key.variant == row.variant
                };
                let key = keys.iter().find(of_row).expect("rows are made of keys");
                write_latencies(&mut batch, run, group, row, *key, results)?;
            }
        }
        Ok(batch.commit()?)
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

fn write_latencies(
    batch: &mut Batch<'_>,
    run: &Run,
    group: &GroupSummary,
    row: &Row,
    key: Key,
    results: &Results,
) -> Result<(), RecordError> {
    let started = run.header.started;
    let rounds: Vec<_> = results.histograms(key).collect();
    let (faults, operations) = results.merged(key);
    let duration = Duration::from_nanos(run.configuration.setup.duration_ns);
    for (side, merged) in [(Side::Faults, &faults), (Side::Remover, &operations)] {
        if merged.is_empty() {
            continue;
        }
        let stem = stem(&group.storm, group.threads, row, side);
        let mut table = Vec::new();
        write_hgrm(&mut table, merged, 1.0, 5)?;
        batch.write(&format!("{stem}.hgrm"), &table)?;
        let intervals: Vec<_> = rounds
            .iter()
            .map(|(cell, faults, operations)| Interval {
                tag: side.name(),
                start: started + SignedDuration::from_nanos(cell.started_ns as i64),
                duration,
                histogram: match side {
                    Side::Faults => faults,
                    Side::Remover => operations,
                },
            })
            .collect();
        let mut log = Vec::new();
        write_hlog(&mut log, started, &intervals, 1e6)?;
        batch.write(&format!("{stem}.hlog"), &log)?;
    }
    Ok(())
}
