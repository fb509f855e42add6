//! What the model lacks, reckoned from made-up figures.

use std::collections::BTreeMap;

use kernel_model::Orders;
use kernel_model::platform::{TURN, Work};

use super::Calibration;
use super::burden::{self, Carried, Measured, Need};
use super::fixture::{bare, flush, kernel, on_one_cpu, recorded, side};

#[test]
fn what_remains_is_the_difference_and_is_shared_out_without_being_counted_twice() {
    let carried = burden::remaining(&kernel(), &bare(), Some(&flush()));
    let remaining = |work| carried.remaining_ns[burden::name_of(work)];
    for (work, ns) in [
        (Work::Fault, 720.0),
        (Work::Page, 9.0),
        // A page of a folio of its own costs 85 more, of which 9 are the page's.
        (Work::Range, 76.0),
        // A fault that finds nothing is a fault first.
        (Work::Slow, 2220.0 - 720.0),
        (Work::Removal, 1300.0),
        (Work::RemovedFolio, 206.0),
        (Work::ZappedPage, 210.0 - 16.0),
        (Work::Flush, 3300.0 - 10.0 + 2500.0),
        (Work::Flushed, 5700.0),
    ] {
        assert!(
            (remaining(work) - ns).abs() < 1e-6,
            "{work:?}: {}",
            remaining(work)
        );
    }
}

#[test]
fn a_model_that_is_dearer_than_the_kernel_carries_nothing() {
    let carried = burden::remaining(&bare(), &kernel(), None);
    assert!(
        carried.remaining_ns.values().all(|ns| *ns == 0.0),
        "{carried:?}"
    );
    let none = burden::remaining(&Measured::default(), &bare(), None);
    assert!(none.remaining_ns.values().all(|ns| *ns == 0.0), "{none:?}");
}

#[test]
fn loops_are_corrected_until_the_model_costs_what_the_kernel_does() {
    let (kernel, bare) = (kernel(), bare());
    let mut carried = burden::remaining(&kernel, &bare, Some(&flush()));
    // The CPU does a third of each loop beside what is around it; a turn alone takes 2 ns.
    const NS_PER_TURN: f64 = 2.0;
    const SEEN: f64 = 0.66;
    carried.guess(NS_PER_TURN);
    let burdened = |carried: &Carried| {
        let ns = |work| carried.turns[burden::name_of(work)] * NS_PER_TURN * SEEN;
        let fault = ns(Work::Fault);
        side(
            [20.0 + fault, 35.0 + ns(Work::Range) + ns(Work::Page)],
            [70.0 + fault + ns(Work::Range), 8.0 + ns(Work::Page)],
            [100.0 + ns(Work::Removal), 64.0 + ns(Work::RemovedFolio)],
            [
                110.0 + ns(Work::Removal) + ns(Work::Flush),
                80.0 + ns(Work::RemovedFolio) + ns(Work::ZappedPage),
            ],
            180.0 + fault + ns(Work::Slow),
        )
    };
    for _ in 0..12 {
        let now = burdened(&carried);
        burden::correct(&mut carried, &kernel, &now, Some(&flush()), NS_PER_TURN);
    }
    for (name, wanted) in &carried.remaining_ns {
        if name != burden::name_of(Work::Flushed) {
            let is = carried.turns[name] * NS_PER_TURN * SEEN;
            assert!(
                (is - wanted).abs() <= 0.01 * wanted + 0.1,
                "{name}: {is}, not {wanted}"
            );
        }
    }
    let burden = carried.burden();
    let turns = carried.turns[burden::name_of(Work::Page)];
    assert_eq!(burden[Work::Page], (turns * f64::from(TURN)).round() as u32);
}

#[test]
fn loops_are_those_of_the_time_in_which_the_machine_had_least_else_to_do() {
    let need = |time_ns: f64, fault: f64| Need {
        time_ns,
        turns: BTreeMap::from([("fault".to_owned(), fault)]),
    };
    let fast = [need(2000.0, 100.0), need(2010.0, 104.0)];
    let slow = |turns| need(3300.0, turns);
    let [one, other] = fast.clone();
    let needs = vec![
        need(1000.0, 7.0),
        slow(150.0),
        one,
        slow(160.0),
        slow(140.0),
        other,
        slow(1.0),
    ];
    assert_eq!(burden::undisturbed(needs)["fault"], 102.0);
    assert_eq!(burden::mean(&fast)["fault"], 102.0);
    assert_eq!(burden::undisturbed(vec![slow(5.0)])["fault"], 5.0);
}

#[test]
fn what_a_calibration_is_not_of_is_said() {
    let mut recorded = recorded();
    let mut here = recorded.environment.clone();
    let [caveat] = &recorded.unlike(&here, Orders::All(0))[..] else {
        panic!("the fixture's CPU is unknown");
    };
    assert!(caveat.contains("can't be told"), "{caveat}");
    here.processor.model = Some("A CPU".to_owned());
    assert!(recorded.unlike(&here, Orders::All(0)).is_empty());
    for orders in [Orders::All(4), Orders::Mix] {
        let [caveat] = &recorded.unlike(&here, orders)[..] else {
            panic!("{orders:?}");
        };
        assert!(caveat.contains("without large folios"), "{caveat}");
    }
    let mut large = recorded.calibration.faults[0].clone();
    large.order = 4;
    recorded.calibration.faults.push(large);
    assert!(recorded.unlike(&here, Orders::Mix).is_empty());
    let mut newer = here.clone();
    newer.kernel.release = Some("9.9.9".to_owned());
    let caveats = recorded.unlike(&newer, Orders::All(0));
    assert!(
        caveats.len() == 1 && caveats[0].ends_with("this is 9.9.9"),
        "{caveats:?}"
    );
    recorded.calibration.flush = None;
    let caveats = recorded.unlike(&here, Orders::All(0));
    assert!(
        caveats.len() == 1 && caveats[0].contains("on one CPU"),
        "{caveats:?}"
    );
}

#[test]
fn what_no_calibration_finds_is_not_carried() {
    let refused = |because: &str, change: &dyn Fn(&mut Calibration)| {
        let mut recorded = recorded();
        change(&mut recorded.calibration);
        let error = recorded.may_be_carried(&recorded.environment).unwrap_err();
        let line = error.to_string();
        assert!(line.contains(because) && !line.contains('\n'), "{line}");
    };
    let turns = |work: Work, turns: f64| {
        move |it: &mut Calibration| {
            let name = burden::name_of(work).to_owned();
            it.carried.turns.insert(name, turns);
        }
    };
    recorded().may_be_carried(&recorded().environment).unwrap();
    refused("-5 turns of fault", &turns(Work::Fault, -5.0));
    refused("turns of page, where 0 to 10000", &turns(Work::Page, 1e6));
    refused("NaN turns of slow", &turns(Work::Slow, f64::NAN));
    refused("stopped before its loops", &|it| it.carried.turns.clear());
    refused("no turns of range", &|it| {
        it.carried.turns.remove(burden::name_of(Work::Range));
    });
    refused("\"foo\" is no sound scheme", &|it| {
        it.scheme = "foo".to_owned()
    });
    refused("\"sketch\" is no sound scheme", &|it| {
        it.scheme = "sketch".to_owned();
    });
    refused("a window of 3 pages", &|it| {
        it.faults[0].fit.points[0].0 = 3
    });
    // One CPU has no other to interrupt.
    let alone = on_one_cpu();
    let flushed = burden::name_of(Work::Flushed);
    assert!(!alone.calibration.carried.turns.contains_key(flushed));
    alone.may_be_carried(&alone.environment).unwrap();
}
