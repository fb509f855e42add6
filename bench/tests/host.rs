//! `faultaround host`: small runs on the running kernel, and what goes wrong with them.

mod support;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use reporting::record::Run;
use support::processes::{Running, wait_for};
use support::{
    More, SHARED_CPU, assert_empty, assert_has, faultaround, host, limited, names, only, run,
    workers_of,
};

/// Every touch was one page fault, where the kernel lets them be counted.
#[track_caller]
fn assert_one_fault_a_touch(run: &Run) {
    let mut counted = run.header.counters.counted.iter();
    if !counted.any(|it| it == "page_faults") {
        eprintln!("skipped: page faults aren't counted here");
        return;
    }
    for group in &run.summary {
        for row in &group.rows {
            let touches = row.totals.faults;
            let faults = row.counters.per("page_faults", touches);
            let faults = faults.unwrap_or_else(|| panic!("{} isn't counted", row.scheme));
            // A fault that meets a removal may be taken again.
            let once = (0.999..1.05).contains(&faults);
            assert!(once, "{faults} in {}", group.storm);
        }
    }
}

#[test]
fn a_run_of_the_kernel_needs_no_privileges_and_is_read_by_all_that_read_runs() {
    let out = tempfile::tempdir().unwrap();
    let command = host(out.path(), SHARED_CPU).with("--threads 1");
    let printed = command.told().text();
    let directory = only(out.path());
    let read = Run::read(&directory).unwrap();
    assert!(read.complete && read.configuration.is_kernel());
    assert!(read.header.sigbus_ns.is_some_and(|ns| ns > 0.0));
    let storms: Vec<_> = read.summary.iter().map(|it| it.storm.as_str()).collect();
    assert_eq!(storms, ["none", "truncate", "punch-hole"]);
    for group in &read.summary {
        let rows: Vec<_> = group.rows.iter().map(|row| row.scheme.as_str()).collect();
        assert_eq!(rows, ["memfd", "memfd"], "{}", group.storm);
        for row in &group.rows {
            assert!(row.totals.faults > 0 && row.totals.pages_mapped > row.totals.faults);
        }
    }
    assert_one_fault_a_touch(&read);
    assert!(printed.starts_with("The running kernel, "), "{printed}");
    assert!(
        !printed.contains("cheme is") && !printed.contains("no kernel was"),
        "{printed}"
    );
    let directory = directory.to_str().unwrap();
    let reported = run(&format!("report {directory}")).text();
    assert!(printed.starts_with(&reported), "{reported}");
    let compared = run(&format!("compare {directory} {directory}")).text();
    assert_has(&compared, &["\nmemfd "]);
    let plotted = run(&format!("plot {directory} --format svg")).text();
    assert_has(&plotted, &["latency-none-1.svg"]);
}

#[test]
fn fault_threads_are_processes_or_threads_of_one() {
    for (mm, workers) in [("private", 2), ("shared", 1)] {
        let out = tempfile::tempdir().unwrap();
        let threads = format!("--mm {mm} --threads 2 --storm none {SHARED_CPU}");
        let child = Running::of(host(out.path(), &format!("{threads} --rounds 200")));
        // Never more, whatever comes first.
        let seen = wait_for(|| {
            let here = workers_of(child.id()).len();
            assert!(here <= workers, "{mm}");
            (here == workers).then_some(())
        });
        assert!(seen.is_some(), "{mm}");
        drop(child);

        let out = tempfile::tempdir().unwrap();
        host(out.path(), &threads).told().text();
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
    let more = "--storm truncate --threads 1 --rate max --duration 200ms --pages 64 --hole 64 \
                --rounds 3 --oversubscribe";
    let printed = host(out.path(), more).told().text();
    let run = Run::read(&only(out.path())).unwrap();
    let rows = run.summary[0].rows.iter();
    let sigbus: u64 = rows.map(|row| row.totals.sigbus).sum();
    assert!(sigbus > 0, "{printed}");
    assert_has(&printed, &["each touch counted in bus% took "]);
}

#[test]
fn what_cannot_be_measured_is_told_in_one_line() {
    let out = tempfile::tempdir().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let file = file.path().display();
    let here = out.path().display();
    for (options, parts) in [
        ("--storm reclaim", "reclaim | none, truncate, punch-hole"),
        ("--storm none,mixed", "mixed | none, truncate, punch-hole"),
        ("--storm no-such", "no-such"),
        (&format!("--dir {here}/missing"), "missing | No such file"),
        (&format!("--dir {file}"), &file.to_string()),
        ("--dir /proc", "/proc | no file can be made there"),
        ("--dir /sys", "/sys"),
        (&format!("--dir {here} --write 3k"), "3k | 4k"),
        (
            &format!("--dir {here} --write 4k,4k"),
            "4k is given twice to --write",
        ),
        ("--write 4k", "--dir"),
        ("--pages 100", "100 | multiple of the kernel's window of "),
        ("--hole 100", "100 | multiple of the kernel's window of "),
        ("--pages 4000000000", "4000000000"),
        ("--scheme page-locked", "--scheme"),
    ] {
        let results = out.path().join("results");
        let told = host(&results, options).told();
        told.failed(&parts.split(" | ").collect::<Vec<_>>());
        assert_eq!(told.text, "", "{options}");
        assert_empty(&results);
    }
}

#[test]
fn files_of_a_directory_are_measured_beside_a_memfd_and_nothing_is_left_there() {
    let (out, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let place = dir.path().join("a place");
    fs::create_dir(&place).unwrap();
    let mut command = host(out.path(), SHARED_CPU).with("--threads 1 --storm none --dir");
    command.arg(&place);
    let told = command.told();
    if told.complaints().iter().any(|line| line.contains("hole")) {
        eprintln!("skipped: {told:?}");
        return;
    }
    told.text();
    let run = Run::read(&only(out.path())).unwrap();
    let schemes = run.configuration.schemes.iter();
    let names: Vec<_> = schemes.map(|it| it.name.as_str()).collect();
    assert!(names[0] == "memfd" && names[1].ends_with("-4k") && names[2].ends_with("-64k"));
    assert_has(&run.header.rerun, &["/a place' "]);
    assert_one_fault_a_touch(&run);
    assert_empty(&place);
}

#[test]
fn on_one_cpu_storms_are_left_out_and_that_is_said() {
    let out = tempfile::tempdir().unwrap();
    let printed = host(out.path(), "--cpus 0").told().text();
    let run = Run::read(&only(out.path())).unwrap();
    assert!(run.summary.iter().all(|group| group.storm == "none"));
    let left_out = run.header.left_out.join("\n");
    for storm in ["truncate", "punch-hole"] {
        assert_has(&left_out, &[&format!("storm {storm}: its 1 thread(s)")]);
    }
    assert_has(&printed, &["left out  storm truncate"]);
}

#[test]
fn address_space_that_does_not_suffice_is_told_and_leaves_nothing() {
    let out = tempfile::tempdir().unwrap();
    // In KiB.
    let limit = format!("-v {}", 500 << 10);
    let more = "--storm none --threads 1 --cpus 0";
    // With little to map the limit is none.
    limited(&host(out.path(), more), &limit).told().text();
    fs::remove_dir_all(only(out.path())).unwrap();
    let large = host(out.path(), &format!("{more} --pages 131072"));
    limited(&large, &limit)
        .told()
        .failed(&["513 MiB", "ulimit -v"]);
    assert_empty(out.path());
}

#[test]
fn a_process_that_cannot_wait_for_signals_says_what_it_takes_and_what_the_system_said() {
    let out = tempfile::tempdir().unwrap();
    // Processes and threads of a user, as dash has it and as others have it.
    let mut command = limited(&host(out.path(), ""), "-p 1 2>/dev/null || ulimit -u 1");
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        // Nothing limits root.
        command.uid(65534);
    }
    let told = command.told();
    if told.status == Some(126) {
        eprintln!("skipped: others than root can't run this build");
        return;
    }
    told.failed(&["Ctrl-C", "a thread", "temporarily unavailable"]);
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
    let line = "--cpus 0 --storm none --write 4k --dir";
    let told = host(out.path(), &format!("{line} {}", dir.path().display())).told();
    let left = names(dir.path());
    Command::new("umount").arg(dir.path()).status().unwrap();
    // Nothing was said of how far it has come, either.
    told.refused(&[dir.path().to_str().unwrap(), "there are 512 KiB"]);
    assert_eq!(left, [""; 0]);
    assert_empty(out.path());
}

#[test]
fn a_worker_called_by_hand_says_what_it_is() {
    for input in ["", "\n", "{}\n", "what do you do?\n"] {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), input).unwrap();
        let mut command = faultaround("host-worker");
        command.stdin(File::open(file.path()).unwrap());
        command.told().refused(&["host-worker", "faultaround host"]);
    }
}
