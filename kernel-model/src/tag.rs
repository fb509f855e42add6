//! Kinds of race in which a fault-around may go wrong.

use crate::race::Tag;

/// Every kind.
pub const ALL: &[Tag] = &[UNFROZEN, UNFROZEN_UNLOCKED, RETRACTED];

/// A removal that a fault-around meets looks once whether the folio is mapped, with
/// `invalidate_lock` and the folio's lock held and its references not frozen. No zap comes to the
/// fault's PTE later.
pub const UNFROZEN: Tag = Tag {
    name: "unfrozen",
    says: "a remover that holds invalidate_lock looks once at the mapcount of a folio that it locks \
           and doesn't freeze",
};

/// The same without `invalidate_lock`.
pub const UNFROZEN_UNLOCKED: Tag = Tag {
    name: "unfrozen-unlocked",
    says: "the same by a remover that doesn't take invalidate_lock",
};

/// A PTE table that a fault-around maps in is taken away, and only the lock of the folio that it
/// would map tells of that.
pub const RETRACTED: Tag = Tag {
    name: "retracted",
    says: "a PTE table is taken away, and faults are kept out of it by the lock of a folio",
};
