//! A worker: the process that explores what it is told to, one cell after the other.
//!
//! Each line of its standard input is an order in JSON, and is answered by a line on its standard
//! output. When its standard input is closed it ends, in the middle of an exploration if need be.

use std::io::{self, BufRead, IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use kernel_model::platform::checked::Mutation;
use kernel_model::race::{self, Family};
use machine_facts::cancel::Cancel;
use serde::{Deserialize, Serialize};

use super::weaken::sites_of;
use super::{Cell, Exploration, Extent, explore};

/// The first argument of a program that is to be a worker.
pub const WORKER: &str = "check-worker";

/// What a worker says when it can take orders.
pub(super) const READY: &str = "ready";

/// The exit status of one whose explorer has panicked where no checker catches that.
pub(super) const PANICKED: i32 = 101;

/// What it answers to an order of which it doesn't know a name.
const UNKNOWN: &str = "it knows no such scheme, scenario, site or check";

/// What it says to those who call it by hand.
const NOT_BY_HAND: &str = "check-worker is what faultaround check starts to explore for it, and \
                           reads what to explore from there: see faultaround check --help";

/// An exploration that a worker is to make; all that has a name, by its name.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    family: String,
    scheme: String,
    scenario: String,
    weakened: Vec<(String, String)>,
    left_out: Vec<String>,
    extent: Extent,
}

impl Order {
    pub(super) fn of(cell: Cell, mutation: &Mutation, extent: &Extent) -> Self {
        let weakened = mutation.weakened.iter();
        let left_out = mutation.left_out.iter();
        Self {
            family: cell.family.name.to_owned(),
            scheme: cell.scheme.name.to_owned(),
            scenario: cell.scenario.name.to_owned(),
            weakened: weakened
                .map(|&(site, order)| (site.to_owned(), format!("{order:?}")))
                .collect(),
            left_out: left_out.map(|&site| site.to_owned()).collect(),
            extent: extent.clone(),
        }
    }

    /// What the names stand for.
    fn cell_and_mutation(&self) -> Option<(Cell, Mutation)> {
        let family = race::family(&self.family)?;
        let cell = Cell {
            family,
            scheme: family.scheme(&self.scheme)?,
            scenario: family.scenario(&self.scenario)?,
        };
        let weakened = self.weakened.iter();
        let left_out = self.left_out.iter();
        let mutation = Mutation {
            weakened: weakened
                .map(|(site, order)| Some((site_named(site)?, ordering_named(order)?)))
                .collect::<Option<_>>()?,
            left_out: left_out
                .map(|site| site_named(site))
                .collect::<Option<_>>()?,
        };
        Some((cell, mutation))
    }

    fn obey(&self) -> Option<Exploration> {
        let (cell, mutation) = self.cell_and_mutation()?;
        Some(explore(cell, &mutation, &self.extent, &Cancel::default()))
    }
}

/// The name of a site or a check of any family, out of the registries: a change may be to several.
fn site_named(name: &str) -> Option<&'static str> {
    let of_family = |family: &'static Family| {
        let schemes = (family.schemes)().into_iter();
        let of_schemes = schemes.flat_map(|scheme| {
            let checks = family.checks_of(scheme);
            checks.chain(sites_of(family, scheme))
        });
        of_schemes.chain((family.model_checks)())
    };
    let mut names = race::families().flat_map(of_family).map(|site| site.name);
    names.find(|it| *it == name)
}

fn ordering_named(name: &str) -> Option<Ordering> {
    let mut all = [Relaxed, Acquire, Release, AcqRel, SeqCst].into_iter();
    all.find(|order| format!("{order:?}") == name)
}

/// Is a worker: to be called first thing in a program's `main()`, with nothing on standard input or
/// output yet. Returns the exit status.
pub fn work() -> i32 {
    if io::stdin().is_terminal() {
        return not_by_hand();
    }
    let (orders, todo) = channel();
    let explorer = thread::Builder::new().name("explorer".to_owned());
    // Nothing else would end the process, whose first thread waits for orders.
    let answer = move || answer(todo, Order::obey, |status| process::exit(status));
    if let Err(error) = explorer.spawn(answer) {
        // Read there in place of the line that it is ready. If it can't be, that is told, too.
        let _ = tell(&error.to_string());
        return 1;
    }
    if tell(READY).is_err() {
        return 1;
    }
    for line in io::stdin().lock().lines() {
        let order = line.ok().and_then(|line| serde_json::from_str(&line).ok());
        let Some(order) = order else {
            return not_by_hand();
        };
        if orders.send(order).is_err() {
            return 1;
        }
    }
    0
}

fn not_by_hand() -> i32 {
    eprintln!("faultaround: {NOT_BY_HAND}");
    2
}

/// Obeys order after order; a panic ends all of it.
fn answer(
    todo: Receiver<Order>,
    obey: impl Fn(&Order) -> Option<Exploration>,
    end: impl FnOnce(i32),
) {
    let answer_all = || {
        for order in todo {
            let answer = obey(&order).map(|it| serde_json::to_string(&it));
            let told = match answer {
                Some(Ok(line)) => tell(&line),
                Some(Err(error)) => tell(&error.to_string()),
                None => tell(UNKNOWN),
            };
            if told.is_err() {
                return;
            }
        }
    };
    if catch_unwind(AssertUnwindSafe(answer_all)).is_err() {
        end(PANICKED);
    }
}

fn tell(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What arrives of a mutation, in an order.
    fn sent(mutation: &Mutation) -> Option<Mutation> {
        let order = Order::of(Cell::all()[3], mutation, &Extent::default());
        let text = serde_json::to_string(&order).unwrap();
        let order: Order = serde_json::from_str(&text).unwrap();
        Some(order.cell_and_mutation()?.1)
    }

    #[test]
    fn an_order_arrives_as_it_was_sent() {
        let cell = Cell::all()[3];
        let extent = Extent {
            schedules: Some(7),
            seed: u64::MAX,
            ..Extent::default()
        };
        let text = serde_json::to_string(&Order::of(cell, &Mutation::NONE, &extent)).unwrap();
        let order: Order = serde_json::from_str(&text).unwrap();
        let (its_cell, its_mutation) = order.cell_and_mutation().unwrap();
        assert_eq!(its_mutation, Mutation::NONE);
        assert_eq!(its_cell.scheme.name, cell.scheme.name);
        assert_eq!(its_cell.scenario.name, cell.scenario.name);
        assert_eq!(
            (order.extent.schedules, order.extent.seed),
            (Some(7), u64::MAX)
        );
        assert!(site_named("luck").is_none() && ordering_named("strong").is_none());
    }

    #[test]
    fn every_change_that_can_be_named_arrives() {
        // Of each family to a cell of the first: it may be changed together with those of another.
        let schemes = || {
            let of = |family: &'static Family| {
                let schemes = (family.schemes)().into_iter();
                schemes.map(move |scheme| (family, scheme))
            };
            race::families().flat_map(of)
        };
        let own = schemes().flat_map(|(family, scheme)| family.checks_of(scheme));
        let checks = own.chain(race::families().flat_map(|family| (family.model_checks)()));
        let without = checks.map(|check| Mutation {
            left_out: vec![check.name],
            ..Mutation::NONE
        });
        let sites = schemes().flat_map(|(family, scheme)| sites_of(family, scheme));
        let with = sites.flat_map(|site| {
            let orders = super::super::weaken::ladder(site).iter();
            orders.map(|&order| Mutation {
                weakened: vec![(site.name, order)],
                ..Mutation::NONE
            })
        });
        let all: Vec<Mutation> = without.chain(with).collect();
        let arrives = |it: &&Mutation| sent(it).as_ref() == Some(*it);
        let lost: Vec<_> = all.iter().filter(|it| !arrives(it)).collect();
        assert!(lost.is_empty(), "{lost:?}");
        let names = |names: &[&'static str]| all.iter().any(|it| it.left_out == names);
        for one in [
            "recheck_locked",
            "remover_mapcount",
            "fault_lock",
            "falloc_read",
        ] {
            assert!(names(&[one]), "{one}");
        }
        // All of the changes at once.
        let together = Mutation {
            weakened: all.iter().flat_map(|it| it.weakened.clone()).collect(),
            left_out: all.iter().flat_map(|it| it.left_out.clone()).collect(),
        };
        assert_eq!(sent(&together), Some(together));
    }

    #[test]
    fn a_panic_of_the_explorer_ends_the_process() {
        let (orders, todo) = channel();
        let order = || Order::of(Cell::all()[0], &Mutation::NONE, &Extent::default());
        orders.send(order()).unwrap();
        orders.send(order()).unwrap();
        drop(orders);
        let (mut obeyed, mut status) = (std::cell::Cell::new(0), None);
        let obey = |_: &Order| -> Option<Exploration> {
            obeyed.set(obeyed.get() + 1);
            panic!("where no checker is");
        };
        answer(todo, obey, |it| status = Some(it));
        assert_eq!((status, *obeyed.get_mut()), (Some(PANICKED), 1));
    }
}
