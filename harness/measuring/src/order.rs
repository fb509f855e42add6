//! The order in which a fault thread touches the windows of the file.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

/// How a pass goes through the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// From the start to the end, touching the first page of each window.
    Sequential,
    /// In a new random order in each pass, touching a random page of each window.
    Random,
}

/// A thread's touches in one pass: the page of the file that each fault is on.
#[derive(Debug)]
pub struct Touches {
    access: Access,
    window_pages: u64,
    pgoffs: Vec<u64>,
}

impl Touches {
    /// Every `stride`th window of a file, from number `first` on.
    pub fn new(access: Access, pages: u64, window_pages: u64, first: u64, stride: u64) -> Self {
        let windows = pages / window_pages;
        let pgoffs = (first..windows)
            .step_by(stride as usize)
            .map(|window| window * window_pages)
            .collect();
        Self {
            access,
            window_pages,
            pgoffs,
        }
    }

    /// How many there are in a pass.
    pub fn len(&self) -> usize {
        self.pgoffs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pgoffs.is_empty()
    }

    /// The touches of the next pass.
    pub fn next_pass(&mut self, random: &mut Pcg64Mcg) -> &[u64] {
        if self.access == Access::Random {
            self.pgoffs.shuffle(random);
            for pgoff in &mut self.pgoffs {
                let start = *pgoff - *pgoff % self.window_pages;
                *pgoff = start + random.random_range(0..self.window_pages);
            }
        }
        &self.pgoffs
    }

    /// The first pages of the windows that a pass touches.
    pub fn windows(&self) -> impl Iterator<Item = u64> {
        self.pgoffs
            .iter()
            .map(|pgoff| pgoff - pgoff % self.window_pages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use std::collections::BTreeSet;

    #[test]
    fn every_pass_touches_every_window_once() {
        let mut random = Pcg64Mcg::seed_from_u64(7);
        for access in [Access::Sequential, Access::Random] {
            let mut touches = Touches::new(access, 256, 16, 0, 1);
            for _ in 0..3 {
                let pass = touches.next_pass(&mut random);
                let windows: BTreeSet<u64> = pass.iter().map(|pgoff| pgoff / 16).collect();
                assert_eq!((pass.len(), windows.len()), (16, 16), "{access:?}");
            }
        }
    }

    #[test]
    fn random_passes_differ_in_windows_and_in_pages() {
        let mut random = Pcg64Mcg::seed_from_u64(7);
        let mut touches = Touches::new(Access::Random, 256, 16, 0, 1);
        let one = touches.next_pass(&mut random).to_vec();
        let other = touches.next_pass(&mut random).to_vec();
        let windows = |pass: &[u64]| pass.iter().map(|pgoff| pgoff / 16).collect::<Vec<_>>();
        assert_ne!(windows(&one), windows(&other));
        assert!(one.iter().any(|pgoff| pgoff % 16 != 0));
    }

    #[test]
    fn threads_that_share_deal_the_windows_out() {
        let mut all: Vec<u64> = (0..3)
            .flat_map(|thread| {
                let touches = Touches::new(Access::Sequential, 256, 16, thread, 3);
                touches.windows().collect::<Vec<_>>()
            })
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..256).step_by(16).collect::<Vec<_>>());
    }
}
