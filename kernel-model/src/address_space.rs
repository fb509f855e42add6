//! One file's page cache: slots, size, and the locks around them (`struct address_space`).
//!
//! The slots are one flat array where the kernel has an XArray: a lookup costs one load here, and
//! a scan of a hole costs a load per slot. An entry goes in and out with the `xa_lock` held and is
//! read without it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::folio::site::STABLE_READ;
use crate::folio::{Folio, PG_DIRTY, Pfn};
use crate::gates::Gates;
use crate::line::Line;
use crate::mm::Vma;
use crate::platform::{AtomicWord, Holds, Platform, RwSemaphore, Site, SpinLock};

/// Sites of the accesses that are the same for every scheme and remover.
pub mod site {
    use super::{Acquire, Relaxed, Release, Site};

    /// Looks a slot up.
    pub const SLOT_LOAD: Site = Site::load(
        "slot_load",
        Acquire,
        "xas_load(): rcu_dereference()",
        "slot_store: the folio's fields are seen set up",
    );
    /// Looks the slot up again with a reference held.
    pub const SLOT_RELOAD: Site = Site::load(
        "slot_reload",
        Acquire,
        "xas_reload()",
        "slot_store and ref_get_unless_zero: a folio that was freed and reused is noticed",
    );
    /// Fills or clears a slot.
    pub const SLOT_STORE: Site = Site::store(
        "slot_store",
        Release,
        "xas_store(): rcu_assign_pointer()",
        "slot_load",
    );
    /// Counts a folio's references once, instead of freezing them.
    pub const REF_COUNT: Site = Site::load(
        "ref_count",
        Relaxed,
        "folio_ref_count() in collapse_file()",
        "nothing: who comes later is kept off by the folio lock",
    );
    /// Reads the file's size.
    pub const I_SIZE_READ: Site = Site::load(
        "i_size_read",
        Relaxed,
        "i_size_read()",
        "i_size_write, through the PTE-table lock that truncate's unmap takes after it",
    );
    /// Writes the file's size.
    pub const I_SIZE_WRITE: Site = Site::store(
        "i_size_write",
        Relaxed,
        "i_size_write()",
        "i_size_read, through the PTE-table lock that truncate's unmap takes after it",
    );

    /// All of them.
    pub const ALL: &[&Site] = &[
        &SLOT_LOAD,
        &SLOT_RELOAD,
        &SLOT_STORE,
        &REF_COUNT,
        &I_SIZE_READ,
        &I_SIZE_WRITE,
    ];
}

/// A file in the page cache.
pub struct AddressSpace<P: Platform> {
    id: u64,
    slots: Box<[P::AtomicU64]>,
    i_size_pages: Line<P::AtomicU64>,
    /// The number of pages in the cache, with the lock of the slots (`i_pages.xa_lock`).
    xa_lock: Line<P::SpinLock<u64>>,
    /// What removers tell faults by, under the schemes that have gates.
    pub gates: Gates<P>,
    /// The VMAs that map the file. The kernel's interval tree is a list here, which is searched
    /// whole.
    pub i_mmap: P::RwSemaphore<Vec<Arc<Vma<P>>>>,
    /// Held shared by those that fill the cache, exclusively by truncate and punch-hole.
    pub invalidate_lock: P::RwSemaphore<()>,
    /// The inode's lock: one size change or hole at a time.
    pub i_rwsem: P::RwSemaphore<()>,
}

/// What a failed insertion found in the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotTaken;

impl<P: Platform> AddressSpace<P> {
    /// An empty cache of a file of `pages` pages. `id` stands for the mapping's address, and is
    /// what folios carry; it must not be 0.
    pub fn new(id: u64, pages: u64) -> Self {
        Self::with_gates(id, pages, Gates::for_file(pages))
    }

    /// The same with other gates than a file of this size gets.
    pub fn with_gates(id: u64, pages: u64, gates: Gates<P>) -> Self {
        assert_ne!(id, 0, "0 is what a folio without a mapping carries");
        Self {
            id,
            slots: (0..pages)
                .map(|_| P::AtomicU64::new(Holds::Slot, 0))
                .collect(),
            i_size_pages: Line(P::AtomicU64::new(Holds::Size, pages)),
            xa_lock: Line(P::SpinLock::new("xa_lock", 0)),
            gates,
            i_mmap: P::RwSemaphore::new("i_mmap_rwsem", Vec::new()),
            invalidate_lock: P::RwSemaphore::new("invalidate_lock", ()),
            i_rwsem: P::RwSemaphore::new("i_rwsem", ()),
        }
    }

    /// Makes all VMAs unknown to the file, as when the processes that map it have ended
    /// (`unlink_file_vma()`). A file and its VMAs hold each other: neither is freed before.
    pub fn unlink_vmas(&self) {
        self.i_mmap.write().clear();
    }

    /// What folios of this file carry as their mapping.
    #[inline(always)]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The largest size the file can have, in pages.
    pub fn max_pages(&self) -> u64 {
        self.slots.len() as u64
    }

    /// The file's size in pages (`i_size_read()`).
    #[inline(always)]
    pub fn i_size_pages(&self) -> u64 {
        self.i_size_pages.0.load(&site::I_SIZE_READ)
    }

    /// The file's size in pages, as an audit sees it.
    pub(crate) fn observe_size(&self) -> u64 {
        self.i_size_pages.0.observe()
    }

    /// Sets the file's size. The caller holds `i_rwsem`.
    pub(crate) fn set_i_size_pages(&self, pages: u64) {
        self.i_size_pages.0.store(pages, &site::I_SIZE_WRITE);
    }

    /// Makes the file longer again; what is new is a hole (`ftruncate()` upwards).
    pub fn extend(&self, pages: u64) {
        let _inode = self.i_rwsem.write();
        let pages = pages.min(self.max_pages());
        if pages > self.i_size_pages() {
            self.set_i_size_pages(pages);
        }
    }

    /// One slot.
    pub fn slot(&self, index: u64) -> Slot<'_, P> {
        Slot(&self.slots[index as usize])
    }

    /// The slots of a range, for a walk over a window. There are none beyond the largest file that
    /// was planned for, however far a VMA may reach.
    #[inline(always)]
    pub fn slots(&self, range: Range<u64>) -> Slots<'_, P> {
        let end = (range.end as usize).min(self.slots.len());
        let start = (range.start as usize).min(end);
        Slots(&self.slots[start..end])
    }

    /// Puts a locked folio of `pages` pages at `index`, with a reference for each of them
    /// (`filemap_add_folio()`).
    ///
    /// # Errors
    /// [`SlotTaken`] if there is another folio in one of its slots already.
    pub fn add_folio(
        &self,
        folio: &Folio<P>,
        pfn: Pfn,
        index: u64,
        pages: u32,
    ) -> Result<(), SlotTaken> {
        let mut cached = self.xa_lock.0.lock();
        let slots = self.slots(index..index + u64::from(pages));
        if slots.iter().any(|slot| slot.load().is_some()) {
            return Err(SlotTaken);
        }
        folio.get_more(pages);
        folio.set_index(index);
        folio.set_mapping(self.id);
        slots.fill(Some(pfn));
        *cached += u64::from(pages);
        Ok(())
    }

    /// Takes locked folios out of the cache under one `xa_lock` (`delete_from_page_cache_batch()`):
    /// each one's slots first, then its mapping, in the order of `page_cache_delete()`. Linux
    /// 6.1's batch form clears the mapping first. The cache's references are the caller's to put.
    pub(crate) fn delete_folios<'m>(&self, folios: impl Iterator<Item = (u64, u32, &'m Folio<P>)>) {
        let mut cached = self.xa_lock.0.lock();
        for (index, pages, folio) in folios {
            self.slots(index..index + u64::from(pages)).fill(None);
            folio.set_mapping(0);
            *cached = cached.wrapping_sub(u64::from(pages));
        }
    }

    /// Takes a locked folio out of the cache if only the cache and the caller hold it, and none
    /// has written to it (`__remove_mapping()`); returns whether it did. All references are gone
    /// then.
    pub(crate) fn delete_frozen(&self, folio: &Folio<P>, index: u64, pages: u32) -> bool {
        let mut cached = self.xa_lock.0.lock();
        if !folio.try_freeze(pages + 1) {
            return false;
        }
        // Not before: it takes a reference to write to it.
        if folio.flags(&STABLE_READ) & PG_DIRTY != 0 {
            folio.unfreeze(pages + 1);
            return false;
        }
        self.slots(index..index + u64::from(pages)).fill(None);
        folio.set_mapping(0);
        *cached = cached.wrapping_sub(u64::from(pages));
        true
    }

    /// Puts `new` in the place of the locked folio `old` if none holds that but the cache and the
    /// caller (`folio_migrate_mapping()`); returns whether it did. The old folio keeps the caller's
    /// reference, and its mapping, until the caller is done with it.
    pub(crate) fn migrate_folio(
        &self,
        old: &Folio<P>,
        (new, pfn): (&Folio<P>, Pfn),
        index: u64,
        pages: u32,
    ) -> bool {
        let _cached = self.xa_lock.0.lock();
        if !old.try_freeze(pages + 1) {
            return false;
        }
        new.set_index(index);
        new.set_mapping(self.id);
        new.get_more(pages);
        self.slots(index..index + u64::from(pages)).fill(Some(pfn));
        old.unfreeze(1);
        true
    }

    /// Puts a locked `new` in the place of the locked folio `old` of one page if none holds that
    /// but the cache and the caller; returns whether it did. The old one stays frozen.
    pub(crate) fn replace_frozen(&self, old: &Folio<P>, index: u64, new: Pfn) -> bool {
        let _cached = self.xa_lock.0.lock();
        let is_frozen = old.try_freeze(2);
        if is_frozen {
            self.slot(index).store(Some(new));
        }
        is_frozen
    }

    /// Puts a frozen folio back in its place, with the cache's reference and the caller's.
    pub(crate) fn restore_frozen(&self, old: &Folio<P>, index: u64, pfn: Pfn) {
        let _cached = self.xa_lock.0.lock();
        old.unfreeze(2);
        self.slot(index).store(Some(pfn));
    }

    /// Whether only the cache and the caller hold a folio of one page, for now.
    pub(crate) fn is_held_once(&self, folio: &Folio<P>) -> bool {
        let _cached = self.xa_lock.0.lock();
        folio.counts(&site::REF_COUNT).refcount() == 2
    }

    /// Puts one folio in the place of all that is cached in a range.
    pub(crate) fn replace(&self, range: &Range<u64>, new: Pfn) {
        let _cached = self.xa_lock.0.lock();
        self.slots(range.clone()).fill(Some(new));
    }

    /// Makes folios of one page of a locked large one if only the cache and the caller hold it
    /// (`split_folio()`); returns whether it did. `split` makes them, with the folio frozen.
    pub(crate) fn split_folio(
        &self,
        folio: &Folio<P>,
        (head, index, pages): (Pfn, u64, u32),
        split: impl FnOnce(),
    ) -> bool {
        let _cached = self.xa_lock.0.lock();
        if !folio.try_freeze(pages + 1) {
            return false;
        }
        split();
        let slots = self.slots(index..index + u64::from(pages));
        for (number, slot) in (0..).zip(slots.iter()) {
            slot.store(Some(Pfn(head.0 + number)));
        }
        folio.unfreeze(2);
        true
    }

    /// How many pages are in the cache (`nrpages`). Wraps where a folio was taken out twice: the
    /// audit at rest compares it with the slots.
    pub fn nrpages(&self) -> u64 {
        *self.xa_lock.0.lock()
    }
}

/// Some neighbouring slots of the cache.
pub struct Slots<'a, P: Platform>(&'a [P::AtomicU64]);

impl<'a, P: Platform> Slots<'a, P> {
    /// How many there are.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One of them.
    #[inline(always)]
    pub fn at(&self, place: usize) -> Slot<'a, P> {
        Slot(&self.0[place])
    }

    /// All of them.
    #[inline(always)]
    pub fn iter(&self) -> impl Iterator<Item = Slot<'a, P>> + use<'a, P> {
        self.0.iter().map(Slot)
    }

    /// Stores the same to all of them. The caller holds the `xa_lock`.
    fn fill(&self, folio: Option<Pfn>) {
        for slot in self.iter() {
            slot.store(folio);
        }
    }
}

/// One slot of the cache: the folio that the page belongs to, as an entry of several indices has
/// it.
pub struct Slot<'a, P: Platform>(&'a P::AtomicU64);

impl<P: Platform> Slot<'_, P> {
    /// The folio in it.
    #[inline(always)]
    pub fn load(&self) -> Option<Pfn> {
        decode(self.0.load(&site::SLOT_LOAD))
    }

    /// The folio in it, as an audit sees it.
    pub fn observe(&self) -> Option<Pfn> {
        decode(self.0.observe())
    }

    /// The folio in it now, with a reference to the one that was there.
    #[inline(always)]
    pub fn reload(&self) -> Option<Pfn> {
        decode(self.0.load(&site::SLOT_RELOAD))
    }

    /// The caller holds the `xa_lock`.
    fn store(&self, folio: Option<Pfn>) {
        self.0.store(folio.map_or(0, encode), &site::SLOT_STORE);
    }
}

fn encode(pfn: Pfn) -> u64 {
    u64::from(pfn.0) + 1
}

/// The folio that a slot's word stands for.
#[inline(always)]
pub fn decode(slot: u64) -> Option<Pfn> {
    // Truncation is exact: encode() makes nothing larger.
    slot.checked_sub(1).map(|pfn| Pfn(pfn as u32))
}
