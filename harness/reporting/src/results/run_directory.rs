//! A directory that carries its final name only when the run in it is whole.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::batch::Batch;
use super::disk::{
    RunDirectoryError, create_missing, failed, refuse_existing, remove_empty, reserve, sync_name,
    sync_tree,
};

/// The directory of a run that is going on, named `<UTC time>-<label>.partial`.
///
/// Only [`finish`](Self::finish) takes the suffix away. However else the value
/// or the process ends, the partial directory stays as it is.
#[derive(Debug)]
#[must_use]
pub struct RunDirectory {
    partial: PathBuf,
    complete: PathBuf,
    /// The missing directories that were created above, outermost first.
    ancestors: Vec<PathBuf>,
}

impl RunDirectory {
    /// Creates a partial directory under `parent`, and `parent` where missing,
    /// and proves that `reserve_bytes` can be written there.
    ///
    /// Where there is a run of the same second and label, the name gets `-2`,
    /// `-3` and so on.
    ///
    /// # Errors
    ///
    /// `label` must have 1 to 64 bytes without `/` and control characters, and
    /// must neither start with `.` nor end in `.partial`. Any other error is
    /// the system's. After an error nothing that was created remains.
    pub fn create(
        parent: &Path,
        label: &str,
        reserve_bytes: u64,
    ) -> Result<Self, RunDirectoryError> {
        Self::create_with(Timestamp::now(), parent, label, reserve_bytes, reserve)
    }

    fn create_with(
        now: Timestamp,
        parent: &Path,
        label: &str,
        reserve_bytes: u64,
        reserve: impl FnOnce(&Path, u64) -> io::Result<()>,
    ) -> Result<Self, RunDirectoryError> {
        check_name(label, "label", 64)?;
        let stem = format!("{}-{label}", now.strftime("%Y%m%dT%H%M%SZ"));
        let mut ancestors = Vec::new();
        create_missing(parent, &mut ancestors)
            .map_err(failed("create", parent))
            .and_then(|()| claim(parent, &stem))
            .and_then(|(partial, complete)| {
                let probe = partial.join(".reserve");
                if let Err(reason) =
                    reserve(&probe, reserve_bytes).and_then(|()| fs::remove_file(probe))
                {
                    // What went wrong first is what the user has to know.
                    let _ = fs::remove_dir_all(&partial);
                    let action = format!("reserve {reserve_bytes} bytes in");
                    return Err(failed(action, &partial)(reason));
                }
                Ok(Self {
                    partial,
                    complete,
                    ancestors: ancestors.clone(),
                })
            })
            .inspect_err(|_| remove_empty(&ancestors))
    }

    /// Where the run's files are for now.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Writes the file `name`, or replaces it as a whole.
    ///
    /// # Errors
    ///
    /// `name` must be a plain file name that does not start with `.`. After an
    /// error the file is as it was.
    pub fn write(&self, name: &str, contents: &[u8]) -> Result<(), RunDirectoryError> {
        let mut batch = self.batch();
        batch.write(name, contents)?;
        batch.commit()
    }

    /// Files that are written or replaced together.
    pub fn batch(&self) -> Batch<'_> {
        Batch::new(&self.partial)
    }

    /// Brings everything onto the disk, takes the suffix away and returns the
    /// final path.
    ///
    /// # Errors
    ///
    /// The run keeps its partial name, also when something else has taken the
    /// final one. Only an error that names the parent directory comes later:
    /// the run is whole then, but a power cut may bring the partial name back.
    pub fn finish(self) -> Result<PathBuf, RunDirectoryError> {
        let Self {
            partial,
            complete,
            ancestors,
        } = self;
        sync_tree(&partial)?;
        // rename(2) replaces an empty directory, but never one that holds
        // anything, so that no run is lost to one that appears after the check.
        refuse_existing(&complete)
            .and_then(|()| fs::rename(&partial, &complete))
            .map_err(failed("rename", &partial))?;
        for name in ancestors.iter().chain([&complete]) {
            sync_name(name)?;
        }
        Ok(complete)
    }

    /// Leaves the run partial and returns its path.
    #[must_use]
    pub fn keep_partial(self) -> PathBuf {
        self.partial
    }

    /// Removes the directory, and those above it that this run created, unless
    /// something else is in there by now.
    ///
    /// # Errors
    ///
    /// What the system reports; some files may be gone then.
    pub fn discard(self) -> Result<(), RunDirectoryError> {
        fs::remove_dir_all(&self.partial).map_err(failed("remove", &self.partial))?;
        remove_empty(&self.ancestors);
        Ok(())
    }
}

pub(super) fn check_name(name: &str, what: &str, limit: usize) -> Result<(), RunDirectoryError> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.len() > limit {
        "it is too long"
    } else if name.starts_with('.') {
        "it starts with a dot"
    } else if name.ends_with(".partial") {
        // A whole run would look like a partial one.
        "it ends in .partial"
    } else if name.contains(|c: char| c == '/' || c.is_control()) {
        "it holds a slash or a control character"
    } else {
        return Ok(());
    };
    let reason = io::Error::new(ErrorKind::InvalidInput, reason);
    Err(failed(format!("make a {what} of"), Path::new(name))(reason))
}

/// Creates the partial directory under the first name that is free, and
/// returns its path and the final one.
fn claim(parent: &Path, stem: &str) -> Result<(PathBuf, PathBuf), RunDirectoryError> {
    let mut number = 1_u32;
    loop {
        let name = match number {
            1 => stem.to_owned(),
            number => format!("{stem}-{number}"),
        };
        number += 1;
        let complete = parent.join(&name);
        let partial = parent.join(name + ".partial");
        match fs::create_dir(&partial) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            attempt => attempt.map_err(failed("create", &partial))?,
        }
        // Not before: the run that has the partial name is the only one that can
        // take the final one.
        let Err(error) = refuse_existing(&complete) else {
            return Ok((partial, complete));
        };
        remove_empty(&[partial]);
        if error.kind() != ErrorKind::AlreadyExists {
            return Err(failed("look at", &complete)(error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::write_noise;
    use super::*;
    use std::fs::File;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn create(parent: &Path) -> RunDirectory {
        let now = "2026-11-21T01:39:05.9Z".parse().unwrap();
        RunDirectory::create_with(now, parent, "mine", 100_000, reserve).unwrap()
    }

    /// Fails like a full disk, after something was written.
    fn full_disk(path: &Path, bytes: u64) -> io::Result<()> {
        fs::write(path, "what did fit")?;
        write_noise(&mut File::options().write(true).open("/dev/full")?, bytes)
    }

    #[track_caller]
    fn assert_refused(result: Result<impl Sized, RunDirectoryError>, path: &str, reason: &str) {
        let error = result.err().unwrap().to_string();
        assert!(error.contains(path) && error.contains(reason), "{error}");
        assert_eq!(error.lines().count(), 1);
    }

    #[test]
    fn only_a_finished_run_has_its_final_name() {
        let parent = tempfile::tempdir().unwrap();
        let run = create(parent.path());
        run.write("a.json", b"{}").unwrap();
        drop(run);
        let partial = "20261121T013905Z-mine.partial";
        assert_eq!(names(parent.path()), [partial]);
        assert_eq!(names(&parent.path().join(partial)), ["a.json"]);
        assert!(create(parent.path()).keep_partial().is_dir());
        create(parent.path()).discard().unwrap();

        let run = create(parent.path());
        run.write("a.json", b"{}").unwrap();
        fs::create_dir(run.path().join("perf")).unwrap();
        let complete = run.finish().unwrap();
        assert!(complete.ends_with("20261121T013905Z-mine-3"));
        assert_eq!(names(&complete), ["a.json", "perf"]);
        assert!(
            create(parent.path())
                .path()
                .ends_with("20261121T013905Z-mine-4.partial")
        );
        assert_eq!(names(parent.path()).len(), 4);
    }

    #[test]
    fn a_taken_final_name_is_never_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let run = create(parent.path());
        let other = parent.path().join("20261121T013905Z-mine");
        fs::create_dir(&other).unwrap();
        assert_refused(run.finish(), "Z-mine.partial", "Z-mine\" exists already");
        assert_eq!(names(parent.path()).len(), 2);
        fs::rename(parent.path().join("20261121T013905Z-mine.partial"), &other).unwrap();
        fs::create_dir(parent.path().join("20261121T013905Z-mine-2.partial")).unwrap();
        assert!(
            create(parent.path())
                .path()
                .ends_with("20261121T013905Z-mine-3.partial")
        );
    }

    #[test]
    fn bad_places_are_refused_and_nothing_is_left() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "kept").unwrap();
        let too_long = root.path().join("new/er").join("n".repeat(300));
        for (parent, named, reason) in [
            (&*file, "/file\"", "not a directory"),
            (&*file.join("x/y"), "/file/x/y\"", "Not a directory"),
            (&*too_long, "/new/er/n", "too long"),
            // As root, too, there is no creating anything in here.
            (Path::new("/proc"), "\"/proc/2", "os error"),
            (Path::new("/proc/a/b"), "\"/proc/a/b\"", "os error"),
        ] {
            assert_refused(RunDirectory::create(parent, "a", 1), named, reason);
        }
        let new = root.path().join("new/er");
        let full = RunDirectory::create_with(Timestamp::now(), &new, "a", 4096, full_disk);
        assert_refused(full, "new/er/2", "No space left on device");
        assert_eq!(names(root.path()), ["file"]);
        assert_eq!(fs::read(&file).unwrap(), b"kept");
    }

    #[test]
    fn bad_labels_are_refused_before_anything_is_created() {
        let root = tempfile::tempdir().unwrap();
        let new = root.path().join("new");
        for label in ["", ".a", "a/b", "a\0", "a\nb", "a.partial", &"a".repeat(65)] {
            let result = RunDirectory::create(&new, label, 1);
            let kind = result.as_ref().err().map(RunDirectoryError::kind);
            assert_eq!(kind, Some(ErrorKind::InvalidInput), "{label:?}");
            assert_refused(result, "a label of", "it ");
        }
        assert!(!new.exists());
        RunDirectory::create(&new, &"é".repeat(32), 0)
            .unwrap()
            .discard()
            .unwrap();
        assert!(!new.exists(), "what was created for it goes with it");
    }

    #[test]
    fn write_replaces_all_or_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let run = create(parent.path());
        run.write("a", b"a longer first version").unwrap();
        run.write("a", b"second").unwrap();
        assert_eq!(fs::read(run.path().join("a")).unwrap(), b"second");
        fs::create_dir(run.path().join("taken")).unwrap();
        assert_refused(run.write("taken", b"x"), "taken", "Is a directory");
        let long = "n".repeat(300);
        assert_refused(run.write(&long, b"x"), &long, "too long");
        assert_refused(run.write("b/c", b"x"), "b/c", "slash");
        assert_eq!(names(run.path()), ["a", "taken"]);
    }

    #[test]
    fn files_of_a_batch_replace_all_of_the_old_ones_or_none() {
        let parent = tempfile::tempdir().unwrap();
        let run = create(parent.path());
        run.write("a", b"old").unwrap();
        let mut batch = run.batch();
        batch.write("a", b"new").unwrap();
        batch.write("b", b"new").unwrap();
        assert_eq!(fs::read(run.path().join("a")).unwrap(), b"old");
        assert_refused(batch.write(&"n".repeat(300), b"x"), "nnn", "too long");
        drop(batch);
        assert_eq!(names(run.path()), ["a"]);

        let mut batch = run.batch();
        batch.write("a", b"new").unwrap();
        batch.write("b", b"new").unwrap();
        batch.commit().unwrap();
        assert_eq!(names(run.path()), ["a", "b"]);
        assert_eq!(fs::read(run.path().join("a")).unwrap(), b"new");
    }
}
