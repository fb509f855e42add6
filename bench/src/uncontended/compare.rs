//! Everybody against the floor, in turns: what one benchmark after the other can't tell.

use std::fmt::Write;

use kernel_model::Orders;
use kernel_model::fault_around::{FaultAround, Schemes};
use kernel_model::platform::Native;
use machine_facts::statistics::{Interval, Spread};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use super::{Floor, Mapper, Twin, Uncontended, Walk};

/// The scheme that others are compared with, beside the floor.
const BASELINE: &str = "page-locked";

/// The name of the hand-written twin.
pub const BY_HAND: &str = "mapcount-recheck by hand";

/// A contestant.
pub struct Contestant {
    /// Its name in tables.
    pub name: String,
    /// What maps for it.
    pub mapper: Box<dyn Mapper>,
}

/// The sound schemes over large folios, and the baseline over single pages. The floor and the twin
/// know nothing of large folios.
pub fn large_folios(walk: &Walk) -> Vec<Contestant> {
    let baseline = Schemes::<Native>::named(BASELINE).expect("the baseline is a scheme");
    let single = walk.clone().with_orders(Orders::All(0));
    let mut all: Vec<_> = sound().map(|scheme| contestant(scheme, walk)).collect();
    for name in [", single pages", ", single, A/A"] {
        let mut contestant = contestant(baseline, &single);
        contestant.name.push_str(name);
        all.insert(0, contestant);
    }
    all
}

fn sound() -> impl Iterator<Item = &'static dyn FaultAround<Native>> {
    let schemes = Schemes::<Native>::ALL.iter().copied();
    schemes.filter(|scheme| scheme.about().verdict.is_sound())
}

fn contestant(scheme: &'static dyn FaultAround<Native>, walk: &Walk) -> Contestant {
    Contestant {
        name: scheme.about().name.to_owned(),
        mapper: Box::new(Uncontended::new(scheme, walk)),
    }
}

/// The floor, its rungs, all sound schemes, and the hand-written twin.
pub fn contestants(walk: &Walk) -> Vec<Contestant> {
    let rungs: [&'static dyn FaultAround<Native>; 4] = [
        &Floor::<false, false>,
        &Floor::<false, false>,
        &Floor::<true, false>,
        &Floor::<true, true>,
    ];
    let all = rungs.into_iter().chain(sound());
    let mut all: Vec<_> = all.map(|scheme| contestant(scheme, walk)).collect();
    all[1].name = "floor A/A".to_owned();
    all.push(Contestant {
        name: BY_HAND.to_owned(),
        mapper: Box::new(Twin::new(walk)),
    });
    all
}

/// A contestant's result.
#[derive(Debug)]
pub struct Result {
    /// Its name.
    pub name: String,
    /// Nanoseconds per window.
    pub ns: Spread,
    /// Its time over the first contestant's, turn by turn.
    pub ratio: Interval,
    /// Its time over that of page-locked.
    pub to_baseline: Interval,
}

/// Lets all contestants map `windows` windows in each of `turns` turns, in a new random order each
/// time, and compares them turn by turn with the first.
pub fn compare(
    contestants: &mut [Contestant],
    walk: &Walk,
    windows: u64,
    turns: u32,
    seed: u64,
) -> Vec<Result> {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..contestants.len()).collect();
    let mut ns = vec![Vec::new(); contestants.len()];
    for turn in 0..=turns {
        order.shuffle(&mut random);
        for &number in &order {
            let taken = walk.time(&mut *contestants[number].mapper, windows);
            // The first turn warms up.
            if turn > 0 {
                ns[number].push(taken.as_nanos() as f64 / windows as f64);
            }
        }
    }
    let baseline = contestants.iter().position(|it| it.name == BASELINE);
    let over = |times: &[f64], others: &[f64]| {
        let ratios = times.iter().zip(others).map(|(time, other)| time / other);
        Interval::sign_test(ratios).expect("there are turns")
    };
    let result = |(contestant, times): (&Contestant, &Vec<f64>)| Result {
        name: contestant.name.clone(),
        ns: Spread::of(times.iter().copied()).expect("there are turns"),
        ratio: over(times, &ns[0]),
        to_baseline: over(times, &ns[baseline.unwrap_or(0)]),
    };
    contestants.iter().zip(&ns).map(result).collect()
}

/// The results as a table, with ratios to the first contestant, which `first` names, and to
/// page-locked.
pub fn table(title: &str, first: &str, results: &[Result]) -> String {
    let mut out = format!(
        "{title:<26}{:>8}{:>8}{:>13}{:>8}{:>13}\n",
        "ns",
        format!("x {first}"),
        "interval",
        "x p-l",
        "interval"
    );
    let interval = |of: &Interval| format!("{:.3}-{:.3}", of.lo, of.hi);
    for result in results {
        let (ratio, to_baseline) = (&result.ratio, &result.to_baseline);
        let _ = writeln!(
            out,
            "{:<26}{:>8.1}{:>8.3}{:>13}{:>8.3}{:>13}",
            result.name,
            result.ns.median,
            ratio.median,
            interval(ratio),
            to_baseline.median,
            interval(to_baseline)
        );
    }
    out
}
