//! Storms that do one thing to holes of one size at random places, each aligned to a window.

use kernel_model::platform::Platform;
use kernel_model::removal::{Remover, Removers};
use rand_pcg::Pcg64Mcg;

use super::{About, Operation, Storm, Target};

/// A storm of holes.
#[derive(Debug)]
pub struct Holes {
    about: About,
    is_default: bool,
}

const fn holes(
    name: &'static str,
    lineage: &'static str,
    summary: &'static str,
    is_default: bool,
) -> Holes {
    Holes {
        about: About {
            name,
            lineage,
            summary,
        },
        is_default,
    }
}

/// Holes punched by a process.
pub static PUNCH_HOLE: Holes = holes(
    "punch-hole",
    "fallocate(FALLOC_FL_PUNCH_HOLE)",
    "holes at random places",
    true,
);
/// What a direct write does to the page cache.
pub static INVALIDATE: Holes = holes(
    "invalidate",
    "write() with O_DIRECT",
    "clean pages dropped at random places, without invalidate_lock",
    false,
);
/// What a shortage of memory does.
pub static RECLAIM: Holes = holes(
    "reclaim",
    "kswapd, or direct reclaim",
    "clean pages given back at random places, each frozen first",
    false,
);
/// What compaction does.
pub static MIGRATE: Holes = holes(
    "migrate",
    "kcompactd, or NUMA balancing",
    "pages moved to other frames at random places",
    false,
);
/// What a shortage of memory does to tmpfs.
pub static SHMEM_SWAPOUT: Holes = holes(
    "shmem-swapout",
    "reclaim of a tmpfs file",
    "pages sent to swap at random places, without freezing them",
    false,
);

/// What memory that goes bad does.
pub static MEMORY_FAILURE: Holes = holes(
    "memory-failure",
    "machine checks, or madvise(MADV_HWPOISON)",
    "runs of pages that go bad at random places, and are made good again",
    false,
);

impl Holes {
    fn remover<P: Platform>(&self) -> &'static dyn Remover<P> {
        Removers::named(self.about.name).expect("a storm of holes is called as its remover is")
    }
}

impl<P: Platform> Storm<P> for Holes {
    fn about(&self) -> &About {
        &self.about
    }

    fn removers(&self) -> Vec<&'static dyn Remover<P>> {
        vec![self.remover()]
    }

    fn next(&self, target: &Target, random: &mut Pcg64Mcg) -> Operation<P> {
        Operation {
            remover: self.remover(),
            range: target.hole(random),
        }
    }

    fn is_default(&self) -> bool {
        self.is_default
    }
}
