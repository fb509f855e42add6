//! Whether the calibrated model still is what it was when it was calibrated.

use std::thread;

use kernel_model::platform::{Burdened, Native};

use super::cost::{Measurable, OnModel};
use super::{Recorded, Side};
use crate::cell::CellError;
use crate::clock::Clock;
use crate::statistics::Spread;
use crate::topology::pin_current_thread;

/// Passes of both models, by turns.
const PASSES: usize = 15;

/// By how much the carried work may have changed, as a share of a fault of the model.
const TOLERATED: f64 = 0.10;

impl Recorded {
    /// Makes the process's calibrated models carry what was found, and looks on `cpu` whether that
    /// takes as long, against the bare model, as it did then; a caveat if it doesn't.
    ///
    /// # Errors
    /// The CPU can't be had.
    pub fn carry(&self, cpu: u32, clock: &Clock) -> Result<Option<String>, CellError> {
        Burdened::carry(self.calibration.carried.burden());
        let Some((pages, then)) = self.share_then() else {
            return Ok(None);
        };
        let now = thread::scope(|scope| {
            let work = || {
                pin_current_thread(cpu)?;
                share_now(&self.calibration.scheme, pages, clock)
            };
            let spawned = thread::Builder::new().spawn_scoped(scope, work);
            spawned
                .map_err(CellError::Spawn)?
                .join()
                .map_err(|_| CellError::Panicked)?
        })?;
        let change = now / then - 1.0;
        Ok((change.abs() > TOLERATED).then(|| {
            format!(
                "a calibrated fault of {pages} pages took {then:.2} times as long as a bare one when it was \
                 calibrated, and takes {now:.2} times as long now: calibrate again"
            )
        }))
    }

    /// The largest window, and what a calibrated fault of it took, over a bare one's.
    fn share_then(&self) -> Option<(u32, f64)> {
        let last = |wanted| {
            let mut costs = self.calibration.faults.iter();
            let cost = costs.find(|cost| cost.side == wanted && cost.order == 0)?;
            cost.fit.points.last().copied()
        };
        let ((pages, bare), (_, calibrated)) = (last(Side::Bare)?, last(Side::Calibrated)?);
        Some((pages, calibrated / bare))
    }
}

fn share_now(scheme: &str, pages: u32, clock: &Clock) -> Result<f64, CellError> {
    let mut bare = OnModel::<Native>::new(scheme, 0, &[pages], clock);
    let mut calibrated = OnModel::<Burdened>::new(scheme, 0, &[pages], clock);
    let mut shares = Vec::new();
    for _ in 0..PASSES {
        let own = bare.fault_ns(pages, clock)?;
        shares.push(calibrated.fault_ns(pages, clock)? / own);
    }
    Ok(Spread::of(shares).map_or(f64::NAN, |spread| spread.median))
}
