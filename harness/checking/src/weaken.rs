//! Which orderings a scheme needs: each is weakened, and the scenarios are gone through again.
//!
//! Loom is the judge, so that "needs" is proved by an execution that goes wrong without, and
//! "passes" holds for what Loom models within the bound, and no further.

use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

use kernel_model::platform::checked::Mutation;
use kernel_model::platform::{Access, Site};
use kernel_model::race::{Family, Scheme};
use thiserror::Error;

use super::{Cell, Ended, Exploration, Extent, NoProcess, NoThread, explore_all};

/// What became of one site.
#[derive(Debug, Clone)]
pub struct Weakening {
    /// The site.
    pub site: &'static Site,
    /// The weakest ordering that passes in all scenarios; its own if none weaker does.
    pub weakest: Ordering,
    /// Orderings that don't pass, the weakest first, and what breaks.
    pub breaks: Vec<Break>,
}

/// An ordering that doesn't pass.
#[derive(Debug, Clone)]
pub struct Break {
    /// The ordering.
    pub order: Ordering,
    /// Where it breaks.
    pub cell: Cell,
    /// How: by a violation, or a panic.
    pub ended: Ended,
    /// Executions until it was found.
    pub executions: u64,
}

/// Why not all was gone through.
#[derive(Debug, Error)]
pub enum Stopped {
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The system gave no thread.
    #[error(transparent)]
    NoThread(#[from] NoThread),
    /// The system gave no process.
    #[error(transparent)]
    NoProcess(#[from] NoProcess),
}

/// What explores a cell, here or in a process.
pub type Explore<'a> =
    dyn Fn(Cell, &Mutation, &Extent) -> Result<Exploration, NoProcess> + Sync + 'a;

/// The sites of a scheme that can be weakened: its own first, then those of the model around it.
pub fn sites_of(family: &Family, scheme: &Scheme) -> Vec<&'static Site> {
    let mut sites = scheme.sites.to_vec();
    sites.extend((family.model_sites)());
    sites.retain(|site| !ladder(site).is_empty());
    sites
}

/// Orderings below a site's own, the weakest first. For a fence `Relaxed` stands for none at all.
pub fn ladder(site: &Site) -> &'static [Ordering] {
    match (site.access, site.order) {
        (Access::Fence, _) => &[Relaxed, AcqRel],
        (_, Relaxed) => &[],
        (_, Acquire | Release) => &[Relaxed],
        (Access::Load, SeqCst) => &[Relaxed, Acquire],
        (Access::Store, SeqCst) => &[Relaxed, Release],
        (Access::Rmw, SeqCst) => &[Relaxed, Acquire, Release, AcqRel],
        _ => &[Relaxed, Acquire, Release],
    }
}

/// The scenarios that a weak memory model can be asked about, for a scheme.
pub fn cells_of(scheme: &str) -> Vec<Cell> {
    let all = Cell::all().into_iter();
    all.filter(|cell| cell.scheme.name == scheme)
        .filter(|cell| !cell.scenario.is_at_random())
        .collect()
}

/// Finds the weakest ordering of one site that passes, all others being as they are in `mutation`.
///
/// # Errors
/// [`Stopped`].
pub fn weaken(
    site: &'static Site,
    mutation: &Mutation,
    cells: &[Cell],
    extent: &Extent,
    explore: &Explore<'_>,
) -> Result<Weakening, Stopped> {
    let mut breaks = Vec::new();
    for &order in ladder(site) {
        let mut weaker = mutation.clone();
        weaker.weakened.push((site.name, order));
        match first_break(order, &weaker, cells, extent, explore)? {
            Some(broken) => breaks.push(broken),
            None => {
                return Ok(Weakening {
                    site,
                    weakest: order,
                    breaks,
                });
            }
        }
    }
    Ok(Weakening {
        site,
        weakest: site.order,
        breaks,
    })
}

/// The first scenario that breaks; `order` is what is told of it.
///
/// # Errors
/// [`Stopped`].
fn first_break(
    order: Ordering,
    mutation: &Mutation,
    cells: &[Cell],
    extent: &Extent,
    explore: &Explore<'_>,
) -> Result<Option<Break>, Stopped> {
    for &cell in cells {
        let exploration = explore(cell, mutation, extent)?;
        match exploration.ended {
            // At a bound of few preemptions not all is seen; check itself judges that.
            Ended::Exhausted | Ended::Vacuous => {}
            Ended::OutOfTime | Ended::Interrupted => return Err(Stopped::Interrupted),
            ended => {
                return Ok(Some(Break {
                    order,
                    cell,
                    ended,
                    executions: exploration.executions,
                }));
            }
        }
    }
    Ok(None)
}

/// All orderings weakened together, as far as it goes.
#[derive(Debug, Clone)]
pub struct Joint {
    /// What is weakened.
    pub mutation: Mutation,
    /// What breaks after all when the scenarios are gone through with their own bounds.
    pub confirmed: Option<(Cell, Ended)>,
    /// Executions of that.
    pub executions: u64,
}

impl Joint {
    /// The ordering that a site is left with.
    pub fn order(&self, site: &Site) -> Ordering {
        self.mutation.weaker(site).unwrap_or(site.order)
    }
}

/// Weakens site after site, keeping each weakening that passes together with those before it, and
/// goes through the result in `all` scenarios with their own bounds. `begins` is told of each site.
///
/// # Errors
/// [`Stopped`].
pub fn joint(
    alone: &[Weakening],
    cells: &[Cell],
    all: &[Cell],
    extent: &Extent,
    explore: &Explore<'_>,
    mut begins: impl FnMut(&'static Site),
) -> Result<Joint, Stopped> {
    let mut mutation = Mutation::NONE;
    for Weakening { site, weakest, .. } in alone {
        begins(site);
        // What doesn't pass alone doesn't pass with others.
        let orders = ladder(site).iter().skip_while(|order| *order != weakest);
        for &order in orders {
            let mut weaker = mutation.clone();
            weaker.weakened.push((site.name, order));
            if broken(&weaker, cells, extent, explore)?.1.is_none() {
                mutation = weaker;
                break;
            }
        }
    }
    let (executions, confirmed) = broken(&mutation, all, &Extent::default(), explore)?;
    Ok(Joint {
        mutation,
        confirmed,
        executions,
    })
}

/// What breaks in the scenarios, all of them gone through at once, and in how many executions.
fn broken(
    mutation: &Mutation,
    cells: &[Cell],
    extent: &Extent,
    explore: &Explore<'_>,
) -> Result<(u64, Option<(Cell, Ended)>), Stopped> {
    let explorations = explore_all(cells, |cell| explore(*cell, mutation, extent), |_, _| ())?;
    let explorations = explorations.into_iter().collect::<Result<Vec<_>, _>>()?;
    let executions = explorations.iter().map(|it| it.executions).sum();
    let mut first = None;
    for (cell, exploration) in cells.iter().zip(explorations) {
        match exploration.ended {
            Ended::Exhausted | Ended::Vacuous => {}
            Ended::OutOfTime | Ended::Interrupted => return Err(Stopped::Interrupted),
            ended => {
                first.get_or_insert((*cell, ended));
            }
        }
    }
    Ok((executions, first))
}
