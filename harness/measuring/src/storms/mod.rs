//! Storms: what storm threads do to the file while others fault on it, one file each.

use std::ops::Range;

use kernel_model::address_space::AddressSpace;
use kernel_model::platform::Platform;
use kernel_model::removal::Remover;
use kernel_model::{System, Task};
use rand::RngExt;
use rand_pcg::Pcg64Mcg;

mod holes;
mod mixed;
mod none;
mod truncate;

pub use holes::{INVALIDATE, MEMORY_FAILURE, MIGRATE, PUNCH_HOLE, RECLAIM, SHMEM_SWAPOUT};
pub use mixed::Mixed;
pub use none::None;
pub use truncate::Truncate;

/// What a storm says of itself.
#[derive(Debug)]
pub struct About {
    /// The name on the command line and in tables.
    pub name: &'static str,
    /// The system call, or what in the kernel, it stands for.
    pub lineage: &'static str,
    /// What its threads do, in a sentence.
    pub summary: &'static str,
}

/// The part of a file that a storm hits.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Where it begins.
    pub start: u64,
    /// Its pages.
    pub pages: u64,
    /// Pages that one operation removes.
    pub hole_pages: u64,
    /// What the holes are aligned to, in pages.
    pub window_pages: u64,
    /// Whether no thread faults on it, so that the storm itself must bring back what it took away.
    pub refill: bool,
}

impl Target {
    /// Where it ends, which is where the file ends.
    pub fn end(&self) -> u64 {
        self.start + self.pages
    }

    /// A hole at a random place, aligned to a window.
    fn hole(&self, random: &mut Pcg64Mcg) -> Range<u64> {
        let places = (self.pages - self.hole_pages) / self.window_pages + 1;
        let start = self.start + random.random_range(0..places) * self.window_pages;
        start..start + self.hole_pages
    }

    /// Its last pages, as long as a hole.
    fn tail(&self) -> Range<u64> {
        self.end() - self.hole_pages..self.end()
    }

    /// Makes the file fit for the next operation after one on `range`: as long as it was and, if
    /// the storm has to do that, full. Not part of any operation's latency.
    pub fn mend<P: Platform>(
        &self,
        system: &System<P>,
        mapping: &AddressSpace<P>,
        range: Range<u64>,
        task: &mut Task,
    ) {
        if mapping.i_size_pages() < self.end() {
            mapping.extend(self.end());
        }
        if self.refill {
            // A folio that lay in the range in part may be gone whole.
            let pages = 1 << system.config.orders.highest();
            let range = range.start & !(pages - 1)..range.end.next_multiple_of(pages);
            system.read_ahead(mapping, range.start..range.end.min(self.end()), task);
        }
    }
}

/// One operation of a storm.
pub struct Operation<P: Platform> {
    /// What it does.
    pub remover: &'static dyn Remover<P>,
    /// Where.
    pub range: Range<u64>,
}

/// A kind of storm.
pub trait Storm<P: Platform>: Send + Sync {
    /// What it says of itself.
    fn about(&self) -> &About;

    /// What its operations are; none if it has none, and no threads either.
    fn removers(&self) -> Vec<&'static dyn Remover<P>>;

    /// The next operation. Must not be asked of a storm that has none.
    fn next(&self, target: &Target, random: &mut Pcg64Mcg) -> Operation<P>;

    /// Whether it belongs to the default storms, beside being run when it is named.
    fn is_default(&self) -> bool {
        false
    }
}

/// Every storm. A new one is a file and a line here.
pub struct Storms<P>(std::marker::PhantomData<P>);

impl<P: Platform> Storms<P> {
    /// In the order of tables.
    pub const ALL: &'static [&'static dyn Storm<P>] = &[
        &None,
        &Truncate,
        &PUNCH_HOLE,
        &INVALIDATE,
        &RECLAIM,
        &MIGRATE,
        &SHMEM_SWAPOUT,
        &MEMORY_FAILURE,
        &Mixed,
    ];

    /// The storm of a name.
    pub fn named(name: &str) -> Option<&'static dyn Storm<P>> {
        let mut all = Self::ALL.iter().copied();
        all.find(|storm| storm.about().name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel_model::platform::Native;
    use rand::SeedableRng;

    const TARGET: Target = Target {
        start: 512,
        pages: 256,
        hole_pages: 32,
        window_pages: 16,
        refill: false,
    };

    #[test]
    fn every_hole_lies_in_the_target_has_its_size_and_is_aligned() {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        for storm in Storms::<Native>::ALL
            .iter()
            .filter(|storm| !storm.removers().is_empty())
        {
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..1_000 {
                let hole = storm.next(&TARGET, &mut random).range;
                assert_eq!(hole.end - hole.start, 32, "{}", storm.about().name);
                assert_eq!(hole.start % 16, 0);
                assert!(hole.start >= 512 && hole.end <= 768);
                seen.insert(hole.start);
            }
            let places = if storm.about().name == "truncate" {
                1
            } else {
                15
            };
            assert_eq!(seen.len(), places, "{}", storm.about().name);
        }
    }

    #[test]
    fn a_mixed_storm_has_the_blend_that_it_states() {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let mut seen = std::collections::BTreeMap::new();
        for _ in 0..10_000 {
            let operation: Operation<Native> = Mixed.next(&TARGET, &mut random);
            let name = operation.remover.about().name;
            *seen.entry(name).or_insert(0_u32) += 1;
            if name == "truncate" {
                assert_eq!(operation.range, TARGET.tail());
            }
        }
        let about = <Mixed as Storm<Native>>::about(&Mixed);
        for (name, times) in &seen {
            let percent = (f64::from(*times) / 500.0).round() * 5.0;
            let stated = format!("{name} {percent}%");
            assert!(about.summary.contains(&stated), "{stated}");
        }
        let removers = <Mixed as Storm<Native>>::removers(&Mixed);
        assert_eq!(seen.len(), removers.len());
    }

    #[test]
    fn names_are_found_and_are_unique() {
        for storm in Storms::<Native>::ALL {
            let name = storm.about().name;
            let found = Storms::<Native>::named(name).expect("a listed storm");
            assert!(
                std::ptr::eq(found.about(), storm.about()),
                "{name} is taken twice"
            );
        }
        assert!(Storms::<Native>::named("hail").is_none());
    }
}
