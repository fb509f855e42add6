//! `truncate`: the end of the file is cut off, and put back as a hole, again and again.

use std::ops::Range;

use kernel_model::address_space::AddressSpace;
use kernel_model::platform::Platform;
use kernel_model::removal::{self, Remover};
use rand_pcg::Pcg64Mcg;

use super::{About, Storm, Target};

/// See the module.
#[derive(Debug)]
pub struct Truncate;

static ABOUT: About = About {
    name: "truncate",
    lineage: "ftruncate() down, then up again",
    summary: "the end of the file is cut off and put back as a hole",
};

impl<P: Platform> Storm<P> for Truncate {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn remover(&self) -> Option<&'static dyn Remover<P>> {
        Some(&removal::Truncate)
    }

    fn next_range(&self, target: &Target, _random: &mut Pcg64Mcg) -> Range<u64> {
        target.pages - target.hole_pages..target.pages
    }

    fn mend(&self, mapping: &AddressSpace<P>, target: &Target) {
        mapping.extend(target.pages);
    }
}
