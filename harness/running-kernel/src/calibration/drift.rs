//! Whether the calibrated model still is as far from the kernel as when it was calibrated.

use kernel_model::Orders;
use kernel_model::platform::Burdened;
use machine_facts::clock::Clock;
use machine_facts::environment::Environment;
use measuring::cell::CellError;

use super::cost::{Measurable, OnKernel, OnModel};
use super::{LARGE, Recorded, Side, median, on_cpu};
use crate::host::FileKind;

/// Passes of both models, by turns.
const PASSES: usize = 15;

/// By how much the calibrated model's fault may be off the kernel's.
const TOLERATED: f64 = 0.10;

impl Recorded {
    /// Makes the process's calibrated models carry what was found. Returns caveats: another kernel
    /// than was calibrated, large folios (`orders`) where none were measured, and, looked at on
    /// `cpu`, faults that don't take as long as this kernel's now.
    ///
    /// # Errors
    /// The CPU can't be had.
    pub fn carry(
        &self,
        here: &Environment,
        orders: Orders,
        cpu: u32,
        clock: &Clock,
    ) -> Result<Vec<String>, CellError> {
        Burdened::carry(self.calibration.carried.burden());
        let mut caveats = self.unlike(here, orders);
        caveats.extend(self.drifted(cpu, clock)?);
        Ok(caveats)
    }

    /// In what the calibration isn't of what is to be measured.
    pub(super) fn unlike(&self, here: &Environment, orders: Orders) -> Vec<String> {
        let mut caveats = Vec::new();
        let release = |of: &Environment| {
            let release = of.kernel.release.clone();
            release.unwrap_or_else(|| "of unknown release".to_owned())
        };
        let (there, now) = (release(&self.environment), release(here));
        if there != now {
            caveats.push(format!("calibrated on Linux {there}, and this is {now}"));
        }
        if here.processor.model.is_none() {
            caveats.push(
                "that this is the machine that was calibrated can't be told: its CPU's model is unknown"
                    .to_owned(),
            );
        }
        if self.calibration.flush.is_none() {
            caveats.push(
                "calibrated on one CPU: removals carry no interrupts of other CPUs".to_owned(),
            );
        }
        let measured = self.calibration.faults.iter();
        let mut measured = measured.filter(|cost| cost.side == Side::Kernel);
        if orders != Orders::All(0) && !measured.any(|cost| cost.order == LARGE) {
            caveats.push(
                "calibrated without large folios: what a page of one takes is not carried, so that \
                 calibrated faults on them are too cheap (calibrate --dir measures them)"
                    .to_owned(),
            );
        }
        caveats
    }

    /// Whether faults of kernel and model take as long now.
    fn drifted(&self, cpu: u32, clock: &Clock) -> Result<Option<String>, CellError> {
        let Some(pages) = self
            .calibration
            .faults
            .first()
            .and_then(|cost| cost.fit.points.last())
        else {
            return Ok(None);
        };
        let pages = pages.0;
        let [kernel, calibrated] =
            on_cpu(cpu, || both_now(&self.calibration.scheme, pages, clock))?;
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
    Ok(times.map(median))
}
