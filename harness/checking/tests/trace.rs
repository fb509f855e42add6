//! Traces: what they tell, in which order, and in what width.

use std::sync::atomic::Ordering::Relaxed;

use checking::Cell;
use checking::trace::{TRACE_COLUMNS, Trace, simplest};
use kernel_model::graded;
use kernel_model::platform::checked::Mutation;
use kernel_model::race::Graded;
use machine_facts::cancel::Cancel;

fn simplest_of(scheme: &str, scenario: &str, mutation: &Mutation) -> Option<Trace> {
    let mut all = Cell::all().into_iter();
    let cell = all.find(|it| it.scheme.name == scheme && it.scenario.name == scenario);
    simplest(cell.expect("a cell"), None, mutation, 3, &Cancel::default())
}

/// The trace as text; it fits where it is to be pasted.
fn text(scheme: &str, scenario: &str, mutation: &Mutation) -> String {
    let trace = simplest_of(scheme, scenario, mutation).expect("a violating execution");
    text_of(&trace, mutation)
}

fn text_of(trace: &Trace, mutation: &Mutation) -> String {
    let text = trace.text(mutation);
    assert!(text.is_ascii(), "{text}");
    for line in text.lines() {
        assert!(line.len() <= TRACE_COLUMNS, "{line}");
        assert_eq!(line, line.trim_end());
    }
    text
}

/// Its lines, each of them with the number of its column.
fn columns(text: &str) -> Vec<(usize, String)> {
    let column = |line: &str| {
        let cells: Vec<&str> = line.split(" | ").collect();
        let at = cells
            .iter()
            .position(|cell| !cell.trim().is_empty())
            .unwrap();
        (at, cells[at].trim_end_matches(" |").trim().to_owned())
    };
    text.lines().map(column).collect()
}

/// All of these are in the trace, in this order.
#[track_caller]
fn assert_told(text: &str, expected: &[(usize, &str)]) {
    let lines = columns(text);
    let mut lines = lines.iter();
    for &(cpu, line) in expected {
        assert!(
            lines.any(|(at, told)| (*at, told.as_str()) == (cpu, line)),
            "CPU{cpu}: {line}, in its place, in\n{text}"
        );
    }
}

#[test]
fn sketch_is_shown_broken_by_a_removal_that_fits_in_between() {
    let text = text("sketch", "fault-vs-punch", &Mutation::NONE);
    let head = text.lines().next().unwrap();
    assert!(
        head.contains("CPU0: fault") && head.contains("| CPU1: punch-hole"),
        "{head}"
    );
    assert_told(
        &text,
        &[
            (1, "punch-hole, page 0"),
            (1, "lock, unlock the PTE table"),
            (1, "PG_locked 0 -> 1 [folio_trylock]"),
            (1, "smp_mb() [remover_lock_mb]"),
            (1, "mapcount? 0 [remover_mapcount]"),
            (0, "fault-around, page 0"),
            (0, "lock the PTE table"),
            (0, "slot 0: folio 0 [slot_load]"),
            (0, "refcount 2 -> 3"),
            (1, "slot 0 = empty [slot_store]"),
            (1, "mapping = NULL [mapping_store]"),
            (1, "PG_locked 1 -> 0 [folio_unlock]"),
            (1, "punch-hole returns"),
            (0, "mapcount 0 -> 1 [mapcount_inc]"),
            (0, "smp_mb() [mapcount_inc_mb]"),
            (0, "PG_locked? no [recheck_locked]"),
            (0, "set PTE"),
            (0, "unlock the PTE table"),
        ],
    );
    assert!(!text.contains("STALE"), "it takes no weak memory:\n{text}");
    assert!(
        text.lines()
            .last()
            .unwrap()
            .starts_with("no-stale-pte: offset 0")
    );
    // Nothing but what matters.
    for noise in ["i_mmap", "xa_lock", "stable_read", "i_size", "incarnation"] {
        assert!(!text.contains(noise), "{noise} in\n{text}");
    }
}

#[test]
fn an_execution_is_as_simple_as_can_be() {
    // The removal is stopped once, for the fault; and once more for its end.
    let trace = simplest_of("sketch", "fault-vs-punch", &Mutation::NONE).unwrap();
    assert_eq!(trace.shows, "no-stale-pte");
    let fewer = trace.preemptions - 1;
    let none = simplest(trace.cell, None, &Mutation::NONE, fewer, &Cancel::default());
    assert!(none.is_none(), "{fewer} preemptions are enough");
}

#[test]
fn stale_reads_name_what_they_missed() {
    let weak = Mutation {
        weakened: vec![("recheck_locked", Relaxed)],
        ..Mutation::NONE
    };
    let text = text("mapcount-recheck", "fault-vs-punch", &weak);
    let plain = text.replace("      ", " ").replace('\n', " ");
    assert!(plain.contains("[recheck_locked,"), "{text}");
    assert!(text.contains("WEAK: Relaxed]"), "{text}");
    assert!(
        text.contains("mapping? ours (STALE: NULL by now)"),
        "{text}"
    );
}

#[test]
fn what_was_taken_away_is_told() {
    for barrier in ["mapcount_inc_mb", "remover_lock_mb"] {
        let gone = Mutation {
            weakened: vec![(barrier, Relaxed)],
            ..Mutation::NONE
        };
        let text = text("mapcount-recheck", "fault-vs-punch", &gone);
        assert!(text.contains(&format!("NO smp_mb() [{barrier}]")), "{text}");
        assert!(text.contains("mapcount? 0 (STALE: 1 by now)"), "{text}");
    }
    let unchecked = Mutation {
        left_out: vec!["recheck_mapping"],
        ..Mutation::NONE
    };
    let text = text("mapcount-recheck", "fault-vs-punch", &unchecked);
    assert!(text.contains("NO CHECK [recheck_mapping]"), "{text}");
}

#[test]
fn a_frame_that_moves_is_followed_with_its_references() {
    let unchecked = Mutation {
        left_out: vec!["slot_reload"],
        ..Mutation::NONE
    };
    let text = text("mapcount-recheck", "fault-vs-punch-and-refill", &unchecked);
    assert_told(
        &text,
        &[
            (1, "refcount 1 -> 0 [ref_put]"),
            (1, "free folio 0"),
            (1, "allocate folio 0"),
            (1, "refcount = 1 [page_alloc_ref]"),
            (1, "mapping = ours [mapping_store]"),
            (1, "slot 1 = folio 0 [slot_store]"),
            (1, "page 1 is read into folio 0"),
            (1, "PG_uptodate set [set_uptodate]"),
            (0, "NO CHECK [slot_reload]"),
            (0, "set PTE"),
            (0, "<== right-offset"),
        ],
    );
    let end = text.split("<== right-offset").nth(1).unwrap();
    assert!(
        end.trim_start_matches([' ', '|', '\n'])
            .starts_with("right-offset:"),
        "{end}"
    );
}

#[test]
fn a_table_that_is_not_seen_is_told_and_three_cpus_fit() {
    let missing = text("sketch", "first-fault-vs-truncate", &Mutation::NONE);
    assert!(
        missing.contains("zap: no PTE table, nothing to do"),
        "{missing}"
    );
    assert!(missing.contains("install the PTE table"), "{missing}");
    assert!(missing.contains("i_size = 0 [i_size_write]"), "{missing}");
    let three = text("sketch", "two-faults-vs-punch", &Mutation::NONE);
    assert!(three.lines().next().unwrap().contains("CPU2: punch-hole"));
}

#[test]
fn cpus_that_get_nowhere_fill_no_more_than_a_few_pages() {
    let unchecked = Mutation {
        left_out: vec!["ref_get_unless_zero"],
        ..Mutation::NONE
    };
    let text = text("mapcount-recheck", "slow-vs-punch-and-refill", &unchecked);
    assert!(text.lines().count() < 300);
    assert!(
        text.lines().last().unwrap().starts_with("progress: "),
        "{text}"
    );
}

#[test]
fn a_graded_outcome_is_shown_where_it_is_seen() {
    let of = |graded: Graded, scheme: &str, scenario: &str| {
        let mut all = Cell::all().into_iter();
        let cell = all.find(|it| it.scheme.name == scheme && it.scenario.name == scenario);
        let cell = cell.expect("a cell");
        simplest(cell, Some(graded), &Mutation::NONE, 2, &Cancel::default())
    };
    let transient = |scheme| of(graded::TRANSIENT_MAPCOUNT, scheme, "fault-vs-punch");
    let trace = transient("mapcount-recheck").expect("it is seen");
    let text = text_of(&trace, &Mutation::NONE);
    assert_told(
        &text,
        &[
            (0, "mapcount 0 -> 1 [mapcount_inc]"),
            (1, "<== transient-mapcount"),
            (1, "slot 0 = empty [slot_store]"),
            (0, "mapcount 1 -> 0 [mapcount_undo]"),
        ],
    );
    let never = transient("page-locked");
    assert!(never.is_none(), "it counts what it will keep");

    let trace = of(graded::FOREIGN_PTE, "page-locked", "foreign-vs-punch");
    let text = text_of(&trace.expect("it is seen"), &Mutation::NONE);
    assert_told(
        &text,
        &[
            (1, "mapcount? 1 [remover_mapcount]"),
            (1, "lock, unlock the PTE table"),
            (1, "<== foreign-pte"),
            (1, "slot 0 = empty [slot_store]"),
            (1, "punch-hole returns"),
            (1, "read the page: that of page 0"),
            (1, "[contents_read]"),
        ],
    );
    assert!(!text.contains("transient-mapcount"), "{text}");
}

#[test]
fn a_sound_scheme_has_no_violating_execution() {
    assert!(simplest_of("mapcount-recheck", "fault-vs-punch", &Mutation::NONE).is_none());
    // Nor is there one to show where schedules are random.
    assert!(simplest_of("sketch", "crowd", &Mutation::NONE).is_none());
}
