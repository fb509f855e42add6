//! The folio: `struct page`'s fields that matter to mapping and removal, and the page lock.
//!
//! Folios are type-stable: a [`MemMap`](crate::page_allocator::MemMap) never goes away under a
//! reader, so that a stale slot may be followed to a folio that is something else by now. That is
//! what speculative references exist for.
//!
//! Both counts are zero-based halves of one 64-bit word, since accesses of different widths to the
//! same bytes have no meaning in a memory model. The kernel's `_mapcount` starts at -1 and has a
//! word of its own next to `_refcount`: a checker gives it one, too, unless the scheme under test
//! is one that fuses them ([`Counting`]). One word is ordered more strongly than two are, by C11
//! and by Linux 6.12's memory model, so that what holds of two holds of their halves.
//!
//! A large folio is a run of frames. Its head frame carries the lock, the references, the mapping
//! and the index; every frame has a mapcount of its own, and the first tail the total, where
//! `struct folio` has `_large_mapcount`, unless the scheme is one of before that
//! ([`Counting::PerPage`]).

use crate::platform::{AtomicWord, Holds, Platform, Site};

mod counts;
pub mod site;

pub use counts::{Counting, Counts};
use counts::{MAPCOUNT_ONE, REFCOUNT_MASK, REFCOUNT_ONE};

/// The number of a page frame in the memory map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pfn(pub u32);

/// `PG_locked`: the page lock.
pub const PG_LOCKED: u64 = 1 << 0;
/// `PG_uptodate`: the contents have been read.
pub const PG_UPTODATE: u64 = 1 << 2;
/// `PG_dirty`: a process has written to it, and the store doesn't have that yet.
pub const PG_DIRTY: u64 = 1 << 3;
/// `PG_head`: the first frame of a large folio.
pub const PG_HEAD: u64 = 1 << 6;
/// `PG_waiters`: somebody sleeps in the wait queue for this folio.
pub const PG_WAITERS: u64 = 1 << 7;
/// `PG_has_hwpoisoned`: a page of this large folio is bad. Linux has it in the flags of the first
/// tail, beside the order; here it is in the head's, which every look at a folio reads.
pub const PG_HAS_HWPOISONED: u64 = 1 << 8;
/// `PG_writeback`: a device reads the page, to store it.
pub const PG_WRITEBACK: u64 = 1 << 15;
/// `PG_readahead`: hitting this folio should start more readahead, so fault-around leaves it alone.
pub const PG_READAHEAD: u64 = 1 << 18;
/// `PG_hwpoison`: the memory of this one page is bad, be it a head, a tail or a folio of its own.
pub const PG_HWPOISON: u64 = 1 << 21;

/// The largest order of a folio: 2 MiB, what a PMD maps.
pub const MAX_ORDER: u8 = 9;

/// What lockdep calls the page lock. The kernel's lockdep doesn't know it.
const LOCK_CLASS: &str = "folio_lock";

/// What an audit sees of a folio: the newest values, whatever any thread would see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// `PG_*`.
    pub flags: u64,
    /// The number of its address space; 0 for none.
    pub mapping: u64,
    /// Its place in the file.
    pub index: u64,
    /// Its counts.
    pub counts: Counts,
}

/// One page frame, and the folio of which it is the head. 64 bytes on
/// [`Native`](crate::platform::Native), each field at `struct page`'s offset, so that what shares a
/// cache line there shares it here.
#[repr(C, align(64))]
pub struct Folio<P: Platform> {
    /// In the first tail of a large folio: its order, as in `_flags_1`.
    flags: P::AtomicU64,
    /// In a tail: the number of its head and one more, as `compound_head` has the head's address.
    compound_head: P::AtomicU64,
    /// In the first tail: the total of the pages' mapcounts.
    large_mapcount: P::AtomicU64,
    mapping: P::AtomicU64,
    index: P::AtomicU64,
    /// Stands where `private` does: how often the frame has been allocated, so that an audit can
    /// tell a folio that was removed from one that is legally back.
    incarnation: P::AtomicU64,
    counts: P::AtomicU64,
    /// The mapcount where it has a word of its own: under a checker. Stands where `memcg_data`
    /// does.
    mapcount: P::AtomicU64,
}

const _: () = {
    use crate::platform::Native;
    use std::mem::{offset_of, size_of};
    assert!(size_of::<Folio<Native>>() == 64);
    assert!(offset_of!(Folio<Native>, compound_head) == 8);
    assert!(offset_of!(Folio<Native>, large_mapcount) == 16);
    assert!(offset_of!(Folio<Native>, mapping) == 24);
    assert!(offset_of!(Folio<Native>, index) == 32);
    assert!(offset_of!(Folio<Native>, counts) == 48);
};

impl<P: Platform> Folio<P> {
    pub(crate) fn new() -> Self {
        Self {
            flags: P::AtomicU64::new(Holds::Flags, 0),
            compound_head: P::AtomicU64::new(Holds::CompoundHead, 0),
            large_mapcount: P::AtomicU64::new(Holds::LargeMapcount, 0),
            mapping: P::AtomicU64::new(Holds::Mapping, 0),
            index: P::AtomicU64::new(Holds::Index, 0),
            incarnation: P::AtomicU64::new(Holds::Incarnation, 0),
            counts: P::AtomicU64::new(Holds::Counts, 0),
            mapcount: P::AtomicU64::new(Holds::Mapcount, 0),
        }
    }

    /// The flags, `PG_*`.
    #[inline(always)]
    pub fn flags(&self, site: &'static Site) -> u64 {
        self.flags.load(site)
    }

    /// Whether the page lock is held.
    #[inline(always)]
    pub fn is_locked(&self, site: &'static Site) -> bool {
        self.flags.load(site) & PG_LOCKED != 0
    }

    /// The number of the address space that the folio belongs to; 0 for none.
    #[inline(always)]
    pub fn mapping(&self, site: &'static Site) -> u64 {
        self.mapping.load(site)
    }

    /// The folio's place in its file, in pages. Stays behind after a removal, as the kernel's does.
    #[inline(always)]
    pub fn index(&self, site: &'static Site) -> u64 {
        self.index.load(site)
    }

    /// How often this frame has been allocated.
    pub fn incarnation(&self) -> u64 {
        self.incarnation.observe()
    }

    /// All of it as it is, for audits and messages.
    pub fn observe(&self) -> Observed {
        Observed {
            flags: self.flags.observe(),
            mapping: self.mapping.observe(),
            index: self.index.observe(),
            counts: self.observe_counts(),
        }
    }

    fn observe_counts(&self) -> Counts {
        let word = self.counts.observe();
        if P::counts_are_apart() {
            Counts::join(word, self.mapcount.observe())
        } else {
            Counts(word)
        }
    }

    /// Both counts.
    pub fn counts(&self, site: &'static Site) -> Counts {
        let word = self.counts.load(site);
        if P::counts_are_apart() {
            Counts::join(word, self.mapcount.load(site))
        } else {
            Counts(word)
        }
    }

    /// The mapcount of this frame; of a large folio whose counts are fused, the total.
    #[inline(always)]
    pub fn mapcount(&self, site: &'static Site) -> u32 {
        if P::counts_are_apart() {
            self.mapcount.load(site) as u32
        } else {
            Counts(self.counts.load(site)).mapcount()
        }
    }

    /// Takes the page lock if it is free (`folio_trylock()`). Acquire only: it doesn't order the
    /// taking of the lock itself before what follows.
    #[inline(always)]
    pub fn try_lock(&self) -> bool {
        let locks = self.set_locked();
        if locks {
            P::lock_acquire(LOCK_CLASS, false);
        }
        locks
    }

    #[inline(always)]
    fn set_locked(&self) -> bool {
        self.flags.fetch_or(PG_LOCKED, &site::FOLIO_TRYLOCK) & PG_LOCKED == 0
    }

    /// Takes the page lock, asleep if need be (`folio_lock()`).
    pub fn lock(&self) {
        P::lock_acquire(LOCK_CLASS, true);
        while !self.set_locked() {
            self.flags.fetch_or(PG_WAITERS, &site::FOLIO_SET_WAITERS);
            P::wait_on(self.wait_key(), || {
                let awaited = PG_LOCKED | PG_WAITERS;
                self.flags.load(&site::FOLIO_WAIT_LOAD) & awaited == awaited
            });
        }
    }

    /// Releases the page lock and wakes the first sleeper (`folio_unlock()`).
    #[inline(always)]
    pub fn unlock(&self) {
        // A subtraction, because its result can be tested for PG_waiters in one instruction, as
        // clear_bit_unlock_is_negative_byte() does; an `and` would compile to a loop.
        let flags = self.flags.fetch_sub(PG_LOCKED, &site::FOLIO_UNLOCK);
        P::lock_release(LOCK_CLASS);
        if flags & PG_WAITERS != 0 {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        P::wake_one(self.wait_key(), || {
            self.flags
                .fetch_and(!PG_WAITERS, &site::FOLIO_CLEAR_WAITERS);
        });
    }

    fn wait_key(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Takes a reference unless the folio is free (`folio_try_get()`).
    #[inline(always)]
    pub fn try_get(&self) -> bool {
        self.try_get_many(1)
    }

    /// Takes so many references unless the folio is free.
    #[inline(always)]
    pub(crate) fn try_get_many(&self, references: u32) -> bool {
        let references = REFCOUNT_ONE * u64::from(references);
        self.add_unless_free(references, &site::REF_GET_UNLESS_ZERO)
    }

    /// Takes so many references and as many mapcounts in one access, unless the folio is free. The
    /// counts must be fused.
    #[inline(always)]
    pub fn try_get_mapped(&self, pages: u32, site: &'static Site) -> bool {
        self.add_unless_free((REFCOUNT_ONE | MAPCOUNT_ONE) * u64::from(pages), site)
    }

    #[inline(always)]
    fn add_unless_free(&self, counts: u64, site: &'static Site) -> bool {
        if P::left_out(site) {
            self.counts.fetch_add(counts, site);
            return true;
        }
        self.counts.add_unless(REFCOUNT_MASK, counts, site)
    }

    /// Takes a reference; the caller holds one already (`folio_get()`).
    pub fn get(&self) {
        self.get_more(1);
    }

    /// Takes so many references; the caller holds one already (`folio_ref_add()`).
    #[inline(always)]
    pub fn get_more(&self, references: u32) {
        self.counts
            .fetch_add(REFCOUNT_ONE * u64::from(references), &site::REF_GET);
    }

    /// Drops references. Returns the counts as they are left; with a refcount of 0 the folio is the
    /// caller's to free.
    #[inline(always)]
    pub(crate) fn put(&self, references: u32) -> Counts {
        self.subtract(REFCOUNT_ONE * u64::from(references), &site::REF_PUT)
    }

    /// Drops so many references and as many mapcounts in one access, which must be fused. Returns
    /// the counts as they are left.
    pub(crate) fn put_mapped(&self, pages: u32, site: &'static Site) -> Counts {
        self.subtract((REFCOUNT_ONE | MAPCOUNT_ONE) * u64::from(pages), site)
    }

    #[inline(always)]
    fn subtract(&self, counts: u64, site: &'static Site) -> Counts {
        let left = self.counts.fetch_sub(counts, site).wrapping_sub(counts);
        if P::counts_are_apart() {
            Counts::join(left, self.mapcount.observe())
        } else {
            Counts(left)
        }
    }

    /// Takes all `expected` references away, if there are no others and no mapcount; the folio
    /// can't be got then (`folio_ref_freeze()`).
    pub(crate) fn try_freeze(&self, expected: u32) -> bool {
        if P::left_out(&site::REF_FREEZE) {
            self.unfreeze(0);
            return true;
        }
        // A counted mapping holds a reference: where the counts are apart, references that
        // are as expected are enough.
        self.counts
            .compare_exchange(u64::from(expected), 0, &site::REF_FREEZE)
    }

    /// Gives a frozen folio references again (`folio_ref_unfreeze()`).
    pub(crate) fn unfreeze(&self, references: u32) {
        self.counts
            .store(u64::from(references), &site::REF_UNFREEZE);
    }

    /// Counts so many more mappings of this frame.
    #[inline(always)]
    pub fn mapcount_add(&self, mappings: u32, site: &'static Site) {
        if P::counts_are_apart() {
            self.mapcount.fetch_add(u64::from(mappings), site);
        } else {
            self.counts
                .fetch_add(MAPCOUNT_ONE * u64::from(mappings), site);
        }
    }

    /// Counts so many mappings of this frame less.
    #[inline(always)]
    pub fn mapcount_sub(&self, mappings: u32, site: &'static Site) {
        if P::counts_are_apart() {
            self.mapcount.fetch_sub(u64::from(mappings), site);
        } else {
            self.counts
                .fetch_sub(MAPCOUNT_ONE * u64::from(mappings), site);
        }
    }

    /// In the first tail: the word of the large folio's total.
    #[inline(always)]
    pub(crate) fn large_mapcount(&self) -> &P::AtomicU64 {
        &self.large_mapcount
    }

    /// In a tail: the head; `None` in a head and in a folio of one frame.
    #[inline(always)]
    pub(crate) fn compound_head(&self) -> Option<Pfn> {
        // Truncation is exact: set_compound_head() makes nothing larger.
        let head = self.compound_head.load(&site::STABLE_READ);
        head.checked_sub(1).map(|pfn| Pfn(pfn as u32))
    }

    /// The same as an audit sees it.
    pub(crate) fn observe_compound_head(&self) -> Option<Pfn> {
        let head = self.compound_head.observe();
        head.checked_sub(1).map(|pfn| Pfn(pfn as u32))
    }

    /// Makes it a tail of `head`, or a folio of its own again.
    pub(crate) fn set_compound_head(&self, head: Option<Pfn>) {
        let head = head.map_or(0, |pfn| u64::from(pfn.0) + 1);
        self.compound_head.store(head, &site::FOLIO_INIT);
    }

    /// Sets all flags at once; no other CPU can have the folio.
    pub(crate) fn init_flags(&self, flags: u64) {
        self.flags.store(flags, &site::FOLIO_INIT);
    }

    /// Clears flags other than the lock. The caller holds the page lock.
    pub(crate) fn clear_flags(&self, flags: u64) {
        self.flags.fetch_and(!flags, &site::SET_UPTODATE);
    }

    /// Marks the contents as read. The caller holds the page lock.
    pub fn set_uptodate(&self) {
        self.flags.fetch_or(PG_UPTODATE, &site::SET_UPTODATE);
    }

    /// Sets flags other than the lock.
    pub fn set_flags(&self, flags: u64) {
        self.flags.fetch_or(flags, &site::SET_UPTODATE);
    }

    /// Marks a page as bad, or a large folio as having one. The caller has a reference, and no
    /// lock.
    pub(crate) fn set_hwpoison(&self, flag: u64) {
        self.flags.fetch_or(flag, &site::SET_HWPOISON);
    }

    /// A device begins to read it. The caller holds the page lock.
    pub fn start_writeback(&self) {
        self.set_flags(PG_WRITEBACK);
    }

    /// The device has read it (`folio_end_writeback()`). Touches it no more after that, as Linux
    /// takes a reference for its wake-up (073861ed77b6).
    pub fn end_writeback(&self) {
        self.flags.fetch_and(!PG_WRITEBACK, &site::END_WRITEBACK);
    }

    /// Enters or leaves a mapping. The caller holds the page lock and the `xa_lock`.
    #[inline]
    pub(crate) fn set_mapping(&self, mapping: u64) {
        self.mapping.store(mapping, &site::MAPPING_STORE);
    }

    /// Takes up a place in a file. The caller holds the page lock.
    pub(crate) fn set_index(&self, index: u64) {
        self.index.store(index, &site::MAPPING_STORE);
    }

    /// Makes a free frame somebody's, with a refcount of 1. The caller took it off the free list.
    pub(crate) fn reincarnate(&self, publish: &'static Site) {
        self.prepare(0);
        self.publish(publish);
    }

    /// Makes a free frame new, with no reference and these flags.
    pub(crate) fn prepare(&self, flags: u64) {
        self.flags.store(flags, &site::FOLIO_INIT);
        self.mapping.store(0, &site::FOLIO_INIT);
        let incarnation = self.incarnation.observe() + 1;
        self.incarnation.store(incarnation, &site::FOLIO_INIT);
        if P::counts_are_apart() {
            self.mapcount.store(0, &site::FOLIO_INIT);
        }
    }

    /// Gives a frame that was prepared its first reference.
    pub(crate) fn publish(&self, site: &'static Site) {
        self.counts.store(REFCOUNT_ONE, site);
    }
}
