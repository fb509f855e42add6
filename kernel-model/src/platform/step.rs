//! What a thread does, one step at a time, as a checker's trace has it.

use std::ops::Range;

use super::Site;
use crate::folio::Pfn;
use crate::race::{Graded, Invariant};

/// What a word of the model holds, so that a trace can read its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holds {
    /// A folio's `PG_*` flags.
    Flags,
    /// The number of the address space that a folio belongs to.
    Mapping,
    /// A folio's place in its file.
    Index,
    /// How often a frame has been allocated.
    Incarnation,
    /// A folio's refcount and mapcount; the refcount alone where they are apart.
    Counts,
    /// A folio's mapcount where it has a word of its own.
    Mapcount,
    /// The total of a large folio's mapcounts.
    LargeMapcount,
    /// The head that a tail of a large folio belongs to.
    CompoundHead,
    /// The gate or the sequence counter of a part of a file.
    Gate,
    /// A slot of the page cache.
    Slot,
    /// The size of a file.
    Size,
    /// Whether a PTE table is there.
    Pmd,
    /// One of the two words by which sections and grace periods of RCU are ordered.
    Rcu,
    /// Whether a task runs, sleeps or is about to.
    TaskState,
    /// Whether a task has been killed.
    Signal,
    /// Whether an entry is in a wait queue.
    Queued,
    /// Which operation has a frame of a stack, and whether that hasn't returned.
    Frame,
    /// What an operation has in its frame.
    FrameField,
    /// A pointer to an operation's frame.
    FramePointer,
    /// What was read into a frame.
    Contents,
    /// A number that means nothing more, of a family that has no kind of its own for it.
    Number,
}

/// One word of the model: its number among those of its kind, in the order of making. Folios are
/// made in the order of their frame numbers, slots in that of their offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Word {
    /// What it holds.
    pub holds: Holds,
    /// Its number among those that hold the same.
    pub number: u32,
}

/// What the model tells of itself, beyond atomics and locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// An operation begins on a range of a file.
    Begins(&'static str, Range<u64>),
    /// The operation has returned.
    Returns(&'static str),
    /// A PTE that maps a page of a file is set, under its table's lock.
    PteSet {
        /// The page's offset in the file.
        index: u64,
        /// The frame that it maps.
        pfn: Pfn,
    },
    /// A PTE is cleared, under its table's lock.
    PteZapped {
        /// The page's offset in the file.
        index: u64,
        /// The frame that it mapped.
        pfn: Pfn,
    },
    /// A zap finds no PTE table, and skips.
    NoPteTable,
    /// A frame is taken off the free list.
    Allocated(Pfn),
    /// A frame goes back to the free list.
    Freed(Pfn),
    /// The contents of a page are read from the store into its frame.
    Filled {
        /// The page's offset in the file.
        index: u64,
        /// The frame.
        pfn: Pfn,
    },
    /// In a family's own words.
    Says(String),
    /// An audit found an invariant violated.
    Violated(Invariant),
    /// An outcome that is graded is seen here.
    Graded(Graded),
}

/// What was done in a step.
#[derive(Debug, Clone)]
pub enum What {
    /// A load. It was stale if it didn't get the newest value.
    Load {
        /// Where.
        site: &'static Site,
        /// Of what.
        word: Word,
        /// What it got.
        got: u64,
        /// What was there.
        newest: u64,
    },
    /// A store.
    Store {
        /// Where.
        site: &'static Site,
        /// To what.
        word: Word,
        /// What was there before.
        old: u64,
        /// What was stored.
        new: u64,
    },
    /// A read-modify-write; a compare-exchange that failed leaves what was there.
    Rmw {
        /// Where.
        site: &'static Site,
        /// Of what.
        word: Word,
        /// What was there before.
        old: u64,
        /// What is there after it.
        new: u64,
    },
    /// A full barrier.
    Fence(&'static Site),
    /// A barrier that a mutation took away.
    NoFence(&'static Site),
    /// A check that a mutation took away.
    LeftOut(&'static Site),
    /// A lock is taken.
    Locks {
        /// Its class.
        class: &'static str,
        /// Whether it is shared with others.
        shared: bool,
    },
    /// A lock is let go.
    Unlocks {
        /// Its class.
        class: &'static str,
    },
    /// The thread goes to sleep in a wait queue.
    Sleeps,
    /// The thread wakes a sleeper.
    Wakes,
    /// The model's own words.
    Note(Note),
}

/// One step of one thread.
#[derive(Debug, Clone)]
pub struct Step {
    /// Whose.
    pub cpu: u32,
    /// What was done.
    pub what: What,
}
