use std::cell::Cell;
use std::sync::atomic::AtomicU32;
use std::time::Instant;

use super::*;

#[test]
fn a_length_of_time_has_a_unit_that_suits_it() {
    let times = [26, 9_999, 57_400, 4_059_891, 18_290_184, 12_000_000_000].map(time);
    assert_eq!(
        times,
        ["26 ns", "9999 ns", "57 us", "4.0 ms", "18 ms", "12 s"]
    );
}
use crate::clock::Ticks;
use crate::topology::{MAX_CPU, Topology};

/// What is seen of a clock whose reads are these ticks apart, and then stands still.
fn seen(apart: &[Ticks]) -> Gaps {
    let (next, now) = (Cell::new(0), Cell::new(1_000));
    let read = || {
        // A read that follows a long gap begins anew.
        let index = next.replace(next.get() + 1);
        now.set(now.get() + apart.get(index).copied().unwrap_or(1 << 60));
        now.get()
    };
    let mut gaps = Gaps::new();
    let end = 1_000 + apart.iter().sum::<Ticks>();
    gaps.watch(1_000, read, end, &AtomicBool::new(false));
    gaps
}

fn floor_of(apart: &[Ticks]) -> (Floor, Histogram<u64>) {
    Floor::of(7, &seen(apart), &Clock::new())
}

#[test]
fn every_gap_is_counted_in_ticks_and_noting_a_long_one_is_in_none() {
    // The 777 ticks are how long noting the 50,000 took, by the same clock.
    let gaps = seen(&[20, 21, 20, 50_000, 777, 2_047, 2_048, 9, 30]);
    let counts: Vec<_> = gaps.counts().collect();
    let expected = [
        (20, 2),
        (21, 1),
        (30, 1),
        (2_047, 1),
        (2_048, 1),
        (50_000, 1),
    ];
    assert_eq!(counts, expected);
}

#[test]
fn more_long_gaps_than_there_is_room_for_are_counted_all() {
    // Each second one is the time that noting the one before took.
    let gaps = seen(&vec![5_000; 2 * 20_000]);
    assert_eq!(gaps.counts().collect::<Vec<_>>(), [(5_000, 20_000)]);
}

#[test]
fn a_clock_that_runs_backwards_makes_no_gap() {
    let now = Cell::new(0);
    let reads = [120, 90, 110, 200];
    let read = || reads[now.replace(now.get() + 1)];
    let mut gaps = Gaps::new();
    gaps.watch(100, read, 200, &AtomicBool::new(false));
    let counts: Vec<_> = gaps.counts().collect();
    assert_eq!(counts, [(0, 1), (20, 2), (90, 1)]);
}

#[test]
fn a_thread_that_starts_late_has_seen_a_gap() {
    let gaps = seen(&[60_000]);
    assert_eq!(gaps.counts().collect::<Vec<_>>(), [(60_000, 1)]);
}

#[test]
fn gaps_become_a_floor() {
    let clock = Clock::new();
    let us = |us: u64| clock.ticks(us * 1_000);
    let mut apart = vec![clock.ticks(20); 99_989];
    // What follows each is the time it takes to note it, if it is long enough to be noted.
    let long = [us(2), us(2), us(2), us(20), us(20), us(200)];
    apart.extend(long.iter().flat_map(|&gap| [gap, 1]));
    let (floor, histogram) = floor_of(&apart);
    assert_eq!((floor.cpu, floor.reads), (7, histogram.len()));
    let near = |value: u64, expected: u64| {
        // Rounding to ticks, and three digits.
        assert!(value.abs_diff(expected) <= 1 + expected / 500, "{value}");
    };
    near(floor.p50_ns.unwrap(), 20);
    near(floor.p999_ns.unwrap(), 20);
    assert_eq!(floor.p9999_ns, None, "less than ten beyond");
    near(floor.max_ns, 200_000);
    let over: Vec<_> = floor.gaps.iter().map(|it| (it.over_ns, it.count)).collect();
    assert_eq!(over, [(1_000, 6), (10_000, 3), (100_000, 1)]);
    let lost = 246_000.0;
    let watched = clock.ns(clock.ticks(20) * 99_989) as f64 + lost;
    assert!((floor.watched_ns as f64 / watched - 1.0).abs() < 1e-3);
    assert!((floor.lost_share / (lost / watched) - 1.0).abs() < 1e-3);
    let per_s = 6.0 / (watched / 1e9);
    assert!((floor.per_s_over(LONG_NS) / per_s - 1.0).abs() < 1e-3);
}

#[test]
fn a_floor_can_be_read_back() {
    let floor = floor(450, 1_000_000_000, 0.25);
    let json = serde_json::to_string(&floor).unwrap();
    assert_eq!(serde_json::from_str::<Floor>(&json).unwrap(), floor);
}

fn floor(count: u64, watched_ns: u64, lost_share: f64) -> Floor {
    let gaps = |over_ns, count: u64| GapsOver {
        over_ns,
        count,
        per_s: count as f64 / (watched_ns as f64 / 1e9),
    };
    Floor {
        cpu: 3,
        watched_ns,
        reads: 1_000_000,
        p50_ns: Some(9),
        p99_ns: Some(11),
        p999_ns: Some(21),
        p9999_ns: Some(30),
        max_ns: 218_000,
        gaps: vec![gaps(LONG_NS, count), gaps(10_000, count / 2)],
        lost_share,
    }
}

#[test]
fn the_share_of_operations_that_the_machine_hits() {
    // 450 gaps a second: of faults of 600 ns, 0.027 %.
    let quiet = floor(450, 1_000_000_000, 0.0);
    assert!((quiet.hit_share(600) / 2.7e-4 - 1.0).abs() < 1e-3);
    assert!((quiet.blameless_percentile(600) - 99.973).abs() < 1e-4);
    assert_eq!(quiet.hit_share(0), 0.0);
    // Half the time gone: operations run in the other half, and meet twice as many there.
    let halved = floor(450, 1_000_000_000, 0.5);
    assert!((halved.hit_share(600) / 5.4e-4 - 1.0).abs() < 1e-3);
    // No operation of a second is spared by 450 gaps.
    assert!(quiet.hit_share(1_000_000_000) > 0.999_999);
    // None seen in a second: three a second may well go unseen, not none.
    let silent = floor(0, 1_000_000_000, 0.0);
    assert!((silent.hit_share(1_000) / 3e-6 - 1.0).abs() < 1e-3);
    assert_eq!(floor(0, 0, 0.0).hit_share(1), 1.0);
}

#[test]
fn the_worst_cpu_and_what_is_not_compared() {
    let floors = [
        floor(450, 1_000_000_000, 0.01),
        Floor {
            p999_ns: Some(300),
            ..floor(10, 1_000_000_000, 0.001)
        },
        Floor {
            p999_ns: None,
            ..floor(9, 1_000_000_000, 0.01)
        },
    ];
    assert_eq!(worst(&floors[..2]), Some(&floors[0]));
    let longer = Floor {
        max_ns: 900_000,
        ..floors[0].clone()
    };
    assert_eq!(
        worst(&[longer.clone(), floors[0].clone()]),
        Some(&longer),
        "as much lost, but in a longer gap"
    );
    assert_eq!(least_comparable_ns(&floors), Some(300));
    assert_eq!((worst(&[]), least_comparable_ns(&[])), (None, None));
    let said = lines(&floors);
    assert_eq!(
        said[0],
        "CPU 3: back-to-back clock reads 9 ns apart (p50), 21 ns (p99.9), longest gap 218 us; per \
         second, 450 gaps over 1 us and 225 over 10 us, which took 1.00 % of the time"
    );
    assert!(said[2].contains("too short a time"), "{}", said[2]);
}

#[test]
fn shares_are_told_with_digits_enough() {
    let told = [0.0, 1e-6, 0.000_27, 0.012_3, 0.456].map(percent);
    let expected = ["0 %", "under 0.001 %", "0.027 %", "1.23 %", "46 %"];
    assert_eq!(told, expected);
}

fn first_cpu() -> u32 {
    Topology::detect().unwrap().cpus()[0].id
}

#[test]
fn all_cpus_are_watched_and_the_histograms_hold_every_read() {
    let cpus = Topology::detect().unwrap().ids();
    let clock = Clock::new();
    let duration = Duration::from_millis(50);
    let noise = watch(&cpus, &clock, duration, &Cancel::default()).unwrap();
    let watched: Vec<_> = noise.floors.iter().map(|floor| floor.cpu).collect();
    assert_eq!(watched, cpus);
    for (floor, (file, histogram)) in noise.floors.iter().zip(noise.files()) {
        assert_eq!(file, format!("noise-cpu{}.hgrm", floor.cpu));
        assert!(floor.reads > 0 && floor.reads == histogram.len());
        // Its own end is known to the watcher; a gap may lead beyond it.
        let most = duration.as_nanos() as u64 + floor.max_ns + 1_000;
        assert!(floor.watched_ns <= most, "{floor:?}");
        assert!(floor.p50_ns.unwrap() <= floor.max_ns);
    }
}

/// On a shared machine a quiet CPU may lose much by itself. But two spinners on one CPU get half of
/// it each, and that is what is looked for: the scheduler sees to it in a second, or in some more.
#[test]
fn a_neighbour_on_the_same_cpu_takes_its_part() {
    let (cpu, clock) = (first_cpu(), Clock::new());
    let (over, running) = (AtomicBool::new(false), AtomicU32::new(0));
    let noise = thread::scope(|scope| {
        scope.spawn(|| {
            pin_current_thread(cpu).unwrap();
            while !over.load(Ordering::Relaxed) {
                running.fetch_add(1, Ordering::Relaxed);
            }
        });
        while running.load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
        let watch = |seconds| {
            let time = Duration::from_secs(seconds);
            watch(&[cpu], &clock, time, &Cancel::default()).unwrap()
        };
        let mut all = [1, 1, 4, 16].into_iter().map(watch);
        let noise = all.find(|noise| noise.floors[0].lost_share > 0.2);
        over.store(true, Ordering::Relaxed);
        noise
    });
    let floor = &noise.expect("it takes a fifth").floors[0];
    // Time slices are longer than what an interrupt takes.
    assert!(floor.gaps[2].count > 0, "{floor:?}");
    assert!(floor.hit_share(1_000) > 0.0 && floor.max_ns > 100_000);
}

#[test]
fn a_request_to_stop_ends_the_watch_with_what_was_seen() {
    let (cancel, clock) = (Cancel::default(), Clock::new());
    let started = Instant::now();
    let noise = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            cancel.request();
        });
        watch(&[first_cpu()], &clock, Duration::from_secs(600), &cancel)
    });
    let floor = &noise.unwrap().floors[0];
    assert!(started.elapsed() < Duration::from_secs(300), "{floor:?}");
    assert!(floor.watched_ns < 300_000_000_000, "{floor:?}");
    assert_eq!(floor.gaps.len(), 3);
}

#[test]
fn a_cpu_that_cannot_be_pinned_to_is_told_in_a_line_and_nobody_waits_for_it() {
    let clock = Clock::new();
    let nowhere = MAX_CPU;
    for cpus in [vec![nowhere], vec![first_cpu(), nowhere], vec![MAX_CPU + 1]] {
        let bad = cpus[cpus.len() - 1].to_string();
        let error = watch(&cpus, &clock, Duration::from_secs(1), &Cancel::default());
        let line = error.unwrap_err().to_string();
        assert!(line.contains(&bad) && line.lines().count() == 1, "{line}");
    }
}
