//! What the checkers find: what is declared, and each thing that is taken away.
#![cfg(all(feature = "loom", feature = "shuttle"))]

use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release};
use std::time::Duration;

use harness::cancel::Cancel;
use harness::check::weaken::{cells_of, joint, ladder, sites_of, weaken};
use harness::check::{Bound, Cell, Ended, Extent, explore, explore_all};
use kernel_model::Invariant::{
    self, CountsBalance, NoPtePastEof, NoStalePte, OnlyUptodate, Progress, RightOffset,
};
use kernel_model::fault_around::Schemes;
use kernel_model::platform::Loom;
use kernel_model::platform::checked::Mutation;
use kernel_model::scenario::{Explored, Scenarios};

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

fn with(site: &'static str, order: Ordering) -> Mutation {
    Mutation {
        weakened: vec![(site, order)],
        ..Mutation::NONE
    }
}

#[test]
fn every_verdict_is_the_declared_one() {
    let cells = Cell::all();
    assert_eq!(
        cells.len(),
        Schemes::<Loom>::ALL.len() * Scenarios::<Loom>::ALL.len()
    );
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
    );
    for (cell, exploration) in cells.iter().zip(&explorations) {
        let (scheme, scenario) = (cell.scheme.name, cell.scenario.name);
        let ended = &exploration.ended;
        assert!(
            exploration.is_declared(cell.declared()),
            "{scheme} in {scenario}: {ended:?}"
        );
        assert!(exploration.executions > 0);
    }
    for scheme in Schemes::<Loom>::ALL.iter().map(|scheme| scheme.about()) {
        let of_scheme = cells.iter().zip(&explorations);
        let mut of_scheme = of_scheme.filter(|(cell, _)| cell.scheme.name == scheme.name);
        let seen = of_scheme.any(|(_, exploration)| exploration.transient_mapcount > 0);
        // A broken scheme may violate something before it shows one.
        assert!(
            seen == scheme.transient_mapcount || !scheme.verdict.is_sound(),
            "{} and transient-mapcount",
            scheme.name
        );
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
    assert!(!exploration.is_declared(broken.declared()));
    assert!(exploration.is_declared(&[]));

    let exploration = explore(broken, &Mutation::NONE, &BOUND, &Cancel::default());
    assert_eq!(exploration.violated(), Some(NoStalePte));
    assert!(!exploration.is_declared(&[]));
    assert!(!exploration.is_declared(&[CountsBalance]));
}

/// Each check of the sound schemes, and what is found without it.
const WITHOUT: &[(&str, &str, &str, Invariant)] = &[
    (
        "page-locked",
        "page_locked_mapping",
        "fault-vs-punch",
        NoStalePte,
    ),
    ("page-locked", "pte_none", "fault-vs-thread", CountsBalance),
    (
        "page-locked",
        "ref_get_unless_zero",
        "fault-vs-punch",
        CountsBalance,
    ),
    (
        "page-locked",
        "slot_reload",
        "fault-vs-punch-and-refill",
        RightOffset,
    ),
    (
        "page-locked",
        "window_flags",
        "fault-vs-read-error",
        OnlyUptodate,
    ),
    (
        "page-locked",
        "i_size_read",
        "window-past-eof",
        NoPtePastEof,
    ),
    (
        "mapcount-recheck",
        "recheck_locked",
        "fault-vs-punch",
        NoStalePte,
    ),
    (
        "mapcount-recheck",
        "recheck_mapping",
        "fault-vs-punch",
        NoStalePte,
    ),
    (
        "mapcount-recheck",
        "pte_none",
        "fault-vs-thread",
        CountsBalance,
    ),
    (
        "mapcount-recheck",
        "ref_get_unless_zero",
        "fault-vs-punch",
        CountsBalance,
    ),
    (
        "mapcount-recheck",
        "slot_reload",
        "fault-vs-punch-and-refill",
        RightOffset,
    ),
    (
        "mapcount-recheck",
        "window_flags",
        "fault-vs-read-error",
        OnlyUptodate,
    ),
    (
        "mapcount-recheck",
        "i_size_read",
        "window-past-eof",
        NoPtePastEof,
    ),
];

#[test]
fn each_check_left_out_is_found_by_name() {
    for &(scheme, check, scenario, invariant) in WITHOUT {
        let ended = mutated(scheme, scenario, &without(check));
        let Ended::Violated(found) = ended else {
            panic!("{scheme} without {check} in {scenario}: {ended:?}");
        };
        assert_eq!(
            found.invariant, invariant,
            "{scheme} without {check}: {found}"
        );
    }
    for scheme in Schemes::<Loom>::ALL.iter().map(|scheme| scheme.about()) {
        for check in scheme.checks().filter(|_| scheme.verdict.is_sound()) {
            assert!(
                WITHOUT
                    .iter()
                    .any(|it| (it.0, it.1) == (scheme.name, check.name)),
                "{} makes the check {}, and nothing shows that it is needed",
                scheme.name,
                check.name
            );
        }
    }
}

/// Each ordering that a sound scheme needs: the strongest below it, and what is found with that.
const WITH: &[(&str, &str, Ordering, &str, Invariant)] = &[
    (
        "mapcount-recheck",
        "mapcount_inc_mb",
        AcqRel,
        "fault-vs-punch",
        NoStalePte,
    ),
    (
        "mapcount-recheck",
        "mapcount_inc_mb",
        Relaxed,
        "fault-vs-punch",
        NoStalePte,
    ),
    (
        "mapcount-recheck",
        "remover_lock_mb",
        AcqRel,
        "fault-vs-punch",
        NoStalePte,
    ),
    (
        "mapcount-recheck",
        "remover_lock_mb",
        Relaxed,
        "fault-vs-punch",
        NoStalePte,
    ),
    (
        "mapcount-recheck",
        "recheck_locked",
        Relaxed,
        "fault-vs-punch",
        NoStalePte,
    ),
    (
        "mapcount-recheck",
        "folio_unlock",
        Relaxed,
        "fault-vs-punch",
        NoStalePte,
    ),
    (
        "mapcount-recheck",
        "folio_trylock",
        Relaxed,
        "slow-vs-punch",
        NoStalePte,
    ),
    (
        "mapcount-recheck",
        "page_alloc_ref",
        Relaxed,
        "fault-vs-punch-and-refill",
        RightOffset,
    ),
    (
        "mapcount-recheck",
        "ref_get_unless_zero",
        Relaxed,
        "fault-vs-punch-and-refill",
        RightOffset,
    ),
    (
        "mapcount-recheck",
        "ref_put",
        Acquire,
        "slow-vs-punch-and-refill",
        CountsBalance,
    ),
    (
        "mapcount-recheck",
        "ref_put",
        Release,
        "slow-vs-punch-and-refill",
        CountsBalance,
    ),
    (
        "page-locked",
        "folio_trylock",
        Relaxed,
        "fault-vs-punch",
        NoStalePte,
    ),
    (
        "page-locked",
        "folio_unlock",
        Relaxed,
        "fault-vs-punch",
        NoStalePte,
    ),
    (
        "page-locked",
        "page_alloc_ref",
        Relaxed,
        "fault-vs-punch-and-refill",
        RightOffset,
    ),
    (
        "page-locked",
        "ref_get_unless_zero",
        Relaxed,
        "fault-vs-punch-and-refill",
        RightOffset,
    ),
    (
        "page-locked",
        "ref_put",
        Acquire,
        "fault-vs-punch-and-refill",
        CountsBalance,
    ),
    (
        "page-locked",
        "ref_put",
        Release,
        "fault-vs-punch-and-refill",
        CountsBalance,
    ),
    // Where no scheme asks for the page lock, the bit that says "uptodate" has to order.
    (
        "lockless-rfc",
        "window_flags",
        Relaxed,
        "fault-vs-read-error",
        OnlyUptodate,
    ),
    (
        "lockless-rfc",
        "set_uptodate",
        Relaxed,
        "fault-vs-read-error",
        OnlyUptodate,
    ),
];

/// Orderings that no scenario needs; docs/checking.md says why, one by one.
const NOT_NEEDED: &[&str] = &[
    "window_flags",
    "set_uptodate",
    "pmd_read",
    "pmd_install",
    "mapcount_dec",
    "slot_load",
    "slot_reload",
    "slot_store",
];

#[test]
fn each_ordering_weakened_is_found_by_name() {
    for &(scheme, site, order, scenario, invariant) in WITH {
        let ended = mutated(scheme, scenario, &with(site, order));
        let Ended::Violated(found) = ended else {
            panic!("{scheme} with {site} {order:?} in {scenario}: {ended:?}");
        };
        assert_eq!(found.invariant, invariant, "{scheme} with {site}: {found}");
    }
    for scheme in Schemes::<Loom>::ALL.iter().map(|scheme| scheme.about()) {
        if !scheme.verdict.is_sound() {
            continue;
        }
        for site in sites_of(scheme.name) {
            let needed = WITH
                .iter()
                .any(|it| (it.0, it.1) == (scheme.name, site.name));
            let not = NOT_NEEDED.contains(&site.name);
            let name = scheme.name;
            assert!(
                needed != not,
                "of {name}: {} is needed, or it isn't",
                site.name
            );
        }
    }
}

#[test]
fn the_weakest_ordering_that_passes_is_found() {
    let cells = [cell("mapcount-recheck", "fault-vs-punch")];
    let cancel = Cancel::default();
    let of = |name: &str| {
        let mut sites = sites_of("mapcount-recheck").into_iter();
        let site = sites.find(|site| site.name == name).unwrap();
        weaken(site, &Mutation::NONE, &cells, &BOUND, &cancel).unwrap()
    };
    let full = of("remover_lock_mb");
    assert_eq!(full.weakest, full.site.order);
    assert_eq!(full.breaks.len(), 2, "neither nothing nor acqrel will do");
    assert_eq!(full.breaks[1].order, AcqRel);
    assert_eq!(full.breaks[1].found.invariant, NoStalePte);
    let not_needed = of("slot_load");
    assert_eq!((not_needed.weakest, not_needed.breaks.len()), (Relaxed, 0));
    // In this scenario alone a reference needs no order; with the full barrier it stays.
    let alone = [of("slot_load"), of("ref_put"), full];
    let mut told = Vec::new();
    let joint = joint(&alone, &cells, &cells, &BOUND, &cancel, |site| {
        told.push(site.name)
    })
    .unwrap();
    assert_eq!(told, ["slot_load", "ref_put", "remover_lock_mb"]);
    assert_eq!(
        joint.mutation.weakened,
        [("slot_load", Relaxed), ("ref_put", Relaxed)]
    );
    assert_eq!(joint.confirmed.map(|(_, found)| found), None);
    assert!(joint.executions > 0);
}

#[test]
fn only_what_a_weak_memory_model_can_be_asked_is_weakened() {
    let cells = cells_of("page-locked");
    assert!(cells.iter().all(|it| it.scheme.name == "page-locked"));
    assert!(cells.iter().all(|it| it.scenario.name != "crowd"));
    assert_eq!(cells.len(), Scenarios::<Loom>::ALL.len() - 1);
    for site in sites_of("mapcount-recheck") {
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
        matches!(&ended, Ended::Violated(found) if found.invariant == Progress),
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
    assert!(!exploration.is_declared(large.declared()), "no verdict");

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
