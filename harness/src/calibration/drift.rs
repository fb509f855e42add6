//! Whether the calibrated model still is as far from the kernel as when it was calibrated.

use std::thread;

use kernel_model::platform::Burdened;

use super::Recorded;
use super::cost::{Measurable, OnKernel, OnModel};
use crate::cell::CellError;
use crate::clock::Clock;
use crate::host::FileKind;
use crate::statistics::Spread;
use crate::topology::pin_current_thread;

/// Passes of both models, by turns.
const PASSES: usize = 15;

/// By how much the calibrated model's fault may be off the kernel's.
const TOLERATED: f64 = 0.10;

impl Recorded {
    /// Makes the process's calibrated models carry what was found, and looks on `cpu` whether their
    /// faults take as long as this kernel's, now; a caveat if they don't.
    ///
    /// # Errors
    /// The CPU can't be had.
    pub fn carry(&self, cpu: u32, clock: &Clock) -> Result<Option<String>, CellError> {
        Burdened::carry(self.calibration.carried.burden());
        let Some(pages) = self
            .calibration
            .faults
            .first()
            .and_then(|cost| cost.fit.points.last())
        else {
            return Ok(None);
        };
        let pages = pages.0;
        let [kernel, calibrated] = thread::scope(|scope| {
            let work = || {
                pin_current_thread(cpu)?;
                both_now(&self.calibration.scheme, pages, clock)
            };
            let spawned = thread::Builder::new().spawn_scoped(scope, work);
            spawned
                .map_err(CellError::Spawn)?
                .join()
                .map_err(|_| CellError::Panicked)?
        })?;
        let off = calibrated / kernel - 1.0;
        Ok((off.abs() > TOLERATED).then(|| {
            format!(
                "a calibrated fault of {pages} pages takes {calibrated:.0} ns now, and one of this kernel \
                 {kernel:.0} ns: the machine or its kernel isn't what it was when it was calibrated"
            )
        }))
    }
}

/// What a fault takes on a memfd and on the calibrated model, by turns.
fn both_now(scheme: &str, pages: u32, clock: &Clock) -> Result<[f64; 2], CellError> {
    let mut kernel = OnKernel::new(&FileKind::memfd(), &[pages])?;
    let mut calibrated = OnModel::<Burdened>::new(scheme, 0, &[pages], clock);
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..PASSES {
        times[0].push(kernel.fault_ns(pages, clock)?);
        times[1].push(calibrated.fault_ns(pages, clock)?);
    }
    Ok(times.map(|times| Spread::of(times).map_or(f64::NAN, |spread| spread.median)))
}
