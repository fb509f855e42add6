//! What the audits find.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Invariant;
use crate::folio::Pfn;

/// An invariant that did not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// The file offset, in pages.
    pub index: u64,
    /// The folio's frame.
    pub pfn: Pfn,
    /// Which allocation of that frame it is.
    pub incarnation: u64,
    /// What was seen.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} at offset {}, folio {} (incarnation {}): {}",
            self.invariant.name(),
            self.index,
            self.pfn.0,
            self.incarnation,
            self.detail
        )
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
