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
