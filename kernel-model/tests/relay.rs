//! Threads in turns: a turn is as long as it was told, and who waits for ever is found out at once.

mod scene;

use std::sync::Arc;
use std::thread;

use kernel_model::Orders;
use kernel_model::folio::{Counting, PG_LOCKED, PG_WAITERS, Pfn, site};
use kernel_model::page_allocator::MemMap;
use kernel_model::platform::{Jittered, Leg, Native, Platform, Relay, SpinLock, Why};

use scene::ends;

type P = Jittered<Native>;
type Lock<T = u32> = <P as Platform>::SpinLock<T>;

/// Runs two threads in these turns, the first thread's first; returns the legs, as `A3 class` with
/// what stood next, and whether none could go on.
fn relay(
    turns: &[u32],
    a: impl FnOnce() + Send,
    b: impl FnOnce() + Send,
) -> (Vec<(usize, u32, &'static str, Why)>, bool) {
    let relay = Arc::new(Relay::default());
    relay.start(0, turns);
    thread::scope(|scope| {
        let others = Arc::clone(&relay);
        scope.spawn(move || others.run(1, b).map(|_| ()).expect("no panic"));
        relay.run(0, a).map(|_| ()).expect("no panic");
    });
    let (legs, is_stuck) = relay.ran();
    let leg = |leg: Leg| (leg.runner, leg.made, leg.before, leg.why);
    (legs.into_iter().map(leg).collect(), is_stuck)
}

#[test]
fn a_turn_is_over_where_it_should_be_and_a_held_lock_gives_it_away() {
    ends(|| {
        let (x, y) = (Lock::new("x", 0), Lock::new("y", 0));
        let (legs, is_stuck) = relay(
            &[1],
            || {
                let _x = x.lock();
                *y.lock() += 1;
            },
            || *x.lock() += 1,
        );
        let expected = [
            (0, 1, "y", Why::Planned),
            (1, 1, "x", Why::Blocked),
            (0, 2, "", Why::Ended),
            (1, 1, "", Why::Ended),
        ];
        assert_eq!((&legs[..], is_stuck), (&expected[..], false));
    });
}

#[test]
fn threads_that_wait_for_each_other_are_stuck() {
    ends(|| {
        let (x, y) = (Lock::new("x", 0), Lock::new("y", 0));
        let both = |first: &Lock, second: &Lock| {
            let _first = first.lock();
            drop(second.lock());
        };
        assert!(!relay(&[2], || both(&x, &y), || both(&y, &x)).1);
        assert!(relay(&[1], || both(&x, &y), || both(&y, &x)).1);
        // They have let go what they held.
        assert!(x.try_lock().is_some() && y.try_lock().is_some());
    });
}

#[test]
fn a_sleeper_that_is_never_woken_is_stuck() {
    ends(|| {
        for is_woken in [true, false] {
            let memmap = MemMap::<P>::new(1, 1, Orders::All(0), Counting::Apart);
            let folio = memmap.folio(Pfn(0));
            folio.lock();
            let (legs, is_stuck) = relay(
                &[],
                || {
                    folio.lock();
                    folio.unlock();
                },
                || match is_woken {
                    true => folio.unlock(),
                    false => P::wake_one(0, || ()), // somebody else's wait queue
                },
            );
            assert_eq!(is_stuck, !is_woken, "{legs:?}");
            assert_eq!(legs[0].3, Why::Sleeps);
            // It comes out of its sleep without another look at what it slept for.
            let went_on = legs[legs.len() - 1].1 > legs[0].1;
            assert_eq!(went_on, is_woken, "{legs:?}");
            let left = folio.flags(&site::FLAGS_READ) & (PG_LOCKED | PG_WAITERS);
            assert_eq!(left == 0, is_woken);
        }
    });
}

#[test]
fn a_thread_that_never_ends_gives_up_and_the_other_comes_to_its_end() {
    ends(|| {
        let (x, y) = (Lock::new("x", 0), Lock::new("y", 0));
        let forever = |lock: &Lock| {
            loop {
                drop(lock.lock());
            }
        };
        let (legs, is_stuck) = relay(&[2], || forever(&x), || *y.lock() += 1);
        assert!(is_stuck);
        assert_eq!(legs[0], (0, 2, "x", Why::Planned));
        assert_eq!((legs[1].0, legs[1].3), (1, Why::Ended));
        assert!(*y.lock() == 1 && x.try_lock().is_some());
    });
}

#[test]
fn turns_alternate_and_the_last_ones_have_no_end() {
    ends(|| {
        let lock = Lock::new("x", Vec::new());
        let locked = |who: usize| (0..4).for_each(|_| lock.lock().push(who));
        let lock_of = |turns: &[u32]| {
            let legs = relay(turns, || locked(0), || locked(1)).0;
            (legs.len(), std::mem::take(&mut *lock.lock()))
        };
        assert_eq!(lock_of(&[]), (2, vec![0, 0, 0, 0, 1, 1, 1, 1]));
        assert_eq!(lock_of(&[1, 2, 1]), (5, vec![0, 1, 1, 0, 1, 1, 0, 0]));
    });
}
