//! `faultaround breakdown` as its users meet it.

mod program;

use std::process::{Command, Stdio};

use program::{faultaround, stderr, stdout};

/// A short breakdown: what it shows, and not how long it took.
fn breakdown(more: &[&str]) -> String {
    let short = ["breakdown", "--cpus", "0", "--rounds", "2"];
    let mut command = faultaround(&[&short[..], &["--pages", "256"], more].concat());
    let output = command.output().expect("the command starts");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    stdout(&output)
}

#[test]
fn a_breakdown_shows_every_step_of_every_scheme_in_lines_that_fit_a_mail() {
    let text = breakdown(&["--scheme", "page-locked,sketch"]);
    assert!(
        text.is_ascii() && text.lines().all(|line| line.len() <= 72),
        "{text}"
    );
    let (page_locked, sketch) = text.split_once("== sketch (broken): ").expect(&text);
    let row = |table: &str, name: &str| -> Vec<String> {
        let mut lines = table.lines().map(|line| line.split_whitespace());
        let words = lines.find(|words| words.clone().next() == Some(name));
        let words = words.unwrap_or_else(|| panic!("{name} is missing: {table}"));
        words.map(str::to_owned).collect()
    };
    for (table, steps) in [
        (
            page_locked,
            &[
                "folio_trylock",
                "folio_unlock",
                "mapcount_inc_locked",
                "ref_get_unless_zero",
            ][..],
        ),
        (
            sketch,
            &["mapcount_inc", "ref_get_unless_zero", "recheck_locked"],
        ),
    ] {
        for step in steps {
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
    let text = breakdown(&["--format", "tsv"]);
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert!(
        lines.iter().all(|fields| fields.len() == lines[0].len()),
        "{text}"
    );
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

    let json = breakdown(&["--format", "json", "--scheme", "mapcount-recheck"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
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
    let arguments = ["breakdown", "--cpus", "0", "--rounds", "10000"];
    // Nothing tells of its first turn, which takes as long as the machine lets it.
    for seconds in [1, 2, 4, 8, 16, 32, 64] {
        let mut command = faultaround(&arguments);
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_secs(seconds));
        let killed = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(killed.unwrap().success());
        let output = child.wait_with_output().unwrap();
        let (text, said) = (stdout(&output), stderr(&output));
        // Before it listens for signals, or has a turn.
        if output.status.code().is_none() || said.contains("stopped before anything") {
            assert_eq!(text, "");
            continue;
        }
        assert_eq!(output.status.code(), Some(130), "{said}");
        assert!(text.starts_with("INCOMPLETE"), "{text}");
        assert!(said.contains("of 10000 turns came to an end"), "{said}");
        assert!(text.contains("== page-locked: "), "{text}");
        return;
    }
    panic!("not one turn in two minutes");
}
