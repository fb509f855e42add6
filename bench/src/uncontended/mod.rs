//! One fault thread, nobody else: what a scheme costs when there is nothing to wait for.

pub mod compare;
mod floor;
mod twin;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kernel_model::address_space::AddressSpace;
use kernel_model::fault_around::FaultAround;
use kernel_model::mm::{Mm, Vma};
use kernel_model::platform::Native;
use kernel_model::{Config, Instantly, Orders, System, Task};

pub use floor::Floor;
pub use twin::Twin;

/// Something that maps windows of a file that is all in the page cache.
pub trait Mapper {
    /// Maps the window with this number.
    fn map_window(&mut self, window: u64);
    /// Takes all PTEs away again.
    fn zap(&mut self);
}

/// How much of a file is mapped, and in what order.
#[derive(Debug, Clone)]
pub struct Walk {
    /// Pages in the file.
    pub pages: u32,
    /// Pages in a window.
    pub window_pages: u32,
    /// Of which orders its folios are.
    pub orders: Orders,
    /// Numbers of the windows in the order in which they are mapped, each once.
    pub order: Vec<u64>,
}

impl Walk {
    /// All windows of a file, from its start to its end.
    pub fn sequential(pages: u32, window_pages: u32) -> Self {
        Self {
            pages,
            window_pages,
            orders: Orders::All(0),
            order: (0..u64::from(pages / window_pages)).collect(),
        }
    }

    /// The same with folios of these orders.
    pub fn with_orders(self, orders: Orders) -> Self {
        Self { orders, ..self }
    }

    /// All windows of a file in a scattered but fixed order, which no prefetcher follows.
    pub fn scattered(pages: u32, window_pages: u32) -> Self {
        let mut walk = Self::sequential(pages, window_pages);
        // Fisher–Yates with a linear congruential generator (Knuth's MMIX constants).
        let mut state = 0x5eed_u64;
        for last in (1..walk.order.len()).rev() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            walk.order.swap(last, (state >> 33) as usize % (last + 1));
        }
        walk
    }

    /// The time that `mapper` takes to map `windows` windows. Zapping comes in between, whenever
    /// all are mapped, and isn't timed.
    pub fn time(&self, mapper: &mut dyn Mapper, windows: u64) -> Duration {
        let mut taken = Duration::ZERO;
        self.each_pass(mapper, windows, |pass| {
            let start = Instant::now();
            pass.map();
            taken += start.elapsed();
        });
        taken
    }

    /// Has `mapper` map `windows` windows, a pass over the file at a time, each of which `measure`
    /// is to start. Zapping comes in between.
    #[inline]
    pub fn each_pass(
        &self,
        mapper: &mut dyn Mapper,
        windows: u64,
        mut measure: impl FnMut(Pass<'_>),
    ) {
        let mut left = windows;
        while left > 0 {
            let now = left.min(self.order.len() as u64);
            measure(Pass {
                mapper,
                windows: &self.order[..now as usize],
            });
            mapper.zap();
            left -= now;
        }
    }
}

/// Windows to be mapped one after the other: what is measured, and nothing else.
pub struct Pass<'a> {
    mapper: &'a mut dyn Mapper,
    windows: &'a [u64],
}

impl Pass<'_> {
    /// Maps them.
    #[inline]
    pub fn map(self) {
        for &window in self.windows {
            self.mapper.map_window(black_box(window));
        }
    }
}

/// A scheme over the model, and a file that is all in the page cache.
pub struct Bed {
    pub(crate) system: System<Native>,
    pub(crate) vma: Arc<Vma<Native>>,
}

impl Bed {
    /// A file, mapped once, with all PTE tables installed.
    pub fn new(scheme: &'static dyn FaultAround<Native>, walk: &Walk) -> Self {
        let config = Config {
            folios: walk.pages + SPARE_FOLIOS.max(2 << walk.orders.highest()),
            free_lists: 1,
            entries_per_table: 512,
            window_pages: walk.window_pages,
            readahead_pages: 1,
            orders: walk.orders,
        };
        let pages = u64::from(walk.pages);
        let system = System::new(config, scheme, Box::new(Instantly));
        let file = Arc::new(AddressSpace::new(1, pages));
        let mut task = Task::new(0);
        assert!(
            system.populate(&file, 0..pages, &mut task),
            "there is a frame for every page"
        );
        let vma = Vma::map(Mm::new(pages, config.entries_per_table), file, 0, 0, pages);
        let bed = Self { system, vma };
        for &window in &walk.order {
            bed.map(window, &mut task);
        }
        assert_eq!(
            task.faults.mapped, pages,
            "every page is mapped by fault-around"
        );
        bed.zap(&mut task);
        bed
    }

    /// Maps the window with this number by fault-around.
    #[inline]
    pub fn map(&self, window: u64, task: &mut Task) {
        let pgoff = window * u64::from(self.system.config.window_pages);
        black_box(self.system.do_fault_around(&self.vma, pgoff, task));
    }

    /// Takes all PTEs away.
    pub fn zap(&self, task: &mut Task) {
        let vpns = self.vma.vpns_of(&self.vma.pgoffs());
        self.system.zap_range(&self.vma, vpns, task);
    }
}

/// Frames beyond the file's, for folios that are on their way out.
const SPARE_FOLIOS: u32 = 256;

/// One thread on a bed of its own.
pub struct Uncontended {
    bed: Bed,
    task: Task,
}

impl Uncontended {
    /// A thread under a scheme.
    pub fn new(scheme: &'static dyn FaultAround<Native>, walk: &Walk) -> Self {
        Self {
            bed: Bed::new(scheme, walk),
            task: Task::new(0),
        }
    }
}

impl Mapper for Uncontended {
    #[inline]
    fn map_window(&mut self, window: u64) {
        self.bed.map(window, &mut self.task);
    }

    fn zap(&mut self) {
        self.bed.zap(&mut self.task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked of a mapper, in order; `None`: to zap.
    #[derive(Default)]
    struct Asked(Vec<Option<u64>>);

    impl Mapper for Asked {
        fn map_window(&mut self, window: u64) {
            self.0.push(Some(window));
        }

        fn zap(&mut self) {
            self.0.push(None);
        }
    }

    #[test]
    fn passes_map_as_many_windows_as_asked_and_zap_in_between() {
        let walk = Walk::sequential(12, 4);
        let mut asked = Asked::default();
        let mut passes = 0;
        walk.each_pass(&mut asked, 5, |pass| {
            passes += 1;
            pass.map();
        });
        let expected = [Some(0), Some(1), Some(2), None, Some(0), Some(1), None];
        assert_eq!((asked.0.as_slice(), passes), (&expected[..], 2));
    }

    #[test]
    fn time_is_of_all_passes() {
        /// Takes its time for windows, and more of it for zaps.
        struct Slow;
        impl Mapper for Slow {
            fn map_window(&mut self, _window: u64) {
                std::thread::sleep(Duration::from_millis(1));
            }
            fn zap(&mut self) {
                std::thread::sleep(Duration::from_millis(40));
            }
        }
        let start = Instant::now();
        let taken = Walk::sequential(12, 4).time(&mut Slow, 5);
        let all = start.elapsed();
        assert!(taken >= Duration::from_millis(5), "{taken:?}");
        assert!(
            taken <= all - Duration::from_millis(80),
            "{taken:?} of {all:?}"
        );
    }
}
