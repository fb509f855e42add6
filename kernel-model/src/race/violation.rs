//! What the audits find.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::Invariant;

/// An invariant that did not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// Where, if it is at a page of a file.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// What was seen.
    pub detail: String,
}

/// A page of a file, and what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file offset, in pages.
    #[serde(rename = "offset")]
    pub index: u64,
    /// The folio's frame.
    #[serde(rename = "folio")]
    pub frame: u32,
    /// Which allocation of that frame it is.
    pub incarnation: u64,
}

impl Violation {
    /// What was seen, after where that was; without the incarnation, by which no two runs agree.
    pub fn told(&self) -> String {
        match self.place {
            Some(Place { index, frame, .. }) => {
                format!("offset {index}, folio {frame}: {}", self.detail)
            }
            None => self.detail.clone(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.invariant)?;
        if let Some(Place {
            index,
            frame,
            incarnation,
        }) = self.place
        {
            write!(
                out,
                " at offset {index}, folio {frame} (incarnation {incarnation})"
            )?;
        }
        write!(out, ": {}", self.detail)
    }
}

/// Violations kept in full; the rest are counted.
const KEPT: usize = 64;

/// Collects violations from all threads.
#[derive(Debug, Default)]
pub struct Violations {
    count: AtomicU64,
    kept: Mutex<Vec<Violation>>,
}

impl Violations {
    /// Adds one.
    pub fn report(&self, violation: Violation) {
        // Relaxed: a count, read for a hint while threads run and exactly once they are joined.
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut kept = self.kept.lock().unwrap_or_else(|lock| lock.into_inner());
        if kept.len() < KEPT {
            kept.push(violation);
        }
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The first of them, in the order in which they were reported.
    pub fn kept(&self) -> Vec<Violation> {
        self.kept
            .lock()
            .unwrap_or_else(|lock| lock.into_inner())
            .clone()
    }
}
