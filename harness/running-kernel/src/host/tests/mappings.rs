use std::fs::File;
use std::os::unix::fs::FileExt;

use super::{child, limit, mapped, said_to_child, stamps, tell, words};
use crate::host::{
    FileKind, HostError, Layout, Mapping, Touched, WINDOW_PAGES, fault_around_pages, minor_faults,
};

/// This kernel's window, if it tells.
fn window() -> Option<u64> {
    match fault_around_pages() {
        Ok(pages) => Some(u64::from(pages)),
        Err(error @ (HostError::NoFaultAround | HostError::Pagemap(_))) => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// How many pages are mapped from an address on, by any thread.
fn mapped_at(address: usize, pages: usize) -> usize {
    let pagemap = File::open("/proc/self/pagemap").unwrap();
    let mut entries = vec![0; pages * 8];
    let offset = address / 4096 * 8;
    pagemap.read_exact_at(&mut entries, offset as u64).unwrap();
    let entries = entries.as_chunks().0.iter().copied();
    entries
        .filter(|&entry| u64::from_ne_bytes(entry) >> 63 == 1)
        .count()
}

/// Whether this kernel's window is what tiles reckon with.
fn window_is_16_pages() -> bool {
    let window = window();
    if window != Some(16) {
        eprintln!("skipped: the fault-around window is {window:?}");
    }
    window == Some(16)
}

#[test]
fn a_touch_of_a_tile_maps_the_tile_in_one_fault() {
    if !window_is_16_pages() {
        return;
    }
    const PAGES: u64 = 4 * WINDOW_PAGES;
    for tile in 1..=WINDOW_PAGES {
        let (_file, mapping) = mapped(PAGES, Layout::Tiles { pages: tile as u32 });
        assert_eq!(mapping.present(0..PAGES).unwrap(), 0);
        for (n, start) in (0..PAGES).step_by(WINDOW_PAGES as usize).enumerate() {
            // Neither end is special.
            let page = start + n as u64 * 5 % tile;
            let before = minor_faults();
            let touched = mapping.touch(page);
            let after = minor_faults();
            assert_eq!(touched, Touched::Word(page + 1));
            assert_eq!(after - before, 1, "tiles of {tile}");
            assert_eq!(mapping.present(start..start + WINDOW_PAGES).unwrap(), tile);
            // Nor in the address space between it and the next.
            assert_eq!(mapped_at(mapping.address_of(start), 32), tile as usize);
            // Nothing of its neighbours.
            assert_eq!(mapping.present(0..PAGES).unwrap(), tile * (n as u64 + 1));
        }
    }
}

#[test]
fn a_touch_of_the_whole_maps_a_window() {
    let Some(window) = window() else { return };
    let pages = 3 * window + window / 4;
    let (_file, mapping) = mapped(pages, Layout::Whole);
    mapping.touch(window + window / 2);
    assert_eq!(mapping.present(0..pages).unwrap(), window);
    assert_eq!(mapping.present(window..2 * window).unwrap(), window);
    assert_eq!(mapping.present(window - 1..window + 1).unwrap(), 1);
    // The last one ends with the mapping.
    mapping.touch(pages - 1);
    assert_eq!(
        mapping.present(2 * window..u64::MAX).unwrap(),
        pages - 3 * window
    );
}

#[test]
fn zaps_empty_what_they_name() {
    let (_file, whole) = mapped(600, Layout::Whole);
    assert_eq!(words(&whole, 0..600), stamps(0..600));
    assert_eq!(whole.present(0..600).unwrap(), 600);
    whole.zap_range(3..10).unwrap();
    assert_eq!(whole.present(0..600).unwrap(), 593);
    assert_eq!(whole.present(3..10).unwrap(), 0);
    whole.zap_range(590..u64::MAX).unwrap();
    whole.zap_range(700..800).unwrap();
    assert_eq!(whole.present(0..600).unwrap(), 583);
    whole.zap().unwrap();
    assert_eq!(whole.present(0..600).unwrap(), 0);
}

#[test]
fn zaps_of_tiles_keep_to_the_tiles() {
    let (_file, tiles) = mapped(64, Layout::Tiles { pages: 3 });
    let all = [0, 1, 2, 16, 17, 18, 32, 33, 34, 48, 49, 50];
    let fill = || all.map(|page| assert_eq!(tiles.touch(page), Touched::Word(page + 1)));
    fill();
    assert_eq!(tiles.present(0..64).unwrap(), 12);
    assert_eq!(tiles.present(2..17).unwrap(), 2);
    assert_eq!(tiles.present(3..16).unwrap(), 0);
    assert_eq!(tiles.present(5..17).unwrap(), 1);
    // From the gap behind the first to the middle of the third.
    tiles.zap_range(5..33).unwrap();
    assert_eq!(tiles.present(0..16).unwrap(), 3);
    assert_eq!(tiles.present(16..33).unwrap(), 0);
    assert_eq!(tiles.present(33..64).unwrap(), 5);
    tiles.zap().unwrap();
    assert_eq!(tiles.present(0..64).unwrap(), 0);
    fill();
}

#[test]
fn bases_and_tiles_are_aligned() {
    for layout in [Layout::Whole, Layout::Tiles { pages: 7 }] {
        let (_file, mapping) = mapped(64, layout);
        assert_eq!(mapping.layout(), layout);
        // A whole mapping isn't, on purpose: a huge page would be mapped by one entry.
        let off = match layout {
            Layout::Whole => 64 << 10,
            Layout::Tiles { .. } => 0,
        };
        assert_eq!(mapping.address_of(0) % (2 << 20), off);
        let strides =
            [16, 32, 48].map(|page| mapping.address_of(page) - mapping.address_of(page - 16));
        let stride = match layout {
            Layout::Whole => 64 << 10,
            Layout::Tiles { .. } => 128 << 10,
        };
        assert_eq!(strides, [stride; 3]);
    }
}

/// The ones that /proc tells of in a range of addresses, as lengths in pages, and which map a file.
fn vmas(from: usize, to: usize) -> Vec<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let number = |text| usize::from_str_radix(text, 16).unwrap();
    let vmas = maps.lines().filter_map(|line| {
        let (start, rest) = line.split_once('-').unwrap();
        let (end, rest) = rest.split_once(' ').unwrap();
        let (start, end) = (number(start), number(end));
        let ours = start >= from && end <= to && rest.starts_with("r--s");
        ours.then_some((end - start) / 4096)
    });
    vmas.collect()
}

#[test]
fn each_tile_is_a_vma_and_all_go_when_the_mapping_goes() {
    let (file, mapping) = mapped(60, Layout::Tiles { pages: 14 });
    let (from, to) = (mapping.address_of(0), mapping.address_of(48) + (128 << 10));
    // The last window has twelve pages.
    assert_eq!(vmas(from, to), [14, 14, 14, 12]);
    assert!(mapping.maps(59) && !mapping.maps(60) && !mapping.maps(14));
    drop(file);
    assert_eq!(mapping.touch(59), Touched::Word(60));
    drop(mapping);
    // Others may have mapped something there by now, but none of our files.
    assert_ne!(vmas(from, to), [14, 14, 14, 12]);
}

#[test]
#[should_panic(expected = "page 14 has a place in the mapping")]
fn between_tiles_there_is_nothing_to_touch() {
    let (_file, mapping) = mapped(60, Layout::Tiles { pages: 14 });
    mapping.touch(14);
}

#[test]
fn tiles_have_to_fit_their_windows() {
    let file = FileKind::memfd().create(16).unwrap();
    for pages in [0, 17] {
        let result = Mapping::new(&file, 16, Layout::Tiles { pages });
        let error = result.unwrap_err();
        assert!(matches!(error, HostError::Tile { .. }));
        let said = format!("tiles of {pages} pages are out of range: they go from 1 to 16");
        assert_eq!(error.to_string(), said);
    }
}

#[test]
fn what_is_too_large_to_map_is_said_in_one_line() {
    let file = FileKind::memfd().create(1).unwrap();
    for pages in [1 << 40, u64::MAX] {
        let line = Mapping::new(&file, pages, Layout::Whole)
            .unwrap_err()
            .to_string();
        assert!(line.contains(" MiB: Cannot allocate memory"), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }
}

#[test]
fn limits_on_mappings_are_named() {
    const TEST: &str = "host::tests::mappings::limits_on_mappings_are_named";
    let Some(said) = said_to_child() else {
        let told = |said| child(TEST, said);
        assert_eq!(
            told("space"),
            "can't map 4096 MiB: Cannot allocate memory (os error 12); \
             this process may have 2048 MiB (ulimit -v)"
        );
        let line = told("number");
        assert!(
            line.starts_with(
                "can't map 131072 MiB: Cannot allocate memory (os error 12); \
                 it takes 2097152 mappings, a process may have "
            ) || line == "skipped",
            "{line}"
        );
        return;
    };
    let file = FileKind::memfd().create(1).unwrap();
    if said == "space" {
        limit(libc::RLIMIT_AS, 2 << 30);
        let result = Mapping::new(&file, 1 << 20, Layout::Whole);
        tell(result.unwrap_err());
        return;
    }
    match Mapping::new(&file, 1 << 24, Layout::Tiles { pages: 4 }) {
        Err(error) => tell(error),
        // An administrator may have raised the limit.
        Ok(_) => tell("skipped"),
    }
}
