use std::collections::BTreeMap;

use kernel_model::Orders;
use kernel_model::fault_around::{Rmws, Schemes};
use kernel_model::platform::Native;
use machine_facts::statistics::Method;

use super::platform::Ablated;
use super::subject::{Bed, count};
use super::*;

const PAGES: u32 = 256;
const WINDOW: u32 = 16;

fn setup(turns: u32) -> Setup {
    setup_of(turns, Orders::All(0))
}

fn setup_of(turns: u32, orders: Orders) -> Setup {
    let topology = machine_facts::topology::Topology::detect().unwrap();
    Setup {
        pages: PAGES,
        orders,
        window_pages: WINDOW,
        turns,
        visit: Visit::Passes(1),
        cpu: topology.ids()[0],
        seed: 5,
    }
}

/// What a fault of a scheme does how often, by kind.
fn steps(scheme: &str, kind: Kind) -> BTreeMap<&'static str, f64> {
    steps_of(scheme, kind, Orders::All(0))
}

fn steps_of(scheme: &str, kind: Kind, orders: Orders) -> BTreeMap<&'static str, f64> {
    let (steps, _) = count(scheme, &setup_of(1, orders), &Clock::new());
    let steps = steps.into_iter().filter(|step| step.kind == kind);
    steps
        .map(|step| (step.name, step.times_per_fault))
        .collect()
}

#[test]
fn a_fault_comes_to_each_read_modify_write_once_per_page_as_its_scheme_says() {
    let page_locked = steps("page-locked", Kind::Rmw);
    let expected = [
        "folio_trylock",
        "folio_unlock",
        "mapcount_inc_locked",
        "ref_get_unless_zero",
    ];
    assert_eq!(page_locked, expected.map(|name| (name, 16.0)).into());
    let recheck = steps("mapcount-recheck", Kind::Rmw);
    let expected = ["mapcount_inc", "ref_get_unless_zero"];
    assert_eq!(recheck, expected.map(|name| (name, 16.0)).into());
}

#[test]
fn a_fault_has_the_read_modify_writes_that_its_scheme_declares_for_each_order() {
    // Windows of a mix: a quarter of the file has folios of each order.
    let of_mix = |rmws: Rmws| Orders::MIX.map(|order| f64::from(rmws.of_window(WINDOW, order)));
    for scheme in Schemes::<Native>::ALL {
        let about = scheme.about();
        let counted = |orders| {
            steps_of(about.name, Kind::Rmw, orders)
                .values()
                .sum::<f64>()
        };
        // The shared lock is the platform's own, and not a step.
        for order in [0, 1, 2, 4, 5] {
            let declared = f64::from(about.rmws.of_window(WINDOW, order));
            assert_eq!(
                counted(Orders::All(order)),
                declared,
                "{}, order {order}",
                about.name
            );
        }
        let declared = of_mix(about.rmws).iter().sum::<f64>() / 4.0;
        assert_eq!(counted(Orders::Mix), declared, "{}, mix", about.name);
    }
    // What Linux 6.1 has: a reference, a trylock and an unlock, and two for each page but one.
    let page_locked = Schemes::<Native>::named("page-locked").unwrap().about();
    assert_eq!(
        [0, 4].map(|order| page_locked.rmws.of_window(16, order)),
        [64, 34]
    );
}

#[test]
fn a_fault_takes_the_lock_of_its_page_table_once_and_no_other() {
    for scheme in Schemes::<Native>::ALL {
        let name = scheme.about().name;
        assert_eq!(steps(name, Kind::Lock), [("ptl", 1.0)].into(), "{name}");
    }
}

#[test]
fn checks_and_barriers_are_steps_and_other_loads_are_needed() {
    let checks = steps("mapcount-recheck", Kind::Check);
    let per_page = ["pte_none", "slot_reload", "window_flags"];
    let rechecks = ["recheck_locked", "recheck_mapping", "recheck_poison"];
    let per_page = per_page.into_iter().chain(rechecks);
    let mut expected: BTreeMap<_, _> = per_page.map(|name| (name, 16.0)).collect();
    // Both looks at the mark are left out by the name of the first.
    expected.extend([
        ("i_size_read", 1.0),
        ("pmd_recheck", 1.0),
        ("poison_check", 32.0),
    ]);
    assert_eq!(checks, expected);
    let fences = steps("mapcount-recheck", Kind::Fence);
    assert_eq!(fences, [("mapcount_inc_mb", 16.0)].into());
    let needed = steps("mapcount-recheck", Kind::Needed);
    assert_eq!(needed, [("pmd_read", 1.0), ("slot_load", 16.0)].into());
}

#[test]
fn no_two_steps_have_the_same_number() {
    let locks = ["ptl", "pmd_lock", "xa_lock", "zone_lock"].map(steps::number_of_lock);
    let own = Schemes::<Native>::ALL.iter();
    let own = own.flat_map(|scheme| scheme.about().sites.iter().copied());
    let sites: BTreeMap<_, _> = kernel_model::sites()
        .chain(own)
        .map(|site| (site.name, steps::number_of(site)))
        .collect();
    let numbers = sites.values().copied().chain(locks);
    let unique: std::collections::BTreeSet<_> = numbers.chain([0]).collect();
    assert_eq!(unique.len(), sites.len() + locks.len() + 1);
}

#[test]
fn one_step_is_cheap_while_it_is_ablated_and_no_other_and_not_before_and_after() {
    use super::platform::ablating;
    use kernel_model::fault_around::{PTE_NONE, WINDOW_FLAGS};
    use kernel_model::folio::site::REF_GET_UNLESS_ZERO;
    use kernel_model::platform::Platform;
    let left_out = || {
        (
            Ablated::left_out(&PTE_NONE),
            Ablated::left_out(&WINDOW_FLAGS),
        )
    };
    assert_eq!(left_out(), (false, false));
    let number = steps::number_of(&PTE_NONE);
    assert_eq!(ablating(Some(number), left_out), (true, false));
    assert_eq!(left_out(), (false, false));
    // It would be another operation, and not a cheaper one.
    let get = steps::number_of(&REF_GET_UNLESS_ZERO);
    assert!(!ablating(Some(get), || Ablated::left_out(
        &REF_GET_UNLESS_ZERO
    )));
}

#[test]
fn a_read_modify_write_is_plain_while_its_step_is_ablated_and_gives_the_same() {
    use super::platform::{ProbedWord, ablating};
    use kernel_model::folio::site::{FOLIO_TRYLOCK, REF_PUT};
    use kernel_model::platform::{AtomicWord, Holds};
    let word = || ProbedWord::<false>::new(Holds::Counts, 6);
    let plain = || word().rmw(&REF_PUT, |before| before, |_| panic!("locked"));
    assert_eq!(ablating(Some(steps::number_of(&REF_PUT)), plain), 6);
    let locked = || word().rmw(&REF_PUT, |_| panic!("plain"), |_| 9);
    assert_eq!(locked(), 9);
    assert_eq!(ablating(Some(steps::number_of(&FOLIO_TRYLOCK)), locked), 9);

    let all = || {
        let (word, site) = (word(), &REF_PUT);
        [
            (word.fetch_add(5, site), word.observe()),
            (word.fetch_sub(2, site), word.observe()),
            (word.fetch_or(6, site), word.observe()),
            (word.fetch_and(12, site), word.observe()),
            (u64::from(word.add_unless(3, 1, site)), word.observe()),
            (u64::from(word.add_unless(12, 1, site)), word.observe()),
        ]
    };
    let results = [(6, 11), (11, 9), (9, 15), (15, 12), (0, 12), (1, 13)];
    assert_eq!(all(), results);
    assert_eq!(ablating(Some(steps::number_of(&REF_PUT)), all), results);
}

#[test]
fn no_step_that_is_made_cheap_changes_what_a_pass_counts() {
    let (clock, setup) = (Clock::new(), setup(1));
    for scheme in Schemes::<Native>::ALL {
        let name = scheme.about().name;
        let (steps, expected) = count(name, &setup, &clock);
        assert_eq!(expected.mapped, u64::from(PAGES), "{name}");
        let mut bed = Bed::<Ablated>::new(name, &setup, &clock);
        for step in &steps {
            let (counted, _) = bed.timed_pass(Some(step.number), &clock);
            assert_eq!(counted, expected, "{name} with {} made cheap", step.name);
        }
    }
}

#[test]
fn a_pass_that_does_something_else_and_a_machine_that_is_left_different_end_it() {
    let (clock, setup, cancel) = (Clock::new(), setup(1), Cancel::default());
    let scheme = Schemes::<Native>::named("page-locked").unwrap();
    let mut subject = Subject::new(scheme, &setup, &clock).unwrap();
    let visit = |subject: &mut Subject| {
        let last = *subject.variants().last().unwrap();
        subject.visit(last, &setup, &clock, &cancel)
    };
    visit(&mut subject).unwrap();
    subject.audit().unwrap();
    subject.expected.mapped += 1;
    let said = visit(&mut subject).unwrap_err().to_string();
    assert!(
        said.contains("made cheap mapped 256 pages, not 257"),
        "{said}"
    );

    let folio = kernel_model::folio::Pfn(0);
    subject.ablated.machine.system.memmap.folio(folio).get();
    let said = subject.audit().unwrap_err().to_string();
    assert!(said.contains("page-locked is not as it was"), "{said}");
}

#[test]
fn a_turn_measures_everything_once_and_interrupted_ones_do_not_count() {
    let setup = setup(2);
    let clock = Clock::new();
    let schemes = Schemes::<Native>::ALL;
    let run = |cancel: &Cancel| {
        let mut progress = Progress::new(2);
        run(schemes, &setup, &clock, cancel, &mut progress).unwrap()
    };
    let measured = run(&Cancel::default());
    assert_eq!(
        (measured.turns, measured.breakdowns.len()),
        (2, schemes.len())
    );
    for breakdown in &measured.breakdowns {
        assert_eq!(breakdown.total.values, 2, "{}", breakdown.scheme);
        assert!(breakdown.total.median > 0.0 && breakdown.native.median > 0.0);
        let costs = breakdown.steps.iter().filter_map(|cost| cost.ns);
        let sum: f64 = costs.map(|cost| cost.median).sum();
        assert!((breakdown.total.median - sum - breakdown.rest_ns).abs() < 1e-6);
        // Two turns tell nothing apart.
        assert!(breakdown.steps.iter().all(|cost| !cost.told_apart));
    }
    let cancel = Cancel::default();
    cancel.request();
    let measured = run(&cancel);
    assert_eq!((measured.turns, measured.breakdowns.len()), (0, 0));
}

#[test]
fn a_cost_must_exclude_zero_and_lie_outside_the_noise() {
    let interval = |lo: f64, hi: f64| Interval {
        method: Method::SignTest,
        median: f64::midpoint(lo, hi),
        lo,
        hi,
        coverage: 0.979,
        values: 10,
    };
    let noise = interval(-1.0, 1.5);
    assert!(is_told_apart(&interval(2.0, 3.0), &noise));
    assert!(is_told_apart(&interval(-9.0, -3.0), &noise));
    assert!(!is_told_apart(&interval(-0.5, 9.0), &noise), "holds 0");
    assert!(
        !is_told_apart(&interval(1.0, 9.0), &noise),
        "overlaps the noise"
    );
    let few = Interval {
        coverage: 0.5,
        ..interval(8.0, 9.0)
    };
    assert!(!is_told_apart(&few, &noise), "two turns show nothing");
}
