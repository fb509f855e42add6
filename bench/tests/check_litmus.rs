//! `faultaround litmus`, most of it by a herd7 that only repeats what is declared.
#![cfg(feature = "check")]

mod support;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{fs, thread};

use serde_json::Value;
use support::processes::signal;
use support::{More, Told, assert_fits, assert_has, faultaround, run, table};

/// What the command printed and said of these arguments, and its status.
fn told(arguments: &[String], more: &str) -> (String, String, i32) {
    let mut command = faultaround("litmus");
    command.args(arguments);
    let Told { text, said, status } = command.with(more).told();
    (text, said, status.expect("no signal"))
}

/// A herd7 that knows its version and what each test declares; `but` comes first, with the test's
/// name in `$name`. Returns the arguments for it, and the directory, whose model is of 6.1 or 6.12.
fn fake_herd7(cat: &str, but: &str) -> (tempfile::TempDir, [String; 3]) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("linux-kernel.cfg"), "").unwrap();
    fs::write(directory.path().join("linux-kernel.cat"), cat).unwrap();
    let path = directory.path().join("herd7");
    let says = format!(
        r#"#!/bin/sh
[ "$1" = -version ] && echo "7.57, Rev: none" && exit
[ "$1 $2" = "-conf linux-kernel.cfg" ] && [ -f "$2" ] || exit 1
name=$(sed -n 's/^C //p' "$3")
{but}
sed -n 's/^ \* Flag: /Flag /p' "$3"
echo "Observation $name $(sed -n 's/^ \* Result: //p' "$3") 0 7"
"#
    );
    fs::write(&path, says).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let arguments = [
        directory.path().to_str().unwrap().to_owned(),
        "--herd7".to_owned(),
        path.to_str().unwrap().to_owned(),
    ];
    (directory, arguments)
}

const CAT_6_12: &str = "let rmw-sequence = (rf ; rmw)*\n";

#[test]
fn litmus_tests_are_judged_by_the_model_that_is_there() {
    let of = |cat| {
        let (_directory, arguments) = fake_herd7(cat, "");
        told(&arguments, "")
    };
    let (text, messages, status) = of(CAT_6_12);
    assert_eq!((status, messages.as_str()), (0, ""), "{text}");
    assert!(text.starts_with("herd7 7.57, the memory model of Linux 6.12\n"));
    assert_fits(&text, 72);
    let all = kernel_model::litmus::ALL.len();
    assert!(text.contains(&format!("\n{all} as expected.")), "{text}");
    assert!(
        text.contains("\n    flag data-race: as expected\n"),
        "{text}"
    );
    // The same answers are not those of the older model.
    let (text, _, status) = of("let prop = 0\n");
    assert_eq!(status, 1, "{text}");
    assert!(text.starts_with("herd7 7.57, the memory model of Linux 6.1\n"));
    for line in text
        .lines()
        .filter(|line| line.contains("Never     NOT AS EXPECTED"))
    {
        assert!(line.contains("-otherflag+"), "{line}");
    }
    assert!(text.contains(", 2 NOT AS EXPECTED."), "{text}");
}

#[test]
fn litmus_tests_go_on_after_one_that_fails() {
    let lexer =
        r#"[ $name = page-locked+trylock+lock ] && echo "File \"$3\": Lex error" >&2 && exit 2"#;
    let flags = r#"[ $name = recheck+inc-acqrecheck+lockmb ] && echo "Flag data-race"
[ $name = recheck-plain+incmb-acqrecheck+lockmb ] && echo "Observation $name Never 0 7" && exit"#;
    let (_directory, arguments) = fake_herd7(CAT_6_12, lexer);
    let (text, messages, status) = told(&arguments, "");
    assert_eq!(status, 2, "{text}");
    assert!(
        messages.contains("no result for 1 of ") && messages.lines().count() == 1,
        "{messages}"
    );
    let failed = "NO RESULT\n    herd7 says: File \"page-locked+trylock+lock.litmus\": Lex error\n";
    assert!(text.contains(failed), "{text}");
    let all = kernel_model::litmus::ALL.len();
    assert!(
        text.contains(&format!("{} as expected, 1 WITHOUT A RESULT.", all - 1)),
        "{text}"
    );

    let (_directory, arguments) = fake_herd7(CAT_6_12, &format!("{lexer}\n{flags}"));
    let (text, messages, status) = told(&arguments, "");
    assert_eq!((status, messages.as_str()), (1, ""), "{text}");
    for judged in [
        "recheck+inc-acqrecheck+lockmb                Sometimes as expected\n    flag data-race: NOT AS",
        "recheck-plain+incmb-acqrecheck+lockmb        Never     as expected\n    no flag data-race: NOT AS",
    ] {
        assert!(text.contains(judged), "{text}");
    }
    let (tsv, _, status) = told(&arguments, "--format tsv");
    assert_eq!(status, 1);
    let rows = table(&tsv);
    assert_eq!(rows.len(), all + 1);
    let columns = "schemes test model expected observed flags as_expected";
    assert_eq!(rows[0].join(" "), columns);
    assert_eq!(rows[1][2..], ["Linux 6.12", "Never", "nan", "", "false"]);
    assert_eq!(
        rows.iter().filter(|row| row[6] == "false").count(),
        3,
        "{tsv}"
    );
    let (json, _, _) = told(&arguments, "--format json");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["herd7"], "7.57");
    assert_eq!(json["complete"], true);
    assert_eq!(json["litmus"][0]["observed"], "nan");
    let complaint = json["litmus"][0]["complaint"].as_str().unwrap();
    assert_has(complaint, &["Lex error"]);
    let mut all = json["litmus"].as_array().unwrap().iter();
    let plain = all
        .find(|it| it["test"] == "recheck+inc-acqrecheck+lockmb")
        .unwrap();
    assert_eq!(plain["flags"][0], "data-race");

    let (_directory, arguments) = fake_herd7(CAT_6_12, "");
    let absent = format!("litmus {} --herd7 /nowhere/herd7", arguments[0]);
    run(&absent).refused(&[]);
}

#[test]
fn ctrl_c_keeps_the_litmus_tests_that_were_run() {
    let but = r#"[ $name = page-locked+trylock+lock ] || { echo $$ >pid; exec sleep 600; }"#;
    let (directory, arguments) = fake_herd7(CAT_6_12, but);
    let mut command = faultaround("litmus --format tsv");
    let mut child = command.args(arguments).spawn().expect("the command starts");
    let mut rows = BufReader::new(child.stdout.take().unwrap()).lines();
    // A test is told as soon as it was run; the next one runs for good.
    let first = rows.nth(1).unwrap().unwrap();
    assert!(first.contains("\tpage-locked+trylock+lock\t"), "{first}");
    let herd7 = loop {
        match fs::read_to_string(directory.path().join("pid")) {
            Ok(pid) if pid.ends_with('\n') => break pid,
            _ => thread::sleep(Duration::from_millis(1)),
        }
    };
    signal("-INT", child.id().into());
    assert_eq!(rows.count(), 0);
    let told = Told::of(child.wait_with_output().unwrap());
    assert_eq!(told.status, Some(130));
    assert_has(&told.said, &["interrupted: 1 of "]);
    let herd7 = Path::new("/proc").join(herd7.trim());
    assert!(!herd7.exists(), "{herd7:?}");
}

#[test]
fn a_real_herd7_reads_and_confirms_some() {
    let Ok(model) = std::env::var("LINUX_MEMORY_MODEL") else {
        eprintln!("skipped: LINUX_MEMORY_MODEL names no tools/memory-model");
        return;
    };
    if Command::new("herd7").arg("-version").output().is_err() {
        eprintln!("skipped: no herd7 on PATH");
        return;
    }
    let (text, messages, status) = told(&[model], "--scheme invalidate-only,sketch");
    assert_eq!((status, messages.as_str()), (0, ""), "{text}");
}
