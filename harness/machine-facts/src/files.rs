//! Files that somebody names, and what happens to those that become too large.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The largest file that is read: many times what the longest run leaves.
const LARGEST_BYTES: u64 = 1 << 30;

/// All of a file. Only of a regular one: a device or a pipe may never end.
///
/// # Errors
/// What the system says, or what it is that isn't read.
pub fn read_input(path: &Path) -> io::Result<Vec<u8>> {
    let file = open_input(path)?;
    let mut bytes = Vec::new();
    // It may grow while it is read.
    file.take(LARGEST_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LARGEST_BYTES {
        true => Err(too_large()),
        false => Ok(bytes),
    }
}

/// A file that [`read_input`] reads, not read yet.
///
/// # Errors
/// The same.
pub fn open_input(path: &Path) -> io::Result<File> {
    // Without waiting for a writer, if it is a pipe.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    if !metadata.is_file() {
        let what = "it is a device or a pipe, which may never end; a regular file is wanted";
        return Err(io::Error::other(what));
    }
    match metadata.len() > LARGEST_BYTES {
        true => Err(too_large()),
        false => Ok(file),
    }
}

fn too_large() -> io::Error {
    io::Error::other("it is larger than 1 GiB, and no file of a run is")
}

/// Makes a write beyond the file size limit (`ulimit -f`) fail like one to a full disk. Without
/// this the signal that comes with it ends the process without a word of why.
pub fn size_limit_is_an_error() {
    // SAFETY: to ignore a signal runs no code of ours, and this one has no handler to be lost.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let refused = |path: &Path| read_input(path).unwrap_err().to_string();
        assert!(refused(Path::new("/dev/zero")).contains("never end"));
        let fifo = directory.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        assert!(refused(&fifo).contains("never end"));
        assert!(refused(directory.path()).contains("directory"));
        // A file of holes.
        let large = directory.path().join("large");
        let sparse = File::create(&large).unwrap();
        sparse.set_len(LARGEST_BYTES + 1).unwrap();
        assert!(refused(&large).contains("larger than 1 GiB"));
        std::fs::write(&large, b"small").unwrap();
        assert_eq!(read_input(&large).unwrap(), b"small");
    }
}
