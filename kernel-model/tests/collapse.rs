//! What khugepaged makes of small folios, and of the PTE tables over them.

mod scene;

use std::ops::Range;

use kernel_model::folio::site;
use kernel_model::platform::Platform;
use kernel_model::{Config, Orders, RemovalCounters, Task};

use scene::large::sizes;
use scene::{PAGES, SMALL, Scene, Scheme, counts, has_gates, mapped, on_both_platforms, pages};

on_both_platforms! {
    crate::scene::every_scheme: [
        small_folios_become_large_ones_and_their_tables_go,
        what_somebody_holds_or_has_written_stays_as_it_was,
        gates_are_entered_though_one_of_them_freezes,
    ]
}

const KINDS: [&str; 2] = ["collapse", "collapse-counted"];

/// Folios of one page, where memory has room for folios of four, which is what a PTE table maps.
fn small_ones<P: Platform>(scheme: Scheme<P>, range: Range<u64>) -> Scene<P> {
    let config = Config {
        folios: 96,
        entries_per_table: 4,
        orders: Orders::All(2),
        ..SMALL
    };
    let scene = Scene::sized(scheme, config, PAGES);
    for at in range {
        scene.populate(at..at + 1);
    }
    scene
}

fn small_folios_become_large_ones_and_their_tables_go<P: Platform>(scheme: Scheme<P>) {
    for kind in KINDS {
        let scene = small_ones(scheme, 0..PAGES);
        let vma = scene.map_and_touch();
        // Mapped so that each table reaches beyond a folio: those stay.
        let shifted = scene.map(2, 0, PAGES);
        scene.touch(&shifted);
        let old: Vec<_> = (4..8).map(|at| scene.pfn(at)).collect();
        let counted = scene.remove(kind, 3..13).removals;
        assert_eq!((counted.collapsed, counted.removed), (2, 8), "{kind}");
        assert_eq!(
            sizes(&scene),
            [vec![1; 4], vec![4; 2], vec![1; 20]].concat()
        );
        let new = (4..8).map(|at| scene.frame(at));
        let copies = old.into_iter().zip(new).map(|(old, new)| (old, new, 1));
        assert_eq!(
            scene.reads.copies.lock().unwrap()[..4],
            copies.collect::<Vec<_>>()
        );
        // A zap for the sake of the scheme is of whole folios.
        let zapped = if scheme.must_zap() { 0..16 } else { 4..12 };
        assert_eq!(
            mapped(&vma),
            pages((0..32).filter(|at| !zapped.contains(at)))
        );
        let tables =
            |vma: &kernel_model::mm::Vma<P>, at| vma.mm.page_table.has_table(vma.vpn_of(at));
        assert_eq!(
            [0, 4, 11, 12].map(|at| tables(&vma, at)),
            [true, false, false, true]
        );
        assert_eq!([2, 6, 10].map(|at| tables(&shifted, at)), [true; 3]);
        assert_eq!((scene.file.nrpages(), scene.frames_used()), (32, 32));
        scene.touch(&vma);
        assert_eq!((mapped(&vma), scene.counts(4)), (pages(0..32), (4, 8)));
        scene.assert_sound();
    }
}

fn what_somebody_holds_or_has_written_stays_as_it_was<P: Platform>(scheme: Scheme<P>) {
    for kind in KINDS {
        let scene = small_ones(scheme, 0..PAGES - 1);
        let frames: Vec<_> = (0..PAGES - 1).map(|at| scene.pfn(at)).collect();
        let task = Task::default();
        let (held, folio) = scene.system.get_folio(&scene.file, 6, &task).unwrap();
        assert!(scene.system.write(&scene.file, 10, &task));
        scene.folio(14).lock();
        // The last one lacks a page.
        let ranges = [(4..8, 1, 0), (8..12, 0, 0), (12..16, 0, 1), (28..32, 0, 0)];
        for (range, busy, skipped_locked) in ranges {
            let counters = RemovalCounters {
                busy,
                skipped_locked,
                ..RemovalCounters::default()
            };
            assert_eq!(
                scene.remove(kind, range.clone()).removals,
                counters,
                "{kind} {range:?}"
            );
        }
        scene.folio(14).unlock();
        let now: Vec<_> = (0..PAGES - 1).map(|at| scene.pfn(at)).collect();
        assert_eq!((now, counts(folio)), (frames, (0, 2)));
        assert_eq!(folio.mapping(&site::STABLE_READ), scene.file.id());
        scene.system.put(held, &task);
        scene.assert_sound();
        assert_eq!(scene.remove(kind, 4..8).removals.collapsed, 1);
        scene.assert_sound();
    }
}

fn gates_are_entered_though_one_of_them_freezes<P: Platform>(scheme: Scheme<P>) {
    for kind in KINDS {
        let scene = Scene::gated(scheme, SMALL);
        scene.populate(0..PAGES);
        scene.remove(kind, 9..12);
        let been = u64::from(has_gates(scheme));
        assert_eq!(
            [scene.gate(0), scene.gate(1)],
            [(0, 0), (0, been)],
            "{kind}"
        );
    }
}
