//! The family `shmem-punch`: each verdict, and each check that is left out.

use checking::{Bound, Cell, Ended, Extent, explore};
use kernel_model::platform::checked::Mutation;
use kernel_model::race::{Graded, Scheme};
use kernel_model::shmem_punch::FAMILY;
use machine_facts::cancel::Cancel;

/// Each check left out, in a scheme: a scenario that needs it, and what is violated there.
const WITHOUT: &str = "
    wait-queue       falloc_read      peek-vs-return    no-use-after-return
    wait-queue       finish_ilock     create-vs-punch   no-use-after-return
    wait-queue       clear_ilock      peek-vs-return    no-use-after-return
    wait-queue       clear_then_wake  create-vs-punch   progress
    wait-queue-once  falloc_read      peek-vs-return    no-use-after-return
    wait-queue-once  finish_ilock     create-vs-punch   no-use-after-return
    wait-queue-once  clear_ilock      peek-vs-return    no-use-after-return
    wait-queue-once  clear_then_wake  create-vs-punch   progress
    invalidate-lock  relook           touches-vs-punch  bounded-removal
";

/// Every graded outcome that is seen: the scheme, the scenario, the outcome.
const GRADED: &str = "
    wait-queue       create-vs-punch   hole-not-empty
    wait-queue       touches-vs-punch  hole-not-empty
    wait-queue       fault-vs-punches  overtaken-fault
    wait-queue       fault-vs-punches  hole-not-empty
    wait-queue-once  create-vs-punch   hole-not-empty
    wait-queue-once  touches-vs-punch  hole-not-empty
    wait-queue-once  fault-vs-punches  hole-not-empty
    bounded-pass     create-vs-punch   hole-not-empty
    bounded-pass     touches-vs-punch  hole-not-empty
    bounded-pass     fault-vs-punches  hole-not-empty
";

fn cell(scheme: &str, scenario: &str) -> Cell {
    Cell {
        family: &FAMILY,
        scheme: FAMILY.scheme(scheme).expect("a scheme"),
        scenario: FAMILY.scenario(scenario).expect("a scenario"),
    }
}

fn rows<const COLUMNS: usize>(table: &'static str) -> Vec<[&'static str; COLUMNS]> {
    let lines = table.lines().filter(|line| !line.trim().is_empty());
    let row = |line: &'static str| line.split_whitespace().collect::<Vec<_>>();
    lines
        .map(|line| row(line).try_into().expect("a row of the table"))
        .collect()
}

#[test]
fn each_check_that_is_left_out_is_missed() {
    for [scheme, check, scenario, invariant] in rows(WITHOUT) {
        let mutation = Mutation {
            left_out: vec![check],
            ..Mutation::NONE
        };
        let extent = Extent {
            bound: Some(Bound::Preemptions(2)),
            ..Extent::default()
        };
        let cell = cell(scheme, scenario);
        let explored = explore(cell, &mutation, &extent, &Cancel::default());
        assert_eq!(explored.ended.name(), invariant, "{scheme} without {check}");
    }
}

/// No check of a sound scheme is one that nobody would miss.
#[test]
fn every_check_of_a_sound_scheme_is_tried() {
    let sound = |scheme: &&Scheme| scheme.verdict.is_sound();
    let checks = (FAMILY.schemes)().into_iter().filter(sound).flat_map(|it| {
        let name = |check: &'static kernel_model::platform::Site| (it.name, check.name);
        it.own_checks.iter().copied().map(name)
    });
    let tried = rows::<4>(WITHOUT).into_iter();
    assert!(checks.eq(tried.map(|[scheme, check, ..]| (scheme, check))));
}

/// Under which scheme a fault waits for more than one punch, and a page is left in the hole.
#[test]
fn graded_outcomes_are_seen_where_they_are_to_be() {
    let sound = (FAMILY.schemes)().into_iter();
    let sound = sound.filter(|scheme| scheme.verdict.is_sound());
    let mut seen = Vec::new();
    for scheme in sound {
        for scenario in ["create-vs-punch", "touches-vs-punch", "fault-vs-punches"] {
            let cell = cell(scheme.name, scenario);
            let extent = Extent {
                bound: Some(Bound::Preemptions(3)),
                ..Extent::default()
            };
            let explored = explore(cell, &Mutation::NONE, &extent, &Cancel::default());
            assert_eq!(
                explored.ended,
                Ended::Exhausted,
                "{} {scenario}",
                scheme.name
            );
            let showed = |graded: &&Graded| explored.showed(&cell, **graded) > 0;
            for graded in FAMILY.graded.iter().filter(showed) {
                seen.push([scheme.name, scenario, graded.name]);
            }
        }
    }
    assert_eq!(seen, rows(GRADED));
}
