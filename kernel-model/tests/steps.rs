//! A whole removal, reuse or lock at one chosen step of a fault: each look that the fault takes has
//! something to see, every time.
//!
//! The mapping that faults isn't known to its file, so that a remover doesn't wait for the
//! PTE-table lock that the fault holds, just as if it had passed through it before.

mod scene;

use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;

use kernel_model::Invariant::{self, NoStalePte, RightOffset};
use kernel_model::fault_around::Schemes;
use kernel_model::folio::PG_READAHEAD;
use kernel_model::mm::{Mm, Vma};
use kernel_model::page_table::Pte;
use kernel_model::platform::{Jitter, Jittered};
use kernel_model::{Config, FaultCounters, FaultOutcome, Task};

use scene::stepped::{Stepped, WAIT_ON, before, is_pending};
use scene::{
    PAGES, SMALL, Scene, Scheme, ends, every_scheme, has_waiters, mapped, pte, set_pte, until,
};

/// One frame, which holds page 9 of the file.
fn one_frame(scheme: Scheme<Stepped>) -> Arc<Scene<Stepped>> {
    let scene = Scene::sized(scheme, Config { folios: 1, ..SMALL }, PAGES);
    scene.populate(9..10);
    Arc::new(scene)
}

/// A mapping of the file that the file doesn't know of.
fn unlinked(scene: &Scene<Stepped>) -> Vma<Stepped> {
    Vma {
        mm: Mm::new(PAGES, SMALL.entries_per_table),
        mapping: Arc::clone(&scene.file),
        start_vpn: 0,
        pgoff: 0,
        pages: PAGES,
    }
}

/// Faults around page 9 while something happens before `site`; returns what was counted, and
/// whether the page was mapped.
fn fault_while(
    scene: &Arc<Scene<Stepped>>,
    site: &'static str,
    happens: fn(&Scene<Stepped>),
) -> (FaultCounters, bool) {
    let vma = unlinked(scene);
    let mut task = Task::default();
    let its_scene = Arc::clone(scene);
    before(site, move || happens(&its_scene));
    let mapped_it = scene.system.do_fault_around(&vma, 9, &mut task);
    assert!(!is_pending(), "the fault comes by {site}");
    assert_eq!(mapped_it, !pte(&vma, 9).is_none());
    if let Some(pfn) = pte(&vma, 9).pfn() {
        // Let the reference go again, so that the frames can be counted.
        set_pte(&vma, 9, Pte::NONE);
        let folio = scene.system.memmap.folio(pfn);
        folio.mapcount_sub(1, &kernel_model::folio::site::MAPCOUNT_DEC);
        scene.system.put(pfn, &task);
    }
    (task.faults, mapped_it)
}

/// Page 9 leaves the cache.
fn removal(scene: &Scene<Stepped>) {
    scene.remove("punch-hole", 9..10);
}

/// Page 9 leaves the cache, and its frame comes back as page 20.
fn reuse(scene: &Scene<Stepped>) {
    removal(scene);
    scene.populate(20..21);
}

/// Somebody locks page 9.
fn lock(scene: &Scene<Stepped>) {
    scene.folio(9).lock();
}

/// The last step of a scheme before it counts the mapping.
fn last_step(scheme: &str) -> &'static str {
    match scheme {
        "page-locked" => "folio_trylock",
        _ => "mapcount_inc",
    }
}

/// Counters of a fault that mapped nothing but `counts`.
fn only(counts: impl FnOnce(&mut FaultCounters)) -> FaultCounters {
    let mut faults = FaultCounters::default();
    counts(&mut faults);
    faults
}

#[test]
fn folio_that_was_freed_is_not_mapped() {
    every_scheme::<Stepped>(|scheme| {
        let scene = one_frame(scheme);
        let (faults, _) = fault_while(&scene, "ref_get_unless_zero", removal);
        assert_eq!(faults, FaultCounters::default());
        assert_eq!(scene.frames_used(), 0);
        scene.assert_sound();
    });
}

#[test]
fn folio_that_was_reused_is_not_mapped() {
    every_scheme::<Stepped>(|scheme| {
        let scene = one_frame(scheme);
        let (faults, _) = fault_while(&scene, "ref_get_unless_zero", reuse);
        assert_eq!(faults, only(|it| it.slot_changed = 1));
        assert_eq!(scene.in_cache(), [20]);
        scene.assert_sound();
    });
}

#[test]
fn folio_that_was_removed_is_not_mapped() {
    every_scheme::<Stepped>(|scheme| {
        let scene = one_frame(scheme);
        let (faults, _) = fault_while(&scene, "slot_reload", removal);
        assert_eq!(faults, only(|it| it.slot_changed = 1));
        assert_eq!(scene.frames_used(), 0);
        scene.assert_sound();
    });
}

#[test]
fn last_removal_before_the_count_is_seen_by_sound_schemes_only() {
    every_scheme::<Stepped>(|scheme| {
        let scene = one_frame(scheme);
        let (faults, mapped_it) = fault_while(&scene, last_step(scheme.about().name), removal);
        assert_eq!(mapped_it, !scheme.about().verdict.is_sound());
        let undone = scheme.about().name == "mapcount-recheck";
        assert_eq!(faults.undone, u64::from(undone));
        assert_eq!(scene.frames_used(), 0);
        scene.assert_sound();
    });
}

#[test]
fn rfc_sees_a_removal_before_its_look_at_the_mapping() {
    every_scheme::<Stepped>(|scheme| {
        let scene = one_frame(scheme);
        let (faults, mapped_it) = fault_while(&scene, "window_flags", removal);
        assert_eq!(mapped_it, scheme.about().name == "sketch");
        let moved = scheme.about().name == "lockless-rfc";
        assert_eq!(faults.slot_changed, u64::from(moved));
        scene.assert_sound();
    });
}

#[test]
fn last_lock_before_the_count_is_seen_by_all_but_the_rfc() {
    every_scheme::<Stepped>(|scheme| {
        let scene = one_frame(scheme);
        let (faults, mapped_it) = fault_while(&scene, last_step(scheme.about().name), lock);
        scene.folio(9).unlock();
        let expected = match scheme.about().name {
            "page-locked" => only(|it| it.skipped_locked = 1),
            "lockless-rfc" => only(|it| it.mapped = 1),
            _ => only(|it| it.undone = 1),
        };
        assert_eq!((faults, mapped_it), (expected, expected.mapped == 1));
        scene.assert_sound();
    });
}

#[test]
fn look_up_of_a_reused_folio_finds_nothing() {
    every_scheme::<Stepped>(|scheme| {
        let scene = one_frame(scheme);
        let its_scene = Arc::clone(&scene);
        before("ref_get_unless_zero", move || reuse(&its_scene));
        let found = scene.system.get_folio(&scene.file, 9, &Task::default());
        assert!(found.is_none());
        assert_eq!(scene.in_cache(), [20]);
        scene.assert_sound();
    });
}

/// A fault that goes the slow way on page 9, while `remover` runs before it gets the page lock.
fn slow_fault_against(scheme: Scheme<Stepped>, remover: &'static str, outcome: FaultOutcome) {
    let scene = Arc::new(Scene::cached(scheme));
    let vma = scene.map_whole();
    // Fault-around doesn't come as far as to lock it.
    scene.folio(9).set_flags(PG_READAHEAD);
    assert!(scene.around(&vma, 8));
    let its_scene = Arc::clone(&scene);
    before("folio_trylock", move || {
        its_scene.remove(remover, 5..25);
    });
    let task = scene.fault(&vma, 9, outcome);
    let again = u64::from(outcome == FaultOutcome::SlowPath);
    assert!(!is_pending());
    assert_eq!(
        (task.faults.filled, task.faults.mapped_slowly),
        (4 * again, again)
    );
    assert_eq!(mapped(&vma).contains(&9), again == 1);
    scene.assert_sound();
}

#[test]
fn slow_path_looks_again_for_a_page_that_was_removed() {
    every_scheme(|scheme| slow_fault_against(scheme, "punch-hole", FaultOutcome::SlowPath));
}

#[test]
fn slow_path_sees_the_file_end_before_its_page() {
    every_scheme(|scheme| slow_fault_against(scheme, "truncate", FaultOutcome::Sigbus));
}

#[test]
fn page_that_somebody_else_read_meanwhile_is_taken_as_it_is() {
    every_scheme::<Stepped>(|scheme| {
        let scene = Arc::new(Scene::new(scheme));
        let vma = scene.map_whole();
        let its_scene = Arc::clone(&scene);
        before("page_alloc_ref", move || its_scene.populate(12..13));
        let task = scene.fault(&vma, 13, FaultOutcome::SlowPath);
        assert!(!is_pending());
        assert_eq!((task.faults.filled, scene.frames_used()), (3, 4));
        scene.assert_sound();
    });
}

#[test]
fn sleeper_that_was_forgotten_before_it_slept_announces_itself_again() {
    every_scheme::<Stepped>(|scheme| {
        let scene = Arc::new(Scene::cached(scheme));
        let its_scene = Arc::clone(&scene);
        let folio = scene.folio(9);
        folio.lock();
        let (relocked, is_relocked) = channel();
        // The wake-up finds nobody asleep, and the next holder hears of no sleeper.
        before(WAIT_ON, move || {
            its_scene.folio(9).unlock();
            its_scene.folio(9).lock();
            assert!(!has_waiters(its_scene.folio(9)));
            relocked.send(()).expect("somebody waits for it");
        });
        thread::scope(|scope| {
            scope.spawn(move || {
                is_relocked.recv().expect("it goes to sleep");
                until(|| has_waiters(folio));
                folio.unlock();
            });
            folio.lock();
        });
    });
}

/// How far a removal of page 9 has come when a fault that stood before its count goes on.
#[derive(Debug, Clone, Copy)]
enum Removal {
    /// The folio is locked and was found unmapped, but is still in the cache.
    Decided,
    /// The folio is out of the cache and unlocked.
    Done,
}

/// Lets a fault on page 9, without some of its looks, stand before its last step while a removal
/// that has unmapped the page comes on so far. Returns what the removal's audit reports.
fn meet(scheme: &str, left_out: &[&str], removal: Removal) -> Vec<(Invariant, u64)> {
    let scheme = Schemes::<Jittered<Stepped>>::named(scheme).expect("a scheme's name");
    let site = last_step(scheme.about().name);
    let scene = Scene::sized(scheme, Config { folios: 1, ..SMALL }, PAGES);
    scene.populate(9..10);
    let vma = scene.map_whole();
    let left_out = left_out.iter().map(|&name| name.to_owned()).collect();
    // The two threads meet here four times, and only one of them runs between two meetings.
    let meeting = Arc::new(Barrier::new(2));
    let meet_twice = || {
        let meeting = Arc::clone(&meeting);
        move || {
            meeting.wait();
            meeting.wait();
        }
    };
    let (started, standing, resumed) = (meet_twice(), meet_twice(), meet_twice());
    thread::scope(|scope| {
        scope.spawn(|| {
            before("folio_trylock", move || {
                started();
                match removal {
                    Removal::Decided => before("slot_store", resumed),
                    Removal::Done => before("folio_unlock", || before("ref_put", resumed)),
                }
            });
            scene.remove("punch-hole", 9..10);
        });
        scope.spawn(|| {
            Jitter {
                left_out,
                ..Jitter::default()
            }
            .enter();
            meeting.wait();
            before(site, standing);
            scene.around(&vma, 9);
            meeting.wait();
        });
    });
    scene.found()
}

#[test]
fn each_look_is_there_for_one_removal() {
    use Removal::{Decided, Done};
    let cases: [(&str, &[&str], _, bool); 14] = [
        ("page-locked", &[], Decided, false),
        ("page-locked", &[], Done, false),
        ("page-locked", &["page_locked_mapping"], Decided, false),
        ("page-locked", &["page_locked_mapping"], Done, true),
        ("mapcount-recheck", &[], Decided, false),
        ("mapcount-recheck", &[], Done, false),
        ("mapcount-recheck", &["recheck_locked"], Decided, true),
        ("mapcount-recheck", &["recheck_locked"], Done, false),
        ("mapcount-recheck", &["recheck_mapping"], Decided, false),
        ("mapcount-recheck", &["recheck_mapping"], Done, true),
        ("sketch", &[], Decided, false),
        ("sketch", &[], Done, true),
        ("lockless-rfc", &[], Decided, true),
        ("lockless-rfc", &[], Done, true),
    ];
    for (scheme, left_out, removal, caught) in cases {
        ends(move || {
            let expected = [(NoStalePte, 9), (RightOffset, 9)];
            let expected = if caught { &expected[..] } else { &[] };
            let found = meet(scheme, left_out, removal);
            assert_eq!(
                found, expected,
                "{scheme} without {left_out:?}, {removal:?}"
            );
        });
    }
}
