//! The `faultaround` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    fault_around::command::main(std::env::args_os())
}
