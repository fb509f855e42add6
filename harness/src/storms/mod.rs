//! Storms: what storm threads do to the file while others fault on it, one file each.

use std::ops::Range;

use kernel_model::address_space::AddressSpace;
use kernel_model::platform::Platform;
use kernel_model::removal::Remover;
use rand_pcg::Pcg64Mcg;

mod none;
mod punch_hole;
mod truncate;

pub use none::None;
pub use punch_hole::PunchHole;
pub use truncate::Truncate;

/// What a storm says of itself.
#[derive(Debug)]
pub struct About {
    /// The name on the command line and in tables.
    pub name: &'static str,
    /// The system call that it stands for.
    pub lineage: &'static str,
    /// What its threads do, in a sentence.
    pub summary: &'static str,
}

/// The file that a storm hits.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its pages.
    pub pages: u64,
    /// Pages that one operation removes.
    pub hole_pages: u64,
    /// What the holes are aligned to, in pages.
    pub window_pages: u64,
}

/// A kind of storm.
pub trait Storm<P: Platform>: Send + Sync {
    /// What it says of itself.
    fn about(&self) -> &'static About;

    /// What its operations are; `None` if it has none, and no threads either.
    fn remover(&self) -> Option<&'static dyn Remover<P>>;

    /// Where the next operation hits.
    fn next_range(&self, target: &Target, random: &mut Pcg64Mcg) -> Range<u64>;

    /// Makes the file fit for the next operation. Not part of the operation's latency.
    fn mend(&self, _mapping: &AddressSpace<P>, _target: &Target) {}
}

/// Every storm. A new one is a file and a line here.
pub struct Storms<P>(std::marker::PhantomData<P>);

impl<P: Platform> Storms<P> {
    /// In the order of tables.
    pub const ALL: &'static [&'static dyn Storm<P>] = &[&None, &Truncate, &PunchHole];

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

    #[test]
    fn every_hole_lies_in_the_file_has_its_size_and_is_aligned() {
        let target = Target {
            pages: 256,
            hole_pages: 32,
            window_pages: 16,
        };
        let mut random = Pcg64Mcg::seed_from_u64(1);
        for storm in Storms::<Native>::ALL
            .iter()
            .filter(|storm| storm.remover().is_some())
        {
            let mut seen = std::collections::BTreeSet::new();
            for _ in 0..1_000 {
                let hole = storm.next_range(&target, &mut random);
                assert_eq!(hole.end - hole.start, 32, "{}", storm.about().name);
                assert_eq!(hole.start % 16, 0);
                assert!(hole.end <= 256);
                seen.insert(hole.start);
            }
            let places = if storm.about().name == "punch-hole" {
                15
            } else {
                1
            };
            assert_eq!(seen.len(), places, "{}", storm.about().name);
        }
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
