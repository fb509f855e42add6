//! The commands of the checkers, run to their end.

use std::process::Command;

/// Output, messages and status.
pub(crate) fn told(name: &str, arguments: &[&str]) -> (String, String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultaround"));
    command.arg(name).args(arguments);
    let output = command.output().expect("the command starts");
    let text = |bytes| String::from_utf8(bytes).expect("output is text");
    let status = output.status.code().expect("no signal");
    (text(output.stdout), text(output.stderr), status)
}
