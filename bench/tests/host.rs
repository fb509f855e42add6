//! `faultaround host`: small runs on the running kernel, and what goes wrong with them.

// The storms of others.
#[expect(dead_code)]
mod storms;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use harness::record::Run;
use storms::{complaints, is_partial, paths};

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What keeps a run short, where nothing else is asked for.
const QUICK: [[&str; 2]; 5] = [
    ["--duration", "20ms"],
    ["--rounds", "2"],
    ["--watch", "0s"],
    ["--pages", "256"],
    ["--seed", "1"],
];

/// A short run with its results in `out`; CPUs as they are.
fn host(out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultaround"));
    command.arg("host").arg("--out").arg(out).args(more);
    let quick = QUICK.iter().filter(|[option, _]| !more.contains(option));
    command
        .args(quick.flatten())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// On one CPU, which all threads share.
const SHARED_CPU: [&str; 3] = ["--cpus", "0", "--oversubscribe"];

fn text(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The only run in a directory.
#[track_caller]
fn only(out: &Path) -> PathBuf {
    let runs = paths(out);
    let [run] = &runs[..] else {
        panic!("one run: {runs:?}");
    };
    run.clone()
}

/// One line, with these parts, and status 2.
#[track_caller]
fn assert_refused(output: &Output, parts: &[&str]) {
    let said = complaints(output);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(said.len(), 1, "{said:?}");
    for part in parts {
        assert!(said[0].contains(part), "{} lacks {part}", said[0]);
    }
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
        printed.contains("each touch of bus% took some"),
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
        (&["--dir", "/proc"], &["/proc"]),
        (&["--dir", "/sys"], &["/sys"]),
        (&["--dir", here, "--write", "3k"], &["3k", "4k"]),
        (&["--dir", here, "--write", "4k,4k"], &["twice"]),
        (&["--write", "4k"], &["--dir"]),
        (&["--pages", "100"], &["100", "multiple"]),
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
        run.header.rerun.contains("/a place' --write 4k,64k"),
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

/// The command under a limit of its address space, in KiB.
fn limited(command: &Command, kib: u32) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("ulimit -v {kib}; exec \"$0\" \"$@\"")])
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
    let kib = 500 << 10;
    let more = ["--storm", "none", "--threads", "1", "--cpus", "0"];
    // With little to map the limit is none.
    text(&limited(&host(out.path(), &more), kib).output().unwrap());
    fs::remove_dir_all(only(out.path())).unwrap();
    let large = host(out.path(), &[&more[..], &["--pages", "131072"]].concat());
    let output = limited(&large, kib).output().unwrap();
    assert_refused(&output, &["512 MiB", "ulimit -v"]);
    assert_eq!(paths(out.path()), [""; 0].map(PathBuf::from));
}

#[test]
fn a_directory_that_is_full_ends_the_run_in_one_line() {
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
    assert_refused(&output, &[dir.path().to_str().unwrap(), "MiB"]);
    assert_eq!(left, [""; 0].map(PathBuf::from));
    assert!(paths(out.path()).iter().all(|run| is_partial(run)));
}

/// Waits for something.
fn wait_for<T>(mut what: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = what();
        if found.is_some() || start.elapsed() > PATIENCE {
            return found;
        }
        sleep(Duration::from_millis(2));
    }
}

/// A process's state and parent, if there is one of this number.
fn state_and_parent(id: &str) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn processes() -> Vec<String> {
    let names = fs::read_dir("/proc").unwrap().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| name.bytes().all(|it| it.is_ascii_digit()))
        .collect()
}

/// The workers of a command, by what they were started as.
fn workers_of(parent: u32) -> Vec<u32> {
    let mut workers = processes();
    workers.retain(|id| {
        let words = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        words.ends_with(b"\0host-worker\0")
            && state_and_parent(id).is_some_and(|(state, its)| its == parent && state != 'Z')
    });
    workers.iter().filter_map(|id| id.parse().ok()).collect()
}

/// A run that doesn't outlive its test.
struct Running(Option<Child>);

impl Running {
    fn id(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    fn output(mut self) -> Output {
        self.0.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// A long run that is under way, with something measured, and its workers at some moment.
fn under_way(out: &Path, more: &[&str]) -> (Running, Vec<u32>) {
    let more = [
        &["--threads", "2", "--rounds", "10000"],
        &SHARED_CPU[..],
        more,
    ]
    .concat();
    // A group of its own, as a shell has it.
    let child = Running(Some(host(out, &more).process_group(0).spawn().unwrap()));
    let measured = || {
        let runs = paths(out);
        let is = |run: &PathBuf| Run::read(run).is_ok_and(|run| run.rounds.len() > 3);
        runs.iter().any(is).then_some(())
    };
    let measured = wait_for(|| measured().or(all_ended(&[child.id()]).then_some(())));
    assert!(
        measured.is_some() && !all_ended(&[child.id()]),
        "nothing is written"
    );
    let workers = wait_for(|| {
        let workers = workers_of(child.id());
        (workers.len() == 2).then_some(workers)
    });
    (child, workers.expect("two workers at once"))
}

/// Whether they all have come to their end; zombies have.
fn all_ended(processes: &[u32]) -> bool {
    let mut states = processes.iter().map(|id| state_and_parent(&id.to_string()));
    states.all(|it| it.is_none_or(|(state, _)| state == 'Z'))
}

/// Whether they all come to it.
fn all_end(processes: &[u32]) -> bool {
    wait_for(|| all_ended(processes).then_some(())).is_some()
}

fn signal(signal: &str, process: i64) {
    let mut kill = Command::new("kill");
    let sent = kill.args([signal, "--", &process.to_string()]).status();
    assert!(sent.unwrap().success());
}

/// What was measured is in the only, partial, run.
#[track_caller]
fn assert_kept(out: &Path, output: &Output) {
    let directory = only(out);
    assert!(is_partial(&directory), "{directory:?}");
    let run = Run::read(&directory).unwrap();
    assert!(!run.complete && run.rounds.len() > 3);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.starts_with("INCOMPLETE"), "{printed}");
    assert!(printed.contains("The running kernel, "), "{printed}");
}

#[test]
fn workers_end_with_the_command_however_it_is_killed() {
    let (out, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Nothing ends by itself before the test's patience does.
    let dir_word = dir.path().to_str().unwrap();
    let more = [
        "--dir",
        dir_word,
        "--storm",
        "none",
        "--threads",
        "2",
        "--duration",
        "600s",
    ];
    for moment in [0, 20, 200] {
        let child = host(out.path(), &[&more[..], &SHARED_CPU].concat()).spawn();
        let child = Running(Some(child.unwrap()));
        let workers = wait_for(|| {
            let workers = workers_of(child.id());
            (workers.len() == 2).then_some(workers)
        });
        let workers = workers.expect("two workers");
        sleep(Duration::from_millis(moment));
        drop(child);
        assert!(all_end(&workers), "{workers:?}");
        assert_eq!(paths(dir.path()), [""; 0].map(PathBuf::from));
    }
}

#[test]
fn ctrl_c_goes_to_the_whole_group_and_what_was_measured_is_kept() {
    for name in ["-INT", "-TERM", "-HUP"] {
        let out = tempfile::tempdir().unwrap();
        let (child, workers) = under_way(out.path(), &[]);
        signal(name, -i64::from(child.id()));
        let output = child.output();
        assert_eq!(output.status.code(), Some(130), "{name}: {output:?}");
        assert_eq!(complaints(&output), [""; 0], "{name}");
        assert_kept(out.path(), &output);
        assert!(all_end(&workers), "{name}");
    }
}

#[test]
fn a_worker_that_is_killed_ends_the_run_in_one_line_and_not_what_was_measured() {
    let out = tempfile::tempdir().unwrap();
    let (child, workers) = under_way(out.path(), &[]);
    // One that has just come to its end is not missed: until the command says so.
    let ended = wait_for(|| {
        if all_ended(&[child.id()]) {
            return Some(());
        }
        let worker = *workers_of(child.id()).first()?;
        let mut kill = Command::new("kill");
        kill.args(["-KILL", &worker.to_string()]).output().unwrap();
        sleep(Duration::from_millis(300));
        None
    });
    assert!(ended.is_some());
    let output = child.output();
    assert_refused(&output, &["a worker: it ended with signal: 9"]);
    assert_kept(out.path(), &output);
    assert!(all_end(&workers));
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
