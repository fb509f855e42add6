//! Frames of kernel stacks that other CPUs have pointers to: what is at such a pointer once the
//! operation has returned is something else.
//!
//! A frame is a place, the caller's own, that one operation after the other has. Its word says
//! which of them has it, and whether that has returned. A dereference loads the word, so that a
//! checker sees the race with the return, and tries both orders: where the return comes between a
//! dereference and the access for which it is made, there is another execution in which it comes
//! before both.

use std::fmt;

use crate::platform::{AtomicWord, Holds, Platform, Site};
use crate::wait_queue::WaitQueue;
use site::{FRAME_ENTER, FRAME_FIELD, FRAME_LEAVE};

/// Sites of a frame's own operation. What others do names sites of theirs.
pub mod site {
    use std::sync::atomic::Ordering::Relaxed;

    use crate::platform::Site;

    /// A frame begins to be an operation's.
    pub const FRAME_ENTER: Site = Site::store(
        "frame_enter",
        Relaxed,
        "a call: the stack grows",
        "nothing: whatever hands the pointer on",
    );
    /// A field is set up before the pointer is handed on.
    pub const FRAME_FIELD: Site = Site::store(
        "frame_field",
        Relaxed,
        "a plain store to a local variable",
        "nothing: whatever hands the pointer on",
    );
    /// The operation returns.
    pub const FRAME_LEAVE: Site = Site::store(
        "frame_leave",
        Relaxed,
        "a return: the stack shrinks",
        "nothing: those that have the pointer must have been waited for",
    );

    /// All of them.
    pub const ALL: &[&Site] = &[&FRAME_ENTER, &FRAME_FIELD, &FRAME_LEAVE];
}

/// A pointer to the frame of one operation, or NULL. Fits in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramePointer(u64);

/// Bits of a pointer that say which place it is, and one more.
const PLACE_BITS: u32 = 8;
const PLACES: usize = (1 << PLACE_BITS) - 1;

impl FramePointer {
    /// No frame.
    pub const NULL: Self = Self(0);

    fn new(place: usize, generation: u64) -> Self {
        Self(generation << PLACE_BITS | (place as u64 + 1))
    }

    /// As a word that is shared has it.
    pub const fn to_word(self) -> u64 {
        self.0
    }

    /// Out of such a word.
    pub const fn of_word(word: u64) -> Self {
        Self(word)
    }

    /// Whether it is NULL.
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }

    fn place(self) -> Option<usize> {
        (self.0 as usize & PLACES).checked_sub(1)
    }

    const fn generation(self) -> u64 {
        self.0 >> PLACE_BITS
    }
}

impl fmt::Display for FramePointer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place() {
            None => out.write_str("NULL"),
            Some(place) => write!(out, "frame {place} of operation {}", self.generation()),
        }
    }
}

/// A frame's word: which operation has it, and whether that hasn't returned.
const fn live(generation: u64) -> u64 {
    generation << 1 | 1
}

/// A pointer to no frame, or to that of an operation that has returned, was dereferenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UseAfterReturn {
    /// It was NULL.
    Null,
    /// The operation has returned.
    Returned {
        /// Whose frame: its place.
        place: usize,
        /// Which operation of that place the pointer was of.
        generation: u64,
        /// Which one has the place by now, if one has.
        now: Option<u64>,
    },
}

impl fmt::Display for UseAfterReturn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => out.write_str("NULL is dereferenced"),
            Self::Returned {
                place,
                generation,
                now,
            } => {
                write!(
                    out,
                    "frame {place} of operation {generation} is used after its return"
                )?;
                now.map_or(Ok(()), |now| write!(out, ", when it is operation {now}'s"))
            }
        }
    }
}

/// What an operation has on its stack for others to find (`struct shmem_falloc`).
pub struct Frame<P: Platform> {
    live: P::AtomicU64,
    /// The first page of a range.
    pub start: P::AtomicU64,
    /// The page after its last.
    pub next: P::AtomicU64,
    /// Those who wait for the operation.
    pub waitq: WaitQueue<P>,
}

/// The frames of a machine, a place for each CPU.
pub struct Frames<P: Platform>(Box<[Frame<P>]>);

impl<P: Platform> Frames<P> {
    /// So many places, none of which an operation has.
    pub fn new(places: usize) -> Self {
        assert!(places <= PLACES, "a pointer has no room for more");
        let word = |holds| P::AtomicU64::new(holds, 0);
        let frame = |_| Frame {
            live: word(Holds::Frame),
            start: word(Holds::FrameField),
            next: word(Holds::FrameField),
            waitq: WaitQueue::new("frame.waitq"),
        };
        Self((0..places).map(frame).collect())
    }

    /// An operation begins, of which `place` is the frame: one that is the caller's alone.
    pub fn enter(&self, place: usize, start: u64, next: u64) -> FramePointer {
        let frame = &self.0[place];
        // The newest value is the caller's own: no other writes to it.
        let before = frame.live.observe();
        assert_eq!(before & 1, 0, "frames don't nest in a place");
        let generation = (before >> 1) + 1;
        frame.live.store(live(generation), &FRAME_ENTER);
        frame.start.store(start, &FRAME_FIELD);
        frame.next.store(next, &FRAME_FIELD);
        FramePointer::new(place, generation)
    }

    /// The operation returns that [`Self::enter`] has begun.
    ///
    /// # Panics
    /// If it has returned before.
    pub fn leave(&self, pointer: FramePointer) {
        let frame = &self.0[pointer.place().expect("no operation has NULL")];
        let generation = pointer.generation();
        assert_eq!(frame.live.observe(), live(generation), "it returns once");
        frame.live.store(generation << 1, &FRAME_LEAVE);
    }

    /// The frame at a pointer, for one access: a caller asks again for the next one.
    ///
    /// # Errors
    /// [`UseAfterReturn`] if the pointer is NULL, or the operation has returned.
    pub fn deref(
        &self,
        pointer: FramePointer,
        site: &'static Site,
    ) -> Result<&Frame<P>, UseAfterReturn> {
        let place = pointer.place().ok_or(UseAfterReturn::Null)?;
        let frame = &self.0[place];
        let generation = pointer.generation();
        let word = frame.live.load(site);
        // One that is older than the pointer can only be read where nothing orders the pointer's
        // load before this one. On a machine the address does, and it is live then.
        let has_returned = word > live(generation) || word == generation << 1;
        match has_returned {
            false => Ok(frame),
            true => Err(UseAfterReturn::Returned {
                place,
                generation,
                now: (word & 1 != 0).then_some(word >> 1),
            }),
        }
    }
}
