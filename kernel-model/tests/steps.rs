//! A whole removal, reuse or lock at one chosen step of a fault: each look that the fault takes has
//! something to see, every time.
//!
//! The mapping that faults isn't known to its file, so that a remover doesn't wait for the
//! PTE-table lock that the fault holds, just as if it had passed through it before. The gate
//! schemes look before anything else, so that a remover that comes after their look must wait for
//! that lock: what they do here is what its zap is for. `meetings.rs` has the removals that they do
//! see.

mod scene;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use kernel_model::folio::PG_READAHEAD;
use kernel_model::page_table::Pte;
use kernel_model::{Config, FaultCounters, FaultOutcome, Task};

use scene::stepped::{Stepped, WAIT_ON, before, count_step, get_step, is_pending};
use scene::{
    PAGES, SMALL, Scene, Scheme, every_scheme, has_waiters, mapped, pte, set_pte, unlinked, until,
};

/// One frame, which holds page 9 of the file.
fn one_frame(scheme: Scheme<Stepped>) -> Arc<Scene<Stepped>> {
    let scene = Scene::sized(scheme, Config { folios: 1, ..SMALL }, PAGES);
    scene.populate(9..10);
    Arc::new(scene)
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
    let remover = match scheme_of(scene) {
        // A hole waits for the lock that the fault holds.
        "invalidate-only" | "page-locked-xfs" => "invalidate",
        _ => "punch-hole",
    };
    let removals = scene.remove(remover, 9..10).removals;
    assert_eq!(removals.removed, 1);
}

/// The name of the scheme in a scene.
fn scheme_of(scene: &Scene<Stepped>) -> &'static str {
    scene.scheme.about().name
}

/// Page 9 leaves the cache, and its frame comes back as page 20.
fn reuse(scene: &Scene<Stepped>) {
    removal(scene);
    scene.populate(20..21);
}

/// Page 9 is locked by another CPU.
fn lock(scene: &Scene<Stepped>) {
    scene.folio(9).lock();
}

/// Counters of a fault that counted nothing but what `counts` sets.
fn only(counts: impl FnOnce(&mut FaultCounters)) -> FaultCounters {
    let mut faults = FaultCounters::default();
    counts(&mut faults);
    faults
}

#[test]
fn folio_that_was_freed_is_not_mapped() {
    every_scheme::<Stepped>(|scheme| {
        let scene = one_frame(scheme);
        let (faults, _) = fault_while(&scene, get_step(scheme), removal);
        assert_eq!(faults, FaultCounters::default());
        assert_eq!(scene.frames_used(), 0);
        scene.assert_sound();
    });
}

#[test]
fn folio_that_was_reused_is_not_mapped() {
    every_scheme::<Stepped>(|scheme| {
        let scene = one_frame(scheme);
        let (faults, _) = fault_while(&scene, get_step(scheme), reuse);
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
fn last_removal_before_the_count_is_seen_by_whom_it_concerns() {
    every_scheme::<Stepped>(|scheme| {
        let scene = one_frame(scheme);
        let (faults, mapped_it) = fault_while(&scene, count_step(scheme), removal);
        let expected = match scheme.about().name {
            // The mapping is gone under the lock; or the folio was freed, and gives no reference.
            "page-locked" | "page-locked-xfs" | "folio-batched" => FaultCounters::default(),
            "fused-count" | "invalidate-gate-fused" | "invalidate-seq-fused" => {
                FaultCounters::default()
            }
            "mapcount-recheck" | "invalidate-seq" => only(|it| it.undone = 1),
            // By a remover that has come through the PTE-table lock it would have been seen.
            "invalidate-gate" => only(|it| it.mapped = 1),
            "invalidate-only" | "sketch" | "lockless-rfc" => only(|it| it.mapped = 1),
            other => panic!("what does {other} see of it?"),
        };
        assert_eq!((faults, mapped_it), (expected, expected.mapped == 1));
        assert_eq!(scene.frames_used(), 0);
        scene.assert_sound();
    });
}

#[test]
fn removal_after_the_look_at_the_slot_is_seen_by_whom_it_concerns() {
    every_scheme::<Stepped>(|scheme| {
        let scene = one_frame(scheme);
        let (faults, mapped_it) = fault_while(&scene, "window_flags", removal);
        let expected = match scheme.about().name {
            "page-locked" | "page-locked-xfs" | "folio-batched" => FaultCounters::default(),
            "mapcount-recheck" | "fused-count" => only(|it| it.undone = 1),
            "invalidate-seq" | "invalidate-seq-fused" => only(|it| it.undone = 1),
            // It comes before the one look at the mapping.
            "lockless-rfc" => only(|it| it.slot_changed = 1),
            "invalidate-gate" | "invalidate-gate-fused" => only(|it| it.mapped = 1),
            "invalidate-only" | "sketch" => only(|it| it.mapped = 1),
            other => panic!("what does {other} see of it?"),
        };
        assert_eq!((faults, mapped_it), (expected, expected.mapped == 1));
        assert_eq!(scene.frames_used(), 0);
        scene.assert_sound();
    });
}

#[test]
fn last_lock_before_the_count_is_seen_by_those_who_look_at_locks() {
    every_scheme::<Stepped>(|scheme| {
        let scene = one_frame(scheme);
        let (faults, mapped_it) = fault_while(&scene, count_step(scheme), lock);
        scene.folio(9).unlock();
        let expected = match scheme.about().name {
            "page-locked" | "page-locked-xfs" | "folio-batched" => only(|it| it.skipped_locked = 1),
            "mapcount-recheck" | "fused-count" | "sketch" => only(|it| it.undone = 1),
            "lockless-rfc" => only(|it| it.mapped = 1),
            // A lock alone is no removal: those that removers tell of themselves don't look at it.
            name if name.starts_with("invalidate-") => only(|it| it.mapped = 1),
            other => panic!("what does {other} see of it?"),
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
    if scheme.about().name == "page-locked-xfs" {
        // Its fault-around locks pages, too, and the removal would wait for its invalidate_lock.
        return;
    }
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
        // The wake-up finds no sleeper, and the next holder hears of no sleeper.
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
