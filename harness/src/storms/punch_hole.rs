//! `punch-hole`: holes of one size at random places, each aligned to a window.

use std::ops::Range;

use kernel_model::platform::Platform;
use kernel_model::removal::{self, Remover};
use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::{About, Storm, Target};

/// See the module.
#[derive(Debug)]
pub struct PunchHole;

static ABOUT: About = About {
    name: "punch-hole",
    lineage: "fallocate(FALLOC_FL_PUNCH_HOLE)",
    summary: "holes at random places",
};

impl<P: Platform> Storm<P> for PunchHole {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn remover(&self) -> Option<&'static dyn Remover<P>> {
        Some(&removal::PunchHole)
    }

    fn next_range(&self, target: &Target, random: &mut Pcg64Mcg) -> Range<u64> {
        let places = (target.pages - target.hole_pages) / target.window_pages + 1;
        let start = random.random_range(0..places) * target.window_pages;
        start..start + target.hole_pages
    }
}
