//! What the kernel really counts. Software events exist wherever the system call does.

use std::thread;
use std::time::Duration;

use super::*;

const PAGE_BYTES: usize = 4096;

const SOFTWARE: [Event; 3] = [
    Event::PageFaults,
    Event::ContextSwitches,
    Event::CpuMigrations,
];

/// Counters for software events, or `None` and a line where they aren't permitted.
fn open(events: &[Event]) -> Option<Counters> {
    let counters = Counters::open(events);
    match counters.availability().line() {
        None => Some(counters),
        Some(line) => {
            eprintln!("skipped: {line}");
            None
        }
    }
}

/// Has the kernel map memory that was never touched: at least one fault however large its pages
/// are, and one for each at most.
fn touch_fresh(pages: usize) {
    let mut memory = Vec::<u8>::with_capacity(pages * PAGE_BYTES);
    for page in memory.spare_capacity_mut().chunks_mut(PAGE_BYTES) {
        page[0].write(1);
    }
    std::hint::black_box(&mut memory);
}

fn sleep_often(times: usize) {
    for _ in 0..times {
        thread::sleep(Duration::from_micros(100));
    }
}

fn count(counters: &mut Counters, event: Event) -> f64 {
    let readings = counters.read();
    let name = event.name();
    readings.count(&name).expect("it is counted here")
}

#[test]
fn page_faults_are_those_that_were_taken() {
    let Some(mut counters) = open(&[Event::PageFaults]) else {
        return;
    };
    // More than malloc() keeps, so that it is fresh every time.
    const PAGES: usize = 16 << 20 >> 12;
    counters.enable();
    counters.disable();
    let before = count(&mut counters, Event::PageFaults);
    counters.enable();
    touch_fresh(PAGES);
    counters.disable();
    let faults = count(&mut counters, Event::PageFaults) - before;
    // 2 MiB at a time at most, on x86; 512 MiB where base pages have 64 KiB.
    assert!(faults >= 1.0, "{faults}");
    // Nothing else in here takes many.
    assert!(faults <= PAGES as f64 + 64.0, "{faults}");
}

#[test]
fn page_faults_of_the_kernels_own_accesses_are_not_counted() {
    use std::io::Read;
    let Some(mut counters) = open(&[Event::PageFaults]) else {
        return;
    };
    const BYTES: usize = 64 << 20;
    counters.enable();
    touch_fresh(BYTES / PAGE_BYTES);
    counters.disable();
    let ours = count(&mut counters, Event::PageFaults);
    let mut zeroes = std::fs::File::open("/dev/zero").expect("there is one");
    let mut fresh = vec![0_u8; BYTES];
    counters.enable();
    // Here it is the kernel that touches them.
    zeroes.read_exact(&mut fresh).expect("it has no end");
    counters.disable();
    let theirs = count(&mut counters, Event::PageFaults) - ours;
    assert!(theirs < ours / 2.0 + 4.0, "{theirs}, and {ours} of ours");
}

#[test]
fn context_switches_are_seen_though_they_happen_in_the_kernel() {
    let Some(mut counters) = open(&SOFTWARE) else {
        return;
    };
    counters.enable();
    sleep_often(20);
    counters.disable();
    let switches = count(&mut counters, Event::ContextSwitches);
    assert!(switches >= 20.0, "{switches}");
}

#[test]
fn migrations_are_seen_where_there_are_two_cpus() {
    use crate::topology::{Topology, pin_current_thread};
    let topology = Topology::detect().expect("the kernel tells the affinity");
    let [first, second, ..] = topology.cpus() else {
        eprintln!("skipped: one CPU");
        return;
    };
    let (first, second) = (first.id, second.id);
    let migrations = thread::spawn(move || {
        let mut counters = open(&SOFTWARE)?;
        pin_current_thread(first).expect("one of ours");
        counters.enable();
        for _ in 0..5 {
            pin_current_thread(second).expect("one of ours");
            pin_current_thread(first).expect("one of ours");
        }
        counters.disable();
        Some(count(&mut counters, Event::CpuMigrations))
    });
    let migrations = migrations.join().expect("it doesn't panic");
    assert!(migrations.is_none_or(|it| it >= 10.0), "{migrations:?}");
}

#[test]
fn nothing_is_counted_while_disabled() {
    let Some(mut counters) = open(&SOFTWARE) else {
        return;
    };
    sleep_often(5);
    let before = counters.read().0;
    assert!(before.iter().all(|it| it.count.is_none()), "{before:?}");
    counters.enable();
    sleep_often(5);
    counters.disable();
    let enabled = count(&mut counters, Event::ContextSwitches);
    sleep_often(20);
    let disabled = count(&mut counters, Event::ContextSwitches);
    assert_eq!(enabled, disabled);
    counters.enable();
    sleep_often(5);
    counters.disable();
    let again = count(&mut counters, Event::ContextSwitches);
    assert!(again >= enabled + 5.0, "{again} after {enabled}");
}

#[test]
fn a_thread_sees_nothing_of_another_one() {
    let Some(mut counters) = open(&SOFTWARE) else {
        return;
    };
    counters.enable();
    let other = thread::spawn(|| {
        let mut counters = open(&SOFTWARE).expect("as in the first thread");
        counters.enable();
        sleep_often(500);
        counters.disable();
        count(&mut counters, Event::ContextSwitches)
    });
    let theirs = other.join().expect("it doesn't panic");
    counters.disable();
    let ours = count(&mut counters, Event::ContextSwitches);
    assert!(theirs >= 500.0, "{theirs}");
    // A wait for the other's end, and what preemption there was meanwhile.
    assert!(ours < theirs / 2.0, "{ours} of {theirs}");
}

#[test]
fn software_events_are_counted_all_the_time() {
    let Some(mut counters) = open(&SOFTWARE) else {
        return;
    };
    counters.enable();
    sleep_often(5);
    counters.disable();
    for reading in counters.read().0 {
        assert_eq!(reading.running_share, 1.0, "{}", reading.name);
        assert!(!reading.is_scaled());
    }
}

#[test]
fn every_event_has_a_reading_or_a_reason() {
    let raw = Event::parse("r4d2", &Cpu::here()).unwrap();
    let events = Event::standard_and(raw);
    let mut counters = Counters::open(&events);
    let availability = counters.availability();
    if let Some(line) = availability.line() {
        eprintln!("{line}");
    }
    counters.enable();
    std::hint::black_box((0..1_000_000_u64).fold(0, |sum, it| sum ^ it.wrapping_mul(sum | 1)));
    counters.disable();
    let readings = counters.read();
    let names: Vec<_> = events.iter().map(Event::name).collect();
    let read: Vec<_> = readings.0.iter().map(|it| it.name.clone()).collect();
    assert_eq!(read, names);
    let missing = availability.not_counted.iter().flat_map(|it| &it.events);
    for name in missing.clone() {
        assert_eq!(readings.count(name), None, "{name}");
    }
    let mut all: Vec<_> = missing.chain(&availability.counted).collect();
    all.sort();
    let mut names: Vec<_> = names.iter().collect();
    names.sort();
    assert_eq!(all, names);
    // Never on a counter is possible on a busy machine; less than the work is not.
    if let Some(instructions) = readings.count("instructions") {
        assert!(instructions >= 1e6, "{instructions}");
    }
}

#[test]
fn nothing_asked_for_is_nothing_read() {
    let mut counters = Counters::open(&[]);
    counters.enable();
    counters.disable();
    assert_eq!(counters.read(), Readings::default());
    assert_eq!(counters.availability(), Availability::default());
}

#[test]
fn a_pinned_counter_goes_up_or_says_why_there_is_none() {
    match PinnedCounter::open(Event::ContextSwitches) {
        Ok(mut counter) => {
            let before = counter.read().unwrap();
            sleep_often(5);
            let after = counter.read().unwrap();
            assert!(after >= before + 5, "{before} and {after}");
        }
        Err(line) => eprintln!("skipped: {line}"),
    }
    if let Err(line) = PinnedCounter::open(Event::Instructions) {
        assert!(line.starts_with("not counted: instructions: "), "{line}");
    }
}
