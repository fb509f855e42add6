//! `faultaround breakdown` as its users meet it.

mod support;

use std::time::Duration;

use support::processes::Running;
use support::{Told, assert_fits, assert_has, faultaround, run, table};

/// A short breakdown: what it shows, and not how long it took.
fn breakdown(more: &str) -> Told {
    run(&format!("breakdown --cpus 0 --rounds 2 --pages 256 {more}"))
}

#[test]
fn a_breakdown_shows_every_step_of_every_scheme_in_lines_that_fit_a_mail() {
    let text = breakdown("--scheme page-locked,sketch").text();
    assert_fits(&text, 72);
    let (page_locked, sketch) = text.split_once("== sketch (broken): ").expect(&text);
    let row = |table: &str, name: &str| -> Vec<String> {
        let mut lines = table.lines().map(|line| line.split_whitespace());
        let words = lines.find(|words| words.clone().next() == Some(name));
        let words = words.unwrap_or_else(|| panic!("{name} is missing: {table}"));
        words.map(str::to_owned).collect()
    };
    let locked = "folio_trylock folio_unlock mapcount_inc_locked ref_get_unless_zero";
    let lockless = "mapcount_inc ref_get_unless_zero recheck_locked";
    for (table, steps) in [(page_locked, locked), (sketch, lockless)] {
        for step in steps.split(' ') {
            let row = row(table, step);
            assert_eq!(row[row.len() - 4], "16", "{row:?}");
        }
        for other in ["ptl", "A/A", "sum", "rest", "total", "native", "probe"] {
            row(table, other);
        }
    }
}

#[test]
fn a_breakdown_is_a_table_for_programs_too() {
    let text = breakdown("--format tsv").text();
    let lines = table(&text);
    let rmws = lines.iter().filter(|fields| fields[3] == "rmw");
    let of = |scheme: &str| rmws.clone().filter(|fields| fields[0] == scheme).count();
    assert_eq!(
        (of("page-locked"), of("mapcount-recheck")),
        (4, 2),
        "{text}"
    );
    assert!(
        !text.contains("sketch"),
        "broken ones run when named: {text}"
    );

    let json = breakdown("--format json --scheme mapcount-recheck").json();
    assert_eq!(
        (&json["complete"], &json["turns"]),
        (&true.into(), &2.into())
    );
    let steps = json["breakdowns"][0]["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["name"] == "mapcount_inc_mb"));
    assert!(json["breakdowns"][0]["total"]["median"].as_f64() > Some(0.0));
}

#[test]
fn an_interrupted_breakdown_prints_the_turns_that_it_has_and_says_so() {
    // Nothing tells of its first turn, which takes as long as the machine lets it.
    for seconds in [1, 2, 4, 8, 16, 32, 64] {
        let child = Running::of(faultaround("breakdown --cpus 0 --rounds 10000"));
        std::thread::sleep(Duration::from_secs(seconds));
        child.signal("-INT");
        let Told { text, said, status } = child.told();
        // Before it listens for signals, or has a turn.
        if status.is_none() || said.contains("stopped before anything") {
            assert_eq!(text, "");
            continue;
        }
        assert_eq!(status, Some(130), "{said}");
        assert!(text.starts_with("INCOMPLETE"), "{text}");
        assert_has(&said, &["of 10000 turns came to an end"]);
        assert_has(&text, &["== page-locked: "]);
        return;
    }
    panic!("not one turn in two minutes");
}
