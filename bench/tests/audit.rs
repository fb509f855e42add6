//! `faultaround audit` as its users meet it.

mod support;

use std::os::unix::process::CommandExt;

use kernel_model::fault_around::Schemes;
use kernel_model::platform::Native;
use support::{More, Told, assert_fits, assert_has, faultaround, table, unwrapped};

/// An audit. The name under which it runs is in what it prints.
fn audit(options: &str) -> Told {
    let mut command = faultaround("audit");
    command.arg0("faultaround");
    command.with(options).told()
}

#[test]
fn audits_give_verdicts_by_name() {
    let short = "--storm punch-hole --duration 10ms";
    for scheme in ["sketch", "lockless-rfc"] {
        let text = audit(&format!("{short} --scheme {scheme}")).text();
        let declared = "as declared: it is known to be broken";
        assert_has(
            &text,
            &["(broken)", "VIOLATES", declared, "at offset", "folio"],
        );
    }
    let text = audit(&format!("{short} --format tsv")).text();
    let all = Schemes::<Native>::ALL.iter().map(|it| it.about().verdict);
    let sound = all.filter(|verdict| verdict.is_sound()).count();
    let rows = table(&text);
    assert_eq!(rows.len(), 1 + sound, "the sound ones: {text}");
    for row in &rows[1..] {
        assert_eq!(row[2..6], ["false", "false", "true", "0"], "{row:?}");
    }

    // As of check: 0 if it was noticed, 1 if it wasn't. Under a hole the slot's reload is all it
    // takes.
    let without = "--scheme mapcount-recheck --without recheck_mapping";
    let text = audit(&format!("{short} {without}")).text();
    assert_has(&text, &["what was left out was noticed"]);
    assert!(!text.contains("NO VERDICT"), "{text}");
    assert_fits(&text, 75);

    // What it says shows the same again.
    let (_, again) = text.split_once("again: ").expect(&text);
    let again = again.replace("\\\n", " ");
    let (_, again) = again
        .lines()
        .next()
        .unwrap()
        .split_once(" audit ")
        .expect(&text);
    let repeated = audit(again).text();
    let shows = |text: &str| -> Vec<String> {
        let lines = text
            .lines()
            .filter(|line| line.contains(" at offset ") || line.contains("accesses,"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(shows(&repeated), shows(&text));
    assert!(shows(&text).len() > 3, "{text}");

    // One that shows nothing says nothing, whether or not something was left out.
    let one = "--storm punch-hole --scheme mapcount-recheck --schedule page/fault/punch-hole/A1";
    for more in ["", "--without recheck_mapping"] {
        let told = audit(&format!("{one} {more}"));
        assert_eq!(told.status, Some(1), "{told:?}");
        assert_has(&unwrapped(&told.text), &["NO VERDICT: it is one schedule"]);
    }
}

#[test]
fn a_check_whose_lack_goes_unnoticed_is_said_to() {
    let line = "--scheme page-locked --storm reclaim --duration 10ms --without page_locked_mapping";
    let told = audit(line);
    assert_eq!(told.status, Some(1), "{told:?}");
    assert_has(&told.text, &["NOT noticed"]);
    // It is enough that it is noticed somewhere.
    let text = audit(&line.replace("reclaim", "reclaim,punch-hole")).text();
    assert_has(&text, &["NOT noticed", "was noticed"]);
}
