//! `truncate`: the end of the file is cut off, and put back as a hole, again and again.

use kernel_model::platform::Platform;
use kernel_model::removal::{Remover, truncate};
use rand_pcg::Pcg64Mcg;

use super::{About, Operation, Storm, Target};

/// See the module.
#[derive(Debug)]
pub struct Truncate;

static ABOUT: About = About {
    name: "truncate",
    lineage: "ftruncate() down, then up again",
    summary: "the end of the file is cut off and put back as a hole",
};

impl<P: Platform> Storm<P> for Truncate {
    fn about(&self) -> &About {
        &ABOUT
    }

    fn removers(&self) -> Vec<&'static dyn Remover<P>> {
        vec![&truncate::Truncate]
    }

    fn next(&self, target: &Target, _random: &mut Pcg64Mcg) -> Operation<P> {
        Operation {
            remover: &truncate::Truncate,
            range: target.tail(),
        }
    }

    fn is_default(&self) -> bool {
        true
    }
}
