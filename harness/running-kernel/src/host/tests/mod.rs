//! Of files, mappings and touches together.

mod files;
mod kinds;
mod mappings;
mod touches;
mod windows;

use std::process::Command;

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

/// What they are as long as none has been removed.
fn stamps(pages: std::ops::Range<u64>) -> Vec<Touched> {
    pages.map(|page| Touched::Word(page + 1)).collect()
}

/// The variable that tells a test that it is the child of one.
const CHILD: &str = "FAULTAROUND_HOST_TEST_CHILD";

/// What is in front of the line that it has for its parent.
const TOLD: &str = "told: ";

/// Tells the parent.
fn tell(line: impl std::fmt::Display) {
    eprintln!("{TOLD}{line}");
}

/// What a parent said to this child, if it's one.
fn said_to_child() -> Option<String> {
    std::env::var(CHILD).ok()
}

/// What one of these tests tells that runs alone in a process of its own, which may do to itself
/// what it likes.
fn child(test: &str, said: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, said)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = told
        .lines()
        .filter_map(|line| line.strip_prefix(TOLD))
        .collect();
    assert_eq!(lines.len(), 1, "one line is told in: {told}");
    lines[0].to_owned()
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
