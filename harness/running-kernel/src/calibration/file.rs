//! A calibration as it stands in its directory, and for whom it holds.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use kernel_model::fault_around::Schemes;
use kernel_model::platform::{Native, Work};
use machine_facts::environment::Environment;
use machine_facts::files::read_input;
use machine_facts::noise::Floor;
use measuring::cell::Setup;

use super::{Calibration, name_of};
use crate::host::WINDOW_PAGES;

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
    /// Time that the hypervisor took meanwhile, in seconds; `None` where the kernel doesn't count
    /// it.
    pub stolen_s: Option<f64>,
    /// What the machine did to each CPU by itself, before; nothing if that wasn't watched.
    pub noise: Vec<Floor>,
    /// What was found.
    pub calibration: Calibration,
}

/// Why a calibration can't be used.
#[derive(Debug, Error)]
pub enum CalibrationError {
    /// The file can't be read.
    #[error("{path:?} can't be read: {source}; it is written by faultaround calibrate")]
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
    /// There is nothing in it that a model could carry.
    #[error("the calibration can't be carried: {0}; calibrate again")]
    Unusable(String),
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

/// More turns than any machine's kernel is worth, and one that was disturbed all the while: at some
/// 2 ns each, 20 us for each page or folio, 200 us for a fault, 2 ms for a removal and its flushes.
fn longest(work: Work) -> f64 {
    match work {
        Work::Range | Work::Page | Work::RemovedFolio | Work::ZappedPage => 1e4,
        Work::Fault => 1e5,
        Work::Slow | Work::Removal | Work::Flush | Work::Flushed => 1e6,
    }
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
        let text = read_input(&path).map_err(|source| CalibrationError::Read {
            path: given.to_owned(),
            source,
        })?;
        let wrong = |reason: String| CalibrationError::Format {
            path: given.to_owned(),
            reason,
        };
        let version: Versioned =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if version.schema_version != SCHEMA_VERSION {
            return Err(wrong(format!("its version is {}", version.schema_version)));
        }
        serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))
    }

    /// Whether a directory has a calibration in it, and no run.
    pub fn is_in(directory: &Path) -> bool {
        directory.join(FILE).is_file()
    }

    /// Refuses to be carried if there is something in it that no calibration finds.
    ///
    /// # Errors
    /// [`CalibrationError::Unusable`].
    fn is_usable(&self) -> Result<(), CalibrationError> {
        let refused = |reason: String| Err(CalibrationError::Unusable(reason));
        let calibration = &self.calibration;
        let turns = &calibration.carried.turns;
        if turns.is_empty() {
            return refused("it was stopped before its loops had their lengths".to_owned());
        }
        for work in Work::ALL {
            let name = name_of(work);
            match turns.get(name) {
                Some(turns) if (0.0..=longest(work)).contains(turns) => {}
                // With one CPU there is no other to interrupt.
                None if work == Work::Flushed => {}
                Some(turns) => {
                    return refused(format!(
                        "{turns} turns of {name}, where 0 to {} are possible",
                        longest(work)
                    ));
                }
                None => return refused(format!("it has no turns of {name}")),
            }
        }
        let scheme = Schemes::<Native>::named(&calibration.scheme);
        if !scheme.is_some_and(|scheme| scheme.about().verdict.is_sound()) {
            return refused(format!("{:?} is no sound scheme", calibration.scheme));
        }
        let points = calibration.faults.iter().flat_map(|cost| &cost.fit.points);
        let is_window = |pages: u32| pages.is_power_of_two() && u64::from(pages) <= WINDOW_PAGES;
        match points.map(|point| point.0).find(|pages| !is_window(*pages)) {
            Some(pages) => refused(format!("a window of {pages} pages")),
            None => Ok(()),
        }
    }

    /// Refuses to be carried if it is broken, or on another machine: the work that is carried is as
    /// long as that machine takes for it.
    ///
    /// # Errors
    /// [`CalibrationError::Unusable`], [`CalibrationError::OtherMachine`].
    pub fn may_be_carried(&self, here: &Environment) -> Result<(), CalibrationError> {
        self.is_usable()?;
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
