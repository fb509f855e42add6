//! `mixed`: all that a file on disk has to expect, in a stated blend: mostly what a shortage of
//! memory does, direct writes, and now and then a system call. Swapping out is for tmpfs, and not
//! in it.

use kernel_model::platform::Platform;
use kernel_model::removal::Remover;
use kernel_model::removal::invalidate::Invalidate;
use kernel_model::removal::migrate::Migrate;
use kernel_model::removal::punch_hole::PunchHole;
use kernel_model::removal::reclaim::Reclaim;
use kernel_model::removal::truncate::Truncate;
use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::{About, Operation, Storm, Target};

/// See the module.
#[derive(Debug)]
pub struct Mixed;

static ABOUT: About = About {
    name: "mixed",
    lineage: "a machine short of memory, with direct writes",
    summary: "reclaim 40%, invalidate 20%, migrate 20%, punch-hole 15%, truncate 5% of the operations, \
              drawn at random",
};

impl<P: Platform> Storm<P> for Mixed {
    fn about(&self) -> &About {
        &ABOUT
    }

    fn removers(&self) -> Vec<&'static dyn Remover<P>> {
        vec![&Reclaim, &Invalidate, &Migrate, &PunchHole, &Truncate]
    }

    fn next(&self, target: &Target, random: &mut Pcg64Mcg) -> Operation<P> {
        let remover: &'static dyn Remover<P> = match random.random_range(0..20) {
            0..8 => &Reclaim,
            8..12 => &Invalidate,
            12..16 => &Migrate,
            16..19 => &PunchHole,
            _ => {
                return Operation {
                    remover: &Truncate,
                    range: target.tail(),
                };
            }
        };
        Operation {
            remover,
            range: target.hole(random),
        }
    }

    fn is_default(&self) -> bool {
        true
    }
}
