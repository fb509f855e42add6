//! The schemes, each with the file that it is in.

use super::ShmemPunch;
use crate::platform::Platform;

mod invalidate_lock;
mod on_stack;
mod stale_reread;
mod ungated;

use invalidate_lock::InvalidateLock;
use on_stack::{WAIT_QUEUE, WAIT_QUEUE_2014, WAIT_QUEUE_KILLABLE, WAIT_QUEUE_ONCE};
use stale_reread::StaleReread;
use ungated::{BOUNDED_PASS, UNSERIALISED};

/// Every scheme of the family.
pub struct Schemes<P>(std::marker::PhantomData<P>);

impl<P: Platform> Schemes<P> {
    /// The baseline first, the broken ones last.
    pub const ALL: &'static [&'static dyn ShmemPunch<P>] = &[
        &WAIT_QUEUE,
        &WAIT_QUEUE_ONCE,
        &BOUNDED_PASS,
        &InvalidateLock,
        &UNSERIALISED,
        &WAIT_QUEUE_2014,
        &WAIT_QUEUE_KILLABLE,
        &StaleReread,
    ];

    /// The one of a name.
    pub fn named(name: &str) -> Option<&'static dyn ShmemPunch<P>> {
        Self::ALL.iter().copied().find(|it| it.about().name == name)
    }
}
