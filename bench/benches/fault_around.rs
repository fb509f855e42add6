//! Mapping 1, 4 and 16 pages, uncontended: each sound scheme beside the floor.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fault_around::uncontended::{Bed, Floor, Mapper, Twin, Walk};
use kernel_model::fault_around::{FaultAround, Schemes};
use kernel_model::platform::Native;

fn uncontended(criterion: &mut Criterion, name: &str, walk_of: impl Fn(u32) -> Walk) {
    let mut group = criterion.benchmark_group(name);
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_millis(1500));
    for window_pages in [1, 4, 16] {
        let walk = walk_of(window_pages);
        group.throughput(Throughput::Elements(u64::from(window_pages)));
        let mut bench = |label: &str, mapper: &mut dyn Mapper| {
            group.bench_function(BenchmarkId::new(label, window_pages), |bencher| {
                bencher.iter_custom(|windows| walk.time(mapper, windows));
            });
        };
        let floor: &'static dyn FaultAround<Native> = &Floor;
        for scheme in std::iter::once(&floor).chain(Schemes::<Native>::ALL) {
            bench(scheme.about().name, &mut Bed::new(*scheme, &walk));
        }
        bench("mapcount-recheck by hand", &mut Twin::new(&walk));
    }
    group.finish();
}

fn cached(criterion: &mut Criterion) {
    uncontended(criterion, "fault_around/cached", |window| {
        Walk::sequential(256, window)
    });
}

criterion_group!(benches, cached);
criterion_main!(benches);
