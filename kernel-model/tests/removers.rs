//! What each remover takes away, moves or leaves alone, and what it tells the schemes that ask for
//! it.

mod scene;

use std::sync::{Arc, OnceLock};

use kernel_model::address_space::AddressSpace;
use kernel_model::folio::{PG_READAHEAD, PG_UPTODATE, Pfn, site};
use kernel_model::mm::{Mm, Vma};
use kernel_model::page_table::Pte;
use kernel_model::platform::{Platform, RwSemaphore};
use kernel_model::removal::{About, Removers};
use kernel_model::{BackingStore, Config, RemovalCounters, System, Task};

use scene::stepped::{Stepped, before, is_pending};
use scene::{
    PAGES, RANGE, SMALL, Scene, Scheme, counts, every_removal, has_gates, mapped,
    on_both_platforms, pages, pte, set_pte, with_page_9_locked,
};

on_both_platforms! {
    crate::scene::every_removal: [
        takes_what_is_unlocked_in_its_range_and_nothing_else,
        frees_what_nobody_maps,
        whoever_freezes_leaves_a_folio_in_use_alone,
        reaches_no_further_than_the_file,
        counts_itself_in_and_out_unless_it_freezes,
    ]
    crate::scene::every_scheme: [
        invalidation_waits_for_a_locked_folio,
        invalidation_unmaps_the_rest_at_the_first_mapped_page,
        invalidation_unmaps_what_was_mapped_while_it_waited,
        migration_copies_each_folio_to_its_new_place,
        migration_leaves_entries_until_the_copy_is_there,
        migration_without_memory_moves_nothing,
        migration_carries_the_flags_over,
        zapped_migration_entry_counts_for_nothing,
    ]
}

/// Whether a remover leaves a folio alone whose lock it can't have at once.
fn skips_locked(remover: &About) -> bool {
    matches!(remover.name, "reclaim" | "migrate" | "shmem-swapout")
}

/// Whether a remover unmaps folio by folio.
fn unmaps_singly(remover: &About) -> bool {
    skips_locked(remover) || remover.name == "memory-failure"
}

/// What a remover leaves of the file, as offsets.
fn left(remover: &About) -> Vec<u64> {
    match remover.name {
        "truncate" => pages(0..5),
        _ => pages((0..5).chain(25..32)),
    }
}

/// Whether a remover zaps its range for the sake of the scheme.
fn zaps_for(scheme: Scheme<impl Platform>, remover: &About) -> bool {
    scheme.must_zap() && !remover.freezes
}

fn takes_what_is_unlocked_in_its_range_and_nothing_else<P: Platform>(
    scheme: Scheme<P>,
    remover: &'static About,
) {
    let scene = Scene::cached(scheme);
    let vmas = [
        scene.map_and_touch(),
        scene.map_and_touch(),
        scene.map(7, 3, 23),
        scene.map(2, 26, 6),
    ];
    vmas.iter().for_each(|vma| scene.touch(vma));
    let frames: Vec<_> = (0..PAGES).map(|at| scene.pfn(at)).collect();
    if skips_locked(remover) {
        scene.folio(9).lock();
    }
    let removals = scene.remove(remover.name, RANGE).removals;
    let mut stays = left(remover);
    let mut stays_mapped = stays.clone();
    if skips_locked(remover) {
        scene.folio(9).unlock();
        stays.insert(5, 9);
        if !zaps_for(scheme, remover) {
            stays_mapped.insert(5, 9);
        }
    }
    let removed = PAGES - stays.len() as u64;
    let unmaps_each = unmaps_singly(remover) && !zaps_for(scheme, remover);
    let migrates = remover.name == "migrate";
    let counters = RemovalCounters {
        removed,
        removed_pages: removed,
        skipped_locked: skips_locked(remover).into(),
        reclaimed: if remover.name == "reclaim" {
            removed
        } else {
            0
        },
        migrated: if migrates { removed } else { 0 },
        unmapped_singly: if unmaps_each { removed } else { 0 },
        ..RemovalCounters::default()
    };
    assert_eq!(removals, counters);
    for &at in &stays {
        assert_eq!(scene.pfn(at), frames[at as usize], "offset {at} has stayed");
    }
    if migrates {
        let moved = (0..PAGES).filter(|at| !stays.contains(at));
        for at in moved.clone() {
            assert_ne!(scene.pfn(at), frames[at as usize]);
        }
        assert_eq!(moved.count() as u64, removed);
        (stays, stays_mapped) = (pages(0..PAGES), pages(0..PAGES));
    }
    assert_eq!(scene.in_cache(), stays);
    assert_eq!(scene.file.nrpages(), stays.len() as u64);
    assert_eq!(scene.frames_used(), stays.len());
    for vma in &vmas {
        let of_it = stays_mapped.iter().copied();
        let of_it = of_it.filter(|at| vma.pgoffs().contains(at));
        assert_eq!(mapped(vma), pages(of_it));
    }
    scene.assert_sound();
}

fn frees_what_nobody_maps<P: Platform>(scheme: Scheme<P>, remover: &'static About) {
    let scene = Scene::cached(scheme);
    let vma = scene.map_whole();
    let removals = scene.remove(remover.name, RANGE).removals;
    let (cached, removed) = match remover.name {
        "migrate" => (pages(0..PAGES), 20),
        _ => (left(remover), PAGES - left(remover).len() as u64),
    };
    assert_eq!((removals.removed, removals.unmapped_singly), (removed, 0));
    assert_eq!(scene.frames_used(), cached.len());
    assert_eq!((scene.in_cache(), mapped(&vma)), (cached, vec![]));
    scene.assert_sound();
}

fn whoever_freezes_leaves_a_folio_in_use_alone<P: Platform>(
    scheme: Scheme<P>,
    remover: &'static About,
) {
    let scene = Scene::cached(scheme);
    let vmas = [scene.map_and_touch(), scene.map_and_touch()];
    let task = Task::default();
    let (pfn, folio) = scene.system.get_folio(&scene.file, 9, &task).unwrap();
    let removals = scene.remove(remover.name, 9..10).removals;
    assert_eq!(removals.busy, u64::from(remover.freezes));
    assert_eq!(removals.removed == 0, remover.freezes);
    assert_eq!(scene.in_cache().contains(&9), remover.freezes);
    // Migration has made PTEs of its entries again, of the old folio.
    let mappings = if remover.name == "migrate" { 2 } else { 0 };
    let references = 1 + u32::from(remover.freezes) + mappings;
    assert_eq!(counts(folio), (mappings, references));
    let is_mapped = vmas.each_ref().map(|vma| pte(vma, 9).pfn() == Some(pfn));
    assert_eq!(is_mapped, [mappings == 2; 2]);
    if remover.freezes {
        assert_eq!((scene.pfn(9), scene.frames_used()), (pfn, 32));
    } else {
        assert_eq!(folio.mapping(&site::STABLE_READ), 0);
    }
    assert_eq!(scene.reads.copies.lock().unwrap().len(), 0);
    scene.system.put(pfn, &task);
    assert_eq!(scene.frames_used(), scene.in_cache().len());
    // Once it is held by none, it goes.
    let again = scene.remove(remover.name, 9..10).removals;
    assert_eq!((again.busy, again.removed == 1), (0, remover.freezes));
    scene.assert_sound();
}

fn reaches_no_further_than_the_file<P: Platform>(scheme: Scheme<P>, remover: &'static About) {
    let scene = Scene::cached(scheme);
    let vma = scene.map_and_touch();
    assert_eq!(
        scene.remove(remover.name, 20..PAGES + 100).removals.removed,
        12
    );
    let left = if remover.name == "migrate" { PAGES } else { 20 };
    assert_eq!(
        (scene.in_cache(), mapped(&vma)),
        (pages(0..left), pages(0..left))
    );
    let size = if remover.name == "truncate" {
        20
    } else {
        PAGES
    };
    assert_eq!(scene.file.i_size_pages(), size);
    let nothing = scene.remove(remover.name, PAGES..PAGES).removals;
    assert_eq!(nothing, RemovalCounters::default());
    scene.assert_sound();
}

fn counts_itself_in_and_out_unless_it_freezes<P: Platform>(
    scheme: Scheme<P>,
    remover: &'static About,
) {
    let scene = Scene::gated(scheme, SMALL);
    scene.populate(0..PAGES);
    scene.remove(remover.name, 9..20);
    // Neither at the end of the file nor where there is nothing is anybody told anything.
    scene.remove(remover.name, PAGES..PAGES);
    let owes = has_gates(scheme) && !remover.freezes;
    for gate in 0..4 {
        let reached = (1..3).contains(&gate) || gate == 3 && remover.name == "truncate";
        let been = u64::from(owes && reached);
        assert_eq!(scene.gate(gate), (0, been), "gate {gate}");
    }
}

/// A fault while page 25 is being removed, behind gates for 8 pages each: whether it found one
/// closed, and what it mapped.
fn fault_during(
    scheme: Scheme<Stepped>,
    remover: &About,
    start_vpn: u64,
    pgoff: u64,
) -> (bool, Vec<u64>) {
    let scene = Arc::new(Scene::gated(scheme, SMALL));
    scene.populate(0..PAGES);
    // The controls would map even what is leaving, which is another test's business.
    scene.folio(25).set_flags(PG_READAHEAD);
    let vma = scene.map(start_vpn, 0, PAGES);
    let closed = Arc::new(OnceLock::new());
    let (its_scene, its_vma, its_closed) = (Arc::clone(&scene), Arc::clone(&vma), closed.clone());
    before("slot_store", move || {
        let mut task = Task::default();
        let mapped_it = its_scene.system.do_fault_around(&its_vma, pgoff, &mut task);
        let is_closed = task.faults.gate_closed == 1;
        assert_eq!(mapped_it, !is_closed);
        its_closed.set(is_closed).expect("there is one fault");
    });
    scene.remove(remover.name, 25..26);
    assert!(!is_pending(), "the removal comes by");
    let closed = *closed.get().expect("there was a fault");
    let during = mapped(&vma);
    // What was closed is open again.
    let mut task = Task::default();
    scene.system.do_fault_around(&vma, pgoff, &mut task);
    assert_eq!(task.faults.gate_closed, 0);
    assert!(!closed || task.faults.mapped > 0);
    scene.assert_sound();
    (closed, during)
}

#[test]
fn faults_are_refused_where_a_remover_is_that_does_not_freeze() {
    every_removal::<Stepped>(|scheme, remover| {
        if scheme.about().name == "page-locked-xfs" && remover.zaps_range {
            // The fault would wait for the lock that the removal holds.
            return;
        }
        let is_truncate = remover.name == "truncate";
        // The whole file has one lock.
        let holds_lock = remover.zaps_range && scheme.about().name == "invalidate-only";
        let owes = has_gates(scheme) && !remover.freezes;
        let window = |range: std::ops::Range<u64>| {
            let gone = |at: &u64| *at == 25 || *at > 25 && is_truncate;
            pages(range.filter(|at| !gone(at)))
        };
        // Windows in and beside the gate of 24..32, and such as lie behind two gates.
        for (start_vpn, pgoff, range, reached) in [
            (0, 24, 24..32, true),
            (0, 12, 8..16, false),
            (4, 24, 20..28, true),
            (4, 14, 12..20, false),
        ] {
            let closed = holds_lock || owes && reached;
            let expected = if closed {
                vec![]
            } else {
                window(range.clone())
            };
            let got = fault_during(scheme, remover, start_vpn, pgoff);
            assert_eq!(got, (closed, expected), "of window {range:?}");
        }
    });
}

fn invalidation_waits_for_a_locked_folio<P: Platform>(scheme: Scheme<P>) {
    with_page_9_locked(
        scheme,
        "invalidate",
        |scene, _| assert_eq!(scene.in_cache(), pages((0..5).chain(9..32))),
        |scene, folio, removals| {
            assert_eq!(scene.in_cache(), pages((0..5).chain(25..32)));
            assert_eq!((removals.removed, removals.skipped_locked), (20, 0));
            assert!(!folio.is_locked(&site::FLAGS_READ));
            scene.assert_sound();
        },
    );
}

fn invalidation_unmaps_the_rest_at_the_first_mapped_page<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    let vma = scene.map_whole();
    for pgoff in [4, 6, 8, 20, 25] {
        scene.map_by_hand(&vma, pgoff, scene.pfn(pgoff));
    }
    let removals = scene.remove("invalidate", RANGE).removals;
    assert_eq!(mapped(&vma), [4, 25]);
    assert_eq!((removals.removed, removals.unmapped_singly), (20, 0));
    scene.assert_sound();
}

fn invalidation_unmaps_what_was_mapped_while_it_waited<P: Platform>(scheme: Scheme<P>) {
    with_page_9_locked(
        scheme,
        "invalidate",
        |scene, _| {
            // As a fault would that had locked the page before the remover came.
            let vma = scene.map_whole();
            scene.map_by_hand(&vma, 9, scene.pfn(9));
        },
        |scene, folio, removals| {
            assert_eq!((removals.unmapped_singly, removals.removed), (1, 20));
            assert_eq!(counts(folio), (0, 0));
            assert_eq!(mapped(&scene.file.i_mmap.read()[0]), []);
            scene.assert_sound();
        },
    );
}

fn migration_copies_each_folio_to_its_new_place<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    let (all, some) = (scene.map_and_touch(), scene.map_whole());
    scene.map_by_hand(&some, 10, scene.pfn(10));
    let old: Vec<_> = (9..12).map(|at| scene.pfn(at)).collect();
    scene.remove("migrate", 9..12);
    let new = (9..12).map(|at| scene.pfn(at));
    let copies: Vec<_> = old
        .iter()
        .zip(new)
        .map(|(&old, new)| (old, new, 1))
        .collect();
    assert_eq!(*scene.reads.copies.lock().unwrap(), copies);
    assert_eq!(mapped(&all), pages(0..PAGES));
    assert_eq!(mapped(&some), [10], "who had no PTE has none");
    let all_counts = [9, 10, 11].map(|at| scene.counts(at));
    assert_eq!(all_counts, [(1, 2), (2, 3), (1, 2)]);
    for pfn in old {
        let folio = scene.system.memmap.folio(pfn);
        // One of them may be the next one's new place by now.
        if folio.mapping(&site::STABLE_READ) == 0 {
            assert_eq!(counts(folio), (0, 0));
        }
    }
    scene.assert_sound();
}

/// Looks while it copies whether the PTEs are migration entries, and the slot the new folio's.
struct Between<P: Platform>(Arc<AddressSpace<P>>, Arc<OnceLock<()>>);

impl<P: Platform> BackingStore for Between<P> {
    fn read(&self, _pages: &[(u64, Pfn)]) {}

    fn copy(&self, from: Pfn, to: Pfn, pages: u32) {
        assert_eq!((self.0.slot(9).load(), pages), (Some(to), 1));
        for vma in self.0.i_mmap.read().iter() {
            let pte = pte(vma, 9);
            assert_eq!((pte.pfn(), pte.migrating()), (None, Some(from)));
        }
        self.1.set(()).expect("one folio is copied once");
    }
}

fn migration_leaves_entries_until_the_copy_is_there<P: Platform>(scheme: Scheme<P>) {
    let file = Arc::new(AddressSpace::new(7, PAGES));
    let copied = Arc::new(OnceLock::new());
    let store = Box::new(Between(Arc::clone(&file), Arc::clone(&copied)));
    let system = System::<P>::new(SMALL, scheme, store);
    let mut task = Task::default();
    assert!(system.populate(&file, 8..11, &mut task));
    let vmas = [(); 2].map(|()| Vma::map(Mm::new(PAGES, 16), Arc::clone(&file), 0, 0, PAGES));
    for vma in &vmas {
        system.do_fault_around(vma, 9, &mut task);
    }
    let migrate = Removers::named("migrate").unwrap();
    migrate.remove(&system, &file, 9..10, &mut task);
    assert_eq!(copied.get(), Some(&()));
    for vma in &vmas {
        assert_eq!(pte(vma, 9).pfn(), file.slot(9).load());
    }
    system.audit_at_rest(&file);
    assert_eq!(system.violations.kept(), []);
}

fn migration_without_memory_moves_nothing<P: Platform>(scheme: Scheme<P>) {
    let config = Config {
        folios: 32,
        ..SMALL
    };
    let scene = Scene::sized(scheme, config, PAGES);
    scene.populate(0..PAGES);
    let vma = scene.map_and_touch();
    let frames: Vec<_> = (0..PAGES).map(|at| scene.pfn(at)).collect();
    let counters = RemovalCounters {
        busy: 20,
        ..RemovalCounters::default()
    };
    assert_eq!(scene.remove("migrate", RANGE).removals, counters);
    let now: Vec<_> = (0..PAGES).map(|at| scene.pfn(at)).collect();
    assert_eq!((now, mapped(&vma)), (frames, pages(0..PAGES)));
    scene.assert_sound();
}

fn migration_carries_the_flags_over<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::new(scheme);
    let pfn = scene.insert_unread(9);
    scene.folio(9).unlock();
    let migrated = |flags| {
        assert_eq!(scene.remove("migrate", 9..10).removals.migrated, 1);
        let now = scene.folio(9).flags(&site::FLAGS_READ);
        assert_eq!(now & (PG_UPTODATE | PG_READAHEAD), flags);
        let vma = scene.map_whole();
        assert_eq!(scene.around(&vma, 9), flags == PG_UPTODATE);
        scene.system.unmap(&vma, &mut Task::default());
    };
    migrated(0);
    assert_ne!(scene.pfn(9), pfn);
    scene.folio(9).set_uptodate();
    migrated(PG_UPTODATE);
    scene.folio(9).set_flags(PG_READAHEAD);
    migrated(PG_UPTODATE | PG_READAHEAD);
    scene.assert_sound();
}

fn zapped_migration_entry_counts_for_nothing<P: Platform>(scheme: Scheme<P>) {
    let scene = Scene::cached(scheme);
    let vma = scene.map_whole();
    assert!(scene.around(&vma, 8));
    // As migration does: the entry's reference and mapcount are gone.
    let (pfn, folio) = (scene.pfn(9), scene.folio(9));
    scene.system.zap_range(&vma, 9..10, &mut Task::default());
    set_pte(&vma, 9, Pte::migration(pfn));
    assert!(!scene.around(&vma, 9), "no fault maps over it");
    assert_eq!(counts(folio), (0, 1));
    let zapped = scene.system.zap_range(&vma, 8..11, &mut Task::default());
    assert_eq!((zapped, counts(folio)), (2, (0, 1)));
    assert_eq!(mapped(&vma), pages(11..16));
    scene.assert_sound();
}
