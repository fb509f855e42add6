//! Instructions or cycles instead of time, for the criterion benches (feature `perf-counters`).
//!
//! Counted is the calling thread in user space: a storm on another CPU is none of it, and neither
//! is the kernel. A count doesn't depend on the clock rate, hardly on who else is on the machine,
//! and says nothing of how long a cache line took to come: for that there is time. What the two
//! readings around a pass count of themselves is measured when the benches begin, and taken off.
//!
//! `FAULT_AROUND_COUNT` chooses `instructions` (as without it) or `cycles`. Where that can't be
//! counted, a line on standard error says why, and time is measured.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use criterion::Throughput;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use machine_facts::counters::{Event, PinnedCounter};

/// The environment variable that chooses.
pub const VARIABLE: &str = "FAULT_AROUND_COUNT";

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Instructions retired.
    Instructions,
    /// CPU cycles.
    Cycles,
}

impl Counted {
    /// What the environment asks for.
    ///
    /// # Errors
    /// A line with what was given and what is allowed.
    pub fn from_environment() -> Result<Self, String> {
        Self::parse(std::env::var_os(VARIABLE).map(|it| it.to_string_lossy().into_owned()))
    }

    fn parse(given: Option<String>) -> Result<Self, String> {
        match given.as_deref() {
            None | Some("" | "instructions") => Ok(Self::Instructions),
            Some("cycles") => Ok(Self::Cycles),
            Some(other) => Err(format!(
                "{VARIABLE}={other}: allowed are instructions and cycles"
            )),
        }
    }

    fn event(self) -> Event {
        match self {
            Self::Instructions => Event::Instructions,
            Self::Cycles => Event::Cycles,
        }
    }

    /// Units of one, of a thousand, and so on.
    fn units(self) -> [&'static str; 4] {
        match self {
            Self::Instructions => ["instr", "Kinstr", "Minstr", "Ginstr"],
            Self::Cycles => ["cycles", "Kcycles", "Mcycles", "Gcycles"],
        }
    }
}

/// A counter of the thread that made it, or the clock where there is no counter. Clones share it.
#[derive(Clone)]
pub struct PerfMeasurement(Rc<Source>);

enum Source {
    Counter {
        counted: Counted,
        counter: RefCell<PinnedCounter>,
        /// What is counted between two readings with nothing in between.
        between: u64,
    },
    Clock,
}

/// Pairs of readings with nothing in between. The middle one of what they count is taken off.
const EMPTY_PAIRS: usize = 201;

/// A count, or a moment.
pub enum Start {
    /// The counter's reading.
    Count(u64),
    /// The clock's.
    Moment(Instant),
}

impl PerfMeasurement {
    /// For the calling thread. Says why on standard error if it is going to measure time.
    pub fn new(counted: Counted) -> Self {
        Self::of(counted, counted.event()).unwrap_or_else(|why| {
            eprintln!("perf-counters: {why}; measuring time");
            Self(Rc::new(Source::Clock))
        })
    }

    fn of(counted: Counted, event: Event) -> Result<Self, String> {
        let counter = RefCell::new(PinnedCounter::open(event)?);
        let pairs = (0..EMPTY_PAIRS).map(|_| {
            let start = read(&counter);
            read(&counter) - start
        });
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_unstable();
        Ok(Self(Rc::new(Source::Counter {
            counted,
            counter,
            between: pairs[EMPTY_PAIRS / 2],
        })))
    }

    /// What the names of benchmarks begin with, so that criterion compares no counts with times:
    /// nothing if it is time.
    pub fn prefix(&self) -> &'static str {
        match *self.0 {
            Source::Counter { counted, .. } => match counted {
                Counted::Instructions => "instructions/",
                Counted::Cycles => "cycles/",
            },
            Source::Clock => "",
        }
    }
}

/// Reads a counter that was there when the benches began.
fn read(counter: &RefCell<PinnedCounter>) -> u64 {
    // It was pinned, so that no number had to be made up; now there is none.
    (counter.borrow_mut().read()).expect("the kernel leaves a pinned counter on the CPU")
}

impl Measurement for PerfMeasurement {
    type Intermediate = Start;
    /// Events or, of time, nanoseconds.
    type Value = u64;

    fn start(&self) -> Start {
        match &*self.0 {
            Source::Counter { counter, .. } => Start::Count(read(counter)),
            Source::Clock => Start::Moment(Instant::now()),
        }
    }

    fn end(&self, start: Start) -> u64 {
        match (start, &*self.0) {
            (Start::Moment(start), _) => start.elapsed().as_nanos() as u64,
            (
                Start::Count(start),
                Source::Counter {
                    counter, between, ..
                },
            ) => (read(counter) - start).saturating_sub(*between),
            (Start::Count(_), Source::Clock) => unreachable!("the clock has no counts"),
        }
    }

    fn add(&self, a: &u64, b: &u64) -> u64 {
        a + b
    }

    fn zero(&self) -> u64 {
        0
    }

    fn to_f64(&self, value: &u64) -> f64 {
        *value as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        match &*self.0 {
            Source::Counter { counted, .. } => counted,
            Source::Clock => WallTime.formatter(),
        }
    }
}

impl ValueFormatter for Counted {
    fn scale_values(&self, typical: f64, values: &mut [f64]) -> &'static str {
        let thousands = (0..3).take_while(|it| typical >= 1000_f64.powi(it + 1));
        let thousands = thousands.count();
        let one = 1000_f64.powi(thousands as i32);
        values.iter_mut().for_each(|value| *value /= one);
        self.units()[thousands]
    }

    /// Not so many per second, which nobody counted, but what each of them costs.
    fn scale_throughputs(
        &self,
        _typical: f64,
        throughput: &Throughput,
        values: &mut [f64],
    ) -> &'static str {
        let (many, per_element) = match *throughput {
            Throughput::Elements(elements) | Throughput::ElementsAndBytes { elements, .. } => {
                (elements, true)
            }
            Throughput::Bytes(bytes) | Throughput::BytesDecimal(bytes) => (bytes, false),
            Throughput::Bits(bits) => (bits.div_ceil(8), false),
        };
        values.iter_mut().for_each(|value| *value /= many as f64);
        match (self, per_element) {
            (Self::Instructions, true) => "instr/elem",
            (Self::Instructions, false) => "instr/byte",
            (Self::Cycles, true) => "cycles/elem",
            (Self::Cycles, false) => "cycles/byte",
        }
    }

    fn scale_for_machines(&self, _values: &mut [f64]) -> &'static str {
        self.units()[0]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_environment_chooses_and_nothing_else_passes() {
        let parse = |given: &str| Counted::parse(Some(given.to_owned()));
        assert_eq!(Counted::parse(None), Ok(Counted::Instructions));
        assert_eq!(parse(""), Ok(Counted::Instructions));
        assert_eq!(parse("instructions"), Ok(Counted::Instructions));
        assert_eq!(parse("cycles"), Ok(Counted::Cycles));
        let error = parse("Cycles").unwrap_err();
        assert_eq!(
            error,
            "FAULT_AROUND_COUNT=Cycles: allowed are instructions and cycles"
        );
    }

    #[test]
    fn counts_have_a_unit_and_all_values_the_same() {
        for (typical, expected) in [
            (999.0, "999.00 instr"),
            (1_000.0, "1.0000 Kinstr"),
            (2_500_000.0, "2.5000 Minstr"),
            (7e12, "7000.0 Ginstr"),
        ] {
            let text = Counted::Instructions.format_value(typical);
            assert_eq!(text.trim_start(), expected);
        }
        let mut values = [500.0, 4_000.0];
        let unit = Counted::Cycles.scale_values(2_000.0, &mut values);
        assert_eq!((unit, values), ("Kcycles", [0.5, 4.0]));
    }

    #[test]
    fn a_throughput_is_what_an_element_costs() {
        let pages = Throughput::Elements(16);
        let text = Counted::Instructions.format_throughput(&pages, 4_000.0);
        assert_eq!(text, "250.00 instr/elem");
        let text = Counted::Cycles.format_throughput(&Throughput::Bytes(64), 128.0);
        assert_eq!(text.trim_start(), "2.0000 cycles/byte");
    }

    /// Context switches stand in for instructions: they are counted in VMs too.
    #[test]
    fn a_count_is_of_what_lies_between_and_of_nothing_else() {
        let counted = Counted::Instructions;
        let sleep = || std::thread::sleep(Duration::from_micros(100));
        let measurement = match PerfMeasurement::of(counted, Event::ContextSwitches) {
            Ok(measurement) => measurement,
            Err(why) => {
                eprintln!("skipped: {why}");
                return;
            }
        };
        let measure = |sleeps: u32| {
            (0..10).for_each(|_| sleep());
            let start = measurement.start();
            (0..sleeps).for_each(|_| sleep());
            measurement.end(start)
        };
        let least = (0..20).map(|_| measure(3)).min();
        // Others may switch it out as well, but not every time.
        assert_eq!(least, Some(3));
        assert_eq!(measurement.prefix(), "instructions/");
        let text = measurement.formatter().format_value(3.0);
        assert!(text.ends_with(" instr"), "{text}");
    }

    #[test]
    fn what_readings_count_of_themselves_is_taken_off() {
        let Ok(counter) = PinnedCounter::open(Event::ContextSwitches) else {
            eprintln!("skipped: not counted");
            return;
        };
        let measurement = PerfMeasurement(Rc::new(Source::Counter {
            counted: Counted::Cycles,
            counter: RefCell::new(counter),
            between: 2,
        }));
        let measure = || {
            let start = measurement.start();
            (0..5).for_each(|_| std::thread::sleep(Duration::from_micros(100)));
            measurement.end(start)
        };
        assert_eq!((0..20).map(|_| measure()).min(), Some(3));
        let start = measurement.start();
        assert!(measurement.end(start) < 3, "less than nothing is nothing");
        assert_eq!(measurement.prefix(), "cycles/");
    }

    /// Where there is no counter, it is the clock and not an error.
    #[test]
    fn more_work_measures_more() {
        let measurement = PerfMeasurement::new(Counted::Instructions);
        let measure = |work: &dyn Fn()| {
            let start = measurement.start();
            work();
            measurement.end(start)
        };
        let turns = |turns: u64| {
            std::hint::black_box((0..turns).fold(1_u64, |sum, it| (sum ^ it).wrapping_mul(3)));
        };
        let (short, long) = (measure(&|| turns(10_000)), measure(&|| turns(10_000_000)));
        let sum = measurement.add(&measurement.add(&measurement.zero(), &short), &long);
        assert_eq!(measurement.to_f64(&sum), (short + long) as f64);
        match *measurement.0 {
            Source::Counter { .. } => {
                assert_eq!(measurement.prefix(), "instructions/");
                assert!(long > 100 * short, "{long} and {short}");
            }
            Source::Clock => {
                assert_eq!(measurement.prefix(), "");
                let slept = measure(&|| std::thread::sleep(Duration::from_millis(5)));
                assert!(slept >= 5_000_000, "{slept} ns");
                let text = measurement.formatter().format_value(1_500.0);
                assert!(text.ends_with("µs"), "{text}");
            }
        }
    }
}
