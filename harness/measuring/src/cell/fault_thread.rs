//! A fault thread: window after window, pass after pass.

use std::hint::black_box;

use hdrhistogram::Histogram;
use kernel_model::FaultCounters;
use machine_facts::clock::Ticks;
use machine_facts::conditions::{ThreadConditions, ThreadWatch};
use machine_facts::counters::{Counters, Event, Kind, Readings};
use machine_facts::recorder::Recorder;
use machine_facts::statistics::Spread;
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use super::course::{Course, Phases};
use super::sides::Faults;
use super::{CellError, thread_seed};
use crate::arrival::{Arrival, Schedule};
use crate::control::Control;
use crate::machine::MmKind;
use crate::order::Touches;
use crate::planted::{CALIBRATIONS, Plant};

/// What a fault thread brings home.
#[derive(Debug)]
pub struct FaultThread {
    /// The CPU that it was pinned to.
    pub cpu: u32,
    /// Its faults.
    pub faults: u64,
    /// Their latencies in nanoseconds, from the intended start where there is a rate; empty if none
    /// was recorded.
    pub histogram: Histogram<u64>,
    /// Latencies beyond the histogram's range.
    pub beyond: u64,
    /// The times of stretches of faults, in nanoseconds per
    /// [`STRETCH`](machine_facts::histogram::STRETCH) faults; empty where faults don't follow each
    /// other.
    pub stretches: Histogram<u64>,
    /// Faults in a stretch.
    pub stretch: u32,
    /// The time that it spent in faults, in nanoseconds.
    pub in_faults_ns: u64,
    /// The time in which it faulted or waited for a fault to start: the measured time less the zaps
    /// between passes, in nanoseconds.
    pub active_ns: u64,
    /// What its faults counted.
    pub counters: FaultCounters,
    /// What its counters read in the measured time.
    pub readings: Readings,
    /// What happened to it in the measured time.
    pub conditions: ThreadConditions,
    /// When it started.
    pub started: Ticks,
}

struct Runner<'a, F> {
    course: &'a Course,
    touches: Touches,
    random: Pcg64Mcg,
    /// Of the intended starts alone, so that schemes under one seed touch the same windows.
    arrivals: Pcg64Mcg,
    faults: &'a mut F,
    recorder: Recorder,
    tally: Tally,
    /// Of the CPU: enabled while faults are timed, and not for zaps.
    counters: Counters,
    /// Whether they are enabled at all: not in the warm-up.
    counting: bool,
}

/// What is counted beside the latencies, in ticks.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    faults: u64,
    in_faults: Ticks,
    active: Ticks,
}

/// What stands between one fault and the next.
enum Pace {
    /// Nothing.
    Closed,
    /// The moment at which the next is meant to start.
    Open(Schedule),
    /// Nothing, and no fault is timed for itself.
    Unrecorded,
    /// A loop that makes each fault longer.
    Planted(Plant),
}

/// Runs fault thread `number` of a cell; `faults` are made on its own CPU.
///
/// # Errors
/// See [`CellError`].
pub fn run<F: Faults>(
    course: &Course,
    number: u32,
    faults: &mut F,
) -> Result<FaultThread, CellError> {
    let sizes = &course.setup.sizes;
    let threads = course.fault_threads;
    let (first, stride) = match course.setup.mm {
        MmKind::Private => (0, 1),
        MmKind::Shared => (u64::from(number), u64::from(threads)),
    };
    let (pages, window) = (u64::from(sizes.pages), u64::from(sizes.window_pages));
    let touches = Touches::new(course.setup.access, pages, window, first, stride);
    let seed = thread_seed(course.seed, u64::from(number));
    let of_the_kernel = |event: &Event| event.kind() == Kind::Software;
    let (kernel, cpu): (Vec<Event>, Vec<Event>) = course
        .setup
        .events
        .iter()
        .partition(|event| of_the_kernel(event));
    let mut runner = Runner {
        counters: Counters::open(&cpu),
        counting: false,
        course,
        random: Pcg64Mcg::seed_from_u64(seed),
        arrivals: Pcg64Mcg::seed_from_u64(!seed),
        faults,
        recorder: Recorder::new(touches.len()),
        tally: Tally::default(),
        touches,
    };
    // Enabled from the start to the end: what happens to the thread in a zap, happens to it.
    let mut counters = Counters::open(&kernel);
    let (
        cpu,
        Phases {
            started,
            measured,
            end,
        },
    ) = course.begin(number)?;
    // Closed, whatever comes then.
    let calibration = match course.control {
        // A thread that shares its CPU may start when the warm-up is over.
        Some(Control::Planted(_)) => measured.saturating_sub(started) / 2,
        _ => 0,
    };
    runner.fault_until(measured - calibration, &mut Pace::Closed)?;
    let mut pace = runner.pace(number, measured, calibration)?;
    runner.faults.forget();
    runner.recorder = Recorder::new(runner.touches.len());
    runner.tally = Tally::default();
    runner.counting = true;
    let watch = ThreadWatch::start(cpu);
    counters.enable();
    runner.fault_until(end, &mut pace)?;
    counters.disable();
    let conditions = watch.stop();
    let clock = &course.clock;
    Ok(FaultThread {
        cpu,
        faults: runner.tally.faults,
        in_faults_ns: clock.ns(runner.tally.in_faults),
        active_ns: clock.ns(runner.tally.active),
        histogram: runner.recorder.histogram,
        beyond: runner.recorder.beyond,
        stretches: runner.recorder.stretches,
        stretch: runner.recorder.stretch,
        counters: runner.faults.counters(),
        readings: in_order(
            &course.setup.events,
            [runner.counters.read(), counters.read()],
        ),
        conditions,
        started,
    })
}

/// The readings in the order in which they were asked for.
fn in_order(events: &[Event], parts: [Readings; 2]) -> Readings {
    let mut all: Vec<_> = parts.into_iter().flat_map(|part| part.0).collect();
    let place = |name: &str| events.iter().position(|event| event.name() == name);
    all.sort_by_key(|reading| place(&reading.name));
    Readings(all)
}

impl<F: Faults> Runner<'_, F> {
    /// How the measured faults follow each other; what has to be found out for that takes
    /// `calibration`, up to `measured`.
    fn pace(
        &mut self,
        number: u32,
        measured: Ticks,
        calibration: Ticks,
    ) -> Result<Pace, CellError> {
        let Course {
            control,
            setup,
            clock,
            ..
        } = self.course;
        Ok(match (*control, setup.arrival) {
            (Some(Control::Unrecorded), _) => Pace::Unrecorded,
            (Some(Control::Planted(percent)), _) => {
                Pace::Planted(self.calibrate(percent / 100.0, measured, calibration)?)
            }
            (None, Arrival::Closed) => Pace::Closed,
            (None, arrival) => {
                let start = clock.now().max(measured);
                let threads = self.course.fault_threads;
                Pace::Open(Schedule::new(arrival, number, threads, start, clock))
            }
        })
    }

    /// A loop that makes the median stretch of faults longer by a share of it.
    fn calibrate(&mut self, share: f64, measured: Ticks, time: Ticks) -> Result<Plant, CellError> {
        let clock = &self.course.clock;
        let none = Plant::of(0.0, clock);
        Plant::lengthening(share, clock, |step, plant| {
            let end = measured - time / CALIBRATIONS * (CALIBRATIONS - 1 - step);
            // By turns, so that both meet the same machine.
            let (mut plain, mut planted) = (Vec::new(), Vec::new());
            while plain.is_empty() || clock.now() < end {
                self.faults.zap(&self.touches)?;
                self.planted_pass(clock.now(), Ticks::MAX, &none);
                plain.push(self.recorder.median_noted());
                self.recorder.discard();
                self.faults.zap(&self.touches)?;
                self.planted_pass(clock.now(), Ticks::MAX, plant);
                planted.push(self.recorder.median_noted());
                self.recorder.discard();
            }
            let median = |values: Vec<f64>| Spread::of(values).map_or(0.0, |it| it.median);
            Ok((median(plain), median(planted)))
        })
    }

    /// Passes until a moment has come. What the last pass mapped stays mapped.
    fn fault_until(&mut self, end: Ticks, pace: &mut Pace) -> Result<(), CellError> {
        let clock = &self.course.clock;
        let mut left_off = clock.now();
        loop {
            self.faults.zap(&self.touches)?;
            if self.counting {
                self.counters.enable();
            }
            let begin = clock.now();
            let last = match pace {
                Pace::Closed => self.pass(begin, end),
                Pace::Planted(plant) => self.planted_pass(begin, end, plant),
                Pace::Unrecorded => self.unrecorded_pass(begin),
                Pace::Open(schedule) => {
                    // No fault is waited for while the thread zaps what it has mapped.
                    schedule.pause(begin - left_off);
                    self.open_pass(end, schedule)
                }
            };
            self.counters.disable();
            left_off = last;
            self.tally.active += last - begin;
            self.faults.pass_ended(&self.touches)?;
            match pace {
                // From the intended start, which is no other fault's end.
                Pace::Open(_) => self.recorder.drain(clock),
                _ => self.recorder.drain_in_a_row(clock),
            }
            if last >= end || self.course.is_called_off() {
                return Ok(());
            }
        }
    }

    /// One pass; returns when it ended. The end of each fault is the start of the next, so that
    /// there is one clock read per fault.
    fn pass(&mut self, begin: Ticks, end: Ticks) -> Ticks {
        let clock = &self.course.clock;
        let (mut last, mut faults) = (begin, 0);
        let touches = self.touches.next_pass(&mut self.random);
        for (&pgoff, latency) in touches.iter().zip(self.recorder.room()) {
            black_box(self.faults.fault(pgoff));
            let now = clock.now();
            *latency = now - last;
            last = now;
            faults += 1;
            if now >= end {
                break;
            }
        }
        self.recorder.keep(faults);
        self.tally.faults += faults as u64;
        self.tally.in_faults += last - begin;
        last
    }

    /// The same, and each fault is followed by a loop that takes a known time.
    fn planted_pass(&mut self, begin: Ticks, end: Ticks, plant: &Plant) -> Ticks {
        let clock = &self.course.clock;
        let (mut last, mut faults, mut zero) = (begin, 0, 0);
        let touches = self.touches.next_pass(&mut self.random);
        for (&pgoff, latency) in touches.iter().zip(self.recorder.room()) {
            // The loop hangs on the fault, and the next fault on the loop, so that the CPU can't do
            // one beside the other.
            let fault = self.faults.fault(pgoff + zero);
            zero = plant.grow(black_box(fault));
            let now = clock.now();
            *latency = now - last;
            last = now;
            faults += 1;
            if now >= end {
                break;
            }
        }
        self.recorder.keep(faults);
        self.tally.faults += faults as u64;
        self.tally.in_faults += last - begin;
        last
    }

    /// The same without a clock read: whole passes are timed.
    fn unrecorded_pass(&mut self, begin: Ticks) -> Ticks {
        let clock = &self.course.clock;
        for &pgoff in self.touches.next_pass(&mut self.random) {
            black_box(self.faults.fault(pgoff));
        }
        let last = clock.now();
        self.tally.faults += self.touches.len() as u64;
        self.tally.in_faults += last - begin;
        last
    }

    /// One pass at a rate; returns when it ended. Latency is from the intended start, the time in
    /// faults from the real one.
    fn open_pass(&mut self, end: Ticks, schedule: &mut Schedule) -> Ticks {
        let clock = &self.course.clock;
        let mut last = clock.now();
        for &pgoff in self.touches.next_pass(&mut self.random) {
            let intended = schedule
                .next(&mut self.arrivals)
                .expect("an open loop has intended starts");
            if intended >= end {
                self.course.wait_until(end);
                return clock.now();
            }
            if intended > last {
                self.course.wait_until(intended);
                last = clock.now();
            }
            black_box(self.faults.fault(pgoff));
            let now = clock.now();
            self.recorder.push(now - intended);
            self.tally.faults += 1;
            self.tally.in_faults += now - last;
            last = now;
            if now >= end || self.course.is_called_off() {
                break;
            }
        }
        last
    }
}
