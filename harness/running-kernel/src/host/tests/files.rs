use std::fs::File;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::fs::FileExt;

use machine_facts::files::size_limit_is_an_error;

use super::{child, limit, mapped, said_to_child, stamps, tell, words};
use crate::host::probe::is_cached;
use crate::host::{FileKind, HostFile, Layout, Mapping, Touched};

const PAGES: u64 = 100;

/// Some of each sort, with writes that don't divide the file.
fn kinds(directory: &tempfile::TempDir) -> Vec<FileKind> {
    let mut kinds = vec![FileKind::memfd()];
    kinds.extend([1, 16, 512].map(|pages| FileKind::in_dir(directory.path(), pages).unwrap()));
    kinds
}

#[test]
fn every_page_has_its_stamp() {
    let directory = tempfile::tempdir().unwrap();
    for kind in kinds(&directory) {
        let file = kind.create(PAGES).unwrap();
        assert_eq!((file.pages(), file.kind()), (PAGES, &kind));
        let mapping = Mapping::new(&file, PAGES + 1, Layout::Whole).unwrap();
        assert_eq!(words(&mapping, 0..PAGES), stamps(0..PAGES), "{kind:?}");
        assert_eq!(mapping.touch(PAGES), Touched::Bus, "{kind:?}");
    }
}

#[test]
fn a_hole_reads_zero_until_it_is_refilled() {
    let directory = tempfile::tempdir().unwrap();
    for kind in kinds(&directory) {
        let file = kind.create(PAGES).unwrap();
        let mapping = Mapping::new(&file, PAGES, Layout::Whole).unwrap();
        assert_eq!(words(&mapping, 0..PAGES), stamps(0..PAGES));
        file.punch_hole(20..40).unwrap();
        // Of a large folio that lies in the hole in part, the rest is unmapped, too.
        assert_eq!(mapping.present(20..40).unwrap(), 0, "{kind:?}");
        assert_eq!(words(&mapping, 19..20), stamps(19..20));
        assert_eq!(words(&mapping, 20..40), [Touched::Word(0); 20], "{kind:?}");
        assert_eq!(words(&mapping, 40..41), stamps(40..41));
        file.punch_hole(20..40).unwrap();
        file.refill(20..40).unwrap();
        let refilled = if kind.is_shmem() {
            stamps(20..40)
        } else {
            vec![Touched::Word(0); 20]
        };
        assert_eq!(words(&mapping, 20..40), refilled, "{kind:?}");
    }
}

/// What a refill is for: the fault after it finds the pages in the page cache.
#[test]
fn a_refill_is_in_the_page_cache() {
    let directory = tempfile::tempdir().unwrap();
    for kind in kinds(&directory) {
        let file = kind.create(PAGES).unwrap();
        let fd = File::from(file.for_child().unwrap());
        let cached = || {
            let pages = (0..PAGES).filter(|&page| is_cached(&fd, page as i64).unwrap());
            pages.collect::<Vec<u64>>()
        };
        assert_eq!(cached(), Vec::from_iter(0..PAGES), "{kind:?}");
        file.punch_hole(0..64).unwrap();
        assert_eq!(cached(), Vec::from_iter(64..PAGES), "{kind:?}");
        // And nothing is read ahead.
        file.refill(0..24).unwrap();
        assert_eq!(
            cached(),
            Vec::from_iter((0..24).chain(64..PAGES)),
            "{kind:?}"
        );
    }
}

/// A removal that has to wait for the disk, or that saves it a write, is another one.
#[test]
fn a_file_is_clean_when_it_is_there() {
    let cancelled = || {
        let counts = std::fs::read_to_string("/proc/thread-self/io").ok()?;
        let count = counts
            .lines()
            .find_map(|line| line.strip_prefix("cancelled_write_bytes: "))?;
        count.parse::<u64>().ok()
    };
    let directory = tempfile::tempdir().unwrap();
    let kind = FileKind::in_dir(directory.path(), 16).unwrap();
    let (false, Some(before)) = (kind.is_shmem(), cancelled()) else {
        eprintln!(
            "skipped: the kernel doesn't count writes that it's saved, or {kind:?} is memory"
        );
        return;
    };
    let file = kind.create(PAGES).unwrap();
    file.truncate(0).unwrap();
    assert_eq!(cancelled(), Some(before));
}

#[test]
fn a_truncated_file_ends_there_and_grows_back() {
    let directory = tempfile::tempdir().unwrap();
    for kind in kinds(&directory) {
        let file = kind.create(PAGES).unwrap();
        let mapping = Mapping::new(&file, PAGES, Layout::Whole).unwrap();
        assert_eq!(words(&mapping, 0..PAGES), stamps(0..PAGES));
        file.truncate(80).unwrap();
        assert_eq!(words(&mapping, 79..80), stamps(79..80));
        assert_eq!(words(&mapping, 80..PAGES), [Touched::Bus; 20], "{kind:?}");
        assert_eq!(file.pages(), PAGES);
        file.truncate(PAGES).unwrap();
        file.refill(80..PAGES).unwrap();
        assert!(
            !words(&mapping, 80..PAGES).contains(&Touched::Bus),
            "{kind:?}"
        );
    }
}

#[test]
fn a_refill_stops_where_the_file_has_been_truncated_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let kind = FileKind::in_dir(directory.path(), 1).unwrap();
    let file = kind.create(PAGES).unwrap();
    file.truncate(10).unwrap();
    file.refill(5..PAGES).unwrap();
}

#[test]
fn errors_say_what_was_to_be_done_and_where() {
    let (file, _) = mapped(16, Layout::Whole);
    let line = file.truncate(1 << 60).unwrap_err().to_string();
    assert!(
        line.starts_with("can't truncate a file in memory: "),
        "{line}"
    );
    let line = file.punch_hole(3..3).unwrap_err().to_string();
    assert!(
        line.starts_with("can't punch a hole into a file in memory: Invalid argument"),
        "{line}"
    );
}

#[test]
fn a_limit_on_the_size_of_files_is_named() {
    if let Some(bytes) = said_to_child() {
        size_limit_is_an_error();
        limit(libc::RLIMIT_FSIZE, bytes.parse().unwrap());
        let result = FileKind::memfd().create(1024);
        tell(result.unwrap_err());
        return;
    }
    let test = "host::tests::files::a_limit_on_the_size_of_files_is_named";
    for (bytes, said) in [
        ("2097152", "2 MiB"),
        ("500000", "488 KiB"),
        ("1000", "1000 bytes"),
        ("0", "0 bytes"),
    ] {
        let line = format!(
            "can't write a file in memory: it would take 4 MiB, and this process may write {said} \
             (ulimit -f)"
        );
        assert_eq!(child(test, bytes), line);
    }
}

#[test]
fn a_child_has_the_parents_file() {
    if let Some(said) = said_to_child() {
        let (fd, kind) = said.split_once(' ').unwrap();
        let kind: FileKind = serde_json::from_str(kind).unwrap();
        let file = HostFile::from_child_fd(fd.parse().unwrap(), kind, 16).unwrap();
        file.punch_hole(3..5).unwrap();
        // Its own children have neither descriptor.
        for fd in [fd.parse().unwrap(), file.raw_fd()] {
            // SAFETY: F_GETFD takes nothing.
            let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
            assert_eq!(flags, libc::FD_CLOEXEC);
        }
        tell(format_args!("{} {}", file.pages(), file.kind().name));
        return;
    }
    let (file, mapping) = mapped(16, Layout::Whole);
    let passed = file.for_child().unwrap();
    let kind = serde_json::to_string(file.kind()).unwrap();
    let test = "host::tests::files::a_child_has_the_parents_file";
    let output = child(test, &format!("{} {kind}", passed.as_raw_fd()));
    assert_eq!(output, "16 memfd");
    let found = words(&mapping, 0..16);
    assert_eq!(found[3..5], [Touched::Word(0); 2]);
    assert_eq!(
        (&found[..3], &found[5..]),
        (&stamps(0..3)[..], &stamps(5..16)[..])
    );
}

#[test]
fn what_is_no_file_of_a_parent_is_refused() {
    let fd = File::open("/proc").unwrap().into_raw_fd();
    for fd in [-1, fd] {
        let result = HostFile::from_child_fd(fd, FileKind::memfd(), 16);
        let line = result.unwrap_err().to_string();
        assert!(
            line.starts_with(&format!("file descriptor {fd} isn't the file")),
            "{line}"
        );
    }
}

#[test]
fn the_rest_of_a_page_is_left_alone() {
    let file = FileKind::memfd().create(2).unwrap();
    let fd = File::from(file.for_child().unwrap());
    let mut page = [0xff; 4096];
    fd.read_exact_at(&mut page, 4096).unwrap();
    assert_eq!(page[..8], 2_u64.to_ne_bytes());
    assert_eq!(fd.metadata().unwrap().len(), 8192);
}
