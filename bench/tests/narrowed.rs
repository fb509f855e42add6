//! A cpuset that is narrowed while a run goes on: the round is marked, nothing is moved in silence,
//! and what was measured is kept. Needs cpuset groups and the right to make one.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use machine_facts::conditions::Cause;
use support::{partial_run, started, storm};

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
    shell.args(arguments);
    shell.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = started(shell, out.path());
    // What was written is of the cells before; in this one, away from its edges.
    std::thread::sleep(Duration::from_millis(150));
    assert!(set.narrow("0"));
    let told = child.told();
    told.failed(&["CPU 1"]);
    assert!(told.text.starts_with("INCOMPLETE"), "{told:?}");
    let (_, run) = partial_run(out.path());
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
