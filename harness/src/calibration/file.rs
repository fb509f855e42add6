//! A calibration as it stands in its directory, and for whom it holds.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Calibration;
use crate::cell::Setup;
use crate::environment::Environment;

/// The name of the file in a calibration's directory.
pub const FILE: &str = "calibration.json";

/// The version of the file's layout; see `results/README.md`.
pub const SCHEMA_VERSION: u32 = 1;

/// A calibration, and of what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The command as it was given.
    pub command: String,
    /// A command that runs the same again, every default and the seed written out.
    pub rerun: String,
    /// When it began (UTC).
    pub started: Timestamp,
    /// The machine, its kernel, and the build.
    pub environment: Environment,
    /// What about them spoils a measurement.
    pub caveats: Vec<String>,
    /// The kernel's files: their names, and what they are.
    pub files: Vec<(String, String)>,
    /// What storms were like.
    pub setup: Setup,
    /// Where random choices came from.
    pub seed: u64,
    /// How long it took, in seconds.
    pub elapsed_s: f64,
    /// Time that the hypervisor took meanwhile, in seconds; `None` where the kernel doesn't count it.
    pub stolen_s: Option<f64>,
    /// What was found.
    pub calibration: Calibration,
}

/// Why a calibration can't be used.
#[derive(Debug, Error)]
pub enum CalibrationError {
    /// The file can't be read.
    #[error("{path:?} can't be read: {source}; it is written by faultaround host --calibrate")]
    Read {
        /// What was given.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is something else in it.
    #[error("{path:?} is no calibration of this version ({SCHEMA_VERSION}): {reason}")]
    Format {
        /// What was given.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It is of another machine.
    #[error(
        "the calibration is of {there:?}, and this is {here:?}: what the kernel does takes as long as \
         that machine takes for it; calibrate here"
    )]
    OtherMachine {
        /// Its machine.
        there: String,
        /// This machine.
        here: String,
    },
}

/// What there is in a file before anything is known of its version.
#[derive(Deserialize)]
struct Versioned {
    schema_version: u32,
}

impl Recorded {
    /// Reads a calibration from its file, or from its directory.
    ///
    /// # Errors
    /// See [`CalibrationError`].
    pub fn read(given: &Path) -> Result<Self, CalibrationError> {
        let path = match given.is_dir() {
            true => given.join(FILE),
            false => given.to_owned(),
        };
        let text = fs::read_to_string(&path).map_err(|source| CalibrationError::Read {
            path: given.to_owned(),
            source,
        })?;
        let wrong = |reason: String| CalibrationError::Format {
            path: given.to_owned(),
            reason,
        };
        let version: Versioned =
            serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if version.schema_version != SCHEMA_VERSION {
            return Err(wrong(format!("its version is {}", version.schema_version)));
        }
        serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))
    }

    /// Whether a directory has a calibration in it, and no run.
    pub fn is_in(directory: &Path) -> bool {
        directory.join(FILE).is_file()
    }

    /// Refuses to be used on another machine: the work that is carried is as long as that machine
    /// takes for it.
    ///
    /// # Errors
    /// [`CalibrationError::OtherMachine`].
    pub fn is_of(&self, here: &Environment) -> Result<(), CalibrationError> {
        let name = |environment: &Environment| {
            let model = environment.processor.model.as_deref();
            model.unwrap_or("an unknown processor").to_owned()
        };
        let (there, here) = (name(&self.environment), name(here));
        if there == here {
            return Ok(());
        }
        Err(CalibrationError::OtherMachine { there, here })
    }
}
