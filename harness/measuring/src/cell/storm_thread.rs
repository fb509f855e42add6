//! A storm thread: one operation after the other, flat out or at a rate.

use hdrhistogram::Histogram;
use kernel_model::RemovalCounters;
use machine_facts::clock::Ticks;
use machine_facts::conditions::{ThreadConditions, ThreadWatch};
use machine_facts::counters::{Counters, Readings};
use machine_facts::recorder::Recorder;
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

use super::course::{Course, Phases};
use super::sides::Removals;
use super::{CellError, thread_seed};
use crate::arrival::{Arrival, Schedule};

/// What a storm thread brings home.
#[derive(Debug)]
pub struct StormThread {
    /// Its operations' latencies in nanoseconds: from the intended start where there is a rate.
    pub histogram: Histogram<u64>,
    /// Its operations' times from when they really began.
    pub service: Histogram<u64>,
    /// Latencies beyond the histogram's range.
    pub beyond: u64,
    /// What its operations counted.
    pub counters: RemovalCounters,
    /// What its counters read in the measured time.
    pub readings: Readings,
    /// What happened to it in the measured time.
    pub conditions: ThreadConditions,
    /// When it started.
    pub started: Ticks,
}

/// Operations between two drains of the recorder.
const BATCH: u64 = 1024;

/// Runs storm thread `number` of a cell.
///
/// # Errors
/// See [`CellError`].
pub fn run(
    course: &Course,
    number: u32,
    removals: &mut dyn Removals,
) -> Result<StormThread, CellError> {
    let thread = course.fault_threads + number;
    let mut random = Pcg64Mcg::seed_from_u64(thread_seed(course.seed, u64::from(thread)));
    let mut recorder = Recorder::new(BATCH as usize);
    let mut service = Recorder::new(BATCH as usize);
    let mut counters = Counters::open(&course.setup.events);
    let (
        cpu,
        Phases {
            started,
            measured,
            end,
        },
    ) = course.begin(thread)?;

    let clock = &course.clock;
    let arrival = course
        .setup
        .rate_per_s
        .map_or(Arrival::Closed, Arrival::Fixed);
    let mut schedule = Schedule::new(arrival, number, course.setup.storm_threads, started, clock);
    let mut watch = ThreadWatch::start(cpu);
    let mut warming_up = true;
    let mut operations = 0;
    loop {
        let intended = schedule.next(&mut random);
        if intended.is_some_and(|intended| intended >= end) {
            break;
        }
        if let Some(intended) = intended {
            course.wait_until(intended);
        }
        if warming_up && intended.unwrap_or_else(|| clock.now()) >= measured {
            warming_up = false;
            watch = ThreadWatch::start(cpu);
            counters.enable();
            removals.forget();
            recorder.discard();
            service.discard();
            operations = 0;
        }
        removals.choose(&mut random);
        let begin = clock.now();
        removals.remove()?;
        let done = clock.now();
        recorder.push(done - intended.unwrap_or(begin));
        service.push(done - begin);
        operations += 1;
        removals.mend()?;
        if operations % BATCH == 0 {
            for recorder in [&mut recorder, &mut service] {
                if warming_up {
                    recorder.discard();
                } else {
                    recorder.drain(clock);
                }
            }
        }
        if done >= end || course.is_called_off() {
            break;
        }
    }
    counters.disable();
    if warming_up {
        // Not a single operation began in the measured time.
        removals.forget();
        recorder.discard();
        service.discard();
    }
    recorder.drain(clock);
    service.drain(clock);
    Ok(StormThread {
        readings: counters.read(),
        conditions: watch.stop(),
        histogram: recorder.histogram,
        service: service.histogram,
        beyond: recorder.beyond,
        counters: removals.counters(),
        started,
    })
}
