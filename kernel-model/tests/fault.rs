//! What a fault maps, what it leaves alone, and what it counts.

mod scene;

use std::sync::atomic::Ordering::Relaxed;

use kernel_model::folio::{PG_HWPOISON, PG_READAHEAD};
use kernel_model::platform::Platform;
use kernel_model::{Config, FaultCounters, FaultOutcome, Task};

use scene::{SMALL, Scene, Scheme, mapped, on_both_platforms, pages};

on_both_platforms! {
    crate::scene::every_scheme: [
        maps_the_window_that_the_page_lies_in,
        aligns_the_window_by_its_virtual_pages,
        clips_the_window_to_the_vma,
        clips_the_window_to_the_pte_table,
        maps_the_pages_at_the_vmas_offset,
        maps_only_what_is_cached,
        leaves_unread_pages_alone,
        leaves_locked_pages_alone,
        leaves_readahead_and_poisoned_pages_alone,
        leaves_pages_past_the_end_alone,
        maps_no_page_twice,
        fault_on_a_mapped_page_changes_nothing,
        each_mapping_counts,
        maps_the_missing_page_by_the_slow_path,
        reads_only_what_is_missing,
        reads_no_further_than_the_end,
        slow_path_maps_what_fault_around_left,
        beyond_the_end_is_sigbus,
        without_memory_is_oom,
        little_memory_serves_the_page_if_it_can,
        installs_only_the_pte_table_that_it_needs,
        counts_a_sequence_of_faults,
    ]
}

fn maps_the_window_that_the_page_lies_in<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    for pgoff in [8, 11, 15] {
        let vma = scene.map_whole();
        let mut task = Task::default();
        let outcome = scene.system.handle_mm_fault(&vma, pgoff, &mut task);
        assert_eq!(outcome, FaultOutcome::FaultAround);
        assert_eq!(mapped(&vma), pages(8..16));
        let faults = FaultCounters {
            mapped: 8,
            ..FaultCounters::default()
        };
        assert_eq!(task.faults, faults);
    }
    scene.assert_sound();
}

fn aligns_the_window_by_its_virtual_pages<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    let vma = scene.map(3, 0, 32);
    // Offset 6 is at virtual page 9, in the window of 8..16.
    assert!(scene.around(&vma, 6));
    assert_eq!(mapped(&vma), pages(5..13));
    scene.assert_sound();
}

fn clips_the_window_to_the_vma<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    let vma = scene.map(3, 5, 8);
    // Virtual pages 3..11: five of the first window, three of the second.
    assert!(scene.around(&vma, 6));
    assert_eq!(mapped(&vma), pages(5..10));
    assert!(scene.around(&vma, 12));
    assert_eq!(mapped(&vma), pages(5..13));
    scene.assert_sound();
}

fn clips_the_window_to_the_pte_table<P: Platform>(scheme: Scheme<P>) {
    let config = Config {
        entries_per_table: 4,
        ..SMALL
    };
    let scene = Scene::sized(scheme, config, 32);
    scene.populate(0..32);
    for (pgoff, window) in [(9, 8..12), (14, 12..16)] {
        let vma = scene.map_whole();
        assert!(scene.around(&vma, pgoff));
        assert_eq!(mapped(&vma), pages(window));
    }
    scene.assert_sound();
}

fn maps_the_pages_at_the_vmas_offset<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    let vma = scene.map(18, 13, 12);
    scene.touch(&vma);
    assert_eq!(mapped(&vma), pages(13..25));
    for (vpn, pgoff) in (18..30).zip(13..25) {
        let pte = vma.mm.page_table.lock(vpn..vpn + 1)[0];
        assert_eq!(pte.pfn(), Some(scene.pfn(pgoff)));
    }
    scene.assert_sound();
}

fn maps_only_what_is_cached<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::new(scheme);
    scene.populate(7..10);
    scene.populate(12..13);
    let vma = scene.map_whole();
    assert!(scene.around(&vma, 9));
    assert_eq!(mapped(&vma), [8, 9, 12]);
    assert!(!scene.around(&vma, 10), "offset 10 isn't cached");
    assert_eq!(scene.in_cache(), [7, 8, 9, 12]);
    scene.assert_sound();
}

fn leaves_unread_pages_alone<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::new(scheme);
    scene.populate(8..10);
    let pfn = scene.insert_unread(10);
    scene.system.memmap.folio(pfn).unlock();
    let vma = scene.map_whole();
    assert!(!scene.around(&vma, 10));
    assert_eq!(mapped(&vma), [8, 9]);
    assert_eq!(scene.counts(10), (0, 1));
    scene.assert_sound();
}

fn leaves_locked_pages_alone<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    let vma = scene.map_whole();
    let mut task = Task::default();
    scene.folio(10).lock();
    let mapped_it = scene.system.do_fault_around(&vma, 10, &mut task);
    scene.folio(10).unlock();
    // The RFC patch doesn't look at the lock, and those who ask removers don't have to.
    let name = scheme.about().name;
    let looks = name != "lockless-rfc" && !name.starts_with("invalidate-");
    assert_eq!(mapped_it, !looks);
    assert_eq!(task.faults.skipped_locked, u64::from(looks));
    assert_eq!(mapped(&vma).contains(&10), !looks);
    assert_eq!(mapped(&vma).len(), 8 - usize::from(looks));
    scene.assert_sound();
}

fn leaves_readahead_and_poisoned_pages_alone<P: Platform>(scheme: Scheme<P>) {
    for flag in [PG_READAHEAD, PG_HWPOISON] {
        let scene = Scene::cached(scheme);
        let vma = scene.map_whole();
        scene.folio(10).set_flags(flag);
        assert!(!scene.around(&vma, 10));
        assert_eq!(mapped(&vma), pages((8..10).chain(11..16)));
        assert_eq!(scene.counts(10), (0, 1));
        scene.assert_sound();
    }
}

fn leaves_pages_past_the_end_alone<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    scene.remove("truncate", 11..32);
    scene.insert_read(12);
    let vma = scene.map_whole();
    assert!(!scene.around(&vma, 12));
    assert_eq!(mapped(&vma), [8, 9, 10]);
    assert_eq!(scene.counts(12), (0, 1));
    scene.assert_sound();
}

fn maps_no_page_twice<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::new(scheme);
    scene.populate(8..12);
    let vma = scene.map_whole();
    let mut task = Task::default();
    assert!(scene.system.do_fault_around(&vma, 9, &mut task));
    assert_eq!(task.faults.mapped, 4);
    scene.populate(12..16);
    assert!(scene.system.do_fault_around(&vma, 13, &mut task));
    assert_eq!(task.faults.mapped, 8);
    for pgoff in 8..16 {
        assert_eq!(scene.counts(pgoff), (1, 2));
    }
    scene.assert_sound();
}

fn fault_on_a_mapped_page_changes_nothing<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    let vma = scene.map_whole();
    assert!(scene.around(&vma, 9));
    let mut task = Task::default();
    assert!(!scene.system.do_fault_around(&vma, 10, &mut task));
    let outcome = scene.system.handle_mm_fault(&vma, 10, &mut task);
    assert_eq!(outcome, FaultOutcome::SlowPath);
    let faults = FaultCounters {
        slow_faults: 1,
        ..FaultCounters::default()
    };
    assert_eq!(task.faults, faults);
    assert_eq!(scene.counts(10), (1, 2));
    scene.assert_sound();
}

fn each_mapping_counts<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    let vmas = [scene.map_whole(), scene.map(5, 8, 8), scene.map(1, 0, 11)];
    for vma in &vmas {
        scene.touch(vma);
    }
    let counts: Vec<_> = [0, 8, 11].map(|pgoff| scene.counts(pgoff)).into();
    assert_eq!(counts, [(2, 3), (3, 4), (2, 3)]);
    scene.assert_sound();
}

fn maps_the_missing_page_by_the_slow_path<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::new(scheme);
    let vma = scene.map_whole();
    let mut task = Task::default();
    let outcome = scene.system.handle_mm_fault(&vma, 13, &mut task);
    assert_eq!(outcome, FaultOutcome::SlowPath);
    assert_eq!(mapped(&vma), [13]);
    assert_eq!(scene.in_cache(), pages(12..16));
    let faults = FaultCounters {
        slow_faults: 1,
        mapped_slowly: 1,
        filled: 4,
        ..FaultCounters::default()
    };
    assert_eq!(task.faults, faults);
    assert_eq!(reads(&scene), (1, 4));
    scene.assert_sound();
}

fn reads_only_what_is_missing<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::new(scheme);
    scene.populate(12..13);
    scene.populate(15..16);
    let there = (scene.pfn(12), scene.pfn(15));
    let vma = scene.map_whole();
    let task = scene.fault(&vma, 13, FaultOutcome::SlowPath);
    assert_eq!((task.faults.filled, reads(&scene)), (2, (1, 2)));
    assert_eq!((scene.pfn(12), scene.pfn(15)), there);
    scene.assert_sound();
}

fn reads_no_further_than_the_end<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::new(scheme);
    scene.remove("truncate", 14..32);
    let vma = scene.map_whole();
    let task = scene.fault(&vma, 13, FaultOutcome::SlowPath);
    assert_eq!(task.faults.filled, 2);
    assert_eq!(scene.in_cache(), [12, 13]);
    scene.assert_sound();
}

fn slow_path_maps_what_fault_around_left<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    let vma = scene.map_whole();
    scene.folio(10).set_flags(PG_READAHEAD);
    let task = scene.fault(&vma, 10, FaultOutcome::SlowPath);
    assert_eq!((task.faults.mapped, task.faults.mapped_slowly), (7, 1));
    assert_eq!(mapped(&vma), pages(8..16));
    assert_eq!(scene.counts(10), (1, 2));
    scene.assert_sound();
}

fn beyond_the_end_is_sigbus<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::new(scheme);
    scene.remove("truncate", 20..32);
    let vma = scene.map_whole();
    for pgoff in [20, 31] {
        let task = scene.fault(&vma, pgoff, FaultOutcome::Sigbus);
        assert_eq!((task.faults.sigbus, task.faults.slow_faults), (1, 1));
    }
    scene.fault(&vma, 19, FaultOutcome::SlowPath);
    assert_eq!(scene.in_cache(), pages(16..20));
    assert_eq!(mapped(&vma), [19]);
    scene.assert_sound();
}

fn without_memory_is_oom<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::sized(scheme, Config { folios: 1, ..SMALL }, 32);
    let vma = scene.map_whole();
    // The one frame goes to offset 12, the first of the readahead window.
    let task = scene.fault(&vma, 13, FaultOutcome::Oom);
    assert_eq!((task.faults.oom, task.faults.slow_faults), (1, 1));
    assert_eq!((scene.in_cache(), mapped(&vma)), (vec![12], vec![]));
    assert!(
        !scene
            .system
            .populate(&scene.file, 0..1, &mut Task::default())
    );
    scene.assert_sound();
}

fn little_memory_serves_the_page_if_it_can<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::sized(scheme, Config { folios: 2, ..SMALL }, 32);
    let vma = scene.map_whole();
    let task = scene.fault(&vma, 13, FaultOutcome::SlowPath);
    assert_eq!((task.faults.filled, task.faults.oom), (2, 0));
    assert_eq!((scene.in_cache(), mapped(&vma)), (vec![12, 13], vec![13]));
    scene.assert_sound();
}

fn installs_only_the_pte_table_that_it_needs<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    let vma = scene.map_whole();
    let tables = || [0, 15, 16, 31].map(|vpn| vma.mm.page_table.has_table(vpn));
    assert_eq!(tables(), [false; 4]);
    assert!(scene.around(&vma, 17));
    assert_eq!(tables(), [false, false, true, true]);
    scene.folio(3).set_flags(PG_READAHEAD);
    scene.fault(&vma, 3, FaultOutcome::SlowPath);
    assert_eq!(tables(), [true; 4]);
    assert_eq!(mapped(&vma), pages((0..8).chain(16..24)));
    scene.assert_sound();
}

fn counts_a_sequence_of_faults<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::new(scheme);
    let vma = scene.map_whole();
    let mut task = Task::default();
    scene.remove("truncate", 28..32);
    for pgoff in [0, 1, 4, 31, 26] {
        scene.system.handle_mm_fault(&vma, pgoff, &mut task);
    }
    // 0 and 4 read and map one page each; 1 maps 1..4; 26 reads 24..28.
    let faults = FaultCounters {
        mapped: 3,
        mapped_slowly: 3,
        slow_faults: 4,
        sigbus: 1,
        filled: 12,
        ..FaultCounters::default()
    };
    assert_eq!(task.faults, faults);
    assert_eq!(mapped(&vma), [0, 1, 2, 3, 4, 26]);
    scene.assert_sound();
}

/// Requests to the backing store, and pages.
fn reads<P: Platform>(scene: &Scene<P>) -> (u64, u64) {
    let reads = &scene.reads;
    (reads.requests.load(Relaxed), reads.pages.load(Relaxed))
}
