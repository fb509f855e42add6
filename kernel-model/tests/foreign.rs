//! PTEs in VMAs that aren't in the file's `i_mmap`: they outlive their folio's place in the cache,
//! and that is told, and not taken for a scheme's doing.

mod scene;

use std::sync::Arc;

use kernel_model::folio::site;
use kernel_model::invariants::{COUNTS_BALANCE, NO_MAPPED_FREE};
use kernel_model::mm::{Mm, Vma};
use kernel_model::page_allocator::Run;
use kernel_model::platform::Platform;
use kernel_model::race::Counts;
use kernel_model::{Orders, Task, graded};

use scene::{PAGES, Scene, Scheme, counts, large, mapped, on_both_platforms, pages, pte};

on_both_platforms! {
    crate::scene::every_truncation: [
        pte_outside_of_i_mmap_outlives_a_removal,
        page_of_a_large_folio_stays_mapped,
        mapcount_beyond_foreign_ptes_is_transient,
    ]
    crate::scene::every_scheme: [
        folio_with_a_foreign_pte_cannot_be_frozen,
        foreign_pte_is_counted_at_rest,
        foreign_pte_without_its_reference_is_told,
    ]
}

/// Maps a page of the file where its `i_mmap` doesn't lead to.
fn map_foreign<P: Platform>(scene: &Scene<P>, pgoff: u64) -> Arc<Vma<P>> {
    let mm = Mm::new(PAGES, scene.system.config.entries_per_table);
    let vma = Vma::map_unlinked(mm, Arc::clone(&scene.file), 0, 0, PAGES);
    let task = Task::default();
    assert!(!scene.system.map_foreign(&vma, pgoff, &task), "not cached");
    scene.populate(0..PAGES);
    assert!(scene.system.map_foreign(&vma, pgoff, &task));
    vma
}

/// What a removal told: folios that left, those of them with a foreign PTE, with a transient
/// mapcount, and those that were unmapped one by one.
fn told(task: &Task) -> [u64; 4] {
    let removals = &task.removals;
    [
        removals.removed,
        removals.foreign_pte,
        removals.transient_mapcount,
        removals.unmapped_singly,
    ]
}

fn pte_outside_of_i_mmap_outlives_a_removal<P: Platform>(scheme: Scheme<P>, remover: &str) {
    let scene = Scene::<P>::new(scheme);
    let foreign = map_foreign(&scene, 9);
    let vma = scene.map_and_touch();
    let pfn = scene.pfn(9);
    assert_eq!(scene.counts(9), (2, 3));
    let task = scene.remove(remover, 5..PAGES);
    assert_eq!(told(&task), [PAGES - 5, 1, 0, 1]);
    let counted = [Counts::from(&task)];
    let shown = graded::ALL.iter().filter(|it| it.shows_in(&counted));
    assert_eq!(shown.collect::<Vec<_>>(), [&graded::FOREIGN_PTE]);
    assert!(scheme.about().shows.contains(&graded::FOREIGN_PTE));
    assert_eq!(
        mapped(&vma),
        pages(0..5),
        "what i_mmap leads to is unmapped"
    );
    assert_eq!(pte(&foreign, 9).pfn(), Some(pfn));
    let folio = scene.system.memmap.folio(pfn);
    assert_eq!(counts(folio), (1, 1), "the PTE has its own");
    assert_eq!(folio.mapping(&site::STABLE_READ), 0);
    assert_eq!(scene.audit(), []);
}

fn page_of_a_large_folio_stays_mapped<P: Platform>(scheme: Scheme<P>, remover: &str) {
    let scene = large::of_orders::<P>(scheme, Orders::All(2));
    let foreign = map_foreign(&scene, 9);
    let (head, page) = (scene.pfn(9), scene.frame(9));
    assert_ne!(head, page);
    let task = scene.remove(remover, 8..PAGES);
    assert_eq!(told(&task), [(PAGES - 8) / 4, 1, 0, 1]);
    assert_eq!(pte(&foreign, 9).pfn(), Some(page));
    let memmap = &scene.system.memmap;
    assert_eq!(memmap.mapcount(head, &site::COUNTS_READ), 1);
    assert_eq!(scene.audit(), []);
}

fn mapcount_beyond_foreign_ptes_is_transient<P: Platform>(scheme: Scheme<P>, remover: &str) {
    let scene = Scene::<P>::new(scheme);
    let _foreign = map_foreign(&scene, 9);
    let pfn = scene.pfn(9);
    let (memmap, page) = (&scene.system.memmap, Run::single(pfn));
    // As a fault would that counts first and hasn't looked yet.
    memmap.folio(pfn).get();
    memmap.mapcount_add(page, &site::MAPCOUNT_INC_LOCKED);
    let task = scene.remove(remover, 9..PAGES);
    assert_eq!(told(&task), [PAGES - 9, 1, 1, 1]);
    memmap.mapcount_sub(page, &site::MAPCOUNT_DEC);
    scene.system.put(pfn, &Task::default());
    assert_eq!(scene.audit(), []);
}

fn folio_with_a_foreign_pte_cannot_be_frozen<P: Platform>(scheme: Scheme<P>) {
    for remover in ["reclaim", "migrate"] {
        let scene = Scene::<P>::new(scheme);
        let foreign = map_foreign(&scene, 9);
        let pfn = scene.pfn(9);
        let task = scene.remove(remover, 9..10);
        assert_eq!(told(&task), [0, 0, 0, 1], "{remover}");
        assert_eq!(task.removals.busy, 1, "{remover}");
        assert_eq!(scene.pfn(9), pfn);
        assert_eq!(pte(&foreign, 9).pfn(), Some(pfn));
        assert_eq!(scene.audit(), []);
    }
}

fn foreign_pte_is_counted_at_rest<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::<P>::new(scheme);
    let _foreign = map_foreign(&scene, 9);
    assert_eq!(scene.audit(), []);
    scene.folio(9).mapcount_sub(1, &site::MAPCOUNT_DEC);
    assert_eq!(scene.audit(), [(COUNTS_BALANCE, 9)]);
}

fn foreign_pte_without_its_reference_is_told<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::<P>::new(scheme);
    let _foreign = map_foreign(&scene, 9);
    scene.system.put(scene.pfn(9), &Task::default());
    scene.remove("punch-hole", 9..10);
    assert!(scene.found().contains(&(NO_MAPPED_FREE, 9)));
}
