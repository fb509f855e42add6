//! Threads in turns: a turn is as long as it was told, and who waits for ever is found out at once.

use std::sync::Arc;
use std::thread;

use kernel_model::Orders;
use kernel_model::folio::{Counting, PG_LOCKED, PG_WAITERS, Pfn, site};
use kernel_model::page_allocator::MemMap;
use kernel_model::platform::{Jittered, Leg, Native, Platform, Relay, SpinLock, Why};

type P = Jittered<Native>;
type Lock = <P as Platform>::SpinLock<u32>;

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
}

#[test]
fn threads_that_wait_for_each_other_are_stuck() {
    let (x, y) = (Lock::new("x", 0), Lock::new("y", 0));
    let both = |first: &Lock, second: &Lock| {
        let _first = first.lock();
        drop(second.lock());
    };
    assert!(!relay(&[2], || both(&x, &y), || both(&y, &x)).1);
    assert!(relay(&[1], || both(&x, &y), || both(&y, &x)).1);
    // They have let go what they held.
    assert!(x.try_lock().is_some() && y.try_lock().is_some());
}

#[test]
fn a_sleeper_that_is_never_woken_is_stuck() {
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
        let left = folio.flags(&site::FLAGS_READ) & (PG_LOCKED | PG_WAITERS);
        assert_eq!(left == 0, is_woken);
    }
}
