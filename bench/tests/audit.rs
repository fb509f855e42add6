//! `faultaround audit` as its users meet it.

#[allow(dead_code)]
mod program;

use std::os::unix::process::CommandExt;
use std::process::Output;

use kernel_model::fault_around::Schemes;
use kernel_model::platform::Native;
use program::stdout;

/// The name under which it runs is in what it prints.
fn faultaround(arguments: &[&str]) -> Output {
    let mut command = program::faultaround(arguments);
    command
        .arg0("faultaround")
        .output()
        .expect("the command starts")
}

#[test]
fn audits_give_verdicts_by_name() {
    let audit = |more: &[&str]| {
        let arguments = ["audit", "--storm", "punch-hole", "--duration"];
        faultaround(&[&arguments[..], more].concat())
    };
    for scheme in ["sketch", "lockless-rfc"] {
        let output = audit(&["10ms", "--scheme", scheme]);
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(
            text.contains("(broken)") && text.contains("VIOLATES"),
            "{text}"
        );
        assert!(
            text.contains("as declared: it is known to be broken"),
            "{text}"
        );
        assert!(
            text.contains("at offset") && text.contains("folio"),
            "{text}"
        );
    }
    let output = audit(&["10ms", "--format", "tsv"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let text = stdout(&output);
    let all = Schemes::<Native>::ALL.iter().map(|it| it.about().verdict);
    let sound = all.filter(|verdict| verdict.is_sound()).count();
    assert_eq!(text.lines().count(), 1 + sound, "the sound ones: {text}");
    for line in text.lines().skip(1) {
        let fields: Vec<_> = line.split('\t').collect();
        assert_eq!(fields[2..6], ["false", "false", "true", "0"], "{line}");
    }

    let without = |check: &str| {
        let left_out = ["--scheme", "mapcount-recheck", "--without", check];
        audit(&[&["10ms"][..], &left_out].concat())
    };
    // As of check: 0 if it was noticed, 1 if it wasn't. Under a hole the slot's reload is all it
    // takes.
    let noticed = without("recheck_mapping");
    let text = stdout(&noticed);
    assert_eq!(noticed.status.code(), Some(0), "{text}");
    assert!(text.contains("what was left out was noticed"), "{text}");
    assert!(!text.contains("NO VERDICT"), "{text}");
    assert!(text.lines().all(|line| line.len() <= 75), "{text}");

    // What it says shows the same again.
    let (_, again) = text.split_once("again: ").expect(&text);
    let again = again.replace("\\\n", " ");
    let again: Vec<_> = again
        .lines()
        .next()
        .expect("a line")
        .split_whitespace()
        .skip_while(|word| *word != "audit")
        .collect();
    let repeated = faultaround(&again);
    let shows = |text: &str| -> Vec<String> {
        let lines = text
            .lines()
            .filter(|line| line.contains(" at offset ") || line.contains("accesses,"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(repeated.status.code(), Some(0), "{}", stdout(&repeated));
    assert_eq!(shows(&stdout(&repeated)), shows(&text));
    assert!(shows(&text).len() > 3, "{text}");

    // One that shows nothing says nothing, whether or not something was left out.
    let one = "audit --storm punch-hole --scheme mapcount-recheck --schedule \
               page/fault/punch-hole/A1";
    let one: Vec<_> = one.split_whitespace().collect();
    for more in [&[][..], &["--without", "recheck_mapping"]] {
        let output = faultaround(&[&one[..], more].concat());
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        let said = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("NO VERDICT: it is one schedule"), "{text}");
    }
}

#[test]
fn a_check_whose_lack_goes_unnoticed_is_said_to() {
    let output = faultaround(&[
        "audit",
        "--scheme",
        "page-locked",
        "--storm",
        "reclaim",
        "--duration",
        "10ms",
        "--without",
        "page_locked_mapping",
    ]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("NOT noticed"), "{text}");
}
