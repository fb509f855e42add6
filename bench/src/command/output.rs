//! Standard output, which may be a pipe that nobody reads any more.

use std::io::{ErrorKind, Write, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use serde::Serialize;

use super::failure::Failure;

/// What goes to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A report of at most 72 columns
    Text,
    /// All there is
    Json,
    /// A table, a line for each thing that was measured or checked
    Tsv,
}

/// Whether standard output was closed when the program began. The standard library opens
/// `/dev/null` in its place before `main()`, and nothing tells that from one that was asked for.
static CLOSED: AtomicBool = AtomicBool::new(false);

// SAFETY: the loader calls the functions of this section before `main()`, with arguments that this
// one doesn't take; it needs nothing that isn't there yet.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = {
    extern "C" fn look() {
        // SAFETY: the call takes plain numbers and reads a flag of this process.
        let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
        // Relaxed: no other thread is there yet.
        CLOSED.store(flags == -1, Ordering::Relaxed);
    }
    look
};

/// All there is of something, indented.
pub(super) fn json(whole: &impl Serialize) -> Result<String, Failure> {
    let json = serde_json::to_string_pretty(whole).map_err(Failure::broke)?;
    Ok(json + "\n")
}

/// Prints text to standard output.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    if CLOSED.load(Ordering::Relaxed) {
        return Err(Failure::Broke(
            "cannot write to standard output: it is closed".to_owned(),
        ));
    }
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader has seen enough: `faultaround list | head -1` is no failure.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::Broke(format!(
            "cannot write to standard output: {error}"
        ))),
        Ok(()) => Ok(()),
    }
}
