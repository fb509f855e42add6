//! Files that take their names together.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::disk::{RunDirectoryError, failed};
use super::run_directory::check_name;

/// New versions of a run's files, none of which has its name before all are written: on a disk that
/// gets full in between, the versions that were there stay, and belong together.
///
/// What isn't committed is removed again.
#[derive(Debug)]
#[must_use]
pub struct Batch<'a> {
    directory: &'a Path,
    /// Each file's temporary path and its own.
    written: Vec<(PathBuf, PathBuf)>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(directory: &'a Path) -> Self {
        Self {
            directory,
            written: Vec::new(),
        }
    }

    /// Writes what is to be the file `name`.
    ///
    /// Nothing waits for the disk before [`finish`](super::RunDirectory::finish), so as not to
    /// disturb what is being measured.
    ///
    /// # Errors
    /// `name` must be a plain file name that does not start with `.`; else the system's.
    pub fn write(&mut self, name: &str, contents: &[u8]) -> Result<(), RunDirectoryError> {
        // Threads that write the same name must not share a temporary file.
        static WRITES: AtomicU64 = AtomicU64::new(0);
        check_name(name, "file name", 255)?;
        let write = WRITES.fetch_add(1, Ordering::Relaxed);
        let temporary = self.directory.join(format!(".{write}.tmp"));
        let path = self.directory.join(name);
        let mut file = File::create_new(&temporary).map_err(failed("write", &path))?;
        self.written.push((temporary, path.clone()));
        file.write_all(contents).map_err(failed("write", &path))
    }

    /// Gives all files their names, in the order in which they were written.
    ///
    /// # Errors
    /// The system's; files before the one that it names have their names then.
    pub fn commit(mut self) -> Result<(), RunDirectoryError> {
        for (temporary, path) in &self.written {
            fs::rename(temporary, path).map_err(failed("write", path))?;
        }
        self.written.clear();
        Ok(())
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for (temporary, _) in &self.written {
            // Those that were renamed aren't there any more.
            let _ = fs::remove_file(temporary);
        }
    }
}
