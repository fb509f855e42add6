//! Explorations in processes of their own, as many as are under way at once.
//!
//! Loom maps and unmaps a stack for each thread of each execution. Threads that explore in one
//! process would fight for its one address space, and each unmapping interrupt the other CPUs.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use kernel_model::platform::checked::Mutation;
use machine_facts::cancel::Cancel;
use thiserror::Error;

use super::worker::{Order, PANICKED, READY, WORKER};
use super::{Cell, Ended, Exploration, Extent, Panic};

/// Between two looks whether somebody has asked to stop.
const LOOK_EVERY_MS: libc::c_int = 20;

/// Looks, a millisecond apart, whether a process that has closed its output has ended.
const LOOKS: u32 = 30_000;

/// Characters of a line that isn't an answer, as far as it is told.
const QUOTED: usize = 60;

/// Worker processes: those that wait for something to explore. One is started where there is none.
#[derive(Debug)]
pub struct Processes {
    program: PathBuf,
    cancel: Cancel,
    idle: Mutex<Vec<Worker>>,
}

impl Processes {
    /// Of a program whose `main()` is a [worker](super::worker) where it is called as one.
    pub fn of(program: impl Into<PathBuf>, cancel: &Cancel) -> Self {
        Self {
            program: program.into(),
            cancel: cancel.clone(),
            idle: Mutex::default(),
        }
    }

    /// What ends whatever they explore.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// As [`explore`](super::explore), but in a process. One that dies of it, or answers what is no
    /// answer, makes the exploration's end a panic that says so.
    ///
    /// # Errors
    /// [`NoProcess`]; all else that is explored in processes is asked to stop then.
    pub fn explore(
        &self,
        cell: Cell,
        mutation: &Mutation,
        extent: &Extent,
    ) -> Result<Exploration, NoProcess> {
        let unknown = |ended| Ok(Exploration::unknown(cell, extent, ended));
        if self.cancel.is_requested() {
            return unknown(Ended::Interrupted);
        }
        let order = serde_json::to_string(&Order::of(cell, mutation, extent));
        let order = order.expect("names and numbers can be written");
        match self.ask(&order) {
            Ok(Ok(exploration)) => Ok(exploration),
            _ if self.cancel.is_requested() => unknown(Ended::Interrupted),
            Ok(Err(why)) => unknown(Ended::Panicked(Panic {
                message: format!("the process that was to explore it {why}"),
                place: String::new(),
            })),
            Err(error) => {
                self.cancel.request();
                Err(error)
            }
        }
    }

    /// What a worker finds, or else what became of it.
    fn ask(&self, order: &str) -> Result<Result<Exploration, String>, NoProcess> {
        let idle = self.idle().pop();
        let mut worker = idle.map_or_else(|| self.start(), Ok)?;
        if worker.tell(order).is_err() {
            // It has died since it spoke last, and not of this order.
            worker = self.start()?;
            if let Err(error) = worker.tell(order) {
                return Ok(Err(format!("took no order: {error}")));
            }
        }
        let answer = worker.answer(&self.cancel);
        let exploration = answer.and_then(|line| {
            let parsed = serde_json::from_str(line.trim_end());
            parsed.map_err(|error| format!("gave no answer: {} ({error})", quoted(&line)))
        });
        // One that hasn't answered, or not as it should, is not asked again.
        if exploration.is_ok() {
            self.idle().push(worker);
        }
        Ok(exploration)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) -> Result<Worker, NoProcess> {
        let process = Command::new(&self.program)
            .arg(WORKER)
            // Ctrl-C is for this process to hear, which then ends its workers.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| NoProcess(error.to_string()))?;
        let mut worker = Worker(process);
        match worker.answer(&self.cancel) {
            Ok(line) if line.trim() == READY => Ok(worker),
            Ok(line) => Err(NoProcess(line.trim().to_owned())),
            Err(why) => Err(NoProcess(format!("it {why}"))),
        }
    }
}

/// The system gave no process to explore in.
#[derive(Debug, Error)]
#[error("cannot start a process to explore in: {0}")]
pub struct NoProcess(String);

/// A process that takes orders on its standard input.
#[derive(Debug)]
struct Worker(Child);

impl Worker {
    fn tell(&mut self, order: &str) -> io::Result<()> {
        let orders = self.0.stdin.as_mut().ok_or(ErrorKind::BrokenPipe)?;
        writeln!(orders, "{order}")
    }

    /// The next line that it says, or why there is none.
    fn answer(&mut self, cancel: &Cancel) -> Result<String, String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let Some(answers) = self.0.stdout.as_mut() else {
                return Err(self.end(cancel));
            };
            // What has been said is heard, whatever is asked meanwhile.
            if !has_more(answers) {
                if cancel.is_requested() {
                    return Err("was asked to stop".to_owned());
                }
                continue;
            }
            let mut part = [0; 4096];
            match answers.read(&mut part) {
                Ok(0) => return Err(self.end(cancel)),
                Ok(length) => line.extend_from_slice(&part[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("gave an answer that can't be read: {error}")),
            }
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// How it ended by itself, once its output is at its end. That comes a moment before the end of
    /// a process, and one that is killed in that moment ends of that.
    fn end(&mut self, cancel: &Cancel) -> String {
        self.0.stdin = None;
        let mut looks = 0..LOOKS;
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) if status.code() == Some(PANICKED) => {
                    return format!("panicked outside of the checker ({status})");
                }
                Ok(Some(status)) => return format!("ended with {status}"),
                Ok(None) if !cancel.is_requested() && looks.next().is_some() => {
                    thread::sleep(Duration::from_millis(1));
                }
                Ok(None) => return "closed its output, and didn't end".to_owned(),
                Err(error) => return format!("ended, and nobody says how: {error}"),
            }
        }
    }

    /// Ends it, whatever it does.
    fn kill(&mut self) {
        // One that can't be killed or waited for is gone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A line, or the start of a long one.
fn quoted(line: &str) -> String {
    let mut rest = line.trim_end().chars();
    let first: String = rest.by_ref().take(QUOTED).collect();
    let more = if rest.next().is_some() { "..." } else { "" };
    format!("{first:?}{more}")
}

/// Waits some time for there to be something to read, or the end of it.
fn has_more(answers: &ChildStdout) -> bool {
    let mut poll = libc::pollfd {
        fd: answers.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: the pointer is valid for the one structure that the call reads and fills in.
    unsafe { libc::poll(&raw mut poll, 1, LOOK_EVERY_MS) > 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn explore(processes: &Processes) -> Result<Exploration, NoProcess> {
        processes.explore(Cell::all()[0], &Mutation::NONE, &Extent::default())
    }

    /// Only one test at a time starts processes: each holds the pipes of others until it is the
    /// program that it is to be, and meanwhile nothing is known of their ends.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Processes of a shell that does this; `$1` is a file in the directory, called `mark`.
    fn shells(script: &str, directory: &tempfile::TempDir) -> Processes {
        let program = directory.path().join("worker");
        let mark = directory.path().join("mark");
        let script = format!("#!/bin/sh\nset -- {mark:?}\n{script}\n");
        // Written by another process: one that this one starts meanwhile would hold it open.
        let mut install = Command::new("install");
        let install = install.args(["-m", "755", "/dev/stdin"]).arg(&program);
        let mut child = install.stdin(Stdio::piped()).spawn().expect("install");
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(script.as_bytes()).unwrap();
        drop(stdin);
        assert!(child.wait().unwrap().success());
        Processes::of(&program, &Cancel::default())
    }

    /// A line that is an exploration, as a shell says it.
    fn says_exploration() -> String {
        let exploration = Exploration::unknown(Cell::all()[0], &Extent::default(), Ended::Vacuous);
        format!("echo '{}'", serde_json::to_string(&exploration).unwrap())
    }

    #[track_caller]
    fn assert_panicked(exploration: &Exploration, says: &str) {
        let detail = exploration.ended.detail().unwrap_or_default();
        let begins = format!("the process that was to explore it {says}");
        assert!(
            exploration.panicked() && detail.starts_with(&begins),
            "{exploration:?}"
        );
    }

    #[test]
    fn a_process_that_is_not_to_be_had_is_told_in_a_line_and_stops_the_others() {
        let _alone = alone();
        for (program, why) in [
            ("/nowhere/at/all", "No such file or directory (os error 2)"),
            // Neither is ready.
            ("/bin/false", "it ended with exit status: 1"),
            ("/bin/echo", WORKER),
        ] {
            let processes = Processes::of(program, &Cancel::default());
            let line = explore(&processes).unwrap_err().to_string();
            assert_eq!(line, format!("cannot start a process to explore in: {why}"));
            assert!(processes.cancel().is_requested());
            assert_eq!(explore(&processes).unwrap().ended, Ended::Interrupted);
        }
    }

    #[test]
    fn one_that_died_while_it_waited_costs_no_verdict() {
        let _alone = alone();
        let directory = tempfile::tempdir().unwrap();
        let exploration = says_exploration();
        let script = format!("echo $$ >>$1; echo ready; while read order; do {exploration}; done");
        let processes = shells(&script, &directory);
        let started = || {
            let ids = fs::read_to_string(directory.path().join("mark")).unwrap();
            ids.lines().count()
        };
        for _ in 0..2 {
            assert_eq!(explore(&processes).unwrap().ended, Ended::Vacuous);
        }
        assert_eq!(started(), 1, "it waits for the next order");
        processes.idle()[0].kill();
        assert_eq!(explore(&processes).unwrap().ended, Ended::Vacuous);
        assert_eq!((started(), processes.idle().len()), (2, 1));
    }

    #[test]
    fn an_order_that_no_process_takes_is_tried_with_two_of_them() {
        let _alone = alone();
        let directory = tempfile::tempdir().unwrap();
        let script = "exec <&-; echo $$ >>$1; echo ready; exec sleep 1000";
        let processes = shells(script, &directory);
        let says = "took no order: Broken pipe (os error 32)";
        assert_panicked(&explore(&processes).unwrap(), says);
        let ids = fs::read_to_string(directory.path().join("mark")).unwrap();
        assert_eq!(ids.lines().count(), 2, "{ids}");
    }

    #[test]
    fn what_is_no_answer_is_told_and_is_no_signal() {
        let _alone = alone();
        let directory = tempfile::tempdir().unwrap();
        let exploration = says_exploration();
        let script = |answer: &str| {
            let whole = format!("while read order; do {exploration}; done");
            format!("echo ready; [ -e $1 ] || {{ read order; >$1; {answer}; }}\n{whole}")
        };
        let long = format!("echo {}", "x".repeat(QUOTED + 1));
        let start = format!("{:?}... (expected", "x".repeat(QUOTED));
        for (answer, says) in [
            ("echo", "\"\" (EOF while parsing"),
            ("echo nonsense", "\"nonsense\" (expected"),
            (long.as_str(), start.as_str()),
        ] {
            let processes = shells(&script(answer), &directory);
            let says = format!("gave no answer: {says}");
            assert_panicked(&explore(&processes).unwrap(), &says);
            assert!(processes.idle().is_empty(), "it isn't asked again");
            assert_eq!(explore(&processes).unwrap().ended, Ended::Vacuous);
            fs::remove_file(directory.path().join("mark")).unwrap();
        }
    }

    #[test]
    fn how_a_process_ended_is_told_as_it_was() {
        let _alone = alone();
        let directory = tempfile::tempdir().unwrap();
        for (end, says) in [
            ("exit 0", "ended with exit status: 0"),
            ("printf half; exit 3", "ended with exit status: 3"),
            ("kill -TERM $$", "ended with signal: 15 (SIGTERM)"),
            (
                "exit 101",
                "panicked outside of the checker (exit status: 101)",
            ),
        ] {
            let processes = shells(&format!("echo ready; read order; {end}"), &directory);
            assert_panicked(&explore(&processes).unwrap(), says);
        }
    }
}
