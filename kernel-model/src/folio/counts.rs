//! How a folio's two counts are kept, and how they are read.

/// One reference in the word.
pub(super) const REFCOUNT_ONE: u64 = 1;
/// The references in it.
pub(super) const REFCOUNT_MASK: u64 = (1 << 32) - 1;
/// One mapping in it, where the counts are its halves.
pub(super) const MAPCOUNT_ONE: u64 = 1 << 32;

/// How a scheme keeps the two counts of a folio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// Two words, each with accesses of its own, as the kernel does; one mapcount for each page,
    /// and a total for a large folio (since v6.10).
    Apart,
    /// The same without the total: a look at the mapcount of a large folio goes over its pages
    /// (`folio_mapped()` of Linux 6.1).
    PerPage,
    /// Two halves of one word, which one access can change together. A large folio has the total
    /// there, and its pages have no mapcounts (as with the kernel's `CONFIG_NO_PAGE_MAPCOUNT`).
    Fused,
}

impl Counting {
    /// Whether the counts are two words.
    pub const fn is_apart(self) -> bool {
        matches!(self, Self::Apart | Self::PerPage)
    }
}

/// A snapshot of both counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts(pub(super) u64);

impl Counts {
    /// Those of a word as it is kept.
    pub fn of(word: u64) -> Self {
        Self(word)
    }

    pub(super) fn join(refcount: u64, mapcount: u64) -> Self {
        Self(refcount | mapcount << 32)
    }

    /// References: page cache, PTEs, and what else holds the folio at the moment.
    pub fn refcount(self) -> u32 {
        (self.0 & REFCOUNT_MASK) as u32
    }

    /// PTEs that map the folio, and increments that may yet be undone.
    pub fn mapcount(self) -> u32 {
        (self.0 >> 32) as u32
    }
}
