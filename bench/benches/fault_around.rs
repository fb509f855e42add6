//! Mapping 1, 4 and 16 pages: each sound scheme beside the floor, uncontended and with a storm in
//! the background. By time; with `--features perf-counters` by instructions or cycles.

use std::io::{Write, stdout};
use std::sync::LazyLock;
use std::time::Duration;

use criterion::measurement::Measurement;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use fault_around::contended::Contended;
use fault_around::uncontended::compare::{BY_HAND, compare, contestants, large_folios, table};
use fault_around::uncontended::{Floor, Mapper, Twin, Uncontended, Walk};
use kernel_model::Orders;
use kernel_model::fault_around::{FaultAround, Schemes};
use kernel_model::platform::Native;
use machine_facts::environment::Environment;
use machine_facts::topology::{Topology, pin_current_thread};
use measuring::machine::orders_in_words;

use measured::{Measured, measured, named};

const WINDOWS: [u32; 3] = [1, 4, 16];
/// Of which orders large folios are, where there are any.
const LARGE: [Orders; 2] = [Orders::All(4), Orders::Mix];
/// What to name after `--` for the ratios alone.
const RATIOS: &str = "ratios";

/// Folios of a file that is in the cache: 256 of them are 16 KiB.
const CACHED_PAGES: u32 = 256;
/// A last-level cache where the kernel doesn't say.
const LLC_BYTES: u64 = 32 << 20;
/// The most that is set up for a large one.
const MOST_PAGES: u64 = 1 << 22;
const FOLIO_BYTES: u64 = 64;

#[cfg(not(feature = "perf-counters"))]
mod measured {
    use criterion::measurement::WallTime;

    pub(super) type Measured = WallTime;

    pub(super) fn measured() -> Measured {
        WallTime
    }

    /// What a group is called.
    pub(super) fn named(name: &str) -> String {
        name.to_owned()
    }
}

#[cfg(feature = "perf-counters")]
mod measured {
    use fault_around::perf_measurement::{Counted, PerfMeasurement};

    pub(super) type Measured = PerfMeasurement;

    thread_local! {
        // One counter, since each takes one of the CPU's for good.
        static MEASURED: PerfMeasurement = match Counted::from_environment() {
            Ok(counted) => PerfMeasurement::new(counted),
            Err(line) => {
                eprintln!("fault_around: {line}");
                std::process::exit(2);
            }
        };
    }

    pub(super) fn measured() -> Measured {
        MEASURED.with(Clone::clone)
    }

    /// What a group is called: criterion is to compare no counts with times.
    pub(super) fn named(name: &str) -> String {
        format!("{}{name}", measured().prefix())
    }
}

fn sound() -> impl Iterator<Item = &'static dyn FaultAround<Native>> {
    let schemes = Schemes::<Native>::ALL.iter().copied();
    schemes.filter(|scheme| scheme.about().verdict.is_sound())
}

fn configure(group: &mut BenchmarkGroup<'_, Measured>) {
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1200));
}

fn bench(
    group: &mut BenchmarkGroup<'_, Measured>,
    label: &str,
    walk: &Walk,
    mapper: &mut dyn Mapper,
) {
    group.throughput(Throughput::Elements(u64::from(walk.window_pages)));
    group.bench_function(BenchmarkId::new(label, walk.window_pages), |bencher| {
        let measured = measured();
        bencher.iter_custom(|windows| {
            let mut sum = measured.zero();
            walk.each_pass(mapper, windows, |pass| {
                let start = measured.start();
                pass.map();
                sum = measured.add(&sum, &measured.end(start));
            });
            sum
        });
    });
}

/// The CPUs that this process may use, as they are before its main thread is pinned.
fn topology() -> &'static Topology {
    static TOPOLOGY: LazyLock<Topology> =
        LazyLock::new(|| Topology::detect().expect("the kernel tells the affinity"));
    &TOPOLOGY
}

/// Pins the measuring thread to the first CPU, and says so if that can't be had.
fn pin() {
    if let Err(error) = pin_current_thread(topology().cpus()[0].id) {
        eprintln!("fault_around: not pinned: {error}");
    }
}

/// Pages of a file whose folios take twice the last-level cache.
fn larger_than_llc() -> u32 {
    let environment = Environment::capture(topology());
    let llc = environment.processor.last_level_cache_bytes;
    let pages = (2 * llc.unwrap_or(LLC_BYTES) / FOLIO_BYTES).min(MOST_PAGES) / 512 * 512;
    eprintln!(
        "fault_around: larger-than-llc is {pages} pages, whose folios take {} MiB, against a \
         last-level cache of {}",
        (pages * FOLIO_BYTES) >> 20,
        llc.map_or("unknown size".to_owned(), |llc| format!(
            "{} MiB",
            llc >> 20
        ))
    );
    pages as u32
}

fn uncontended(criterion: &mut Criterion<Measured>) {
    pin();
    group(criterion, "fault_around/cached", |window| {
        Walk::sequential(CACHED_PAGES, window)
    });
    for orders in LARGE {
        let name = format!("fault_around/cached, order {}", orders_in_words(orders));
        let mut group = criterion.benchmark_group(named(&name));
        configure(&mut group);
        let walk = Walk::sequential(CACHED_PAGES, 16).with_orders(orders);
        for scheme in sound() {
            let mut mapper = Uncontended::new(scheme, &walk);
            bench(&mut group, scheme.about().name, &walk, &mut mapper);
        }
    }
    let pages = larger_than_llc();
    group(criterion, "fault_around/larger-than-llc", |window| {
        Walk::scattered(pages, window)
    });
}

/// The floor, the sound schemes and the hand-written twin over one file.
fn group(criterion: &mut Criterion<Measured>, name: &str, walk_of: impl Fn(u32) -> Walk) {
    let mut group = criterion.benchmark_group(named(name));
    configure(&mut group);
    for window in WINDOWS {
        let walk = walk_of(window);
        let floor: &'static dyn FaultAround<Native> = &Floor::<false, false>;
        for scheme in std::iter::once(floor).chain(sound()) {
            let mut mapper = Uncontended::new(scheme, &walk);
            bench(&mut group, scheme.about().name, &walk, &mut mapper);
        }
        bench(&mut group, BY_HAND, &walk, &mut Twin::new(&walk));
    }
    group.finish();
}

fn contended(criterion: &mut Criterion<Measured>) {
    let mut group = criterion.benchmark_group(named("contended/punch-hole"));
    configure(&mut group);
    for window in WINDOWS {
        let walk = Walk::sequential(4096, window);
        for scheme in sound() {
            match Contended::new(scheme, &walk, topology()) {
                Ok(mut contended) => bench(&mut group, scheme.about().name, &walk, &mut contended),
                Err(reason) => {
                    eprintln!("contended: skipped: {reason}");
                    return;
                }
            }
        }
    }
    group.finish();
}

/// What criterion can't tell, since it runs one benchmark after the other: the ratios, taken turn
/// by turn.
fn ratios(_criterion: &mut Criterion<Measured>) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().all(|it| it == "--bench" || it == RATIOS) || arguments.is_empty() {
        return;
    }
    eprintln!("fault_around: ratios, taken in turns");
    let mut out = String::from(
        "\nratios of times to the floor (over large folios to page-locked over single pages) and to\n\
         page-locked (p-l), uncontended, taken in turns of random order; medians over turns;\n\
         sign-test intervals of the median, 95% or more; ns per window\n",
    );
    let mut add = |title: &str, walk: &Walk, windows: u64, turns: u32| {
        let (mut contestants, first) = match walk.orders.are_large() {
            true => (large_folios(walk), "p-l, 0"),
            false => (contestants(walk), "floor"),
        };
        let results = compare(&mut contestants, walk, windows, turns, 1);
        out.push_str(&table(title, first, &results));
    };
    for window in WINDOWS.into_iter().rev() {
        let walk = Walk::sequential(CACHED_PAGES, window);
        add(&format!("\ncached, {window} at a time"), &walk, 3_000, 60);
    }
    for orders in LARGE {
        let walk = Walk::sequential(CACHED_PAGES, 16).with_orders(orders);
        let title = format!("\ncached, 16, order {}", orders_in_words(orders));
        add(&title, &walk, 3_000, 60);
    }
    let large = Walk::scattered(larger_than_llc(), 16);
    add(
        "\nbeyond LLC, 16 at a time",
        &large,
        large.order.len() as u64,
        12,
    );
    // A closed pipe doesn't want it.
    let _ = writeln!(stdout().lock(), "{out}");
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(measured());
    targets = uncontended, contended, ratios
}
criterion_main!(benches);
