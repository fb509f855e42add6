//! The steps that run directories take on the disk, and how their failures are
//! told.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a run could not be put on the disk, in one line that names the path and
/// the reason. As the reason is in there, it is not a separate source.
#[derive(Debug, Error)]
#[error("cannot {action} {path:?}: {reason}")]
pub struct RunDirectoryError {
    action: String,
    path: PathBuf,
    reason: io::Error,
}

impl RunDirectoryError {
    /// The kind of the reason; [`ErrorKind::InvalidInput`] for a bad label or
    /// file name.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.reason.kind()
    }
}

pub(super) fn failed(
    action: impl Into<String>,
    path: &Path,
) -> impl FnOnce(io::Error) -> RunDirectoryError {
    let (action, path) = (action.into(), path.to_owned());
    move |reason| RunDirectoryError {
        action,
        path,
        reason,
    }
}

/// Creates `path` and what is missing above it, and notes what was created.
///
/// Only an attempt tells what is possible: root passes any look at modes.
pub(super) fn create_missing(path: &Path, created: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut attempt = fs::create_dir(path);
    if let (Err(error), Some(above)) = (&attempt, path.parent())
        && error.kind() == ErrorKind::NotFound
        && !above.as_os_str().is_empty()
    {
        create_missing(above, created)?;
        attempt = fs::create_dir(path);
    }
    match attempt {
        Ok(()) => created.push(path.to_owned()),
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        Err(_) if path.is_dir() => {}
        Err(_) => return Err(ErrorKind::NotADirectory.into()),
    }
    Ok(())
}

pub(super) fn remove_empty(directories: &[PathBuf]) {
    for directory in directories.iter().rev() {
        // Fails where others have put something in, which is then theirs.
        let _ = fs::remove_dir(directory);
    }
}

pub(super) fn refuse_existing(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(_) => {
            let message = format!("{path:?} exists already");
            Err(io::Error::new(ErrorKind::AlreadyExists, message))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

pub(super) fn reserve(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    write_noise(&mut file, bytes)?;
    // Some file systems find out only now that they are full.
    file.sync_all()
}

/// Writes what a file system can neither compress nor leave out as a hole.
pub(super) fn write_noise(out: &mut impl Write, bytes: u64) -> io::Result<()> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut block = [0; 1 << 14];
    let mut left = bytes;
    while left > 0 {
        for word in block.as_chunks_mut::<8>().0 {
            // Marsaglia's xorshift, which never gets to zero.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *word = state.to_ne_bytes();
        }
        let length = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
        out.write_all(&block[..length])?;
        left -= length as u64;
    }
    Ok(())
}

pub(super) fn sync_tree(directory: &Path) -> Result<(), RunDirectoryError> {
    let unread = || failed("read", directory);
    for entry in fs::read_dir(directory).map_err(unread())? {
        let entry = entry.map_err(unread())?;
        let kind = entry.file_type().map_err(unread())?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            // Nothing else: to open a pipe would wait for its other end.
            sync(&entry.path())?;
        }
    }
    sync(directory)
}

/// Brings the name of `path` onto the disk.
pub(super) fn sync_name(path: &Path) -> Result<(), RunDirectoryError> {
    let parent = path.parent().filter(|above| !above.as_os_str().is_empty());
    sync(parent.unwrap_or(Path::new(".")))
}

fn sync(path: &Path) -> Result<(), RunDirectoryError> {
    match File::open(path).and_then(|file| file.sync_all()) {
        // There are file systems that cannot sync directories, and directories
        // that can be written to but not opened.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::PermissionDenied
            ) && path.is_dir() =>
        {
            Ok(())
        }
        result => result.map_err(failed("sync", path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_its_length_and_no_holes() {
        for length in [0, 1, 16_384, 50_001] {
            let mut out = Vec::new();
            write_noise(&mut out, length).unwrap();
            assert_eq!(out.len() as u64, length);
            assert!(out.chunks(8).all(|word| word.iter().any(|byte| *byte != 0)));
        }
    }

    #[test]
    fn a_reserve_that_does_not_fit_is_an_error() {
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        let error = write_noise(&mut full, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }

    #[test]
    fn created_directories_are_noted_and_removed_only_while_empty() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b/c");
        let mut created = Vec::new();
        create_missing(&inner, &mut created).unwrap();
        create_missing(&inner, &mut created).unwrap();
        assert_eq!(
            created,
            ["a", "a/b", "a/b/c"].map(|path| root.path().join(path))
        );
        fs::write(root.path().join("a/theirs"), "").unwrap();
        remove_empty(&created);
        assert!(!root.path().join("a/b").exists());
        assert!(root.path().join("a/theirs").exists());
    }

    #[test]
    fn relative_paths_have_a_parent() {
        let error = create_missing(Path::new(""), &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        create_missing(Path::new("."), &mut Vec::new()).unwrap();
        sync_name(Path::new("relative")).unwrap();
    }

    #[test]
    fn sync_skips_what_is_no_file() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("inner")).unwrap();
        fs::write(root.path().join("inner/file"), "x").unwrap();
        // Opening either of these fails.
        let _socket = std::os::unix::net::UnixListener::bind(root.path().join("socket")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.path().join("link")).unwrap();
        sync_tree(root.path()).unwrap();
        let error = sync_tree(&root.path().join("missing"))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("cannot read \"/") && error.contains("missing"),
            "{error}"
        );
    }
}
