//! What the checkers find: what is declared, and each thing that is taken away.

use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::time::Duration;

use checking::weaken::{cells_of, joint, ladder, sites_of, weaken};
use checking::{Bound, Cell, Ended, Extent, explore, explore_all};
use kernel_model::invariants::{COUNTS_BALANCE, NO_STALE_PTE};
use kernel_model::platform::Site;
use kernel_model::platform::checked::Mutation;
use kernel_model::race::{self, Explored, PROGRESS};
use machine_facts::cancel::Cancel;

/// Preemptions within which all that is declared shows, and that is gone through in seconds.
const BOUND: Extent = Extent {
    bound: Some(Bound::Preemptions(2)),
    schedules: None,
    limit: None,
    // The one under which a sleeper was once lost.
    seed: 2,
};

fn cell(scheme: &str, scenario: &str) -> Cell {
    let mut all = Cell::all().into_iter();
    all.find(|it| it.scheme.name == scheme && it.scenario.name == scenario)
        .unwrap_or_else(|| panic!("no cell of {scheme} in {scenario}"))
}

fn sites(scheme: &str) -> Vec<&'static Site> {
    let cell = cell(scheme, "fault-vs-punch");
    sites_of(cell.family, cell.scheme)
}

/// Goes through a cell of changed code.
fn mutated(scheme: &str, scenario: &str, mutation: &Mutation) -> Ended {
    explore(cell(scheme, scenario), mutation, &BOUND, &Cancel::default()).ended
}

fn without(check: &'static str) -> Mutation {
    Mutation {
        left_out: vec![check],
        ..Mutation::NONE
    }
}

#[test]
fn every_verdict_is_the_declared_one() {
    let cells = Cell::all();
    let of = |family: &race::Family| (family.schemes)().len() * (family.scenarios)().len();
    assert_eq!(cells.len(), race::families().map(of).sum::<usize>());
    let cancel = Cancel::default();
    let explorations = explore_all(
        &cells,
        |cell| {
            // Three CPUs that do nothing wrong have most executions of all.
            let many = cell.scenario.cpus.len() > 2 && cell.declared().is_empty();
            let bound = if many { 1 } else { 2 };
            let extent = Extent {
                bound: Some(Bound::Preemptions(bound)),
                ..BOUND
            };
            explore(*cell, &Mutation::NONE, &extent, &cancel)
        },
        |_, _| (),
    )
    .expect("threads");
    for (cell, exploration) in cells.iter().zip(&explorations) {
        let (scheme, scenario) = (cell.scheme.name, cell.scenario.name);
        let ended = &exploration.ended;
        assert!(
            exploration.is_declared(&cell.declared()),
            "{scheme} in {scenario}: {ended:?}"
        );
        assert!(exploration.executions > 0);
    }
    for (family, scheme) in
        race::families().flat_map(|it| (it.schemes)().into_iter().map(move |scheme| (it, scheme)))
    {
        for graded in family.graded {
            let of_scheme = cells.iter().zip(&explorations);
            let mut of_scheme = of_scheme.filter(|(cell, _)| cell.scheme.name == scheme.name);
            let seen = of_scheme.any(|(cell, exploration)| exploration.showed(cell, *graded) > 0);
            // A broken scheme may violate something before it shows one.
            assert!(
                seen == scheme.shows.contains(graded) || !scheme.verdict.is_sound(),
                "{} and {graded}",
                scheme.name
            );
        }
    }
}

#[test]
fn a_verdict_that_is_not_the_declared_one_is_told() {
    let broken = cell("sketch", "fault-vs-punch");
    let too_little = Extent {
        bound: Some(Bound::Preemptions(0)),
        ..BOUND
    };
    let exploration = explore(broken, &Mutation::NONE, &too_little, &Cancel::default());
    assert_eq!(exploration.ended, Ended::Exhausted);
    assert!(!exploration.is_declared(&broken.declared()));
    assert!(exploration.is_declared(&[]));

    let exploration = explore(broken, &Mutation::NONE, &BOUND, &Cancel::default());
    assert_eq!(exploration.violated(), Some(NO_STALE_PTE));
    assert!(!exploration.is_declared(&[]));
    assert!(!exploration.is_declared(&[COUNTS_BALANCE]));
}

#[test]
fn the_weakest_ordering_that_passes_is_found() {
    let cells = [cell("mapcount-recheck", "fault-vs-punch")];
    let here = |cell: Cell, mutation: &Mutation, extent: &Extent| {
        Ok(explore(cell, mutation, extent, &Cancel::default()))
    };
    let of = |name: &str| {
        let mut sites = sites("mapcount-recheck").into_iter();
        let site = sites.find(|site| site.name == name).unwrap();
        weaken(site, &Mutation::NONE, &cells, &BOUND, &here).unwrap()
    };
    let full = of("remover_lock_mb");
    assert_eq!(full.weakest, full.site.order);
    assert_eq!(full.breaks.len(), 2, "neither nothing nor acqrel will do");
    assert_eq!(full.breaks[1].order, AcqRel);
    assert_eq!(full.breaks[1].ended.name(), NO_STALE_PTE.name);
    let not_needed = of("slot_load");
    assert_eq!((not_needed.weakest, not_needed.breaks.len()), (Relaxed, 0));
    // In this scenario alone a reference needs no order; with the full barrier it stays.
    let alone = [of("slot_load"), of("ref_put"), full];
    let mut told = Vec::new();
    let joint = joint(&alone, &cells, &cells, &BOUND, &here, |site| {
        told.push(site.name)
    })
    .unwrap();
    assert_eq!(told, ["slot_load", "ref_put", "remover_lock_mb"]);
    assert_eq!(
        joint.mutation.weakened,
        [("slot_load", Relaxed), ("ref_put", Relaxed)]
    );
    assert!(joint.confirmed.is_none());
    assert!(joint.executions > 0);
}

#[test]
fn only_what_a_weak_memory_model_can_be_asked_is_weakened() {
    let cells = cells_of("page-locked");
    assert!(cells.iter().all(|it| it.scheme.name == "page-locked"));
    assert!(cells.iter().all(|it| !it.scenario.is_at_random()));
    let all = (cells[0].family.scenarios)();
    let at_random = all.iter().filter(|scenario| scenario.is_at_random());
    assert_eq!(cells.len(), all.len() - at_random.count());
    for site in sites("mapcount-recheck") {
        assert!(!ladder(site).contains(&site.order), "{}", site.name);
        assert_eq!(ladder(site)[0], Relaxed, "{}", site.name);
    }
}

#[test]
fn cpus_that_wait_for_each_other_are_no_progress() {
    let ended = mutated(
        "mapcount-recheck",
        "slow-vs-punch-and-refill",
        &without("ref_get_unless_zero"),
    );
    assert!(
        matches!(&ended, Ended::Violated(found) if found.invariant == PROGRESS),
        "{ended:?}"
    );
}

#[test]
fn time_and_patience_end() {
    let large = cell("page-locked", "two-faults-vs-punch");
    let unbounded = Extent {
        bound: Some(Bound::None),
        limit: Some(Duration::from_millis(200)),
        ..BOUND
    };
    let exploration = explore(large, &Mutation::NONE, &unbounded, &Cancel::default());
    assert_eq!(exploration.ended, Ended::Exhausted, "with its own bound");
    assert_eq!(exploration.explored, large.scenario.explored);
    assert!(
        exploration
            .not_exhausted
            .is_some_and(|executions| executions > 0)
    );

    let deep = Extent {
        bound: Some(Bound::Preemptions(100)),
        ..unbounded
    };
    let exploration = explore(large, &Mutation::NONE, &deep, &Cancel::default());
    assert_eq!(exploration.ended, Ended::OutOfTime);
    assert_eq!(exploration.not_exhausted, None);
    assert!(!exploration.is_declared(&large.declared()), "no verdict");

    let small = cell("page-locked", "zap-vs-punch-and-refill");
    let patient = Extent {
        limit: None,
        ..deep
    };
    let own = explore(
        small,
        &Mutation::NONE,
        &Extent::default(),
        &Cancel::default(),
    );
    assert_eq!(own.explored, Explored::Exhaustively { bound: None });
    assert_eq!(own.ended, Ended::Exhausted);
    let bounded = explore(small, &Mutation::NONE, &patient, &Cancel::default());
    assert_eq!(bounded.ended, Ended::Exhausted);

    let cancel = Cancel::default();
    cancel.request();
    for scenario in ["fault-vs-punch", "crowd"] {
        let cell = cell("page-locked", scenario);
        let exploration = explore(cell, &Mutation::NONE, &BOUND, &cancel);
        assert_eq!(exploration.ended, Ended::Interrupted);
        assert_eq!(exploration.executions, 1);
    }
}
