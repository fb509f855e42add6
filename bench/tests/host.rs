//! `faultaround host`: small runs on the running kernel, and what goes wrong with them.

// Not all of either is for these tests.
#[allow(dead_code)]
mod hosts;
#[allow(dead_code)]
mod processes;
#[allow(dead_code)]
mod storms;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use hosts::{SHARED_CPU, assert_refused, host, only, workers_of};
use processes::{Running, wait_for};
use reporting::record::Run;
use storms::{complaints, paths};

fn text(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Every touch was one page fault, where the kernel lets them be counted.
#[track_caller]
fn assert_one_fault_a_touch(run: &Run) {
    if !run
        .header
        .counters
        .counted
        .iter()
        .any(|it| it == "page_faults")
    {
        eprintln!("skipped: page faults aren't counted here");
        return;
    }
    for group in &run.summary {
        for row in &group.rows {
            let touches = row.totals.faults;
            let faults = row.counters.per("page_faults", touches);
            let faults = faults.unwrap_or_else(|| panic!("{} isn't counted", row.scheme));
            // A fault that meets a removal may be taken again.
            assert!(
                (0.999..1.05).contains(&faults),
                "{faults} in {}",
                group.storm
            );
        }
    }
}

#[test]
fn a_run_of_the_kernel_needs_no_privileges_and_is_read_by_all_that_read_runs() {
    let out = tempfile::tempdir().unwrap();
    let printed = text(
        &host(out.path(), &[&SHARED_CPU[..], &["--threads", "1"]].concat())
            .output()
            .unwrap(),
    );
    let directory = only(out.path());
    let run = Run::read(&directory).unwrap();
    assert!(run.complete && run.configuration.is_kernel());
    assert!(run.header.sigbus_ns.is_some_and(|ns| ns > 0.0));
    let storms: Vec<_> = run.summary.iter().map(|it| it.storm.as_str()).collect();
    assert_eq!(storms, ["none", "truncate", "punch-hole"]);
    for group in &run.summary {
        let rows: Vec<_> = group.rows.iter().map(|row| row.scheme.as_str()).collect();
        assert_eq!(rows, ["memfd", "memfd"], "{}", group.storm);
        for row in &group.rows {
            assert!(row.totals.faults > 0 && row.totals.pages_mapped > row.totals.faults);
        }
    }
    assert_one_fault_a_touch(&run);
    assert!(printed.starts_with("The running kernel, "), "{printed}");
    assert!(
        !printed.contains("cheme is") && !printed.contains("no kernel was"),
        "{printed}"
    );
    let directory = directory.to_str().unwrap();
    let command = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_faultaround"));
        text(&command.args(words).output().unwrap())
    };
    let reported = command(&["report", directory]);
    assert!(printed.starts_with(&reported), "{reported}");
    assert!(command(&["compare", directory, directory]).contains("\nmemfd "));
    let plotted = command(&["plot", directory, "--format", "svg"]);
    assert!(plotted.contains("latency-none-1.svg"), "{plotted}");
}

#[test]
fn fault_threads_are_processes_or_threads_of_one() {
    for (mm, workers) in [("private", 2), ("shared", 1)] {
        let out = tempfile::tempdir().unwrap();
        let more = [
            "--mm",
            mm,
            "--threads",
            "2",
            "--storm",
            "none",
            "--rounds",
            "200",
        ];
        let child = host(out.path(), &[&SHARED_CPU[..], &more].concat()).spawn();
        let child = Running(Some(child.unwrap()));
        // Never more, whatever comes first.
        let seen = wait_for(|| {
            let here = workers_of(child.id()).len();
            assert!(here <= workers, "{mm}");
            (here == workers).then_some(())
        });
        assert!(seen.is_some(), "{mm}");
        drop(child);

        let out = tempfile::tempdir().unwrap();
        let more = ["--mm", mm, "--threads", "2", "--storm", "none"];
        text(
            &host(out.path(), &[&SHARED_CPU[..], &more].concat())
                .output()
                .unwrap(),
        );
        let run = Run::read(&only(out.path())).unwrap();
        for cell in &run.rounds {
            assert_eq!(cell.fault_threads.len(), 2, "{mm}");
            assert!(cell.fault_threads.iter().any(|it| it.faults > 0), "{mm}");
        }
        assert_one_fault_a_touch(&run);
    }
}

#[test]
fn touches_beyond_the_end_of_a_truncated_file_are_survived_and_counted() {
    let out = tempfile::tempdir().unwrap();
    // The file is short for all of the time between two truncations and back, and nearly so for the
    // whole run; on one CPU the two sides may take turns in whole time slices.
    let more = [
        "--storm",
        "truncate",
        "--threads",
        "1",
        "--rate",
        "max",
        "--duration",
        "200ms",
        "--pages",
        "64",
        "--hole",
        "64",
        "--rounds",
        "3",
        "--oversubscribe",
    ];
    let printed = text(&host(out.path(), &more).output().unwrap());
    let run = Run::read(&only(out.path())).unwrap();
    let sigbus: u64 = run.summary[0]
        .rows
        .iter()
        .map(|row| row.totals.sigbus)
        .sum();
    assert!(sigbus > 0, "{printed}");
    assert!(
        printed.contains("each touch counted in bus% took "),
        "{printed}"
    );
}

#[test]
fn what_cannot_be_measured_is_told_in_one_line() {
    let out = tempfile::tempdir().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let file = file.path().to_str().unwrap();
    let missing = out.path().join("missing");
    let missing = missing.to_str().unwrap();
    let here = out.path().to_str().unwrap();
    for (arguments, parts) in [
        (
            &["--storm", "reclaim"][..],
            &["reclaim", "none, truncate, punch-hole"][..],
        ),
        (
            &["--storm", "none,mixed"],
            &["mixed", "none, truncate, punch-hole"],
        ),
        (&["--storm", "no-such"], &["no-such"]),
        (&["--dir", missing], &[missing, "No such file"]),
        (&["--dir", file], &[file]),
        (&["--dir", "/proc"], &["/proc", "no file can be made there"]),
        (&["--dir", "/sys"], &["/sys"]),
        (&["--dir", here, "--write", "3k"], &["3k", "4k"]),
        (
            &["--dir", here, "--write", "4k,4k"],
            &["4k is given twice to --write"],
        ),
        (&["--write", "4k"], &["--dir"]),
        (
            &["--pages", "100"],
            &["100", "multiple of the kernel's window of "],
        ),
        (
            &["--hole", "100"],
            &["100", "multiple of the kernel's window of "],
        ),
        (&["--pages", "4000000000"], &["4000000000"]),
        (&["--scheme", "page-locked"], &["--scheme"]),
    ] {
        let results = out.path().join("results");
        let output = host(&results, arguments).output().unwrap();
        assert_refused(&output, parts);
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert_eq!(paths(&results), [""; 0].map(PathBuf::from), "{arguments:?}");
    }
}

#[test]
fn files_of_a_directory_are_measured_beside_a_memfd_and_nothing_is_left_there() {
    let (out, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let place = dir.path().join("a place");
    fs::create_dir(&place).unwrap();
    let more = [
        "--threads",
        "1",
        "--storm",
        "none",
        "--dir",
        place.to_str().unwrap(),
    ];
    let output = host(out.path(), &[&SHARED_CPU[..], &more].concat())
        .output()
        .unwrap();
    if complaints(&output).iter().any(|line| line.contains("hole")) {
        eprintln!("skipped: {:?}", complaints(&output));
        return;
    }
    text(&output);
    let run = Run::read(&only(out.path())).unwrap();
    let names: Vec<_> = run
        .configuration
        .schemes
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert!(names[0] == "memfd" && names[1].ends_with("-4k") && names[2].ends_with("-64k"));
    assert!(
        run.header.rerun.contains("/a place' "),
        "{}",
        run.header.rerun
    );
    assert_one_fault_a_touch(&run);
    assert_eq!(paths(&place), [""; 0].map(PathBuf::from));
}

#[test]
fn on_one_cpu_storms_are_left_out_and_that_is_said() {
    let out = tempfile::tempdir().unwrap();
    let printed = text(&host(out.path(), &["--cpus", "0"]).output().unwrap());
    let run = Run::read(&only(out.path())).unwrap();
    assert!(run.summary.iter().all(|group| group.storm == "none"));
    let left_out = run.header.left_out.join("\n");
    for storm in ["truncate", "punch-hole"] {
        assert!(
            left_out.contains(&format!("storm {storm}: its 1 thread(s)")),
            "{left_out}"
        );
    }
    assert!(printed.contains("left out  storm truncate"), "{printed}");
}

/// The command under a limit, as `ulimit` takes it.
fn limited(command: &Command, limit: &str) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("ulimit {limit}; exec \"$0\" \"$@\"")])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    shell
}

#[test]
fn address_space_that_does_not_suffice_is_told_and_leaves_nothing() {
    let out = tempfile::tempdir().unwrap();
    // In KiB.
    let limit = format!("-v {}", 500 << 10);
    let more = ["--storm", "none", "--threads", "1", "--cpus", "0"];
    // With little to map the limit is none.
    text(&limited(&host(out.path(), &more), &limit).output().unwrap());
    fs::remove_dir_all(only(out.path())).unwrap();
    let large = host(out.path(), &[&more[..], &["--pages", "131072"]].concat());
    let output = limited(&large, &limit).output().unwrap();
    assert_refused(&output, &["513 MiB", "ulimit -v"]);
    assert_eq!(paths(out.path()), [""; 0].map(PathBuf::from));
}

#[test]
fn a_process_that_cannot_wait_for_signals_says_what_it_takes_and_what_the_system_said() {
    let out = tempfile::tempdir().unwrap();
    // Processes and threads of a user, as dash has it and as others have it.
    let mut command = limited(&host(out.path(), &[]), "-p 1 2>/dev/null || ulimit -u 1");
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        // Nothing limits root.
        command.uid(65534);
    }
    let output = command.output().unwrap();
    if output.status.code() == Some(126) {
        eprintln!("skipped: others than root can't run this build");
        return;
    }
    assert_refused(&output, &["Ctrl-C", "a thread", "temporarily unavailable"]);
}

#[test]
fn a_directory_that_is_too_small_is_told_before_anything_is_measured() {
    let dir = tempfile::tempdir().unwrap();
    let mut mount = Command::new("mount");
    mount
        .args(["-t", "tmpfs", "-o", "size=512k", "none"])
        .arg(dir.path());
    if !mount.output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no file system can be mounted");
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let more = [
        "--cpus",
        "0",
        "--storm",
        "none",
        "--dir",
        dir.path().to_str().unwrap(),
        "--write",
        "4k",
    ];
    let output = host(out.path(), &more).output();
    let left = paths(dir.path());
    Command::new("umount").arg(dir.path()).status().unwrap();
    let output = output.unwrap();
    assert_refused(
        &output,
        &[dir.path().to_str().unwrap(), "there are 512 KiB"],
    );
    assert_eq!(left, [""; 0].map(PathBuf::from));
    // Nothing was said of how far it has come, either.
    assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1);
    assert_eq!(paths(out.path()), [""; 0].map(PathBuf::from));
}

#[test]
fn a_worker_called_by_hand_says_what_it_is() {
    for input in ["", "\n", "{}\n", "what do you do?\n"] {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), input).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_faultaround"));
        command
            .arg("host-worker")
            .stdin(fs::File::open(file.path()).unwrap());
        let output = command.output().unwrap();
        assert_refused(&output, &["host-worker", "faultaround host"]);
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1);
        assert!(output.stdout.is_empty());
    }
}
