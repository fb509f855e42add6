//! What shares its cache line with nothing else (`____cacheline_aligned_in_smp`).

/// A cache line of its own.
#[repr(align(64))]
pub(crate) struct Line<T>(pub(crate) T);
