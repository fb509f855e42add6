//! The family as data.

use super::{About, Schemes, WALK_CHECKS};
use crate::platform::{Native, Platform};
use crate::race::{Family, Scheme, SetUp};
use crate::scenario::Scenarios;
use crate::{graded, invariants, sites, tag};

/// May a page be mapped without its lock while it is being removed?
pub static FAMILY: Family = Family {
    name: "fault-around",
    question: "may a page be mapped without its lock while somebody removes it?",
    source: "Torvalds, 14 Oct 2020",
    schemes: || abouts().map(|about| &about.scheme).collect(),
    scenarios: || {
        Scenarios::<Native>::ALL
            .iter()
            .map(|it| it.about())
            .collect()
    },
    tags: tag::ALL,
    invariants: invariants::ALL,
    graded: graded::ALL,
    scheme_checks: WALK_CHECKS,
    model_checks: || sites::shared_checks().collect(),
    model_sites: || sites::sites().collect(),
    facts,
    #[cfg(feature = "check")]
    checked: crate::race::Checked {
        loom: set_up::<crate::platform::Loom>,
        shuttle: set_up::<crate::platform::Shuttle>,
    },
};

fn abouts() -> impl Iterator<Item = &'static About> {
    Schemes::<Native>::ALL.iter().map(|scheme| scheme.about())
}

/// The set-up of a scheme in a scenario.
fn set_up<P: Platform>(scheme: &str, scenario: &str) -> SetUp {
    let scheme = Schemes::<P>::named(scheme).expect("a scheme of the registry");
    let scenario = Scenarios::<P>::named(scenario).expect("a scenario of the registry");
    Box::new(|| scenario.stage(scheme.into()).into())
}

/// What a scheme costs, and what it asks for.
fn facts(scheme: &'static Scheme) -> Vec<(&'static str, String)> {
    let about = abouts().find(|it| it.name == scheme.name);
    let about = about.expect("a scheme of this family");
    let rmws = [0, 2, 4].map(|order| {
        let rmws = about.rmws.of_window(16, order);
        format!("{rmws} (order {order})")
    });
    let costs = format!(
        "read-modify-writes for 16 pages: {}; lines that all faults on the file share, written per \
         fault: {}",
        rmws.join(", "),
        about.shared_lines_per_fault
    );
    vec![
        ("costs", costs),
        ("removers", about.asks_of_removers.to_owned()),
    ]
}
