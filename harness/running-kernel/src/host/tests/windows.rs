use super::mapped;
use crate::host::{HostError, Layout, fault_around_pages, minor_faults, uses_folio_batching};

#[test]
fn releases_that_map_folios_at_once() {
    for (release, batching) in [
        ("6.18.44-fc", true),
        ("6.6.0", true),
        ("6.6-rc1", true),
        ("7.0-rc1", true),
        ("6.12+", true),
        ("10.0", true),
        ("6.5.13-generic", false),
        ("5.10.0-21-amd64", false),
        ("5.19", false),
        ("4.4.302", false),
        ("6", false),
        ("", false),
        ("garbage", false),
        ("6.x", false),
        ("99999999999.1", false),
    ] {
        assert_eq!(uses_folio_batching(release), batching, "{release:?}");
    }
}

#[test]
fn a_window_is_a_power_of_two_above_one() {
    match fault_around_pages() {
        Ok(pages) => assert!(pages > 1 && pages.is_power_of_two(), "{pages}"),
        Err(error @ (HostError::NoFaultAround | HostError::Pagemap(_))) => {
            eprintln!("skipped: {error}");
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn minor_faults_are_this_threads() {
    const FAULTS: u64 = 1000;
    let (_file, mapping) = mapped(16, Layout::Whole);
    let before = minor_faults();
    let other = std::thread::spawn(move || {
        let before = minor_faults();
        for _ in 0..FAULTS {
            mapping.zap().unwrap();
            mapping.touch(3);
        }
        minor_faults() - before
    });
    let theirs = other.join().unwrap();
    let ours = minor_faults() - before;
    assert!(theirs >= FAULTS, "{theirs}");
    // To start a thread takes some.
    assert!(ours < FAULTS / 2, "{ours}");
}
