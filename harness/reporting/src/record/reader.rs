//! Reading a run back from its directory.

use std::io;
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;
use machine_facts::files::{open_input, read_input};
use machine_facts::statistics::Latency;
use measuring::summary::{GroupSummary, Row};
use serde_json::Value;
use thiserror::Error;

use super::unique::Unique;
use super::{Run, SCHEMA_VERSION, Side, stem};
use crate::results::read_hlog;

/// Why a run could not be read: one line that names the file and says what is wrong with it.
#[derive(Debug, Error)]
#[error("cannot read {path:?}: {reason}")]
pub struct ReadError {
    path: PathBuf,
    reason: String,
}

impl ReadError {
    pub(crate) fn new(path: &Path, reason: impl ToString) -> Self {
        // What a parser says may have several lines.
        let reason = reason.to_string();
        let reason: Vec<_> = reason.split_whitespace().collect();
        Self {
            path: path.to_owned(),
            reason: reason.join(" "),
        }
    }
}

/// More than any time, count or rate of a run; sums of such numbers are still numbers.
const LARGEST: f64 = 1e18;

/// A number of which figures would come that aren't any, and its name; whole ones may be seeds.
fn beyond_measure<'j>(json: &'j Value, name: &'j str) -> Option<(&'j str, f64)> {
    match json {
        Value::Number(number) if number.is_f64() => {
            let number = number.as_f64().filter(|number| number.abs() > LARGEST)?;
            Some((name, number))
        }
        Value::Array(all) => all.iter().find_map(|it| beyond_measure(it, name)),
        Value::Object(all) => all.iter().find_map(|(name, it)| beyond_measure(it, name)),
        _ => None,
    }
}

/// What a row says of the latencies of one side.
fn latency(row: &Row, side: Side) -> Option<&Latency> {
    let remover = row.remover.as_ref();
    match side {
        Side::Faults => row.latency.as_ref(),
        Side::Remover => remover.and_then(|remover| remover.latency.as_ref()),
    }
}

/// The file of a run directory that has everything but the histograms.
const RUN_JSON: &str = "run.json";

impl Run {
    /// Reads the run in a directory.
    ///
    /// # Errors
    /// A directory without a run, a `run.json` that is none or isn't whole, or one of another
    /// version of its layout.
    pub fn read(directory: &Path) -> Result<Self, ReadError> {
        let path = directory.join(RUN_JSON);
        let fail = |reason: String| ReadError::new(&path, reason);
        let bytes = read_input(&path).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound && directory.is_dir() {
                ReadError::new(directory, "there is no run.json in it, so it is no run")
            } else if error.kind() == io::ErrorKind::NotADirectory {
                ReadError::new(directory, "it is a file; a run is a directory")
            } else if error.kind() == io::ErrorKind::NotFound {
                ReadError::new(directory, error)
            } else {
                fail(error.to_string())
            }
        })?;
        let json: Value =
            serde_json::from_slice(&bytes).map_err(|error| fail(format!("no JSON: {error}")))?;
        serde_json::from_slice::<Unique>(&bytes).map_err(|error| fail(error.to_string()))?;
        let version = json.get("schema_version").and_then(|it| it.as_u64());
        let Some(version) = version else {
            return Err(fail(
                "it has no schema_version, so it isn't of this program".to_owned(),
            ));
        };
        let ours = u64::from(SCHEMA_VERSION);
        if version != ours {
            let age = if version > ours { "newer" } else { "older" };
            return Err(fail(format!(
                "its schema_version is {version}, {age} than this program's, which is {ours}"
            )));
        }
        if let Some((name, number)) = beyond_measure(&json, "run.json") {
            return Err(fail(format!(
                "{name} is {number:e}, and nothing measured is so large"
            )));
        }
        serde_json::from_value(json).map_err(|error| fail(error.to_string()))
    }

    /// The files with latencies that the run wrote and that can't be read from its directory: their
    /// names, and what the system says of each; of one that is missing, that it isn't found.
    pub fn lost_files(&self, directory: &Path) -> Vec<(String, io::Error)> {
        let mut names = Vec::new();
        for group in &self.summary {
            for row in &group.rows {
                for side in [Side::Faults, Side::Remover] {
                    if latency(row, side).is_some_and(|latency| latency.count > 0) {
                        let stem = stem(&group.storm, group.threads, row, side);
                        names.extend(["hgrm", "hlog"].map(|kind| format!("{stem}.{kind}")));
                    }
                }
            }
        }
        let lost = |name: String| {
            let error = open_input(&directory.join(&name)).err()?;
            Some((name, error))
        };
        names.into_iter().filter_map(lost).collect()
    }

    /// Reads the latencies of a row over all rounds from the run's directory; `None` if the row has
    /// none.
    ///
    /// # Errors
    /// A file that is missing, no interval log, or not all of one.
    pub fn read_latencies(
        directory: &Path,
        group: &GroupSummary,
        row: &Row,
        side: Side,
    ) -> Result<Option<Histogram<u64>>, ReadError> {
        let Some(latency) = latency(row, side) else {
            return Ok(None);
        };
        let name = stem(&group.storm, group.threads, row, side);
        let path = directory.join(format!("{name}.hlog"));
        let text = read_input(&path).map_err(|error| ReadError::new(&path, error))?;
        let histogram = read_hlog(&text).map_err(|reason| ReadError::new(&path, reason))?;
        if histogram.len() == latency.count {
            Ok(Some(histogram))
        } else {
            let reason = format!(
                "it has {} of the {} latencies that run.json counts: it isn't whole, or of another \
                 run",
                histogram.len(),
                latency.count
            );
            Err(ReadError::new(&path, reason))
        }
    }
}
