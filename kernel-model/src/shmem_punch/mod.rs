//! The family `shmem-punch`: pages of a tmpfs file are faulted into a hole that is being punched.
//! It asks which side waits for which, for how long, and on what.
//!
//! The machine is smaller than that of [`fault_around`](crate::fault_around). A page, its lock and
//! the PTEs that map it are one object under one lock, so that no PTE can outlive a removal: that
//! is the other family's question. There are no frames of memory, no reference counts, no large
//! folios, no swap, and no `mmap_lock`: every fault may sleep.

use std::ops::{DerefMut, Range};
use std::sync::Arc;

use crate::platform::{AtomicWord, Holds, Note, Platform, RwSemaphore, Site, SpinLock};
use crate::race::{Counts, Invariant, Race, Scheme, Violation, Violations, Work, World};
use crate::stack::{FramePointer, Frames};
use crate::wait_queue::TaskState;

mod family;
mod fault;
mod punch;
mod scenarios;
mod schemes;

pub use family::FAMILY;
pub use fault::FaultCounts;
pub use punch::PunchCounts;
pub use scenarios::{Scenarios, SetStage};
pub use schemes::Schemes;

/// A puncher's frame is dereferenced while the puncher has it.
pub const NO_USE_AFTER_RETURN: Invariant = Invariant {
    name: "no-use-after-return",
    says: "nobody dereferences NULL, or a frame of a stack whose operation has returned",
};

/// Faults don't keep a punch from its end.
pub const BOUNDED_REMOVAL: Invariant = Invariant {
    name: "bounded-removal",
    says: "a punch scans its range at most once more than there are processes that fault",
};

/// How the second pass over a range goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondPass {
    /// From the start, until it finds nothing in all of the range ("pincer").
    UntilEmpty,
    /// Once.
    Once,
}

/// What a fault does when its scheme has been asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// It looks for the page.
    Go,
    /// It has waited, and begins anew.
    Retry,
}

/// How a fault and a puncher keep out of each other's way.
pub trait ShmemPunch<P: Platform>: Send + Sync {
    /// What it says of itself.
    fn about(&self) -> &'static Scheme;

    /// The slow path of a fault, before it looks for the page.
    fn before_fault(&self, _tmpfs: &Tmpfs<P>, _index: u64, _task: &mut Task<P>) -> Gate {
        Gate::Go
    }

    /// Held while a page that is missing is looked for again, and created.
    fn filling<'a>(&self, _tmpfs: &'a Tmpfs<P>) -> Option<Shared<'a, P>> {
        None
    }

    /// Runs both passes over the range of a punch, with whatever has to be done around them.
    /// `i_rwsem` is held for writing.
    fn punching(&self, _punch: &Punch<'_, P>, passes: &mut dyn FnMut()) {
        passes();
    }

    /// How its second pass goes on.
    fn second_pass(&self) -> SecondPass {
        SecondPass::Once
    }
}

/// A semaphore that is held for reading.
pub type Shared<'a, P> = <<P as Platform>::RwSemaphore<()> as RwSemaphore<()>>::ReadGuard<'a>;

/// A punch, to its scheme.
pub struct Punch<'a, P: Platform> {
    /// The machine.
    pub tmpfs: &'a Tmpfs<P>,
    /// What is punched.
    pub range: Range<u64>,
    /// Where the puncher's stack is.
    pub place: usize,
}

/// What one CPU runs.
pub struct Task<P: Platform> {
    place: usize,
    state: Arc<TaskState<P>>,
    /// The punch that the fault has waited for last.
    waited_for: Option<FramePointer>,
    faults: FaultCounts,
    punches: PunchCounts,
}

impl<P: Platform> Task<P> {
    /// The bit of its process in a page.
    const fn own(&self) -> u64 {
        1 << self.place
    }
}

/// A page of the file: whether it is cached, and the processes that map it, a bit each.
#[derive(Debug, Default)]
struct Page {
    cached: bool,
    mapped: u64,
}

/// A machine with one tmpfs file.
pub struct Tmpfs<P: Platform> {
    scheme: &'static dyn ShmemPunch<P>,
    pages: Box<[P::SpinLock<Page>]>,
    i_rwsem: P::RwSemaphore<()>,
    invalidate_lock: P::RwSemaphore<()>,
    i_lock: P::SpinLock<()>,
    i_private: P::AtomicU64,
    frames: Frames<P>,
    /// Processes that can be in a fault.
    faulting: u64,
    violations: Violations,
}

impl<P: Platform> Tmpfs<P> {
    fn violated(&self, invariant: Invariant, detail: String) {
        P::note(|| Note::Violated(invariant));
        self.violations.report(Violation {
            invariant,
            place: None,
            detail,
        });
    }

    /// A page, locked.
    fn page(&self, index: u64) -> impl DerefMut<Target = Page> + '_ {
        self.pages[index as usize].lock()
    }

    /// Whose frame is in `i_private`.
    fn i_private(&self, site: &'static Site) -> FramePointer {
        FramePointer::of_word(self.i_private.load(site))
    }
}

impl<P: Platform> World for Tmpfs<P> {
    fn violations(&self) -> &Violations {
        &self.violations
    }

    /// Nothing: what may go wrong is seen where it does.
    fn audit_at_rest(&self) {}
}

/// A machine that is set up, and what its CPUs will do.
pub struct Stage<P: Platform> {
    tmpfs: Arc<Tmpfs<P>>,
    cpus: Vec<Work>,
}

impl<P: Platform> Stage<P> {
    /// A file of so many pages, none of them in the cache, and processes that fault.
    fn new(scheme: &'static dyn ShmemPunch<P>, pages: usize, faulting: u64) -> Self {
        let page = |_| SpinLock::new("page", Page::default());
        let tmpfs = Tmpfs {
            scheme,
            pages: (0..pages).map(page).collect(),
            i_rwsem: RwSemaphore::new("i_rwsem", ()),
            invalidate_lock: RwSemaphore::new("invalidate_lock", ()),
            i_lock: SpinLock::new("i_lock", ()),
            i_private: P::AtomicU64::new(Holds::FramePointer, FramePointer::NULL.to_word()),
            frames: Frames::new(3),
            faulting,
            violations: Violations::default(),
        };
        Self {
            tmpfs: Arc::new(tmpfs),
            cpus: Vec::new(),
        }
    }

    /// One more CPU; gives back its task, for others to wake or kill.
    fn cpu(
        &mut self,
        work: impl FnOnce(&Tmpfs<P>, &mut Task<P>) + Send + 'static,
    ) -> Arc<TaskState<P>> {
        let tmpfs = Arc::clone(&self.tmpfs);
        let state = Arc::new(TaskState::new());
        let mut task = Task {
            place: self.cpus.len(),
            state: Arc::clone(&state),
            waited_for: None,
            faults: FaultCounts::default(),
            punches: PunchCounts::default(),
        };
        self.cpus.push(Box::new(move || {
            work(&tmpfs, &mut task);
            Counts::new(task.faults.each().chain(task.punches.each()))
        }));
        state
    }

    /// A CPU that touches page 0 so often, and does something else in between.
    fn touches(&mut self, times: u32) -> Arc<TaskState<P>> {
        self.cpu(move |tmpfs, task| {
            tmpfs.touch(0, task);
            for _ in 1..times {
                P::cpu_relax();
                tmpfs.touch(0, task);
            }
        })
    }

    /// A CPU that punches these pages one after the other.
    fn punches(&mut self, pages: &'static [u64]) {
        self.cpu(move |tmpfs, task| {
            for &page in pages {
                tmpfs.punch(page..page + 1, task);
            }
        });
    }
}

impl<P: Platform> From<Stage<P>> for Race {
    fn from(stage: Stage<P>) -> Self {
        Self {
            world: stage.tmpfs,
            cpus: stage.cpus,
        }
    }
}
