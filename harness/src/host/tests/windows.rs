use crate::host::{HostError, fault_around_pages, minor_faults, uses_folio_batching};

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
        Err(error @ (HostError::NoFaultAround | HostError::Pagemap(_) | HostError::NotMapped)) => {
            eprintln!("skipped: {error}");
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn minor_faults_are_this_threads() {
    const BYTES: usize = 8 << 20;
    let pages = |bytes: Vec<u8>| bytes.chunks(4096).filter(|page| page[0] == 1).count();
    let before = minor_faults();
    let other = std::thread::spawn(move || {
        let before = minor_faults();
        assert_eq!(pages(vec![1; BYTES]), BYTES / 4096);
        minor_faults() - before
    });
    let theirs = other.join().unwrap();
    let ours = minor_faults() - before;
    // With huge pages there are few, but one at least.
    assert!(theirs >= 4, "{theirs}");
    assert!(ours < theirs + 1000, "{ours}");
}
