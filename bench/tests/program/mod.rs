//! The command, and what it says.

use std::process::{Command, Output};

/// The command with these arguments.
pub(crate) fn faultaround(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultaround"));
    command.args(arguments);
    command
}

/// What it prints.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("output is text")
}

/// What it says on standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("messages are text")
}
