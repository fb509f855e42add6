//! The fits: what is measured by turns, and what it comes to.

use kernel_model::platform::{Burden, Burdened, Native, TURN, Work};
use machine_facts::cancel::Cancel;
use machine_facts::clock::Clock;
use machine_facts::statistics::Interval;
use measuring::cell::CellError;
use rand_pcg::Pcg64Mcg;

use super::burden::Measured;
use super::cost::{self, Measurable};
use super::fidelity::{self, Compared};
use super::fit::{Fit, Part};
use super::removal::{self, CASES, Removable, Removals};
use super::{FaultCost, LARGE, RemovalCost, Request, Side};

/// Windows that are measured.
const WINDOWS: [u32; 5] = [1, 2, 4, 8, 16];
/// Turns of the loop by which a turn is timed.
const TIMED_TURNS: u32 = 2000;

/// All that is measured by turns.
pub(super) struct Bench<'a> {
    faults: Vec<Box<dyn Measurable + 'a>>,
    named: Vec<(String, Side, u8)>,
    removals: Vec<Box<dyn Removable + 'a>>,
    windows: Vec<u32>,
}

/// What a number of rounds found.
pub(super) struct Found {
    pub(super) faults: Vec<FaultCost>,
    pub(super) removals: Vec<RemovalCost>,
    pub(super) kernel: Measured,
    pub(super) bare: Measured,
    pub(super) calibrated: Measured,
}

impl<'a> Bench<'a> {
    pub(super) fn new(request: &Request, clock: &Clock) -> Result<Self, CellError> {
        let window = request.setup.sizes.window_pages;
        let windows: Vec<_> = WINDOWS.into_iter().filter(|it| *it <= window).collect();
        let mut faults: Vec<Box<dyn Measurable>> = Vec::new();
        let mut named = Vec::new();
        let mut orders = vec![0];
        for kind in &request.files {
            let order = kind.write_pages.ilog2() as u8;
            orders.push(order);
            faults.push(Box::new(cost::OnKernel::new(kind, &windows)?));
            named.push((kind.name.clone(), Side::Kernel, order));
        }
        orders.sort_unstable();
        orders.dedup();
        let scheme = &request.scheme;
        for order in orders {
            let bare = cost::OnModel::<Native>::new(scheme, order, &windows, clock);
            let burdened = cost::OnModel::<Burdened>::new(scheme, order, &windows, clock);
            faults.push(Box::new(bare));
            named.push((scheme.clone(), Side::Bare, order));
            faults.push(Box::new(burdened));
            named.push((scheme.clone(), Side::Calibrated, order));
        }
        let removals: Vec<Box<dyn Removable>> = vec![
            Box::new(removal::OnKernel::new(&request.files[0])?),
            Box::new(removal::OnModel::<Native>::new(scheme, clock)),
            Box::new(removal::OnModel::<Burdened>::new(scheme, clock)),
        ];
        Ok(Self {
            faults,
            named,
            removals,
            windows,
        })
    }

    /// How long a turn takes, by how much longer it makes a fault.
    pub(super) fn ns_per_turn(&mut self, clock: &Clock) -> Result<f64, CellError> {
        let burdened =
            |(_, side, order): &(String, Side, u8)| (*side, *order) == (Side::Calibrated, 0);
        let at = self.named.iter().position(burdened).unwrap_or(0);
        let mut burden = Burden::default();
        let without = self.faults[at].fault_ns(1, clock)?;
        burden[Work::Fault] = TIMED_TURNS * TURN;
        Burdened::carry(burden);
        let with = self.faults[at].fault_ns(1, clock)?;
        Burdened::carry(Burden::default());
        Ok((with - without) / f64::from(TIMED_TURNS))
    }

    pub(super) fn measure(
        &mut self,
        rounds: u32,
        clock: &Clock,
        random: &mut Pcg64Mcg,
        cancel: &Cancel,
    ) -> Result<Found, CellError> {
        let windows = &self.windows;
        let faults = cost::by_turns(&mut self.faults, windows, rounds, clock, random, cancel)?;
        let removals = removal::by_turns(&mut self.removals, rounds, clock, random, cancel)?;
        let side = |wanted: Side, removals: &Removals| {
            let fit = |is: &dyn Fn(u8) -> bool| {
                let mut found = self.named.iter().zip(&faults);
                let found = found.find(|((_, side, order), _)| *side == wanted && is(*order));
                found.and_then(|(_, fit)| fit.clone())
            };
            Measured {
                small: fit(&|order| order == 0),
                large: fit(&|order| order == LARGE),
                removals: Some(removals.clone()),
            }
        };
        let kernel = side(Side::Kernel, &removals[0]);
        let bare = side(Side::Bare, &removals[1]);
        let calibrated = side(Side::Calibrated, &removals[2]);
        let costs = self
            .named
            .iter()
            .zip(&faults)
            .filter_map(|((of, side, order), fit)| {
                Some(FaultCost {
                    of: of.clone(),
                    side: *side,
                    order: *order,
                    fit: fit.clone()?,
                })
            });
        let sides = [Side::Kernel, Side::Bare, Side::Calibrated]
            .into_iter()
            .zip(&removals);
        let removal_costs = sides.flat_map(|(side, removals)| {
            CASES
                .iter()
                .zip(&removals.fits)
                .filter_map(move |(case, fit)| {
                    Some(RemovalCost {
                        call: case.call.to_owned(),
                        mapped: case.mapped,
                        side,
                        fit: fit.clone()?,
                    })
                })
        });
        Ok(Found {
            faults: costs.collect(),
            removals: removal_costs.collect(),
            kernel,
            bare,
            calibrated,
        })
    }
}

/// The goal for slopes.
const SLOPE_GOAL: f64 = 0.10;

impl Found {
    fn ratio(&self, of: fn(&Measured) -> &Option<Fit>, part: Part) -> Option<Interval> {
        of(&self.calibrated)
            .as_ref()?
            .ratio_to(of(&self.kernel).as_ref()?, part)
    }

    /// The rows of the fidelity table that are fits.
    pub(super) fn compared(&self) -> Vec<Compared> {
        type Of = fn(&Measured) -> &Option<Fit>;
        let fits: [(&str, Of); 2] = [("order 0", |it| &it.small), ("order 4", |it| &it.large)];
        let parts = [
            ("a page", Part::Slope, Some(SLOPE_GOAL)),
            ("once", Part::Intercept, None),
        ];
        let rows = fits.into_iter().flat_map(|(folios, of)| {
            parts.into_iter().filter_map(move |(what, part, goal)| {
                let figure = |side: &Measured| {
                    let fit = of(side).as_ref();
                    fit.map(|fit| match part {
                        Part::Slope => fit.page_ns,
                        Part::Intercept => fit.intercept_ns,
                    })
                };
                Some(Compared {
                    what: format!("{what}, {folios}"),
                    unit: "ns".to_owned(),
                    kernel: figure(&self.kernel)?,
                    calibrated: figure(&self.calibrated)?,
                    bare: figure(&self.bare)?,
                    ratio: self.ratio(of, part)?,
                    goal,
                })
            })
        });
        rows.chain(self.slow()).collect()
    }

    /// The row of faults on what isn't in the page cache.
    fn slow(&self) -> Option<Compared> {
        let sides = [&self.kernel, &self.calibrated, &self.bare];
        fidelity::compare("a missing page", "ns", None, &|side| {
            sides[side].by_round(Work::Slow)
        })
    }
}
