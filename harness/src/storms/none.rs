//! `none`: the fault threads are alone.

use std::ops::Range;

use kernel_model::platform::Platform;
use kernel_model::removal::Remover;
use rand_pcg::Pcg64Mcg;

use super::{About, Storm, Target};

/// See the module.
#[derive(Debug)]
pub struct None;

static ABOUT: About = About {
    name: "none",
    lineage: "nothing",
    summary: "no storm: the fault threads are alone",
};

impl<P: Platform> Storm<P> for None {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn remover(&self) -> Option<&'static dyn Remover<P>> {
        Option::None
    }

    fn next_range(&self, _target: &Target, _random: &mut Pcg64Mcg) -> Range<u64> {
        0..0
    }
}
