//! What it takes to bring a cache line from one CPU to another, beside cells whose threads share
//! lines: a host that moves a guest's CPUs between its caches changes it from one minute to the
//! next, and with it all that two threads do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::cancel::Cancel;
use crate::clock::Clock;
use crate::environment::counted;
use crate::topology::pin_current_thread;

/// Two lines' worth of room: CPUs fetch neighbours in pairs.
#[repr(align(128))]
struct Line(AtomicU64);

/// The time for which two CPUs send a line to and fro, in nanoseconds.
const TIME_NS: u64 = 1_000_000;
/// Where one of them was away, the time after which they stop.
const PATIENCE_NS: u64 = 20 * TIME_NS;
/// Ways to and fro that are timed together.
const BLOCK: u64 = 32;
/// Blocks without which nothing is said.
const FEWEST: usize = 8;
/// What the line holds at the end.
const OVER: u64 = u64::MAX;
/// A line's way that varies by more than this factor isn't that of one machine.
pub const STEADY: f64 = 2.0;

/// What a transfer from the first of these CPUs to each other one and back takes, one way, in
/// nanoseconds: the median over a millisecond for each. Empty for one CPU, and where a CPU can't be
/// had or is taken by others for too long.
pub fn from_the_first(cpus: &[u32], clock: &Clock) -> Vec<f64> {
    let Some((first, others)) = cpus.split_first() else {
        return Vec::new();
    };
    let ways = others.iter().map(|other| one_way(*first, *other, clock));
    ways.collect::<Option<_>>().unwrap_or_default()
}

fn one_way(first: u32, other: u32, clock: &Clock) -> Option<f64> {
    let line = Line(AtomicU64::new(0));
    let line = &line.0;
    thread::scope(|scope| {
        let answer = move || match pin_current_thread(other) {
            Ok(()) => send_back(line),
            Err(_) => line.store(OVER, Ordering::Release),
        };
        let ask = move || {
            let pinned = pin_current_thread(first);
            let way = pinned.ok().and_then(|()| to_and_fro(line, clock));
            line.store(OVER, Ordering::Release);
            way
        };
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        let answering = spawn("line-to").spawn_scoped(scope, answer).ok()?;
        let asking = spawn("line-fro").spawn_scoped(scope, ask);
        if asking.is_err() {
            line.store(OVER, Ordering::Release);
        }
        let way = asking.ok()?.join().ok()?;
        answering.join().ok()?;
        way
    })
}

/// Says that it is here, and sends the line back until it is over. Whatever comes too late for
/// that, its being here included, must not hide that it is over: it is exchanged, and never stored.
fn send_back(line: &AtomicU64) {
    // Acquire and release, here and on the other side, pair with each other, though nothing but the
    // line itself goes to and fro.
    let mut turn = 0;
    while turn != OVER {
        if turn.is_multiple_of(2) {
            let _ = line.compare_exchange(turn, turn + 1, Ordering::AcqRel, Ordering::Relaxed);
        }
        turn = line.load(Ordering::Acquire);
    }
}

/// Sends the line away and waits for it, again and again.
fn to_and_fro(line: &AtomicU64, clock: &Clock) -> Option<f64> {
    let start = clock.now();
    let (enough, patience) = (clock.ticks(TIME_NS), clock.ticks(PATIENCE_NS));
    let mut blocks = Vec::new();
    let mut turn = 1;
    // It is here when the other thread is.
    let back = |turn: u64| {
        // A read of the clock at each look would make the way longer.
        for look in 1_u64.. {
            match line.load(Ordering::Acquire) {
                OVER => return false,
                it if it == turn => return true,
                _ if look.is_multiple_of(256) && clock.now() - start > patience => return false,
                _ => (),
            }
        }
        unreachable!("patience ends first")
    };
    while back(turn) && (clock.now() - start < enough || blocks.len() < FEWEST) {
        let begin = clock.now();
        for _ in 0..BLOCK {
            line.store(turn + 1, Ordering::Release);
            turn += 2;
            if !back(turn) {
                return None;
            }
        }
        blocks.push(clock.now() - begin);
    }
    blocks.sort_unstable();
    let median = blocks
        .get(blocks.len() / 2)
        .filter(|_| blocks.len() >= FEWEST);
    median.map(|ticks| clock.ns(*ticks) as f64 / (2 * BLOCK) as f64)
}

/// Looks at CPUs at so many times, evenly over `time`; a request to stop ends it early.
pub fn looks(cpus: &[u32], clock: &Clock, time: Duration, cancel: &Cancel) -> Vec<Vec<f64>> {
    let mut looks = Vec::new();
    while cpus.len() > 1 && looks.len() < LOOKS as usize && !cancel.sleep(time / LOOKS) {
        looks.push(from_the_first(cpus, clock));
    }
    looks
}

/// Looks of a doctor.
const LOOKS: u32 = 10;

/// Transfers between two CPUs, over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Transfers {
    /// The CPUs.
    pub cpus: [u32; 2],
    /// What each took, in nanoseconds, from the shortest to the longest.
    pub ns: Vec<f64>,
}

impl Transfers {
    /// Of several looks at these CPUs, each as [`from_the_first`] gives it: the pair that varied
    /// most; `None` without any.
    pub fn widest<'t>(looks: impl Iterator<Item = (&'t [u32], &'t [f64])>) -> Option<Self> {
        let mut pairs: BTreeMap<[u32; 2], Vec<f64>> = BTreeMap::new();
        for (cpus, transfers) in looks {
            for (other, ns) in cpus.iter().skip(1).zip(transfers) {
                pairs.entry([cpus[0], *other]).or_default().push(*ns);
            }
        }
        let all = pairs.into_iter().map(|(cpus, mut ns)| {
            ns.sort_by(f64::total_cmp);
            Self { cpus, ns }
        });
        all.max_by(|one, other| one.spread().total_cmp(&other.spread()))
    }

    fn spread(&self) -> f64 {
        self.ns[self.ns.len() - 1] / self.ns[0]
    }

    /// Whether it was the same machine all the time.
    pub fn is_steady(&self) -> bool {
        self.spread() <= STEADY
    }

    /// In words.
    pub fn in_words(&self) -> String {
        let ([from, to], ns) = (self.cpus, &self.ns);
        format!(
            "{:.0} ns from CPU {from} to {to} (median of {}; {:.0}-{:.0})",
            ns[ns.len() / 2],
            counted(ns.len() as u64, "look"),
            ns[0],
            ns[ns.len() - 1]
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Topology;

    #[test]
    fn a_line_goes_to_and_fro_between_two_cpus_and_ends_without_one() {
        let (clock, cpus) = (Clock::new(), Topology::detect().unwrap().ids());
        assert!(from_the_first(&cpus[..1], &clock).is_empty());
        assert!(from_the_first(&[], &clock).is_empty());
        let gone = from_the_first(&[cpus[0], 9999], &clock);
        assert!(gone.is_empty(), "no such CPU");
        // On a CPU that others take there may be nothing to say, but not for ever.
        if let [a, b, ..] = cpus[..] {
            let mut looks = (0..5_000).map(|_| from_the_first(&[a, b], &clock));
            let ways = looks.find(|ways| !ways.is_empty());
            let ways = ways.expect("a line goes to and fro at some time");
            assert!(
                ways.len() == 1 && ways[0] > 0.5 && ways[0] < 2e7,
                "{ways:?}"
            );
        }
    }

    /// A clock of its own that others can't slow down is none: it is the blocks that are counted.
    #[test]
    fn what_ends_before_there_are_blocks_enough_says_nothing() {
        let clock = Clock::new();
        let line = AtomicU64::new(OVER);
        assert_eq!(to_and_fro(&line, &clock), None, "the other never came");
        let line = AtomicU64::new(1);
        assert_eq!(
            to_and_fro(&line, &clock),
            None,
            "it came, and never answers"
        );
    }

    #[test]
    fn a_thread_that_comes_when_it_is_over_does_not_hide_that() {
        let line = AtomicU64::new(OVER);
        send_back(&line);
        assert_eq!(line.load(Ordering::Relaxed), OVER);
    }

    #[test]
    fn the_pair_that_varied_most_is_told_with_its_range() {
        let looks: [(&[u32], &[f64]); 3] = [
            (&[4, 5, 7], &[60.0, 50.0]),
            (&[4, 5, 7], &[55.0, 80.0]),
            (&[4, 5], &[65.0]),
        ];
        let of =
            |looks: &[(&'static [u32], &'static [f64])]| Transfers::widest(looks.iter().copied());
        let widest = of(&looks).unwrap();
        let text = "80 ns from CPU 4 to 7 (median of 2 looks; 50-80)";
        assert_eq!(widest.in_words(), text);
        assert!(widest.is_steady());
        let wandered = of(&[(&[0, 1], &[32.0]), (&[0, 1], &[170.0])]).unwrap();
        assert!(!wandered.is_steady());
        assert_eq!(of(&[(&[3], &[])]), None);
    }
}
