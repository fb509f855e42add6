//! Kinds of race, by which a verdict says where a scheme breaks.

/// A kind of race. Scenarios and removers have tags, and a broken scheme names those that it breaks
/// on, so that a new scenario edits no scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// The name in lists.
    pub name: &'static str,
    /// What happens in such a race, in a sentence.
    pub says: &'static str,
}

/// Every tag that a verdict may name.
pub const ALL: [Tag; 3] = [UNFROZEN, UNFROZEN_UNLOCKED, RETRACTED];

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
