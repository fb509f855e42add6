//! Cells whose result is known beforehand: at a rate, with a planted slowdown, without recording.

use machine_facts::cancel::Cancel;
use machine_facts::clock::Clock;
use machine_facts::counters::{Availability, Event};
use machine_facts::statistics::Spread;
use measuring::arrival::Arrival;
use measuring::cell::{Cell, FaultThread, Measured, Setup, measure};
use measuring::fixture::{cell, small};
use measuring::machine::Sizes;
use measuring::rounds::Control;

fn setup(arrival: Arrival) -> Setup {
    let small = small();
    Setup {
        sizes: Sizes {
            pages: 1024,
            ..small.sizes
        },
        arrival,
        events: Event::STANDARD.to_vec(),
        duration_ns: 100_000_000,
        warm_up_ns: 20_000_000,
        ..small
    }
}

fn run(setup: &Setup, control: Option<Control>) -> Measured {
    let cell = Cell {
        control,
        ..cell("page-locked", "none", 1)
    };
    measure(&cell, setup, 1, &Clock::new(), &Cancel::default()).unwrap()
}

/// The only fault thread of a cell without a storm.
fn thread(setup: &Setup, control: Option<Control>) -> FaultThread {
    run(setup, control).fault_threads.remove(0)
}

fn p50(thread: &FaultThread) -> f64 {
    thread.histogram.value_at_quantile(0.5) as f64
}

/// Times that two things are looked at by turns. A CPU that others share, or that changes its speed
/// in the midst of a look, spoils some, and not the median.
const LOOKS: u32 = 9;

fn median(looks: impl IntoIterator<Item = f64>) -> f64 {
    Spread::of(looks).expect("looks").median
}

fn ns_per_fault(thread: &FaultThread) -> f64 {
    thread.in_faults_ns as f64 / thread.faults as f64
}

#[test]
fn faults_at_a_rate_start_when_they_are_meant_to_and_no_more_often() {
    for arrival in [Arrival::Fixed(20_000.0), Arrival::Poisson(20_000.0)] {
        let thread = thread(&setup(arrival), None);
        assert_eq!(thread.faults, thread.histogram.len());
        // 2,000 in 100 ms: five standard deviations of a Poisson process more, or as many fewer as
        // a busy machine likes, but for those that it caught up with.
        assert!(
            (200..2_230).contains(&thread.faults),
            "{arrival}: {}",
            thread.faults
        );
        // Waiting for a fault to start is no time in faults.
        let (in_faults, active) = (thread.in_faults_ns, thread.active_ns);
        assert!(in_faults < active, "{arrival}: {in_faults} of {active}");
    }
}

#[test]
fn what_piles_up_is_in_the_latency_of_an_open_loop_and_in_none_of_a_closed_one() {
    let closed = thread(&setup(Arrival::Closed), None);
    // Ten times as fast as one thread can go; half of its faults tell that, however often it was
    // off its CPU.
    let rate = 1e10 / p50(&closed);
    let open = thread(&setup(Arrival::Fixed(rate)), None);
    // Only where each fault begins when the one before it ended is their sum one difference.
    let stretches = closed.faults / u64::from(closed.stretch);
    assert_eq!(
        (closed.stretches.len(), open.stretches.len()),
        (stretches, 0)
    );
    // Half of the faults waited for a good part of the time; a closed loop doesn't know.
    assert!(
        p50(&open) > 20.0 * p50(&closed),
        "{} {}",
        p50(&open),
        p50(&closed)
    );
    // What they cost is what it was, and nothing of the wait.
    let cost = ns_per_fault(&open);
    assert!(
        cost > p50(&closed) / 10.0 && cost < p50(&open) / 20.0,
        "{cost}"
    );
    assert!((open.faults as f64) < 0.9 * rate * open.active_ns as f64 / 1e9);
}

#[test]
fn a_planted_slowdown_shows_in_the_latency_as_large_as_it_was_planted() {
    let setup = setup(Arrival::Closed);
    let of = |control| p50(&thread(&setup, control));
    // Tenfold: no load that comes and goes makes that of a median, nor less than half of it.
    let (mut none, mut tenfold) = (Vec::new(), Vec::new());
    for _ in 0..LOOKS {
        let plain = of(None);
        none.push(of(Some(Control::Planted(0.0))) / plain);
        tenfold.push(of(Some(Control::Planted(900.0))) / plain);
    }
    let medians = [median(none), median(tenfold)];
    assert!(
        (0.33..3.0).contains(&medians[0]) && (4.0..25.0).contains(&medians[1]),
        "{medians:?}"
    );
}

#[test]
fn a_cell_without_recording_has_faults_and_times_and_no_latencies() {
    let setup = setup(Arrival::Closed);
    let unrecorded = thread(&setup, Some(Control::Unrecorded));
    assert!(unrecorded.histogram.is_empty() && unrecorded.faults > 0);
    assert!(unrecorded.stretches.is_empty());
    // Whole passes, each page of them mapped.
    assert_eq!(unrecorded.faults % 64, 0);
    assert_eq!(unrecorded.counters.mapped, unrecorded.faults * 16);
    // Either of the two may have little of its CPU, and by turns that comes to the same.
    let share = |_| {
        let unrecorded = thread(&setup, Some(Control::Unrecorded));
        ns_per_fault(&unrecorded) / ns_per_fault(&thread(&setup, None))
    };
    let share = median((0..LOOKS).map(share));
    assert!((0.2..5.0).contains(&share), "{share}");
}

#[test]
fn threads_count_in_the_measured_time_what_counts_here() {
    let setup = setup(Arrival::Closed);
    let available = Availability::probe(&setup.events);
    let measured = run(&setup, None);
    let readings = &measured.fault_threads[0].readings;
    assert_eq!(readings.0.len(), setup.events.len());
    for name in &available.counted {
        assert!(readings.count(name).is_some(), "{name}: {readings:?}");
    }
    let migrations = readings.count("cpu_migrations").map(|times| times as u64);
    assert_eq!(measured.conditions.migrations, migrations);
    if available.counted.is_empty() {
        eprintln!("nothing counts here: skipped");
    }
}
