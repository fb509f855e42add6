//! Ordering sites: the name, the strength and the reason of every atomic access.

use std::sync::atomic::Ordering;

/// What kind of access a site is; a checker weakens each kind in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A load.
    Load,
    /// A store.
    Store,
    /// A read-modify-write.
    Rmw,
    /// A fence: its weakening is to be gone.
    Fence,
}

/// One place in a scheme, a remover or the model at which memory order matters.
///
/// On [`Native`](super::Native) a site is no more than its ordering, as a constant. To a checker
/// it is a name by which the access can be traced and weakened.
#[derive(Debug)]
pub struct Site {
    /// Unique within the model.
    pub name: &'static str,
    /// A number that comes from the name alone, to sort sites by.
    pub number: u64,
    /// Load, store, read-modify-write or fence.
    pub access: Access,
    /// Its strength, in Rust's (C11's) terms.
    pub order: Ordering,
    /// The kernel primitive that it stands for.
    pub stands_for: &'static str,
    /// What it orders against, and where the other half is.
    pub pairs_with: &'static str,
}

/// The FNV-1a hash of a name.
const fn fnv1a(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

impl Site {
    const fn new(
        name: &'static str,
        access: Access,
        order: Ordering,
        stands_for: &'static str,
        pairs_with: &'static str,
    ) -> Self {
        Self {
            name,
            number: fnv1a(name),
            access,
            order,
            stands_for,
            pairs_with,
        }
    }

    /// A load with `order`.
    pub const fn load(
        name: &'static str,
        order: Ordering,
        stands_for: &'static str,
        pairs_with: &'static str,
    ) -> Self {
        Self::new(name, Access::Load, order, stands_for, pairs_with)
    }

    /// A store with `order`.
    pub const fn store(
        name: &'static str,
        order: Ordering,
        stands_for: &'static str,
        pairs_with: &'static str,
    ) -> Self {
        Self::new(name, Access::Store, order, stands_for, pairs_with)
    }

    /// A read-modify-write with `order`.
    pub const fn rmw(
        name: &'static str,
        order: Ordering,
        stands_for: &'static str,
        pairs_with: &'static str,
    ) -> Self {
        Self::new(name, Access::Rmw, order, stands_for, pairs_with)
    }

    /// A full barrier.
    pub const fn fence(
        name: &'static str,
        stands_for: &'static str,
        pairs_with: &'static str,
    ) -> Self {
        Self::new(
            name,
            Access::Fence,
            Ordering::SeqCst,
            stands_for,
            pairs_with,
        )
    }
}
