//! The `faultaround` command.

use std::process::ExitCode;
use std::thread;

use fault_around::command;

/// A shell may leave the first thread a stack of some pages (`ulimit -s`).
const STACK_BYTES: usize = 8 << 20;

fn main() -> ExitCode {
    let run = || command::main(std::env::args_os());
    match thread::Builder::new().stack_size(STACK_BYTES).spawn(run) {
        // A panic has been told, and ends as one.
        Ok(thread) => thread.join().unwrap_or(ExitCode::from(101)),
        Err(_) => run(),
    }
}
