//! VMAs and ranges that reach further than what they are in.

mod scene;

use std::sync::Arc;

use kernel_model::FaultOutcome;
use kernel_model::Task;
use kernel_model::mm::{Mm, Vma};
use kernel_model::platform::Platform;

use scene::{PAGES, SMALL, Scene, Scheme, mapped, on_both_platforms, pages};

on_both_platforms! {
    crate::scene::every_scheme: [
        vma_that_is_longer_than_the_file_faults_beyond_it_with_sigbus,
        punch_hole_may_reach_beyond_the_file,
        munmap_leaves_the_tables_that_another_vma_shares,
        page_whose_read_failed_is_read_again,
    ]
}

fn vma_that_is_longer_than_the_file_faults_beyond_it_with_sigbus<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    let vma = scene.map(0, 0, PAGES + 8);
    let mut task = Task::default();
    for beyond in [PAGES, PAGES + 5] {
        let outcome = scene.system.handle_mm_fault(&vma, beyond, &mut task);
        assert_eq!(outcome, FaultOutcome::Sigbus);
    }
    let last = scene.system.handle_mm_fault(&vma, PAGES - 1, &mut task);
    assert_eq!(last, FaultOutcome::FaultAround);
    assert_eq!(mapped(&vma), pages(PAGES - 8..PAGES));
}

fn punch_hole_may_reach_beyond_the_file<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    let vma = scene.map_and_touch();
    scene.remove("punch-hole", 20..PAGES + 100);
    assert_eq!(scene.in_cache(), pages(0..20));
    assert_eq!(mapped(&vma), pages(0..20));
}

fn munmap_leaves_the_tables_that_another_vma_shares<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    // Tables of 16 entries: the second is shared by both, the first is the first VMA's alone.
    let mm = Mm::new(PAGES, SMALL.entries_per_table);
    let map = |start, pages| {
        let file = Arc::clone(&scene.file);
        Vma::map(Arc::clone(&mm), file, start, start, pages)
    };
    let (goes, stays) = (map(0, 24), map(24, 8));
    scene.touch(&goes);
    scene.touch(&stays);
    scene.system.unmap(&goes, &mut Task::default());
    assert!(!mm.page_table.has_table(0) && mm.page_table.has_table(24));
    assert_eq!(mapped(&stays), pages(24..32));
    scene.system.audit_at_rest(&scene.file);
    assert_eq!(scene.system.violations.kept(), []);
}

fn page_whose_read_failed_is_read_again<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::new(scheme);
    scene.insert_unread(9);
    scene.folio(9).unlock();
    let vma = scene.map_whole();
    let mut task = Task::default();
    let outcome = scene.system.handle_mm_fault(&vma, 9, &mut task);
    assert_eq!((outcome, task.faults.filled), (FaultOutcome::SlowPath, 1));
    assert_eq!(mapped(&vma), pages([9]));
}
