//! A cpuset that is narrowed while a run goes on: the round is marked, nothing is moved in silence,
//! and what was measured is kept. Needs cpuset groups and the right to make one.

mod storms;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use machine_facts::conditions::Cause;
use reporting::record::Run;
use storms::{complaints, is_partial, paths, storm};

/// A cpuset of these CPUs, gone at the end.
struct Cpuset(PathBuf);

impl Cpuset {
    /// `None` where there are none, or not for us.
    fn make(cpus: &str) -> Option<Self> {
        let v1 = Path::new("/sys/fs/cgroup/cpuset");
        let root = if v1.is_dir() {
            v1
        } else {
            Path::new("/sys/fs/cgroup")
        };
        let path = root.join(format!("fault-around-test-{}", std::process::id()));
        fs::create_dir(&path).ok()?;
        let set = Self(path);
        // Without memory a group of version 1 takes no process.
        let mems = fs::write(set.0.join("cpuset.mems"), "0");
        (mems.is_ok() && set.narrow(cpus)).then_some(set)
    }

    fn narrow(&self, cpus: &str) -> bool {
        fs::write(self.0.join("cpuset.cpus"), cpus).is_ok()
    }
}

impl Drop for Cpuset {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_run_whose_cpuset_is_narrowed_marks_the_round_and_ends_with_a_line() {
    // Between two cells there is no thread to lose the CPU; where it goes away, the machine
    // chooses.
    for _ in 0..10 {
        let Some(set) = Cpuset::make("0-1") else {
            eprintln!("skipped: no cpuset of two CPUs can be made");
            return;
        };
        if narrowed_in_a_cell(&set) {
            return;
        }
    }
    panic!("a CPU went away ten times, and no round is marked");
}

/// Narrows the set while a run goes on in it; returns whether the last round says so.
fn narrowed_in_a_cell(set: &Cpuset) -> bool {
    let out = tempfile::tempdir().unwrap();
    // A shell joins the set, and becomes the run.
    let run = storm(out.path(), 400);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "echo $$ >\"$0\" && exec \"$@\""])
        .arg(set.0.join("cgroup.procs"));
    shell.arg(run.get_program());
    // The second CPU, and cells so long that it goes away in the midst of one.
    let arguments = run.get_args().map(|argument| match argument.to_str() {
        Some("10ms") => "300ms".into(),
        Some("0") => "1".into(),
        _ => argument.to_owned(),
    });
    let mut shell = shell.args(arguments);
    shell = shell
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = shell.spawn().unwrap();
    let start = Instant::now();
    let measured = |more: usize| {
        let runs = paths(out.path());
        runs.iter()
            .any(|run| Run::read(run).is_ok_and(|run| run.rounds.len() > more))
    };
    while !measured(3) {
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "nothing is written"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    // What was written is of the cells before; in this one, away from its edges.
    std::thread::sleep(Duration::from_millis(150));
    assert!(set.narrow("0"));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = complaints(&output);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("CPU 1"), "{said:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.starts_with("INCOMPLETE"), "{printed}");
    let [partial] = &paths(out.path())[..] else {
        panic!("one run: {:?}", paths(out.path()));
    };
    assert!(is_partial(partial), "{partial:?}");
    let run = Run::read(partial).unwrap();
    let (last, before) = run.rounds.split_last().unwrap();
    assert!(
        before
            .iter()
            .all(|cell| cell.conditions.lost_cpus.is_empty())
    );
    if last.conditions.lost_cpus.is_empty() {
        return false;
    }
    assert!(last.unstable && last.conditions.causes().contains(&Cause::LostCpu));
    assert_eq!(last.conditions.lost_cpus, [1]);
    true
}
