//! lockdep under the checkers: what is taken under what, over all executions of an exploration.

mod explored;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use checking::{Bound, Cell, Extent, explore};
use explored::{Checker, Cpu, cpu, ends_well, under_both};
use kernel_model::Orders;
use kernel_model::folio::{Counting, Pfn};
use kernel_model::page_allocator::MemMap;
use kernel_model::platform::checked::{self, Mutation, lock_order};
use kernel_model::platform::{AtomicWord, Holds, Platform, RwSemaphore, Site, SpinLock};
use machine_facts::cancel::Cancel;

static PUT: Site = Site::store("put", Relaxed, "WRITE_ONCE()", "look");
static LOOK: Site = Site::load("look", Relaxed, "READ_ONCE()", "put");

under_both![
    two_orders_are_a_cycle_though_no_execution_has_both,
    a_class_is_not_taken_under_itself,
    a_circle_of_three_has_three_steps,
    a_trylock_waits_for_nothing,
    what_was_let_go_is_not_held,
    a_folios_lock_has_a_place_in_the_order,
];

/// Locks of three classes, and two of another.
struct Locks<P: Platform> {
    a: P::SpinLock<()>,
    b: P::SpinLock<()>,
    c: P::RwSemaphore<()>,
    inodes: [P::RwSemaphore<()>; 2],
    folios: MemMap<P>,
    word: P::AtomicU64,
}

/// What lockdep says of CPUs that do these, each with the locks.
fn found<P: Checker>(cpus: &'static [fn(&Locks<P>)]) -> Option<String> {
    checked::begin_exploration();
    ends_well::<P>(|| {
        let locks = Arc::new(Locks::<P> {
            a: SpinLock::new("a", ()),
            b: SpinLock::new("b", ()),
            c: RwSemaphore::new("c", ()),
            inodes: [(); 2].map(|()| RwSemaphore::new("i_rwsem", ())),
            folios: MemMap::new(2, 1, Orders::All(0), Counting::Apart),
            word: P::AtomicU64::new(Holds::Contents, 0),
        });
        let cpu = |does: &'static fn(&Locks<P>)| -> Cpu {
            let locks = Arc::clone(&locks);
            cpu(move || does(&locks))
        };
        cpus.iter().map(cpu).collect()
    });
    lock_order().map(|cycle| cycle.to_string())
}

fn two_orders_are_a_cycle_though_no_execution_has_both<P: Checker>() {
    let found = found::<P>(&[
        |it| it.word.store(1, &PUT),
        |it| match it.word.load(&LOOK) {
            0 => {
                let _c = it.c.read();
                let _a = it.a.lock();
                drop(it.b.lock());
            }
            _ => {
                let _b = it.b.lock();
                drop(it.a.lock());
            }
        },
    ]);
    let found = found.unwrap_or_default();
    let mut lines: Vec<_> = found.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "CPU 1 takes a while it holds b",
            "CPU 1 takes b while it holds c, a"
        ]
    );
}

fn a_class_is_not_taken_under_itself<P: Checker>() {
    let plain = found::<P>(&[|it| {
        let _first = it.inodes[0].write();
        drop(it.inodes[1].write());
    }]);
    assert_eq!(
        plain.as_deref(),
        Some("CPU 0 takes i_rwsem while it holds i_rwsem")
    );
    let nested = found::<P>(&[|it| {
        let _first = it.inodes[0].write();
        drop(it.inodes[1].write_nested(1));
    }]);
    assert_eq!(nested, None);
    let twice = found::<P>(&[|it| {
        let _first = it.inodes[0].write_nested(1);
        drop(it.inodes[1].write_nested(1));
    }]);
    assert_eq!(
        twice.as_deref(),
        Some("CPU 0 takes i_rwsem/1 while it holds i_rwsem/1")
    );
}

fn a_circle_of_three_has_three_steps<P: Checker>() {
    let found = found::<P>(&[|it| {
        let a = it.a.lock();
        drop(it.b.lock());
        drop(a);
        let b = it.b.lock();
        drop(it.c.write());
        drop(b);
        let _c = it.c.read();
        drop(it.a.lock());
    }]);
    assert_eq!(
        found.as_deref(),
        Some(
            "CPU 0 takes a while it holds c\n\
             CPU 0 takes b while it holds a\n\
             CPU 0 takes c while it holds b"
        )
    );
}

fn a_trylock_waits_for_nothing<P: Checker>() {
    let tries = found::<P>(&[|it| {
        let a = it.a.lock();
        drop(it.b.try_lock());
        drop(it.c.try_read());
        drop(it.c.try_write());
        drop(a);
        let b = it.b.lock();
        drop(it.a.lock());
        drop(b);
        let _c = it.c.read();
        drop(it.a.lock());
    }]);
    assert_eq!(tries, None);
    // But others wait under it.
    let waits = found::<P>(&[|it| {
        let a = it.a.lock();
        drop(it.b.lock());
        drop(a);
        let _b = it.b.try_lock();
        drop(it.a.lock());
    }]);
    assert!(waits.is_some());
}

fn what_was_let_go_is_not_held<P: Checker>() {
    let found = found::<P>(&[
        |it| {
            let a = it.a.lock();
            drop(it.b.lock());
            drop(a);
            drop(it.b.lock());
            drop(it.a.lock());
        },
        // Nor is what another CPU holds.
        |it| {
            let _c = it.c.write();
            drop(it.a.lock());
        },
        |it| {
            let _a = it.a.lock();
        },
    ]);
    assert_eq!(found, None);
}

/// And one is taken under another: in which order is not lockdep's to know.
fn a_folios_lock_has_a_place_in_the_order<P: Checker>() {
    let found = found::<P>(&[|it| {
        let folio = |number| it.folios.folio(Pfn(number));
        folio(0).lock();
        folio(1).lock();
        folio(1).unlock();
        drop(it.a.lock());
        folio(0).unlock();
        assert!(folio(0).try_lock());
        drop(it.b.lock());
        folio(0).unlock();
        let _b = it.b.lock();
        assert!(folio(0).try_lock());
        folio(0).unlock();
        let _a = it.a.lock();
        folio(0).lock();
    }]);
    let says = "CPU 0 takes folio_lock while it holds b, a\n\
                CPU 0 takes b while it holds folio_lock";
    assert_eq!(found.as_deref(), Some(says));
}

#[test]
fn a_line_has_75_columns_at_most() {
    let class = |name| checked::Class { name, subclass: 2 };
    let taken = checked::Taken {
        cpu: Some(0),
        held: vec![class("a_semaphore_with_a_name"); 5],
        takes: class("another"),
    };
    let text = taken.to_string();
    assert!(text.lines().all(|line| line.len() <= 75), "{text}");
    let words = text.split_whitespace();
    assert_eq!(words.filter(|it| it.starts_with("a_")).count(), 5);
}

/// The order of the kernel's locks, in each scenario under each scheme.
#[test]
fn the_model_takes_its_locks_in_an_order() {
    let extent = Extent {
        bound: Some(Bound::Preemptions(0)),
        schedules: Some(4),
        ..Extent::default()
    };
    for cell in Cell::all() {
        explore(cell, &Mutation::NONE, &extent, &Cancel::default());
        let (scheme, scenario) = (cell.scheme.name, cell.scenario.name);
        if let Some(cycle) = lock_order() {
            panic!("{scheme} in {scenario}:\n{cycle}");
        }
    }
}
