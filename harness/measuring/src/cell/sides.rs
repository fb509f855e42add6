//! What a cell's threads do their work on: the model, or the running kernel.

use kernel_model::{FaultCounters, RemovalCounters};
use rand_pcg::Pcg64Mcg;

use super::CellError;
use crate::order::Touches;

/// Something to fault on. The loops over it are compiled for each kind of it.
pub trait Faults {
    /// One fault. What it returns says how it ended, and is known when it is over.
    fn fault(&mut self, pgoff: u64) -> u64;

    /// Takes away what the thread has mapped. Not timed.
    ///
    /// # Errors
    /// The running kernel's.
    fn zap(&mut self, touches: &Touches) -> Result<(), CellError>;

    /// A pass is over, and nothing zapped yet. Not timed.
    ///
    /// # Errors
    /// The running kernel's.
    fn pass_ended(&mut self, _touches: &Touches) -> Result<(), CellError> {
        Ok(())
    }

    /// Counts from nothing again.
    fn forget(&mut self);

    /// What has been counted.
    fn counters(&self) -> FaultCounters;
}

/// Something to remove pages from.
pub trait Removals {
    /// Draws the next operation.
    fn choose(&mut self, random: &mut Pcg64Mcg);

    /// Does it.
    ///
    /// # Errors
    /// The running kernel's.
    fn remove(&mut self) -> Result<(), CellError>;

    /// Makes the file fit for the one after it. Not timed.
    ///
    /// # Errors
    /// The running kernel's.
    fn mend(&mut self) -> Result<(), CellError>;

    /// Counts from nothing again.
    fn forget(&mut self);

    /// What has been counted.
    fn counters(&self) -> RemovalCounters;
}
