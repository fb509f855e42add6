//! The default storm: every sound scheme under every storm, ending with the table.

use std::path::Path;
use std::process::ExitCode;

use fault_around::command;

fn main() -> ExitCode {
    // Cargo gives `--bench` in a bench run and nothing in a test run. Anything else was meant for
    // criterion, whose benches get the same arguments.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments != ["--bench"] {
        let reason = match arguments.is_empty() {
            true => "not a bench run",
            false => "the arguments are for criterion's benches",
        };
        eprintln!("storm: skipped, {reason}; see cargo run --release -- storm --help");
        return ExitCode::SUCCESS;
    }
    // Cargo runs benches in their package's folder.
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results");
    let results = results.canonicalize().unwrap_or(results);
    command::exit(command::default_run(&results))
}
