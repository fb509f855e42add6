use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use machine_facts::files::size_limit_is_an_error;

use super::{child, limit, said_to_child, tell};
use crate::host::kind::{file_system_name, unlinked};
use crate::host::probe::{punched, refilled};
use crate::host::{FileKind, HostError};

fn one_line(error: &HostError) -> String {
    let line = error.to_string();
    assert!(!line.contains('\n'), "{line:?}");
    line
}

#[test]
fn file_systems_have_their_names_or_numbers() {
    for (magic, name) in [
        (libc::EXT4_SUPER_MAGIC, "ext4"),
        (libc::XFS_SUPER_MAGIC, "xfs"),
        (libc::BTRFS_SUPER_MAGIC, "btrfs"),
        (libc::TMPFS_MAGIC, "tmpfs"),
        (libc::F2FS_SUPER_MAGIC, "f2fs"),
        (libc::OVERLAYFS_SUPER_MAGIC, "overlayfs"),
        (libc::NFS_SUPER_MAGIC, "nfs"),
        (libc::FUSE_SUPER_MAGIC, "fuse"),
        (0x1234, "0x1234"),
    ] {
        assert_eq!(file_system_name(magic as u32), name);
    }
}

#[test]
fn names_and_lineages_say_the_size_of_writes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for (pages, short, long) in [
        (1, "-4k", "a write per page"),
        (16, "-64k", "64 KiB a write"),
        (512, "-2m", "2 MiB a write"),
    ] {
        let kind = FileKind::in_dir(path, pages).unwrap();
        assert_eq!(kind.name, format!("{}{short}", kind.file_system));
        let lineage = format!("{} in {}, {long}", kind.file_system, path.display());
        assert_eq!(kind.lineage(), lineage);
        let shmem = kind.file_system == "tmpfs";
        assert_eq!(kind.is_shmem(), shmem);
        assert_eq!(kind.refills_alike(), shmem || pages == 1);
    }
    let memfd = FileKind::memfd();
    assert_eq!(
        memfd.lineage(),
        "tmpfs through memfd_create(), a write per page"
    );
    assert!(memfd.is_shmem() && memfd.refills_alike());
}

#[test]
fn a_kind_is_the_same_again_on_the_other_side() {
    let directory = tempfile::tempdir().unwrap();
    for kind in [
        FileKind::memfd(),
        FileKind::in_dir(directory.path(), 16).unwrap(),
    ] {
        let json = serde_json::to_string(&kind).unwrap();
        assert_eq!(serde_json::from_str::<FileKind>(&json).unwrap(), kind);
    }
}

#[test]
fn a_worker_elsewhere_finds_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let here = std::env::current_dir().unwrap();
    let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
    let relative = up.join(directory.path().strip_prefix("/").unwrap());
    let place = FileKind::in_dir(&relative, 1).unwrap().place.unwrap();
    assert!(relative.is_relative() && place.is_absolute(), "{place:?}");
    assert_eq!(
        place.canonicalize().unwrap(),
        directory.path().canonicalize().unwrap()
    );
}

#[test]
fn what_is_no_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let line = one_line(&FileKind::in_dir(&missing, 1).unwrap_err());
    assert!(
        line.contains("missing\": No such file or directory"),
        "{line}"
    );

    let file = directory.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let line = one_line(&FileKind::in_dir(&file, 1).unwrap_err());
    assert!(line.contains("file\": not a directory"), "{line}");

    // No user can create files here, root or not.
    let line = one_line(&FileKind::in_dir("/proc", 1).unwrap_err());
    let said = "can't put files in \"/proc\": no file can be made there: ";
    assert!(line.starts_with(said), "{line}");
    assert!(!line.contains("No such file"), "{line}");
}

#[test]
fn a_directory_has_to_have_a_name_for_the_record() {
    use std::os::unix::ffi::OsStrExt;
    let path = Path::new(std::ffi::OsStr::from_bytes(b"/tmp/\xff"));
    let line = one_line(&FileKind::in_dir(path, 1).unwrap_err());
    assert!(line.contains("isn't UTF-8"), "{line}");
}

#[test]
fn sizes_of_writes_have_their_range() {
    for pages in [0, 513] {
        let line = one_line(&FileKind::in_dir("/tmp", pages).unwrap_err());
        let said = format!("{pages} pages a write is out of range: it goes from 1 to 512");
        assert_eq!(line, said);
    }
}

#[test]
fn a_file_system_without_holes_or_without_a_cache_is_refused() {
    let kind = FileKind {
        name: "ramfs-4k".to_owned(),
        file_system: "ramfs".to_owned(),
        place: Some("/mnt".into()),
        write_pages: 1,
    };
    let path = Path::new("/mnt");
    punched(&kind, path, Ok(())).unwrap();
    let no_holes = io::Error::from_raw_os_error(libc::EOPNOTSUPP);
    let line = one_line(&punched(&kind, path, Err(no_holes)).unwrap_err());
    assert!(
        line.starts_with("ramfs in \"/mnt\" can't punch holes"),
        "{line}"
    );
    let full = io::Error::from_raw_os_error(libc::ENOSPC);
    let line = one_line(&punched(&kind, path, Err(full)).unwrap_err());
    assert!(line.contains("\"/mnt\": No space left"), "{line}");

    refilled(&kind, path, Ok(true)).unwrap();
    let line = one_line(&refilled(&kind, path, Ok(false)).unwrap_err());
    assert!(line.starts_with("ramfs in \"/mnt\" doesn't keep"), "{line}");
    let line = one_line(&refilled(&kind, path, Err(ErrorKind::Other.into())).unwrap_err());
    assert!(line.starts_with("can't put files in \"/mnt\""), "{line}");
}

#[test]
fn nothing_is_left_in_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let empty = || {
        std::fs::read_dir(directory.path())
            .unwrap()
            .next()
            .is_none()
    };
    let kind = FileKind::in_dir(directory.path(), 16).unwrap();
    assert!(empty());
    let file = kind.create(40).unwrap();
    assert!(empty());
    drop(file);
    // Where there is no O_TMPFILE, and somebody was killed in between before.
    let first = unlinked(directory.path()).unwrap();
    assert!(empty());
    let second = unlinked(directory.path()).unwrap();
    assert!(empty());
    assert!(first.metadata().unwrap().is_file() && second.metadata().unwrap().is_file());
}

#[test]
fn a_file_that_does_not_fit_is_not_begun() {
    let kind = FileKind {
        name: "ext4-4k".to_owned(),
        file_system: "ext4".to_owned(),
        place: Some("/tmp".into()),
        write_pages: 1,
    };
    kind.fits(512, Some(2 << 20)).unwrap();
    kind.fits(u64::MAX, None).unwrap();
    let line = one_line(&kind.fits(513, Some(2 << 20)).unwrap_err());
    assert_eq!(
        line,
        "/tmp has too little space: the file needs 3 MiB, there are 2 MiB"
    );
    let line = one_line(&kind.fits(513, Some(500_000)).unwrap_err());
    assert!(line.ends_with("there are 488 KiB"), "{line}");
    // No file system has that much, and nothing is written to find out. Were it, there's a limit.
    if said_to_child().is_some() {
        size_limit_is_an_error();
        limit(libc::RLIMIT_FSIZE, 1 << 20);
        let directory = tempfile::tempdir().unwrap();
        let kind = FileKind::in_dir(directory.path(), 1).unwrap();
        tell(one_line(&kind.create(1 << 45).unwrap_err()));
        return;
    }
    let test = "host::tests::kinds::a_file_that_does_not_fit_is_not_begun";
    let line = child(test, "go");
    let said = "has too little space: the file needs 137438953472 MiB, there are ";
    assert!(line.contains(said), "{line}");
}
