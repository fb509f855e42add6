//! The audits: each breakage is reported by its name and place, and a sound state by nothing.

mod scene;

use std::sync::Arc;

use kernel_model::Task;
use kernel_model::address_space::AddressSpace;
use kernel_model::fault_around::{FaultAround, Schemes};
use kernel_model::folio::{Pfn, site};
use kernel_model::invariants::{
    COUNTS_BALANCE, NO_BAD_FREE, NO_MAPPED_FREE, NO_MAPPED_REMOVAL, NO_PTE_PAST_EOF, NO_STALE_PTE,
    ONLY_UPTODATE, RIGHT_OFFSET,
};
use kernel_model::mm::Vma;
use kernel_model::page_table::Pte;
use kernel_model::platform::{Jittered, Native, Platform};
use kernel_model::race::Invariant;

use scene::{PAGES, Scene, ends, on_both_platforms, set_pte, with_page_9_locked};

on_both_platforms! {
    crate::scene::once: [
        sound_machine_is_reported_by_nothing,
        pte_of_another_offset_is_right_offset,
        pte_of_a_removed_folio_is_no_stale_pte,
        pte_of_another_file_is_right_offset,
        pte_of_an_unread_page_is_only_uptodate,
        pte_beyond_the_end_is_no_pte_past_eof,
        pte_of_a_free_frame_is_no_mapped_free,
        freeing_a_mapped_folio_is_no_mapped_free,
        freeing_a_locked_folio_of_a_file_is_no_bad_free,
        reference_too_many_is_counts_balance,
        reference_too_few_is_counts_balance,
        mapcount_too_high_is_counts_balance,
        pte_that_is_gone_is_counts_balance,
        pte_that_nobody_counted_is_counts_balance,
        lock_that_is_held_is_counts_balance,
        folio_in_two_slots_is_counts_balance,
        frame_that_is_lost_is_counts_balance,
        violation_says_which_folio_it_is,
        every_violation_of_a_kind_is_reported,
        zap_reports_what_it_heals,
    ]
}

fn any_scheme<P: Platform>() -> &'static dyn FaultAround<P> {
    Schemes::<P>::ALL[0]
}

/// Breaks a machine that is cached whole and mapped nowhere: the audit reports just `expected`.
fn breaks<P: Platform>(
    breakage: impl FnOnce(&Scene<P>, &Arc<Vma<P>>),
    expected: &[(Invariant, u64)],
) {
    let scene = Scene::<P>::cached(any_scheme());
    let vma = scene.map(3, 2, 30);
    breakage(&scene, &vma);
    assert_eq!(scene.audit(), expected);
}

/// A folio that was removed from offset 9, with a reference.
fn removed<P: Platform>(scene: &Scene<P>) -> Pfn {
    let pfn = scene.pfn(9);
    scene.folio(9).get();
    scene.remove("punch-hole", 9..10);
    pfn
}

fn sound_machine_is_reported_by_nothing<P: Platform>() {
    breaks::<P>(|_, _| (), &[]);
    breaks::<P>(|scene, vma| scene.touch(vma), &[]);
    breaks::<P>(
        |scene, vma| {
            scene.touch(vma);
            scene.remove("punch-hole", 5..9);
            scene.touch(vma);
            scene.remove("truncate", 20..PAGES);
            scene.file.extend(25);
            scene.touch(vma);
        },
        &[],
    );
}

fn pte_of_another_offset_is_right_offset<P: Platform>() {
    breaks::<P>(
        |scene, vma| scene.map_by_hand(vma, 3, scene.pfn(5)),
        &[(RIGHT_OFFSET, 3)],
    );
}

fn pte_of_a_removed_folio_is_no_stale_pte<P: Platform>() {
    breaks::<P>(
        |scene, vma| {
            let pfn = removed(scene);
            scene.map_by_hand(vma, 9, pfn);
            scene.system.put(pfn, &Task::default());
        },
        &[(NO_STALE_PTE, 9)],
    );
}

fn pte_of_another_file_is_right_offset<P: Platform>() {
    breaks::<P>(
        |scene, vma| {
            let other = AddressSpace::new(8, PAGES);
            let mut task = Task::default();
            assert!(scene.system.populate(&other, 3..4, &mut task));
            let pfn = other.slot(3).load().unwrap();
            scene.map_by_hand(vma, 3, pfn);
            // The audit knows nothing of the other file's cache: drop its reference.
            scene.system.put(pfn, &task);
        },
        &[(RIGHT_OFFSET, 3)],
    );
}

fn pte_of_an_unread_page_is_only_uptodate<P: Platform>() {
    breaks::<P>(
        |scene, vma| {
            scene.remove("punch-hole", 9..10);
            let pfn = scene.insert_unread(9);
            scene.system.memmap.folio(pfn).unlock();
            scene.map_by_hand(vma, 9, pfn);
        },
        &[(ONLY_UPTODATE, 9)],
    );
}

fn pte_beyond_the_end_is_no_pte_past_eof<P: Platform>() {
    breaks::<P>(
        |scene, vma| {
            scene.remove("truncate", 11..PAGES);
            // The last page inside is none.
            scene.map_by_hand(vma, 10, scene.pfn(10));
            for index in [11, 14] {
                let pfn = scene.insert_read(index);
                scene.map_by_hand(vma, index, pfn);
            }
        },
        &[(NO_PTE_PAST_EOF, 11), (NO_PTE_PAST_EOF, 14)],
    );
}

fn pte_of_a_free_frame_is_no_mapped_free<P: Platform>() {
    breaks::<P>(
        |scene, vma| {
            let pfn = scene.pfn(9);
            scene.remove("punch-hole", 9..10);
            set_pte(vma, 9, Pte::present(pfn));
        },
        &[
            (NO_MAPPED_FREE, 9),
            (RIGHT_OFFSET, 9),
            // Its counts, and then that it is both free and in use.
            (COUNTS_BALANCE, 9),
            (COUNTS_BALANCE, 0),
        ],
    );
}

fn freeing_a_mapped_folio_is_no_mapped_free<P: Platform>() {
    let scene = Scene::<P>::cached(any_scheme());
    let pfn = removed(&scene);
    let folio = scene.system.memmap.folio(pfn);
    folio.mapcount_add(1, &site::MAPCOUNT_INC_LOCKED);
    assert_eq!(scene.found(), []);
    scene.system.put(pfn, &Task::default());
    assert_eq!(scene.found(), [(NO_MAPPED_FREE, 9)]);
}

fn freeing_a_locked_folio_of_a_file_is_no_bad_free<P: Platform>() {
    let scene = Scene::<P>::cached(any_scheme());
    let pfn = scene.pfn(9);
    scene.folio(9).lock();
    scene.system.put(pfn, &Task::default());
    assert_eq!(scene.found(), [(NO_BAD_FREE, 9), (NO_BAD_FREE, 9)]);
    let details = scene.system.violations.kept();
    assert_ne!(details[0].detail, details[1].detail, "the lock, the file");
}

fn reference_too_many_is_counts_balance<P: Platform>() {
    breaks::<P>(|scene, _| scene.folio(9).get(), &[(COUNTS_BALANCE, 9)]);
}

fn reference_too_few_is_counts_balance<P: Platform>() {
    breaks::<P>(
        |scene, vma| {
            scene.touch(vma);
            scene.system.put(scene.pfn(9), &Task::default());
        },
        &[(COUNTS_BALANCE, 9)],
    );
}

fn mapcount_too_high_is_counts_balance<P: Platform>() {
    breaks::<P>(
        |scene, _| scene.folio(9).mapcount_add(1, &site::MAPCOUNT_INC_LOCKED),
        &[(COUNTS_BALANCE, 9)],
    );
}

fn pte_that_is_gone_is_counts_balance<P: Platform>() {
    breaks::<P>(
        |scene, vma| {
            scene.touch(vma);
            set_pte(vma, 9, Pte::NONE);
        },
        &[(COUNTS_BALANCE, 9)],
    );
}

fn pte_that_nobody_counted_is_counts_balance<P: Platform>() {
    breaks::<P>(
        |scene, vma| set_pte(vma, 9, Pte::present(scene.pfn(9))),
        &[(COUNTS_BALANCE, 9)],
    );
}

fn lock_that_is_held_is_counts_balance<P: Platform>() {
    breaks::<P>(|scene, _| scene.folio(9).lock(), &[(COUNTS_BALANCE, 9)]);
}

fn folio_in_two_slots_is_counts_balance<P: Platform>() {
    breaks::<P>(
        |scene, _| {
            scene.remove("punch-hole", 5..6);
            let (pfn, folio) = (scene.pfn(9), scene.folio(9));
            assert_eq!(scene.file.add_folio(folio, pfn, 5, 1), Ok(()));
        },
        // Slot 9 holds a folio that says 5, which has a reference for each slot.
        &[(COUNTS_BALANCE, 9), (COUNTS_BALANCE, 5)],
    );
}

fn frame_that_is_lost_is_counts_balance<P: Platform>() {
    breaks::<P>(
        |scene, _| {
            removed(scene);
        },
        &[(COUNTS_BALANCE, 9), (COUNTS_BALANCE, 0)],
    );
}

fn violation_says_which_folio_it_is<P: Platform>() {
    let scene = Scene::<P>::cached(any_scheme());
    scene.remove("punch-hole", 9..10);
    scene.populate(9..10);
    scene.folio(9).get();
    scene.audit();
    let place = scene.system.violations.kept().remove(0).place.unwrap();
    assert_eq!((place.frame, place.incarnation), (scene.pfn(9).0, 2));
}

fn every_violation_of_a_kind_is_reported<P: Platform>() {
    let vmas = |scene: &Scene<P>| [scene.map(0, 9, 1), scene.map(40, 0, 20)];
    breaks::<P>(
        |scene, vma| {
            let [one, other] = vmas(scene);
            for (vma, pgoff) in [(vma, 4), (&one, 9), (&other, 2), (&other, 17)] {
                scene.map_by_hand(vma, pgoff, scene.pfn(30));
            }
        },
        &[4, 9, 2, 17].map(|pgoff| (RIGHT_OFFSET, pgoff)),
    );
}

fn zap_reports_what_it_heals<P: Platform>() {
    let scene = Scene::<P>::cached(any_scheme());
    let vma = scene.map(3, 2, 30);
    let pfn = removed(&scene);
    scene.map_by_hand(&vma, 9, pfn);
    scene.map_by_hand(&vma, 4, scene.pfn(5));
    scene.map_by_hand(&vma, 20, scene.pfn(20));
    scene.system.unmap(&vma, &mut Task::default());
    scene.system.put(pfn, &Task::default());
    let expected = [(RIGHT_OFFSET, 4), (NO_MAPPED_REMOVAL, 9)];
    assert_eq!(scene.audit(), if P::AUDIT { &expected[..] } else { &[] });
}

/// Breaks page 9 while a remover waits for it: what the remover itself reports.
fn removal_reports<P: Platform>(
    remover: &'static str,
    breakage: impl FnOnce(&Scene<P>, &Vma<P>) + Send + 'static,
    expected: &'static [(Invariant, u64)],
) {
    ends(move || {
        with_page_9_locked::<P>(
            any_scheme(),
            remover,
            |scene, _| breakage(scene, &scene.map(3, 2, 30)),
            |scene, _, _| assert_eq!(scene.found(), expected),
        );
    });
}

/// A PTE of page 9, with a reference to spare but not counted as a mapping.
fn map_uncounted<P: Platform>(scene: &Scene<P>, vma: &Vma<P>) {
    scene.folio(9).get();
    scene.folio(9).get();
    set_pte(vma, 9, Pte::present(scene.pfn(9)));
}

/// Maps the frame that the first pass took from offset 12; frames come in the file's order.
fn map_what_has_left<P: Platform>(scene: &Scene<P>, vma: &Vma<P>) {
    let (pfn, _) = (scene.system.memmap.iter())
        .find(|(_, folio)| folio.index(&site::STABLE_READ) == 12 && folio.incarnation() == 1)
        .unwrap();
    scene.map_by_hand(vma, 12, pfn);
}

#[test]
fn pte_that_a_hole_left_behind_is_no_stale_pte() {
    let expected = &[(NO_STALE_PTE, 9), (RIGHT_OFFSET, 9)];
    removal_reports::<Jittered<Native>>("punch-hole", map_uncounted, expected);
}

#[test]
fn pte_that_came_after_its_folio_had_left_is_no_stale_pte() {
    let expected = &[(NO_STALE_PTE, 12), (RIGHT_OFFSET, 12)];
    removal_reports::<Jittered<Native>>("punch-hole", map_what_has_left, expected);
}

#[test]
fn pte_that_truncate_healed_is_no_mapped_removal() {
    let expected = &[(NO_MAPPED_REMOVAL, 9)];
    removal_reports::<Jittered<Native>>("truncate", map_uncounted, expected);
}

#[test]
fn pte_of_another_offset_in_the_hole_is_reported_by_the_removal() {
    removal_reports::<Jittered<Native>>(
        "punch-hole",
        |scene, vma| scene.map_by_hand(vma, 12, scene.pfn(2)),
        &[(RIGHT_OFFSET, 12)],
    );
}

#[test]
fn pte_outside_the_hole_is_none_of_the_removals_business() {
    removal_reports::<Jittered<Native>>(
        "punch-hole",
        |scene, vma| scene.map_by_hand(vma, 4, scene.pfn(2)),
        &[],
    );
}

#[test]
fn platform_that_is_measured_reports_nothing_at_removal() {
    removal_reports::<Native>("punch-hole", map_uncounted, &[]);
}
