//! The `faultaround` command as its users meet it.

mod program;

use kernel_model::fault_around::Schemes;
use kernel_model::platform::Native;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use program::{faultaround, stderr, stdout};

fn run(arguments: &[&str]) -> Output {
    faultaround(arguments).output().expect("the command starts")
}

/// A small storm, with its results in `out`.
fn quick<'a>(out: &'a Path, duration: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let out = out.to_str().expect("a path of text");
    let mut arguments = vec![
        "storm",
        "--duration",
        duration,
        "--rounds",
        "2",
        "--pages",
        "256",
    ];
    arguments.extend(["--out", out]);
    arguments.extend(more);
    arguments
}

fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("a name of text");
    let mut names: Vec<_> = entries
        .map(|entry| name(entry.expect("an entry")))
        .collect();
    names.sort();
    names
}

#[test]
fn bad_input_is_told_in_one_line_with_status_2() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let in_a_file = file.path().join("results");
    let in_a_file = format!("storm --out {}", in_a_file.display());
    for (line, parts) in [
        (
            "storm --scheme page-lock",
            &["page-lock", "mapcount-recheck"][..],
        ),
        ("storm --storm hail", &["hail", "punch-hole"]),
        ("storm --threads 0", &["0", "--threads", "from 1"]),
        ("storm --threads -1", &["-1", "from 1"]),
        ("storm --threads 1,1", &["twice", "--threads"]),
        ("storm --threads 4000", &["4000", "CPUs", "--oversubscribe"]),
        ("storm --storm-threads 0", &["0", "from 1"]),
        (
            "storm --pages 100",
            &["100", "multiple of --window 16", "96 or 112"],
        ),
        ("storm --pages 0", &["0", "from 1"]),
        (
            "storm --pages 16777216 --threads 1 --window 24",
            &["24", "power of two"],
        ),
        ("storm --hole 8", &["8", "multiple of --window 16"]),
        ("storm --hole 8192", &["8192", "4096"]),
        ("storm --cpus 60000", &["60000", "isn't available"]),
        ("storm --cpus 0,0", &["0", "twice"]),
        ("storm --cpus ", &["empty"]),
        ("storm --cpus -1", &["-1"]),
        ("storm --rate -5", &["-5", "above 0"]),
        ("storm --rate 0", &["0", "above 0"]),
        ("storm --duration 300", &["300", "unit"]),
        ("storm --rounds 0", &["0", "from 1"]),
        ("storm --seed x", &["x", "--seed"]),
        ("storm --mm both", &["both", "private"]),
        ("storm --format xml", &["xml", "tsv"]),
        ("storm --out /proc/x", &["/proc/x"]),
        (&in_a_file, &[&in_a_file[12..], "Not a directory"]),
        ("storm --scheme sketch,sketch", &["sketch", "twice"]),
        ("storm --without recheck_locked", &["--without"]),
        ("audit --without x", &["x", "recheck_mapping"]),
        ("audit --storm none", &["none", "nothing to audit"]),
        ("audit --rate 5", &["--rate"]),
        ("audit --threads 1,2", &["1,2", "whole number"]),
        (
            "storm --mm shared --threads 2 --pages 16 --storm none --oversubscribe",
            &["2 threads", "1 windows"],
        ),
        ("storm --schedule page/fault/migrate/A1", &["--schedule"]),
        (
            "audit --schedule page/fault/migrate/A1",
            &["one --scheme", "one --storm"],
        ),
        (
            "audit --schedule page/fault/leave/A1",
            &["--schedule", "leave"],
        ),
        ("storm --seed -1", &["-1", "from 0"]),
        ("storm --duration -300ms", &["-300ms", "from 10ms"]),
        ("storm --pages 15", &["15", "16 is"]),
        ("storm --rate \n\n", &["control character"]),
        ("storm --hammer", &["--hammer"]),
        ("breakdown --storm none", &["--storm"]),
        ("breakdown --threads 1", &["--threads"]),
        ("breakdown --mm private", &["--mm"]),
        ("breakdown --without pte_none", &["--without"]),
        ("breakdown --pages 100", &["100", "96 or 112"]),
        ("breakdown --scheme x", &["x", "page-locked"]),
        ("storm --cpus 60000", &["--cpus"]),
        (
            "storm --calibrated /dev/zero",
            &["--calibrated", "never end"],
        ),
        ("storm --rounds auto --width 0%", &["--width", "0.1%"]),
        ("storm --plant -0%", &["--plant", "from 0%"]),
        ("storm --readahead 3", &["--readahead", "power of two"]),
        ("storm --storm none --refill", &["--refill", "--storm none"]),
        ("storm --storm none --neighbour", &["--neighbour"]),
        ("storm --storm none --readahead 4", &["--readahead"]),
        ("storm --storm none --fill-ns 4", &["--fill-ns"]),
        ("storm --storm none --rate 4", &["--rate"]),
        ("storm --storm none --hole 16", &["--hole"]),
        ("storm --storm none --storm-threads 2", &["--storm-threads"]),
        (
            "audit --schedule page/fault/migrate/A1 --seed 1",
            &["--schedule", "--seed"],
        ),
        ("breakdown --rounds auto", &["auto", "whole number"]),
        ("breakdown --hole 16", &["--hole"]),
        ("host --window 16", &["--window"]),
        ("host --write 4k", &["--dir"]),
        ("calibrate --threads 1", &["--threads"]),
        ("check --weaken", &["--weaken"]),
        ("storm --audit", &["--audit"]),
    ] {
        let arguments: Vec<_> = line.split(' ').collect();
        let output = run(&arguments);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{arguments:?}: {message}");
        assert_eq!(stdout(&output), "", "{arguments:?}");
        assert!(!message.contains("Usage"), "{arguments:?}: {message}");
        for part in parts {
            assert!(
                message.contains(part),
                "{arguments:?}: {message} lacks {part}"
            );
        }
    }
    for arguments in [&[][..], &["thunder"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    }
}

/// What a shell makes of a command: `$0` is the program.
fn shell(script: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_faultaround")]);
    command.args(arguments).output().expect("a shell")
}

#[test]
fn more_than_memory_is_refused_before_anything_begins() {
    let out = tempfile::tempdir().unwrap();
    let place = out.path().to_str().unwrap();
    let limited = "ulimit -v 600000; exec \"$0\" \"$@\" --pages 16777216 --scheme page-locked";
    for mode in [
        format!("storm --storm none --threads 1 --watch 0s --out {place}"),
        "audit --storm punch-hole".to_owned(),
        "breakdown".to_owned(),
    ] {
        let output = shell(limited, &mode.split(' ').collect::<Vec<_>>());
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{mode:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{mode:?}: {message}");
        assert!(
            message.contains("ulimit -v") && message.contains("fewer --pages"),
            "{message}"
        );
    }
    assert_eq!(entries(out.path()), [""; 0]);
}

#[test]
fn a_small_stack_and_a_closed_output_are_told_from_success() {
    let small = shell("ulimit -s 64; exec \"$0\" list", &[]);
    assert!(
        small.status.success() && !small.stdout.is_empty(),
        "{}",
        stderr(&small)
    );
    let closed = shell("exec \"$0\" list >&-", &[]);
    assert_eq!(closed.status.code(), Some(2));
    assert_eq!(stderr(&closed).lines().count(), 1, "{}", stderr(&closed));
    assert!(shell("exec \"$0\" list >/dev/null", &[]).status.success());
    let long = run(&["storm", "--seed", &"9".repeat(5_000)]);
    assert!(
        stderr(&long).len() < 400 && stderr(&long).contains("--seed"),
        "{}",
        stderr(&long)
    );
}

#[test]
fn help_and_lists_are_output() {
    for arguments in [
        &["--help"][..],
        &["storm", "--help"],
        &["list"],
        &["--version"],
    ] {
        let output = run(arguments);
        assert!(output.status.success(), "{arguments:?}");
        assert!(
            !output.stdout.is_empty() && output.stderr.is_empty(),
            "{arguments:?}"
        );
    }
}

#[test]
fn the_version_names_the_commit() {
    let output = run(&["--version"]);
    let version = stdout(&output);
    assert_eq!(
        version.trim_end(),
        format!("faultaround {}", machine_facts::environment::BUILD)
    );
    assert!(version.contains(" (commit "), "{version}");
}

/// How many schemes run unless they are named.
fn sound() -> usize {
    let all = Schemes::<Native>::ALL.iter();
    all.filter(|scheme| scheme.about().verdict.is_sound())
        .count()
}

#[test]
fn a_run_prints_its_table_and_nothing_else_and_leaves_its_directory() {
    let out = tempfile::tempdir().unwrap();
    let output = run(&quick(
        out.path(),
        "10ms",
        &["--cpus", "0", "--format", "tsv"],
    ));
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(lines.len(), 1 + sound(), "on one CPU: {text}");
    assert!(lines.iter().all(|fields| fields.len() == lines[0].len()));
    let of = |line: usize, name: &str| {
        let column = lines[0]
            .iter()
            .position(|field| *field == name)
            .expect(name);
        lines[line][column]
    };
    assert_eq!((of(1, "scheme"), of(1, "ratio")), ("page-locked", "1"));
    assert_eq!((of(2, "scheme"), of(2, "storm")), ("folio-batched", "none"));
    assert_eq!((of(2, "rounds"), of(2, "remover_p99_ns")), ("2", "nan"));
    assert!(of(2, "ns_per_page").parse::<f64>().unwrap() > 0.0);
    assert!(
        stderr(&output).contains("left out: storm punch-hole"),
        "{}",
        stderr(&output)
    );

    let [run] = &entries(out.path())[..] else {
        panic!("one run: {:?}", entries(out.path()));
    };
    assert!(run.ends_with("-storm"), "{run}");
    let directory = out.path().join(run);
    assert_eq!(
        fs::read_to_string(directory.join("summary.tsv")).unwrap(),
        text
    );
    let json = fs::read(directory.join("run.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(
        (&json["complete"], &json["schema_version"]),
        (&true.into(), &2.into())
    );
    // The schemes and the baseline again, twice each.
    let cells = 2 * (sound() + 1);
    assert_eq!(json["rounds"].as_array().unwrap().len(), cells);
    assert!(json["environment"]["kernel"]["release"].is_string());
    let report = fs::read_to_string(directory.join("report.txt")).unwrap();
    assert!(
        report.is_ascii() && report.lines().all(|line| line.len() <= 72),
        "{report}"
    );
    let names = entries(&directory);
    for scheme in ["page-locked", "page-locked-again", "mapcount-recheck"] {
        for kind in ["hgrm", "hlog"] {
            assert!(
                names.contains(&format!("none-1-{scheme}-faults.{kind}")),
                "{names:?}"
            );
        }
    }
}

#[test]
fn a_storm_is_measured_on_both_sides_and_labelled_when_threads_share_a_cpu() {
    let out = tempfile::tempdir().unwrap();
    let storm = [
        "--cpus",
        "0",
        "--oversubscribe",
        "--storm",
        "punch-hole",
        "--threads",
        "1",
    ];
    let more = [
        &storm[..],
        &["--format", "json", "--scheme", "page-locked,sketch"],
    ]
    .concat();
    let output = run(&quick(out.path(), "200ms", &more));
    assert!(output.status.success(), "{}", stderr(&output));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let group = &json["summary"][0];
    assert_eq!(group["oversubscribed"], true);
    let rows = group["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    assert!(
        rows.iter()
            .all(|row| row["remover"]["ops"].as_u64().unwrap() > 0)
    );
    assert_eq!(
        (&rows[2]["scheme"], &rows[2]["broken"]),
        (&"sketch".into(), &true.into())
    );
    let directory = out.path().join(&entries(out.path())[0]);
    let report = fs::read_to_string(directory.join("report.txt")).unwrap();
    assert!(
        report.contains("OVERSUBSCRIBED") && report.contains("\nsketch (broken) "),
        "{report}"
    );
}

#[test]
fn an_interrupted_run_keeps_what_it_has_and_says_so() {
    let out = tempfile::tempdir().unwrap();
    let directory = out.path().to_str().unwrap();
    let arguments = [
        "storm",
        "--cpus",
        "0",
        "--rounds",
        "1000",
        "--duration",
        "10ms",
        "--pages",
    ];
    let arguments = [
        &arguments[..],
        &["256", "--storm", "none", "--out", directory],
    ]
    .concat();
    let mut command = faultaround(&arguments);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let rounds = |directory: &Path| {
        let json = fs::read(directory.join("run.json")).ok()?;
        let json: serde_json::Value = serde_json::from_slice(&json).ok()?;
        Some(json["rounds"].as_array()?.len())
    };
    // Until the first round is on the disk.
    let partial = loop {
        let names = entries(out.path());
        let mut found = names.iter().map(|name| out.path().join(name));
        if let Some(path) = found.find(|path| rounds(path) >= Some(3)) {
            break path;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(
        stdout(&output).starts_with("INCOMPLETE"),
        "{}",
        stdout(&output)
    );
    assert!(partial.to_str().unwrap().ends_with("-storm.partial"));
    let json = fs::read(partial.join("run.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["complete"], false);
    assert!(json["rounds"].as_array().unwrap().len() >= 3);
}

#[test]
fn output_that_nobody_reads_is_no_failure() {
    let mut command = faultaround(&["list"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
