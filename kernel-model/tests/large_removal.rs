//! What removers make of folios of several pages.

mod scene;

use std::thread;

use kernel_model::fault_around::Schemes;
use kernel_model::folio::site;
use kernel_model::invariants::{NO_STALE_PTE, RIGHT_OFFSET};
use kernel_model::page_table::Pte;
use kernel_model::platform::{Jittered, Native, Platform};
use kernel_model::removal::About;
use kernel_model::{Config, FaultOutcome, Orders, RemovalCounters, Task};

use scene::large::{cached, maps_again, sizes};
use scene::{
    PAGES, SMALL, Scene, Scheme, has_gates, has_waiters, mapped, on_both_platforms, pages, pte,
    set_pte, until,
};

on_both_platforms! {
    crate::scene::every_scheme: [
        hole_within_a_folio_splits_it,
        hole_that_ends_in_two_folios_splits_both,
        hole_takes_a_folio_in_use_whole,
        hole_leaves_a_dirty_folio_in_use,
        what_was_written_stays_dirty_through_splits_and_moves,
        truncation_within_a_folio_splits_it,
        migration_moves_a_folio_whole,
        zap_over_migration_entries_counts_the_pages_around_them,
        failure_takes_the_bad_page_out_of_its_folio,
        failure_leaves_a_bad_page_that_nobody_maps_in_a_folio_in_use,
    ]
    crate::scene::every_removal: [
        takes_folios_that_lie_in_the_range,
        takes_whole_folios_or_the_pages_of_the_range,
        whoever_freezes_leaves_a_folio_in_use_alone,
        gates_of_folios_that_may_go_whole_are_entered,
    ]
}

/// Counters of a removal of folios that were mapped, by a remover that unmaps its range.
fn removals(removed: u64, removed_pages: u64, split: u64) -> RemovalCounters {
    RemovalCounters {
        removed,
        removed_pages,
        split,
        ..RemovalCounters::default()
    }
}

/// What was unmapped one by one, where no zap for the sake of the scheme has come before.
fn singly<P: Platform>(
    scheme: Scheme<P>,
    folios: u64,
    counters: RemovalCounters,
) -> RemovalCounters {
    let unmapped_singly = if scheme.must_zap() { 0 } else { folios };
    RemovalCounters {
        unmapped_singly,
        ..counters
    }
}

fn hole_within_a_folio_splits_it<P: Platform>(scheme: Scheme<P>) {
    let scene = cached(scheme, 4);
    let vma = scene.map_and_touch();
    let frames: Vec<_> = (0..PAGES).map(|at| scene.frame(at)).collect();
    let counted = scene.remove("punch-hole", 5..9).removals;
    assert_eq!(counted, singly(scheme, 1, removals(4, 4, 1)));
    let left = pages((0..5).chain(9..32));
    assert_eq!(scene.in_cache(), left);
    assert_eq!(sizes(&scene), [vec![1; 12], vec![16]].concat());
    assert_eq!((scene.frames_used(), scene.file.nrpages()), (28, 28));
    // The rest of it stays where it was, to be mapped by the next fault.
    assert_eq!(mapped(&vma), pages(16..32));
    maps_again(&scene, &vma, &left);
    for at in left {
        assert_eq!(scene.frame(at), frames[at as usize]);
    }
    assert_eq!((scene.counts(4), scene.counts(16)), ((1, 2), (16, 32)));
    // The frames are single ones: each can be freed for itself.
    scene.remove("punch-hole", 0..1);
    assert_eq!(scene.frames_used(), 27);
    scene.assert_sound();
}

fn hole_that_ends_in_two_folios_splits_both<P: Platform>(scheme: Scheme<P>) {
    let scene = cached(scheme, 3);
    let vma = scene.map_and_touch();
    // One folio wholly, a part of the one before and of the one after.
    let counted = scene.remove("punch-hole", 6..19).removals;
    assert_eq!(counted, singly(scheme, 2, removals(2 + 1 + 3, 13, 2)));
    assert_eq!(sizes(&scene), [vec![1; 6 + 5], vec![8]].concat());
    assert_eq!(mapped(&vma), pages(24..32));
    maps_again(&scene, &vma, &pages((0..6).chain(19..32)));
    // Ranges that end with folios split none.
    let counted = scene.remove("punch-hole", 24..32).removals;
    assert_eq!(counted, removals(1, 8, 0));
    scene.assert_sound();
}

fn hole_takes_a_folio_in_use_whole<P: Platform>(scheme: Scheme<P>) {
    let scene = cached(scheme, 4);
    let vma = scene.map_and_touch();
    let task = Task::default();
    let (pfn, folio) = scene.system.get_folio(&scene.file, 12, &task).unwrap();
    let counted = scene.remove("punch-hole", 5..9).removals;
    assert_eq!(counted, singly(scheme, 1, removals(1, 16, 0)));
    assert_eq!(
        (scene.in_cache(), mapped(&vma)),
        (pages(16..32), pages(16..32))
    );
    assert_eq!((scene::counts(folio), scene.frames_used()), ((0, 1), 32));
    assert_eq!(scene.system.memmap.pages(pfn), 16);
    scene.system.put(pfn, &task);
    assert_eq!(scene.frames_used(), 16);
    // What lay outside is read again.
    let task = scene.fault(&vma, 2, FaultOutcome::SlowPath);
    assert_eq!(task.faults.filled, 16);
    scene.assert_sound();
}

fn hole_leaves_a_dirty_folio_in_use<P: Platform>(scheme: Scheme<P>) {
    let scene = cached(scheme, 4);
    let vma = scene.map_and_touch();
    let task = Task::default();
    assert!(scene.system.write(&scene.file, 2, &task));
    let (pfn, _) = scene.system.get_folio(&scene.file, 12, &task).unwrap();
    // It stays as a whole, unmapped; what is clean beside it goes.
    let counted = scene.remove("punch-hole", 5..20).removals;
    assert_eq!((counted.busy, counted.removed, counted.split), (1, 4, 1));
    assert_eq!(scene.in_cache(), pages((0..16).chain(20..32)));
    assert_eq!((mapped(&vma), scene.pages(5)), (vec![], 16));
    scene.system.put(pfn, &task);
    scene.assert_sound();
    let counted = scene.remove("punch-hole", 5..9).removals;
    assert_eq!((counted.removed, counted.split), (4, 1));
    scene.assert_sound();
}

fn what_was_written_stays_dirty_through_splits_and_moves<P: Platform>(scheme: Scheme<P>) {
    let scene = cached(scheme, 2);
    for at in [1, 9, 14] {
        assert!(scene.system.write(&scene.file, at, &Task::default()));
    }
    scene.remove("migrate", 0..4);
    scene.remove("punch-hole", 8..9);
    for remover in ["reclaim", "invalidate"] {
        let counted = scene.remove(remover, 0..PAGES).removals;
        // The folio that was split is dirty in each of its pages.
        assert!(counted.busy == 5, "{remover}: {counted:?}");
    }
    assert_eq!(scene.in_cache(), pages((0..4).chain(9..16)));
    scene.assert_sound();
    let task = Task::default();
    scene.remove("shmem-swapout", 0..4);
    assert!(!scene.system.write(&scene.file, 1, &task), "it is gone");
    scene.assert_sound();
}

fn truncation_within_a_folio_splits_it<P: Platform>(scheme: Scheme<P>) {
    let scene = cached(scheme, 3);
    let vma = scene.map_and_touch();
    let counted = scene.remove("truncate", 13..PAGES).removals;
    assert_eq!(counted, singly(scheme, 1, removals(3 + 2, 19, 1)));
    assert_eq!(sizes(&scene), [8, 1, 1, 1, 1, 1]);
    assert_eq!((scene.file.i_size_pages(), scene.frames_used()), (13, 13));
    assert_eq!(mapped(&vma), pages(0..8));
    maps_again(&scene, &vma, &pages(0..13));
    scene.fault(&vma, 13, FaultOutcome::Sigbus);
    scene.file.extend(PAGES);
    scene.populate(0..PAGES);
    assert_eq!(sizes(&scene), [8, 1, 1, 1, 1, 1, 1, 2, 8, 8]);
    scene.assert_sound();
}

fn migration_moves_a_folio_whole<P: Platform>(scheme: Scheme<P>) {
    let scene = cached(scheme, 3);
    let (all, some) = (scene.map_and_touch(), scene.map(3, 10, 4));
    scene.map_by_hand(&some, 12, scene.frame(12));
    let old = [scene.pfn(8), scene.pfn(16)];
    // A part of each is enough.
    let counted = scene.remove("migrate", 15..17).removals;
    let counters = RemovalCounters {
        migrated: 2,
        unmapped_singly: 2,
        ..removals(2, 16, 0)
    };
    assert_eq!(counted, counters);
    let new = [scene.pfn(8), scene.pfn(16)];
    let copies = [(old[0], new[0], 8), (old[1], new[1], 8)];
    assert_eq!(*scene.reads.copies.lock().unwrap(), copies);
    assert_eq!((sizes(&scene), scene.frames_used()), (vec![8; 4], 32));
    assert_eq!((mapped(&all), mapped(&some)), (pages(0..PAGES), vec![12]));
    assert_eq!((scene.counts(8), scene.counts(16)), ((9, 17), (8, 16)));
    scene.assert_sound();
}

fn zap_over_migration_entries_counts_the_pages_around_them<P: Platform>(scheme: Scheme<P>) {
    let scene = cached(scheme, 3);
    let vma = scene.map_and_touch();
    scene.system.zap_range(&vma, 10..12, &mut Task::default());
    for at in 10..12 {
        set_pte(&vma, at, Pte::migration(scene.frame(at)));
    }
    assert_eq!(scene.counts(8), (6, 14));
    let zapped = scene.system.zap_range(&vma, 8..16, &mut Task::default());
    assert_eq!((zapped, scene.counts(8)), (6, (0, 8)));
    assert_eq!(mapped(&vma), pages((0..8).chain(16..32)));
    scene.assert_sound();
}

fn failure_takes_the_bad_page_out_of_its_folio<P: Platform>(scheme: Scheme<P>) {
    let scene = cached(scheme, 3);
    let vma = scene.map_and_touch();
    assert!(scene.system.write(&scene.file, 8, &Task::default()));
    let bad = scene.frame(9);
    let counted = scene.remove("memory-failure", 9..10).removals;
    assert_eq!(counted, singly(scheme, 1, removals(1, 1, 1)));
    let left = pages((0..9).chain(10..32));
    assert_eq!(
        (scene.in_cache(), scene.frames_used()),
        (left.clone(), left.len())
    );
    assert_eq!(sizes(&scene), [vec![8], vec![1; 7], vec![8; 2]].concat());
    // The frame is good again for whoever gets it next.
    scene.fault(&vma, 9, FaultOutcome::SlowPath);
    assert_eq!(scene.frame(9), bad);
    maps_again(&scene, &vma, &pages(0..PAGES));
}

fn failure_leaves_a_bad_page_that_nobody_maps_in_a_folio_in_use<P: Platform>(scheme: Scheme<P>) {
    let scene = cached(scheme, 3);
    let vma = scene.map_and_touch();
    let task = Task::default();
    let (pfn, _) = scene.system.get_folio(&scene.file, 8, &task).unwrap();
    let counted = scene.remove("memory-failure", 9..10).removals;
    assert_eq!((counted.removed, counted.split, counted.busy), (0, 0, 1));
    assert_eq!((scene.in_cache(), scene.pages(8)), (pages(0..PAGES), 8));
    scene.system.put(pfn, &task);
    for pgoff in (8..16).filter(|&pgoff| pgoff != 9) {
        scene
            .system
            .handle_mm_fault(&vma, pgoff, &mut Task::default());
    }
    assert_eq!(mapped(&vma), pages((0..9).chain(10..32)));
    // It is not read anew as long as it is there.
    let counted = scene.fault(&vma, 9, FaultOutcome::Hwpoison).faults;
    assert_eq!((counted.hwpoison, counted.filled), (1, 0));
    assert_eq!((counted.sigbus, counted.bus()), (0, 1));
    assert!(!mapped(&vma).contains(&9));
    scene.assert_sound();
    // It is tried again, and now nothing keeps the folio whole.
    assert_eq!(scene.remove("memory-failure", 9..10).removals.removed, 1);
    assert!(!scene.in_cache().contains(&9));
    scene.assert_sound();
}

fn takes_folios_that_lie_in_the_range<P: Platform>(scheme: Scheme<P>, remover: &'static About) {
    if !scene::takes_folios(remover) {
        return;
    }
    let scene = cached(scheme, 3);
    let vmas = [scene.map_and_touch(), scene.map_and_touch()];
    let counted = scene.remove(remover.name, 8..24).removals;
    let (folios, left) = match remover.name {
        "truncate" => (3, pages(0..8)),
        "migrate" => (2, pages(0..PAGES)),
        _ => (2, pages((0..8).chain(24..32))),
    };
    assert_eq!(
        (counted.removed, counted.removed_pages),
        (folios, 8 * folios)
    );
    assert_eq!(
        (counted.split, counted.busy, counted.skipped_locked),
        (0, 0, 0)
    );
    assert_eq!(scene.frames_used(), left.len());
    for vma in &vmas {
        assert_eq!(mapped(vma), left);
    }
    assert_eq!(scene.in_cache(), left);
    scene.assert_sound();
}

fn takes_whole_folios_or_the_pages_of_the_range<P: Platform>(
    scheme: Scheme<P>,
    remover: &'static About,
) {
    if !scene::takes_folios(remover) {
        return;
    }
    let scene = cached(scheme, 3);
    let vma = scene.map_and_touch();
    let old = scene.pfn(8);
    let counted = scene.remove(remover.name, 11..13).removals;
    let (split, left) = match remover.name {
        "truncate" => (1, pages(0..11)),
        "punch-hole" => (1, pages((0..11).chain(13..32))),
        "migrate" => (0, pages(0..PAGES)),
        // They know no parts of folios.
        _ => (0, pages((0..8).chain(16..32))),
    };
    assert_eq!(counted.split, split);
    assert_eq!(
        (scene.in_cache(), scene.frames_used()),
        (left.clone(), left.len())
    );
    assert_eq!(remover.name == "migrate", counted.migrated == 1);
    assert!(counted.migrated == 0 || scene.pfn(8) != old);
    maps_again(&scene, &vma, &left);
}

fn whoever_freezes_leaves_a_folio_in_use_alone<P: Platform>(
    scheme: Scheme<P>,
    remover: &'static About,
) {
    if !scene::takes_folios(remover) {
        return;
    }
    let scene = cached(scheme, 3);
    let vma = scene.map_and_touch();
    let task = Task::default();
    let (pfn, folio) = scene.system.get_folio(&scene.file, 9, &task).unwrap();
    let counted = scene.remove(remover.name, 8..16).removals;
    assert_eq!(counted.busy, u64::from(remover.freezes));
    assert_eq!(scene.in_cache().contains(&9), remover.freezes);
    let mappings = if remover.name == "migrate" { 8 } else { 0 };
    let cache = if remover.freezes { 8 } else { 0 };
    let mapcount = scene.system.memmap.mapcount(pfn, &site::COUNTS_READ);
    let (_, refcount) = scene::counts(folio);
    assert_eq!((mapcount, refcount), (mappings, 1 + cache + mappings));
    let theirs = (8..16).filter(|&at| pte(&vma, at).pfn().is_some());
    assert_eq!(theirs.count() as u32, mappings);
    scene.system.put(pfn, &task);
    assert_eq!(scene.frames_used(), scene.in_cache().len());
    scene.assert_sound();
}

fn gates_of_folios_that_may_go_whole_are_entered<P: Platform>(
    scheme: Scheme<P>,
    remover: &'static About,
) {
    let config = Config {
        orders: Orders::All(4),
        ..SMALL
    };
    let scene = Scene::gated(scheme, config);
    scene.populate(0..PAGES);
    let vma = scene.map_and_touch();
    scene.remove(remover.name, 9..10);
    // A zap for the sake of the scheme goes as far.
    let zaps = scheme.must_zap() && !remover.freezes;
    assert!(!zaps || mapped(&vma).iter().all(|&at| at >= 16));
    let owes = has_gates(scheme) && !remover.freezes;
    for gate in 0..4 {
        // The folio lies behind the first two.
        let reached = gate < 2 || remover.name == "truncate";
        let been = u64::from(owes && reached);
        assert_eq!(scene.gate(gate), (0, been), "gate {gate}");
    }
    scene.assert_sound();
}

#[test]
fn pte_beside_the_hole_of_a_folio_that_went_whole_is_no_stale_pte() {
    type P = Jittered<Native>;
    let scene = cached(Schemes::<P>::ALL[0], 3);
    let vma = scene.map_whole();
    let folio = scene.folio(8);
    folio.lock();
    thread::scope(|scope| {
        let removing = scope.spawn(|| scene.remove("punch-hole", 9..10));
        until(|| has_waiters(folio));
        // With a reference to spare it can't be split, and the PTE is counted by none.
        folio.get();
        set_pte(&vma, 15, Pte::present(scene.frame(15)));
        folio.unlock();
        let removals = removing.join().expect("the removal ends well").removals;
        assert_eq!((removals.split, removals.removed_pages), (0, 8));
    });
    assert_eq!(scene.found(), [(NO_STALE_PTE, 15), (RIGHT_OFFSET, 15)]);
}
