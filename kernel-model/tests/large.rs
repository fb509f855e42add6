//! Folios of several pages: how large they are, and how faults map and count their pages.
//! `large_removal.rs` has what removers make of them.

mod scene;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use kernel_model::folio::{PG_READAHEAD, Pfn};
use kernel_model::mm::Vma;
use kernel_model::platform::Platform;
use kernel_model::{Config, FaultCounters, FaultOutcome, Orders, Task};

use scene::large::{all_counts, cached, counts_of, of_orders, sizes};
use scene::stepped::{Stepped, before, count_step, get_step, is_pending};
use scene::{
    PAGES, SMALL, Scene, Scheme, every_scheme, mapped, on_both_platforms, pages, pte, unlinked,
};

on_both_platforms! {
    crate::scene::every_scheme: [
        folios_are_as_large_as_said,
        mix_has_folios_of_each_of_its_sizes,
        folios_are_aligned_and_end_with_the_range,
        folios_are_smaller_beside_pages_that_are_there,
        folios_are_smaller_where_memory_is_in_pieces,
        memory_is_in_one_piece_again_when_all_is_freed,
        maps_windows_in_and_across_folios,
        maps_windows_that_begin_within_a_folio,
        maps_around_what_is_mapped_already,
        leaves_a_folio_alone_that_may_not_be_mapped,
        leaves_the_pages_of_a_locked_folio_alone,
        clips_the_window_within_a_folio_at_the_end,
        zap_of_a_part_leaves_the_rest,
        slow_path_maps_the_right_page,
        slow_path_reads_a_folio_whole,
    ]
}

fn folios_are_as_large_as_said<P: Platform>(scheme: Scheme<P>) {
    for order in 0..=5 {
        let scene = cached(scheme, order);
        let size = 1 << order;
        assert_eq!(sizes(&scene), vec![size; 32 / size as usize]);
        assert_eq!((scene.frames_used(), scene.file.nrpages()), (32, 32));
        assert_eq!(scene.counts(0), (0, size));
        scene.assert_sound();
    }
    // The largest that there is, over several PTE tables, and what fits behind it.
    let config = Config {
        folios: 1024,
        orders: Orders::All(9),
        ..SMALL
    };
    let scene = Scene::sized(scheme, config, 700);
    scene.populate(0..700);
    assert_eq!(sizes(&scene), [512, 128, 32, 16, 8, 4]);
    assert_eq!(mapped(&scene.map_and_touch()), pages(0..700));
    scene.assert_sound();
}

fn mix_has_folios_of_each_of_its_sizes<P: Platform>(scheme: Scheme<P>) {
    let config = Config {
        folios: 1024,
        orders: Orders::Mix,
        ..SMALL
    };
    let scene = Scene::sized(scheme, config, 1024);
    scene.populate(0..1024);
    let as_said = (0..1024).step_by(64).flat_map(|run| {
        let size = 1_u32 << Orders::Mix.at(run);
        vec![size; 64 / size as usize]
    });
    let sizes = sizes(&scene);
    assert_eq!(sizes, as_said.collect::<Vec<_>>());
    assert!([1, 4, 16, 64].iter().all(|size| sizes.contains(size)));
    assert_eq!(mapped(&scene.map_and_touch()), pages(0..1024));
    scene.assert_sound();
}

fn folios_are_aligned_and_end_with_the_range<P: Platform>(scheme: Scheme<P>) {
    let scene = of_orders(scheme, Orders::All(3));
    scene.populate(5..30);
    assert_eq!(sizes(&scene), [1, 2, 8, 8, 4, 2]);
    assert_eq!(scene.in_cache(), pages(5..30));
    scene.assert_sound();
    // A miss reads a window of its own, which ends with the file.
    let scene = of_orders(scheme, Orders::All(3));
    scene.remove("truncate", 14..PAGES);
    let task = scene.fault(&scene.map_whole(), 9, FaultOutcome::SlowPath);
    assert_eq!((sizes(&scene), task.faults.filled), (vec![4, 2], 6));
    scene.assert_sound();
}

fn folios_are_smaller_beside_pages_that_are_there<P: Platform>(scheme: Scheme<P>) {
    let scene = of_orders(scheme, Orders::All(3));
    let pfn = scene.insert_read(9);
    scene.populate(0..16);
    assert_eq!(sizes(&scene), [8, 1, 1, 2, 4]);
    assert_eq!(scene.pfn(9), pfn);
    scene.assert_sound();
}

fn folios_are_smaller_where_memory_is_in_pieces<P: Platform>(scheme: Scheme<P>) {
    let config = Config {
        folios: 64,
        orders: Orders::All(3),
        ..SMALL
    };
    let scene = Scene::sized(scheme, config, 64);
    let task = Task::default();
    let memmap = &scene.system.memmap;
    let taken: Vec<_> = (0..64).map(|_| memmap.alloc(0, 0).unwrap()).collect();
    let (kept, free): (Vec<_>, Vec<_>) = taken.into_iter().partition(|pfn| pfn.0 % 4 == 3);
    free.into_iter()
        .for_each(|pfn| scene.system.put(pfn, &task));
    // 16 pairs, and 16 frames beside those that are kept.
    let all = scene
        .system
        .populate(&scene.file, 0..64, &mut Task::default());
    assert!(!all, "there are 48 frames for 64 pages");
    assert_eq!(sizes(&scene), [vec![2; 16], vec![1; 16]].concat());
    kept.into_iter()
        .for_each(|pfn| scene.system.put(pfn, &task));
    scene.assert_sound();
}

fn memory_is_in_one_piece_again_when_all_is_freed<P: Platform>(scheme: Scheme<P>) {
    let config = Config {
        folios: 32,
        orders: Orders::All(4),
        ..SMALL
    };
    let scene = Scene::sized(scheme, config, PAGES);
    // Frames go back one by one, in pieces, and whole.
    for range in [5..30, 1..32, 0..32] {
        scene.populate(range);
        scene.map_and_touch();
        scene.remove("punch-hole", 3..4);
        scene.remove("punch-hole", 0..PAGES);
        assert_eq!(scene.frames_used(), 0);
    }
    scene.populate(0..PAGES);
    assert_eq!(sizes(&scene), [16, 16]);
    scene.assert_sound();
}

/// Faults on a page: maps just `expected` of all, counted once each.
fn maps<P: Platform>(scene: &Scene<P>, vma: &Vma<P>, pgoff: u64, expected: Range<u64>) {
    let mut task = Task::default();
    assert!(scene.system.do_fault_around(vma, pgoff, &mut task));
    let counters = FaultCounters {
        mapped: expected.end - expected.start,
        ..FaultCounters::default()
    };
    assert_eq!((task.faults, mapped(vma)), (counters, pages(expected)));
    scene.assert_sound();
}

fn maps_windows_in_and_across_folios<P: Platform>(scheme: Scheme<P>) {
    for order in 1..=5 {
        let scene = cached(scheme, order);
        let vma = scene.map_whole();
        maps(&scene, &vma, 11, 8..16);
        let size = 1_u32 << order;
        // The folio of offset 8, and its pages from there on.
        let first = 8 % size;
        let there = first..size.min(first + 8);
        assert_eq!(all_counts(&scene, 8), counts_of(&scene, size, there));
        scene.system.unmap(&vma, &mut Task::default());
        assert_eq!(all_counts(&scene, 8), counts_of(&scene, size, 0..0));
        assert_eq!(scene.frames_used(), 32);
        scene.assert_sound();
    }
}

fn maps_windows_that_begin_within_a_folio<P: Platform>(scheme: Scheme<P>) {
    let scene = cached(scheme, 2);
    let vma = scene.map(3, 0, PAGES);
    // Virtual pages 8..16: the last three of one folio, one folio, the first of another.
    maps(&scene, &vma, 7, 5..13);
    for (index, there) in [(4, 1..4), (8, 0..4), (12, 0..1)] {
        assert_eq!(all_counts(&scene, index), counts_of(&scene, 4, there));
    }
    // A VMA that begins and ends within folios.
    let vma = scene.map(6, 22, 4);
    maps(&scene, &vma, 22, 22..24);
    assert!(scene.around(&vma, 25));
    assert_eq!(mapped(&vma), pages(22..26));
    assert_eq!(all_counts(&scene, 20), counts_of(&scene, 4, 2..4));
    assert_eq!(all_counts(&scene, 24), counts_of(&scene, 4, 0..2));
    scene.assert_sound();
}

fn maps_around_what_is_mapped_already<P: Platform>(scheme: Scheme<P>) {
    for order in 1..=5 {
        let scene = cached(scheme, order);
        let vma = scene.map_whole();
        // One at the start, one within, two at the end.
        for there in [8, 11, 14, 15] {
            scene.map_by_hand(&vma, there, scene.frame(there));
        }
        let mut task = Task::default();
        assert!(scene.system.do_fault_around(&vma, 12, &mut task));
        assert_eq!((task.faults.mapped, mapped(&vma)), (4, pages(8..16)));
        let size = 1_u32 << order;
        let first = 8 % size;
        let there = first..size.min(first + 8);
        assert_eq!(all_counts(&scene, 8), counts_of(&scene, size, there));
        // Now all are there.
        let mut task = Task::default();
        assert!(!scene.system.do_fault_around(&vma, 12, &mut task));
        assert_eq!(task.faults, FaultCounters::default());
        scene.assert_sound();
    }
}

fn leaves_a_folio_alone_that_may_not_be_mapped<P: Platform>(scheme: Scheme<P>) {
    let scene = cached(scheme, 2);
    let vma = scene.map_whole();
    scene.folio(8).set_flags(PG_READAHEAD);
    assert!(!scene.around(&vma, 9));
    assert_eq!(mapped(&vma), pages(12..16));
    assert_eq!(all_counts(&scene, 8), counts_of(&scene, 4, 0..0));
    scene.assert_sound();
}

fn leaves_the_pages_of_a_locked_folio_alone<P: Platform>(scheme: Scheme<P>) {
    let scene = cached(scheme, 2);
    let vma = scene.map_whole();
    let mut task = Task::default();
    scene.folio(8).lock();
    let mapped_it = scene.system.do_fault_around(&vma, 9, &mut task);
    scene.folio(8).unlock();
    // As with single pages: not everybody looks at the lock.
    let name = scheme.about().name;
    let looks = name != "lockless-rfc" && !name.starts_with("invalidate-");
    assert_eq!(mapped_it, !looks);
    let expected = if looks { 12..16 } else { 8..16 };
    assert_eq!(mapped(&vma), pages(expected));
    assert_eq!(task.faults.skipped_locked, if looks { 4 } else { 0 });
    scene.assert_sound();
}

fn clips_the_window_within_a_folio_at_the_end<P: Platform>(scheme: Scheme<P>) {
    for order in [2, 3] {
        let scene = of_orders(scheme, Orders::All(3));
        scene.remove("truncate", 13..PAGES);
        // As a truncation would leave it that hasn't come to it yet.
        for start in (8..16).step_by(1 << order) {
            scene.insert_large(start, order);
        }
        let vma = scene.map_whole();
        maps(&scene, &vma, 9, 8..13);
        assert!(!scene.around(&vma, 14));
        scene.fault(&vma, 13, FaultOutcome::Sigbus);
        assert_eq!(mapped(&vma), pages(8..13));
        scene.assert_sound();
    }
}

fn zap_of_a_part_leaves_the_rest<P: Platform>(scheme: Scheme<P>) {
    let scene = cached(scheme, 4);
    let vma = scene.map_and_touch();
    let mut task = Task::default();
    assert_eq!(scene.system.zap_range(&vma, 0..3, &mut task), 3);
    assert_eq!(all_counts(&scene, 0), counts_of(&scene, 16, 3..16));
    // Over the border of two folios and two PTE tables.
    assert_eq!(scene.system.zap_range(&vma, 14..19, &mut task), 5);
    assert_eq!(all_counts(&scene, 0), counts_of(&scene, 16, 3..14));
    assert_eq!(all_counts(&scene, 16), counts_of(&scene, 16, 3..16));
    assert_eq!(scene.system.zap_range(&vma, 5..6, &mut task), 1);
    assert_eq!(mapped(&vma), pages((3..5).chain(6..14).chain(19..32)));
    scene.assert_sound();
}

fn slow_path_maps_the_right_page<P: Platform>(scheme: Scheme<P>) {
    let scene = cached(scheme, 4);
    let vma = scene.map_whole();
    scene.folio(16).set_flags(PG_READAHEAD);
    for pgoff in [19, 16, 31] {
        let task = scene.fault(&vma, pgoff, FaultOutcome::SlowPath);
        assert_eq!((task.faults.mapped, task.faults.mapped_slowly), (0, 1));
        let head = scene.pfn(16);
        let frame = Pfn(head.0 + (pgoff - 16) as u32);
        assert_eq!(pte(&vma, pgoff).pfn(), Some(frame));
    }
    assert_eq!(mapped(&vma), [16, 19, 31]);
    assert_eq!(scene.counts(16), (3, 19));
    scene.assert_sound();
}

fn slow_path_reads_a_folio_whole<P: Platform>(scheme: Scheme<P>) {
    let scene = of_orders(scheme, Orders::All(4));
    let vma = scene.map_whole();
    let task = scene.fault(&vma, 21, FaultOutcome::SlowPath);
    let reads = [&scene.reads.requests, &scene.reads.pages].map(|it| it.load(Relaxed));
    assert_eq!((task.faults.filled, reads), (16, [1, 16]));
    assert_eq!((sizes(&scene), scene.in_cache()), (vec![16], pages(16..32)));
    assert_eq!(mapped(&vma), [21]);
    assert_eq!(all_counts(&scene, 16), counts_of(&scene, 16, 5..6));
    scene.assert_sound();
}

#[test]
fn end_of_the_file_is_seen_before_the_folio_beyond_it_is_gone() {
    every_scheme::<Stepped>(|scheme| {
        if scheme.about().name == "page-locked-xfs" {
            // The fault would wait for the lock that the truncation holds.
            return;
        }
        let scene = Arc::new(cached(scheme, 4));
        let vma = Arc::new(unlinked(&scene));
        let (its_scene, its_vma) = (Arc::clone(&scene), Arc::clone(&vma));
        // The size is written, and the first lookup follows.
        before("slot_load", move || {
            its_scene.around(&its_vma, 9);
        });
        scene.remove("truncate", 13..PAGES);
        assert!(!is_pending());
        let refuses = scheme.about().name.starts_with("invalidate-");
        let expected = if refuses { 8..8 } else { 8..13 };
        assert_eq!(mapped(&vma), pages(expected));
    });
}

#[test]
fn folio_that_was_split_before_its_reference_is_had_is_looked_at_again() {
    every_scheme::<Stepped>(|scheme| {
        let name = scheme.about().name;
        if matches!(name, "invalidate-only" | "page-locked-xfs") {
            // A split of the folio waits for the lock that the fault holds.
            return;
        }
        let scene = Arc::new(cached(scheme, 3));
        let vma = unlinked(&scene);
        let its_scene = Arc::clone(&scene);
        before(get_step(scheme), move || {
            let removals = its_scene.remove("punch-hole", 12..13).removals;
            assert_eq!(removals.split, 1);
        });
        let mut task = Task::default();
        scene.system.do_fault_around(&vma, 9, &mut task);
        assert!(!is_pending());
        let (expected, slot_changed, undone) = match name {
            // They learn its size under its lock.
            "page-locked" | "page-locked-xfs" | "folio-batched" => {
                (pages((8..12).chain(13..16)), 0, 0)
            }
            "invalidate-seq" | "invalidate-seq-fused" => (vec![], 1, 6),
            // They took more references than it has pages, and leave its first one for another
            // time.
            _ => (pages((9..12).chain(13..16)), 1, 0),
        };
        let counters = FaultCounters {
            mapped: expected.len() as u64,
            slot_changed,
            undone,
            ..FaultCounters::default()
        };
        assert_eq!((mapped(&vma), task.faults), (expected, counters));
        for at in 8..16 {
            if at == 12 {
                continue;
            }
            let is_mapped = pte(&vma, at).pfn() == Some(scene.frame(at));
            let mappings = u32::from(is_mapped);
            assert_eq!(scene.counts(at), (mappings, 1 + mappings), "offset {at}");
        }
    });
}

#[test]
fn undone_pages_are_counted_as_pages() {
    every_scheme::<Stepped>(|scheme| {
        if !matches!(
            scheme.about().name,
            "mapcount-recheck" | "fused-count" | "sketch"
        ) {
            // The others don't undo their counts for the sake of a lock.
            return;
        }
        let scene = Arc::new(cached(scheme, 2));
        let vma = scene.map_whole();
        let its_scene = Arc::clone(&scene);
        before(count_step(scheme), move || its_scene.folio(8).lock());
        let mut task = Task::default();
        assert!(!scene.system.do_fault_around(&vma, 9, &mut task));
        scene.folio(8).unlock();
        let counters = FaultCounters {
            mapped: 4,
            undone: 4,
            ..FaultCounters::default()
        };
        assert_eq!((task.faults, mapped(&vma)), (counters, pages(12..16)));
        scene.assert_sound();
    });
}
