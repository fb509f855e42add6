//! Where a report gets latencies from: a run's memory, or its directory.

use std::path::Path;

use hdrhistogram::Histogram;
use measuring::rounds::Plan;
use measuring::summary::{GroupSummary, Results, Row};

use crate::record::{ReadError, Run, Side};

/// Latencies of a row over all rounds.
pub trait Latencies {
    /// Those of one side; `None` if the row has none.
    ///
    /// # Errors
    /// A file that can't be read.
    fn of(
        &self,
        group: &GroupSummary,
        row: &Row,
        side: Side,
    ) -> Result<Option<Histogram<u64>>, ReadError>;
}

/// Those of a run that is in memory.
pub struct Measured<'a> {
    /// What is run.
    pub plan: &'a Plan,
    /// What came of it.
    pub results: &'a Results,
}

impl Latencies for Measured<'_> {
    fn of(
        &self,
        group: &GroupSummary,
        row: &Row,
        side: Side,
    ) -> Result<Option<Histogram<u64>>, ReadError> {
        let Self { plan, results } = self;
        let mut groups = plan.groups.iter();
        let number =
            groups.position(|it| it.load() == group.storm && it.fault_threads == group.threads);
        let mut keys = number.into_iter().flat_map(|number| plan.keys_of(number));
        let key = keys.find(|key| {
            plan.subjects[key.scheme].name() == row.scheme && key.variant == row.variant
        });
        let merged = key.map(|key| results.merged(key));
        let merged = merged.map(|(faults, operations)| match side {
            Side::Faults => faults,
            Side::Remover => operations,
        });
        Ok(merged.filter(|histogram| !histogram.is_empty()))
    }
}

/// Those of a run directory.
pub struct Recorded<'a>(pub &'a Path);

impl Latencies for Recorded<'_> {
    fn of(
        &self,
        group: &GroupSummary,
        row: &Row,
        side: Side,
    ) -> Result<Option<Histogram<u64>>, ReadError> {
        Run::read_latencies(self.0, group, row, side)
    }
}
