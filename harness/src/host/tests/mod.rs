//! Of files, mappings and touches together.

mod files;
mod kinds;
mod mappings;
mod touches;
mod windows;

use std::process::{Command, Output};

use super::{FileKind, HostFile, Layout, Mapping, Touched};

/// A file in memory, and a mapping of all of it.
fn mapped(pages: u64, layout: Layout) -> (HostFile, Mapping) {
    let file = FileKind::memfd().create(pages).unwrap();
    let mapping = Mapping::new(&file, pages, layout).unwrap();
    (file, mapping)
}

/// What the first words of pages are.
fn words(mapping: &Mapping, pages: std::ops::Range<u64>) -> Vec<Touched> {
    pages.map(|page| mapping.touch(page)).collect()
}

/// What they are as long as nobody has removed them.
fn stamps(pages: std::ops::Range<u64>) -> Vec<Touched> {
    pages.map(|page| Touched::Word(page + 1)).collect()
}

/// The variable that tells a test that it is the child of one.
const CHILD: &str = "FAULTAROUND_HOST_TEST_CHILD";

/// What a parent said to this child, if it's one.
fn said_to_child() -> Option<String> {
    std::env::var(CHILD).ok()
}

/// Runs one of these tests alone in a process of its own, which may do to itself what it likes.
fn child(test: &str, said: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, said)
        .output()
        .unwrap()
}

/// The one line of a child's output that starts with a word.
fn line_of<'a>(output: &'a str, word: &str) -> &'a str {
    let lines = output.lines().filter_map(|line| {
        // The test's name may be in front, without an end of line.
        line.split_once(word).map(|(_, rest)| rest)
    });
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), 1, "one line has {word:?} in: {output}");
    lines[0]
}

/// Changes a limit of this process.
fn limit(resource: libc::__rlimit_resource_t, bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the structure is there to be read.
    assert_eq!(unsafe { libc::setrlimit(resource, &limit) }, 0);
}
