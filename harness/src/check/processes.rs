//! Explorations in processes of their own, as many as are under way at once.
//!
//! Loom maps and unmaps a stack for each thread of each execution. Threads that explore in one
//! process would fight for its one address space, and each unmapping interrupt the other CPUs.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kernel_model::platform::checked::Mutation;
use thiserror::Error;

use super::worker::{Order, READY, WORKER};
use super::{Cell, Ended, Exploration, Extent, Panic};
use crate::cancel::Cancel;

/// Between two looks whether somebody has asked to stop.
const LOOK_EVERY_MS: libc::c_int = 20;

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

    /// As [`explore`](super::explore), but in a process. One that dies makes the exploration's end
    /// a panic that says what became of it.
    ///
    /// # Errors
    /// [`NoProcess`]; all else that is explored in processes is asked to stop then.
    pub fn explore(
        &self,
        cell: Cell,
        mutation: &Mutation,
        extent: &Extent,
    ) -> Result<Exploration, NoProcess> {
        let ended = |ended| Exploration::unknown(cell, extent, ended);
        if self.cancel.is_requested() {
            return Ok(ended(Ended::Interrupted));
        }
        let idle = self.idle().pop();
        let mut worker = match idle.map_or_else(|| self.start(), Ok) {
            Ok(worker) => worker,
            Err(_) if self.cancel.is_requested() => return Ok(ended(Ended::Interrupted)),
            Err(error) => {
                self.cancel.request();
                return Err(error);
            }
        };
        let order = Order::of(cell, mutation, extent);
        if let Some(exploration) = worker.explore(&order, &self.cancel) {
            self.idle().push(worker);
            return Ok(exploration);
        }
        if self.cancel.is_requested() {
            return Ok(ended(Ended::Interrupted));
        }
        Ok(ended(Ended::Panicked(Panic {
            message: format!("the process that explored it {}", worker.end()),
            place: String::new(),
        })))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) -> Result<Worker, NoProcess> {
        let mut process = Command::new(&self.program)
            .arg(WORKER)
            // Ctrl-C is for this process to hear, which then ends its workers.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| NoProcess(error.to_string()))?;
        let (orders, answers) = (process.stdin.take(), process.stdout.take());
        let mut worker = Worker {
            process,
            orders,
            answers,
        };
        match worker.answer(&self.cancel) {
            Some(line) if line.trim() == READY => Ok(worker),
            Some(line) => Err(NoProcess(line.trim().to_owned())),
            None => Err(NoProcess(format!("it {}", worker.end()))),
        }
    }
}

/// The system gave no process to explore in.
#[derive(Debug, Error)]
#[error("cannot start a process to explore in: {0}")]
pub struct NoProcess(String);

#[derive(Debug)]
struct Worker {
    process: Child,
    orders: Option<ChildStdin>,
    answers: Option<ChildStdout>,
}

impl Worker {
    /// What it found; nothing if it has died, or if somebody asks to stop meanwhile.
    fn explore(&mut self, order: &Order, cancel: &Cancel) -> Option<Exploration> {
        let order = serde_json::to_string(order).ok()?;
        writeln!(self.orders.as_mut()?, "{order}").ok()?;
        serde_json::from_str(&self.answer(cancel)?).ok()
    }

    /// The next line that it says.
    fn answer(&mut self, cancel: &Cancel) -> Option<String> {
        let answers = self.answers.as_mut()?;
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            // What has been said is heard, whatever is asked meanwhile.
            if !has_more(answers) {
                if cancel.is_requested() {
                    return None;
                }
                continue;
            }
            let mut part = [0; 4096];
            match answers.read(&mut part) {
                Ok(0) => return None,
                Ok(length) => line.extend_from_slice(&part[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        String::from_utf8(line).ok()
    }

    /// How it ended, which is what it does now if it hasn't.
    fn end(&mut self) -> String {
        let mut end = || -> io::Result<_> {
            self.process.kill()?;
            self.process.wait()
        };
        match end() {
            Ok(status) => format!("ended with {status}"),
            Err(error) => format!("ended, and nobody says how: {error}"),
        }
    }
}

impl Drop for Worker {
    /// It ends, whatever it explores.
    fn drop(&mut self) {
        self.end();
    }
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

    #[test]
    fn a_process_that_is_not_to_be_had_is_told_in_a_line_and_stops_the_others() {
        for (program, why) in [
            ("/nowhere/at/all", "No such file or directory (os error 2)"),
            // Neither is ready.
            ("/bin/false", "it ended with exit status: 1"),
            ("/bin/echo", WORKER),
        ] {
            let cancel = Cancel::default();
            let processes = Processes::of(program, &cancel);
            let explore = || processes.explore(Cell::all()[0], &Mutation::NONE, &Extent::default());
            let line = explore().unwrap_err().to_string();
            assert_eq!(line, format!("cannot start a process to explore in: {why}"));
            assert!(cancel.is_requested());
            assert_eq!(explore().unwrap().ended, Ended::Interrupted);
        }
    }
}
