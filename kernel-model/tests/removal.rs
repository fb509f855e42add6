//! What truncate and punch-hole take away, and what they leave.

mod scene;

use std::sync::Arc;
use std::thread;

use kernel_model::address_space::AddressSpace;
use kernel_model::folio::{Pfn, site};
use kernel_model::mm::{Mm, Vma};
use kernel_model::platform::{Native, Platform, RwSemaphore};
use kernel_model::{BackingStore, FaultOutcome, RemovalCounters, System, Task};

use scene::{
    PAGES, RANGE, SMALL, Scene, Scheme, every_scheme, every_truncation, has_waiters, mapped,
    on_both_platforms, pages, until, with_page_9_locked,
};

on_both_platforms! {
    crate::scene::every_truncation: [
        removes_its_range_from_every_mapping,
        gives_references_and_frames_back,
        counts_what_it_removed,
        empty_range_removes_nothing,
        fault_reads_what_was_removed_anew,
        zap_skips_a_table_that_is_not_there,
        folio_in_use_is_freed_by_the_last_put,
        waits_for_a_locked_page_after_all_others,
        unmaps_what_was_mapped_while_it_waited,
        notices_a_mapcount_without_a_pte,
        waiting_fault_sees_the_removal,
    ]
    crate::scene::every_scheme: [
        punch_hole_leaves_the_rest,
        punch_hole_keeps_the_size,
        truncate_removes_to_the_end,
        truncate_never_makes_a_file_longer,
        extending_gives_a_hole,
        zap_counts_the_ptes_that_there_were,
        munmap_leaves_the_cache_and_the_other_mappings,
    ]
}

/// What a remover leaves of the file, as offsets.
fn left(remover: &str) -> Vec<u64> {
    match remover {
        "truncate" => pages(0..5),
        _ => pages((0..5).chain(25..32)),
    }
}

fn removes_its_range_from_every_mapping<P: Platform>(scheme: Scheme<P>, remover: &str) {
    let scene = Scene::cached(scheme);
    let whole = [scene.map_and_touch(), scene.map_and_touch()];
    let (part, before, after) = (scene.map(7, 3, 23), scene.map(2, 0, 4), scene.map(2, 26, 6));
    for vma in [&part, &before, &after] {
        scene.touch(vma);
    }
    scene.remove(remover, RANGE);
    let left = left(remover);
    assert_eq!(scene.in_cache(), left);
    assert_eq!(scene.file.nrpages(), left.len() as u64);
    assert_eq!([mapped(&whole[0]), mapped(&whole[1])], [&*left, &*left]);
    for vma in [&part, &before, &after] {
        let of_it = left.iter().copied().filter(|at| vma.pgoffs().contains(at));
        assert_eq!(mapped(vma), pages(of_it));
    }
    scene.assert_sound();
}

fn gives_references_and_frames_back<P: Platform>(scheme: Scheme<P>, remover: &str) {
    let scene = Scene::cached(scheme);
    let (_a, _b) = (scene.map_and_touch(), scene.map_and_touch());
    let gone = scene.pfn(6);
    scene.remove(remover, RANGE);
    assert_eq!(scene.frames_used(), left(remover).len());
    assert_eq!(scene.counts(4), (2, 3));
    let folio = scene.system.memmap.folio(gone);
    assert_eq!(scene::counts(folio), (0, 0));
    assert_eq!(folio.mapping(&site::STABLE_READ), 0);
    scene.assert_sound();
}

fn counts_what_it_removed<P: Platform>(scheme: Scheme<P>, remover: &str) {
    let scene = Scene::cached(scheme);
    let _vma = scene.map_and_touch();
    let removed = PAGES - left(remover).len() as u64;
    let counters = RemovalCounters {
        removed,
        removed_pages: removed,
        ..RemovalCounters::default()
    };
    assert_eq!(scene.remove(remover, RANGE).removals, counters);
    let again = scene.remove(remover, RANGE).removals;
    assert_eq!(again, RemovalCounters::default());
}

fn empty_range_removes_nothing<P: Platform>(scheme: Scheme<P>, remover: &str) {
    let scene = Scene::cached(scheme);
    let vma = scene.map_and_touch();
    let task = scene.remove(remover, PAGES..PAGES);
    assert_eq!(task.removals.removed, 0);
    assert_eq!(mapped(&vma), pages(0..32));
    scene.assert_sound();
}

fn fault_reads_what_was_removed_anew<P: Platform>(scheme: Scheme<P>, remover: &str) {
    let scene = Scene::cached(scheme);
    let vma = scene.map_and_touch();
    let before = scene.reads.pages.load(std::sync::atomic::Ordering::Relaxed);
    scene.remove(remover, RANGE);
    scene.file.extend(PAGES);
    let task = scene.fault(&vma, 10, FaultOutcome::SlowPath);
    assert_eq!((before, task.faults.filled), (0, 4));
    assert!(mapped(&vma).contains(&10));
    scene.assert_sound();
}

fn zap_skips_a_table_that_is_not_there<P: Platform>(scheme: Scheme<P>, remover: &str) {
    let scene = Scene::cached(scheme);
    let vma = scene.map_whole();
    assert!(scene.around(&vma, 20));
    scene.remove(remover, RANGE);
    assert!(!vma.mm.page_table.has_table(5));
    assert_eq!(mapped(&vma), []);
    assert_eq!(scene.in_cache(), left(remover));
    scene.assert_sound();
}

fn folio_in_use_is_freed_by_the_last_put<P: Platform>(scheme: Scheme<P>, remover: &str) {
    let scene = Scene::cached(scheme);
    let task = Task::default();
    let vma = scene.map_and_touch();
    let (pfn, folio) = scene.system.get_folio(&scene.file, 9, &task).unwrap();
    scene.remove(remover, RANGE);
    assert_eq!(
        (scene.in_cache(), mapped(&vma)),
        (left(remover), left(remover))
    );
    assert_eq!(
        (scene::counts(folio), folio.mapping(&site::STABLE_READ)),
        ((0, 1), 0)
    );
    assert_eq!(scene.frames_used(), left(remover).len() + 1);
    scene.system.put(pfn, &task);
    assert_eq!(scene.frames_used(), left(remover).len());
    scene.assert_sound();
}

fn waits_for_a_locked_page_after_all_others<P: Platform>(scheme: Scheme<P>, remover: &str) {
    let mut others = left(remover);
    others.insert(5, 9);
    let all = PAGES - left(remover).len() as u64;
    with_page_9_locked(
        scheme,
        remover,
        move |scene, _| assert_eq!(scene.in_cache(), others),
        move |scene, folio, removals| {
            assert_eq!((removals.removed, removals.skipped_locked), (all, 1));
            assert!(!folio.is_locked(&site::FLAGS_READ));
            scene.assert_sound();
        },
    );
}

#[test]
fn removal_holds_fillers_and_other_removals_off() {
    every_truncation::<Native>(|scheme, remover| {
        let is_held = |scene: &Scene<Native>| {
            let file = &scene.file;
            [&file.invalidate_lock, &file.i_rwsem].map(|lock| lock.is_locked_exclusive())
        };
        with_page_9_locked(
            scheme,
            remover,
            |scene, _| assert_eq!(is_held(scene), [true; 2]),
            |scene, _, _| assert_eq!(is_held(scene), [false; 2]),
        );
    });
}

/// Looks while it reads whether its reader holds removals off.
struct Looking(Arc<AddressSpace<Native>>);

impl BackingStore for Looking {
    fn read(&self, _pages: &[(u64, Pfn)]) {
        let lock = &self.0.invalidate_lock;
        assert!(lock.is_locked() && !lock.is_locked_exclusive());
    }
}

#[test]
fn filler_holds_removals_off_but_no_other_filler() {
    every_scheme::<Native>(|scheme| {
        let file = Arc::new(AddressSpace::new(7, PAGES));
        let system = System::new(SMALL, scheme, Box::new(Looking(Arc::clone(&file))));
        let vma = Vma::map(Mm::new(PAGES, 16), file, 0, 0, PAGES);
        let mut task = Task::default();
        system.handle_mm_fault(&vma, 9, &mut task);
        assert_eq!(task.faults.filled, 4);
    });
}

fn unmaps_what_was_mapped_while_it_waited<P: Platform>(scheme: Scheme<P>, remover: &str) {
    with_page_9_locked(
        scheme,
        remover,
        |scene, _| {
            // As a fault would that had locked the page before the remover came.
            let vma = scene.map_whole();
            scene.map_by_hand(&vma, 9, scene.pfn(9));
        },
        |scene, folio, removals| {
            assert_eq!(removals.unmapped_singly, 1);
            assert_eq!(removals.transient_mapcount, 0);
            assert_eq!(scene::counts(folio), (0, 0));
            assert_eq!(mapped(&scene.file.i_mmap.read()[0]), []);
            scene.assert_sound();
        },
    );
}

fn notices_a_mapcount_without_a_pte<P: Platform>(scheme: Scheme<P>, remover: &str) {
    with_page_9_locked(
        scheme,
        remover,
        |_, folio| {
            // As a fault would that counts first and hasn't looked yet.
            folio.get();
            folio.mapcount_add(1, &site::MAPCOUNT_INC_LOCKED);
        },
        |scene, folio, removals| {
            assert_eq!(removals.transient_mapcount, 1);
            let pfn = scene
                .system
                .memmap
                .iter()
                .find(|it| std::ptr::eq(it.1, folio));
            folio.mapcount_sub(1, &site::MAPCOUNT_DEC);
            scene.system.put(pfn.unwrap().0, &Task::default());
            scene.assert_sound();
        },
    );
}

fn waiting_fault_sees_the_removal<P: Platform>(scheme: Scheme<P>, remover: &str) {
    let outcome = match remover {
        "truncate" => FaultOutcome::Sigbus,
        _ => FaultOutcome::SlowPath,
    };
    let scene = Scene::cached(scheme);
    let vma = scene.map_whole();
    let folio = scene.folio(9);
    folio.lock();
    // Keeps fault-around away from it, whatever the scheme.
    folio.set_flags(kernel_model::folio::PG_READAHEAD);
    thread::scope(|scope| {
        scope.spawn(|| scene.fault(&vma, 9, outcome));
        until(|| has_waiters(folio));
        let removing = scope.spawn(|| scene.remove(remover, RANGE));
        // The first pass has taken everything else.
        until(|| !scene.in_cache().contains(&24));
        folio.unlock();
        removing.join().expect("the removal ends well");
    });
    assert_eq!(scene.in_cache().contains(&9), mapped(&vma).contains(&9));
    scene.assert_sound();
}

fn punch_hole_leaves_the_rest<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    let vma = scene.map_and_touch();
    let mut gone = Vec::new();
    for hole in [0..1, 15..17, 31..32, 9..10] {
        scene.remove("punch-hole", hole.clone());
        gone.extend(hole);
        let left: Vec<_> = (0..PAGES).filter(|at| !gone.contains(at)).collect();
        assert_eq!((scene.in_cache(), mapped(&vma)), (left.clone(), left));
    }
    scene.assert_sound();
}

fn punch_hole_keeps_the_size<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    scene.remove("punch-hole", 5..PAGES);
    assert_eq!(scene.file.i_size_pages(), PAGES);
    let vma = scene.map_whole();
    scene.fault(&vma, 31, FaultOutcome::SlowPath);
    scene.assert_sound();
}

fn truncate_removes_to_the_end<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    let vma = scene.map_and_touch();
    // What the range's end says doesn't matter.
    scene.remove("truncate", 7..8);
    assert_eq!(scene.file.i_size_pages(), 7);
    assert_eq!(scene.in_cache(), pages(0..7));
    assert_eq!(mapped(&vma), pages(0..7));
    scene.fault(&vma, 7, FaultOutcome::Sigbus);
    scene.assert_sound();
}

fn truncate_never_makes_a_file_longer<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    scene.remove("truncate", 7..PAGES);
    scene.remove("truncate", 20..PAGES);
    assert_eq!(scene.file.i_size_pages(), 7);
}

fn extending_gives_a_hole<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    let vma = scene.map_and_touch();
    scene.remove("truncate", 10..PAGES);
    scene.file.extend(5);
    assert_eq!(scene.file.i_size_pages(), 10);
    scene.file.extend(PAGES + 1);
    assert_eq!(scene.file.i_size_pages(), PAGES);
    assert_eq!(scene.in_cache(), pages(0..10));
    let task = scene.fault(&vma, 20, FaultOutcome::SlowPath);
    assert_eq!(task.faults.filled, 4);
    scene.assert_sound();
}

fn zap_counts_the_ptes_that_there_were<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    let vma = scene.map(3, 0, PAGES);
    // Virtual pages 8..24 of 3..35, over the border of two tables; the third isn't there.
    assert!(scene.around(&vma, 5) && scene.around(&vma, 13));
    let mut task = Task::default();
    assert_eq!(scene.system.zap_range(&vma, 10..35, &mut task), 14);
    assert_eq!(mapped(&vma), [5, 6]);
    assert_eq!(scene.system.zap_range(&vma, 10..35, &mut task), 0);
    scene.assert_sound();
}

fn munmap_leaves_the_cache_and_the_other_mappings<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    let (gone, stays) = (scene.map_and_touch(), scene.map_and_touch());
    scene.system.unmap(&gone, &mut Task::default());
    let tables = [0, 31].map(|vpn| gone.mm.page_table.has_table(vpn));
    assert_eq!((tables, scene.file.i_mmap.read().len()), ([false; 2], 1));
    assert_eq!(mapped(&stays), pages(0..32));
    assert_eq!(scene.counts(9), (1, 2));
    scene.assert_sound();
}
