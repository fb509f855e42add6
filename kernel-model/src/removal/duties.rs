//! What removers that don't freeze references owe fault-around, beyond what Linux 6.1 does.

use std::ops::Range;

use crate::address_space::AddressSpace;
use crate::platform::Platform;

/// The duties of removers that don't freeze the refcount. By default there are none.
pub trait Duties<P: Platform>: Send + Sync {
    /// Called after folio locks have been taken (once per batch in the first pass) and before a
    /// mapcount is read.
    fn after_folio_lock(&self) {}

    /// Called before anything of the range is looked at.
    fn begin_removal(&self, _mapping: &AddressSpace<P>, _range: &Range<u64>) {}

    /// Called when everything of the range is gone.
    fn end_removal(&self, _mapping: &AddressSpace<P>, _range: &Range<u64>) {}

    /// Whether the range must be zapped through the PTE-table locks after
    /// [`Self::begin_removal`], whatever the mapcounts say.
    fn must_zap(&self) -> bool {
        false
    }
}
