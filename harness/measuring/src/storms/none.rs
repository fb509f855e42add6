//! `none`: the fault threads are alone.

use kernel_model::platform::Platform;
use kernel_model::removal::Remover;
use rand_pcg::Pcg64Mcg;

use super::{About, Operation, Storm, Target};

/// See the module.
#[derive(Debug)]
pub struct None;

static ABOUT: About = About {
    name: "none",
    lineage: "nothing",
    summary: "no storm: the fault threads are alone",
};

impl<P: Platform> Storm<P> for None {
    fn about(&self) -> &About {
        &ABOUT
    }

    fn removers(&self) -> Vec<&'static dyn Remover<P>> {
        Vec::new()
    }

    fn next(&self, _target: &Target, _random: &mut Pcg64Mcg) -> Operation<P> {
        unreachable!("it has no threads that would ask")
    }

    fn is_default(&self) -> bool {
        true
    }
}
