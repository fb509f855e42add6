//! Everybody against the floor, in turns: what one benchmark after the other can't tell.

use std::fmt::Write;

use harness::statistics::{Interval, Spread};
use kernel_model::fault_around::{FaultAround, Schemes};
use kernel_model::platform::Native;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use super::{Floor, Mapper, Twin, Uncontended, Walk};

/// The name of the hand-written twin.
pub const BY_HAND: &str = "mapcount-recheck by hand";

/// A contestant.
pub struct Contestant {
    /// Its name in tables.
    pub name: String,
    /// What maps for it.
    pub mapper: Box<dyn Mapper>,
}

/// The floor, its rungs, all sound schemes, and the hand-written twin.
pub fn contestants(walk: &Walk) -> Vec<Contestant> {
    let rungs: [&'static dyn FaultAround<Native>; 4] = [
        &Floor::<false, false>,
        &Floor::<false, false>,
        &Floor::<true, false>,
        &Floor::<true, true>,
    ];
    let schemes = Schemes::<Native>::ALL.iter().copied();
    let sound = schemes.filter(|scheme| scheme.about().verdict.is_sound());
    let bed = |scheme: &'static dyn FaultAround<Native>| Contestant {
        name: scheme.about().name.to_owned(),
        mapper: Box::new(Uncontended::new(scheme, walk)),
    };
    let mut all: Vec<_> = rungs.into_iter().chain(sound).map(bed).collect();
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
    /// Its time over the floor's, turn by turn.
    pub ratio: Interval,
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
    let result = |(contestant, times): (&Contestant, &Vec<f64>)| Result {
        name: contestant.name.clone(),
        ns: Spread::of(times.iter().copied()).expect("there are turns"),
        ratio: Interval::of(times.iter().zip(&ns[0]).map(|(time, floor)| time / floor))
            .expect("there are turns"),
    };
    contestants.iter().zip(&ns).map(result).collect()
}

/// The results as a table.
pub fn table(title: &str, results: &[Result]) -> String {
    let mut out = format!("{title:<28}{:>9}{:>9}{:>17}\n", "ns", "x floor", "interval");
    for result in results {
        let interval = format!("{:.3}-{:.3}", result.ratio.lo, result.ratio.hi);
        let _ = writeln!(
            out,
            "{:<28}{:>9.1}{:>9.3}{interval:>17}",
            result.name, result.ns.median, result.ratio.median
        );
    }
    out
}
