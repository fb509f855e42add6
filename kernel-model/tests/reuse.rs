//! Frames that are freed and come back as something else, and those who still look at them.

mod scene;

use std::thread;

use kernel_model::address_space::SlotTaken;
use kernel_model::fault_around::Schemes;
use kernel_model::folio::{Counting, PG_HWPOISON, Pfn, site};
use kernel_model::page_allocator::MemMap;
use kernel_model::platform::Platform;
use kernel_model::race::Violations;
use kernel_model::{Config, Orders, Task};

use scene::{Dice, SMALL, Scene, counts, jitter, on_both_platforms};

on_both_platforms! {
    crate::scene::once: [
        freed_frame_comes_back_in_a_new_incarnation,
        new_incarnation_starts_clean,
        every_frame_is_handed_out_once,
        frames_go_back_to_the_list_of_the_cpu,
        frame_is_freed_with_its_last_reference,
        free_folio_gives_no_reference,
        stale_slot_leads_to_no_reference,
        slot_reload_tells_a_reused_folio,
        get_folio_takes_a_reference,
        get_folio_finds_nothing_in_an_empty_slot,
        taken_slot_stays_as_it_is,
        referenced_folio_stays_where_it_was_found,
    ]
}

/// Drops a reference on a memory map that has no machine around it.
fn put<P: Platform>(memmap: &MemMap<P>, pfn: Pfn, cpu: u32) {
    memmap.put(pfn, cpu, &Violations::default());
}

/// A scene under any scheme: none of it matters here.
fn any_scene<P: Platform>() -> Scene<P> {
    Scene::cached(Schemes::<P>::ALL[0])
}

fn freed_frame_comes_back_in_a_new_incarnation<P: Platform>() {
    let memmap = MemMap::<P>::new(3, 1, Orders::All(0), Counting::Apart);
    let first = memmap.alloc(0, 0).unwrap();
    let incarnation = memmap.folio(first).incarnation();
    put(&memmap, first, 0);
    let again = memmap.alloc(0, 0).unwrap();
    assert_eq!(again, first, "the last one freed is the first to be used");
    assert_eq!(memmap.folio(again).incarnation(), incarnation + 1);
}

fn new_incarnation_starts_clean<P: Platform>() {
    let scene = any_scene::<P>();
    let pfn = scene.pfn(9);
    let folio = scene.folio(9);
    folio.set_flags(PG_HWPOISON);
    scene.remove("punch-hole", 9..10);
    assert_eq!(scene.system.memmap.alloc(0, 0), Some(pfn));
    assert_eq!(folio.flags(&site::FLAGS_READ), 0);
    assert_eq!(folio.mapping(&site::STABLE_READ), 0);
    assert_eq!(counts(folio), (0, 1));
}

fn every_frame_is_handed_out_once<P: Platform>() {
    let memmap = MemMap::<P>::new(10, 3, Orders::All(0), Counting::Apart);
    let mut frames: Vec<_> = (0..10).map(|_| memmap.alloc(1, 0).unwrap()).collect();
    assert_eq!((memmap.alloc(1, 0), memmap.free_frames()), (None, 0));
    frames.sort();
    assert_eq!(frames, (0..10).map(Pfn).collect::<Vec<_>>());
}

fn frames_go_back_to_the_list_of_the_cpu<P: Platform>() {
    let memmap = MemMap::<P>::new(8, 2, Orders::All(0), Counting::Apart);
    let pfn = memmap.alloc(0, 0).unwrap();
    put(&memmap, pfn, 1);
    assert_ne!(memmap.alloc(0, 0), Some(pfn));
    assert_eq!(memmap.alloc(1, 0), Some(pfn));
}

fn frame_is_freed_with_its_last_reference<P: Platform>() {
    let memmap = MemMap::<P>::new(2, 1, Orders::All(0), Counting::Apart);
    let pfn = memmap.alloc(0, 0).unwrap();
    assert!(memmap.folio(pfn).try_get());
    assert_eq!(counts(memmap.folio(pfn)), (0, 2));
    put(&memmap, pfn, 0);
    assert_eq!(memmap.free_frames(), 1);
    put(&memmap, pfn, 0);
    assert_eq!(memmap.free_frames(), 2);
}

fn free_folio_gives_no_reference<P: Platform>() {
    let memmap = MemMap::<P>::new(1, 1, Orders::All(0), Counting::Apart);
    assert!(!memmap.folio(Pfn(0)).try_get(), "never used");
    let pfn = memmap.alloc(0, 0).unwrap();
    put(&memmap, pfn, 0);
    assert!(!memmap.folio(pfn).try_get(), "free again");
    assert_eq!(counts(memmap.folio(pfn)), (0, 0));
}

fn stale_slot_leads_to_no_reference<P: Platform>() {
    let scene = any_scene::<P>();
    let stale = scene.file.slot(9).load().unwrap();
    scene.remove("punch-hole", 9..10);
    assert!(!scene.system.memmap.folio(stale).try_get());
    assert_eq!(scene.file.slot(9).reload(), None);
    scene.assert_sound();
}

fn slot_reload_tells_a_reused_folio<P: Platform>() {
    let scene = any_scene::<P>();
    let stale = scene.file.slot(9).load().unwrap();
    scene.remove("punch-hole", 9..21);
    // The frame is back, at another offset.
    scene.populate(20..21);
    scene.populate(9..20);
    let folio = scene.system.memmap.folio(stale);
    assert!(folio.try_get());
    let now = folio.index(&site::STABLE_READ);
    assert_ne!(now, 9);
    assert_ne!(scene.file.slot(9).reload(), Some(stale));
    assert_eq!(scene.file.slot(now).reload(), Some(stale));
    scene.system.put(stale, &Task::default());
    scene.assert_sound();
}

fn get_folio_takes_a_reference<P: Platform>() {
    let scene = any_scene::<P>();
    let task = Task::default();
    let (pfn, folio) = scene.system.get_folio(&scene.file, 9, &task).unwrap();
    assert_eq!((pfn, counts(folio)), (scene.pfn(9), (0, 2)));
    assert!(std::ptr::eq(folio, scene.folio(9)));
    scene.system.put(pfn, &task);
    scene.assert_sound();
}

fn get_folio_finds_nothing_in_an_empty_slot<P: Platform>() {
    let scene = any_scene::<P>();
    scene.remove("punch-hole", 9..10);
    let nothing = scene.system.get_folio(&scene.file, 9, &Task::default());
    assert!(nothing.is_none());
    scene.assert_sound();
}

fn taken_slot_stays_as_it_is<P: Platform>() {
    let scene = any_scene::<P>();
    let (there, cached) = (scene.pfn(9), scene.file.nrpages());
    let pfn = scene.system.memmap.alloc(0, 0).unwrap();
    let folio = scene.system.memmap.folio(pfn);
    folio.lock();
    assert_eq!(scene.file.add_folio(folio, pfn, 9, 1), Err(SlotTaken));
    folio.unlock();
    assert_eq!((scene.pfn(9), scene.file.nrpages()), (there, cached));
    assert_eq!(counts(folio), (0, 1));
    scene.system.put(pfn, &Task::default());
    scene.assert_sound();
}

/// Looks a folio up and checks that it is what was looked for, if there is one.
fn look_up<P: Platform>(scene: &Scene<P>, index: u64) -> bool {
    let task = Task::default();
    let Some((pfn, folio)) = scene.system.get_folio(&scene.file, index, &task) else {
        return false;
    };
    // It may have left the file, but with the reference it can't be anywhere else.
    let mapping = folio.mapping(&site::STABLE_READ);
    assert!(mapping == 0 || mapping == scene.file.id());
    assert_eq!(folio.index(&site::STABLE_READ), index);
    scene.system.put(pfn, &task);
    true
}

/// Removes and reads pages, so that the few frames there are go round.
fn churn<P: Platform>(scene: &Scene<P>, dice: &mut Dice) {
    let mut task = Task::default();
    let index = dice.below(scene.file.max_pages());
    scene.remove("punch-hole", index..index + 1);
    let index = dice.below(scene.file.max_pages());
    // There may be no memory for it.
    scene
        .system
        .populate(&scene.file, index..index + 1, &mut task);
}

fn referenced_folio_stays_where_it_was_found<P: Platform>() {
    let config = Config { folios: 4, ..SMALL };
    let scene = Scene::<P>::sized(Schemes::<P>::ALL[0], config, 8);
    thread::scope(|scope| {
        let lookers = [1, 2].map(|seed| {
            let scene = &scene;
            scope.spawn(move || {
                jitter(seed);
                let mut dice = Dice(seed);
                let mut found = 0;
                while found < 10_000 {
                    found += u64::from(look_up(scene, dice.below(8)));
                }
            })
        });
        let mut dice = Dice(3);
        while !lookers.iter().all(|looker| looker.is_finished()) {
            churn(&scene, &mut dice);
        }
        for looker in lookers {
            looker.join().expect("what it found was right");
        }
    });
    scene.assert_sound();
}
