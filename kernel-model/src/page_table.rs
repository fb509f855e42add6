//! Page tables: PTE tables with a lock each, installed on demand (`pmd_install()`).
//!
//! Entries are plain data under their table's lock: nobody reads a PTE without it. The walk that
//! the hardware would make isn't modelled, and neither is the TLB.

use std::ops::{Deref, DerefMut, Range};
use std::sync::atomic::Ordering::{Acquire, Release};

use crate::folio::Pfn;
use crate::platform::{AtomicWord, Holds, Platform, Site, SpinLock};

/// Reads whether a PTE table is there.
pub const PMD_READ: Site = Site::load(
    "pmd_read",
    Acquire,
    "pmd_none(*pmd), then the dependent walk to the table",
    "pmd_install: the table is seen zeroed",
);
/// Makes a PTE table reachable.
pub const PMD_INSTALL: Site = Site::store(
    "pmd_install",
    Release,
    "pmd_install(): smp_wmb(), pmd_populate()",
    "pmd_read; a zap that still sees no table passes through no PTE-table lock",
);

/// A page-table entry: nothing, present with a frame number, or a migration entry. Laid out like
/// x86's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pte(u64);

const PRESENT: u64 = 1;
const MIGRATION: u64 = 2;
const PAGE_SHIFT: u32 = 12;

impl Pte {
    /// No entry (`pte_none()`).
    pub const NONE: Self = Self(0);

    /// An entry that maps a frame.
    #[inline(always)]
    pub fn present(pfn: Pfn) -> Self {
        Self(u64::from(pfn.0) << PAGE_SHIFT | PRESENT)
    }

    /// An entry that stands for a frame while its folio migrates (`make_migration_entry()`).
    pub fn migration(pfn: Pfn) -> Self {
        Self(u64::from(pfn.0) << PAGE_SHIFT | MIGRATION)
    }

    /// The frame that a migration entry stands for.
    pub fn migrating(self) -> Option<Pfn> {
        (self.0 & MIGRATION != 0).then_some(Pfn((self.0 >> PAGE_SHIFT) as u32))
    }

    /// Whether there is no entry.
    #[inline(always)]
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The frame that it maps.
    #[inline(always)]
    pub fn pfn(self) -> Option<Pfn> {
        // Truncation is exact: present() makes nothing larger.
        (self.0 & PRESENT != 0).then_some(Pfn((self.0 >> PAGE_SHIFT) as u32))
    }
}

/// A PTE table and its lock, in a cache line of its own like the `struct page` that the kernel
/// keeps the lock in. The entries are there only while the table is.
#[repr(align(64))]
struct PteTable<P: Platform> {
    ptl: P::SpinLock<Box<[Pte]>>,
}

/// Two levels: one array of "is there a table", and the tables.
pub struct PageTable<P: Platform> {
    pmd_lock: P::SpinLock<()>,
    pmds: Box<[P::AtomicU64]>,
    tables: Box<[PteTable<P>]>,
    /// log2 of the entries of a table, so that a walk shifts as the kernel's does.
    table_shift: u32,
}

type PtlGuard<'a, P> = <<P as Platform>::SpinLock<Box<[Pte]>> as SpinLock<Box<[Pte]>>>::Guard<'a>;

/// Entries of one table, with its lock held.
pub struct LockedPtes<'a, P: Platform> {
    ptl: PtlGuard<'a, P>,
    range: Range<usize>,
}

impl<P: Platform> Deref for LockedPtes<'_, P> {
    type Target = [Pte];
    #[inline(always)]
    fn deref(&self) -> &[Pte] {
        &self.ptl[self.range.clone()]
    }
}

impl<P: Platform> DerefMut for LockedPtes<'_, P> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [Pte] {
        let range = self.range.clone();
        &mut self.ptl[range]
    }
}

impl<P: Platform> PageTable<P> {
    /// A page table for `pages` virtual pages, with no PTE table in it.
    pub(crate) fn new(pages: u64, entries_per_table: u32) -> Self {
        assert!(
            entries_per_table.is_power_of_two(),
            "a PTE table has a power of two of entries"
        );
        let tables = pages.div_ceil(u64::from(entries_per_table));
        Self {
            pmd_lock: P::SpinLock::new("pmd_lock", ()),
            pmds: (0..tables)
                .map(|_| P::AtomicU64::new(Holds::Pmd, 0))
                .collect(),
            tables: (0..tables)
                .map(|_| PteTable {
                    ptl: P::SpinLock::new("ptl", Box::from([])),
                })
                .collect(),
            table_shift: entries_per_table.trailing_zeros(),
        }
    }

    /// The part of `vpns` that lies in the same table as its start, and what is left.
    pub(crate) fn split(&self, vpns: Range<u64>) -> (Range<u64>, Range<u64>) {
        let end = vpns.end.min(self.table_span(vpns.start).end);
        (vpns.start..end, end..vpns.end)
    }

    /// The virtual pages of the table that `vpn` lies in.
    #[inline(always)]
    pub fn table_span(&self, vpn: u64) -> Range<u64> {
        let start = vpn >> self.table_shift << self.table_shift;
        start..start + (1 << self.table_shift)
    }

    /// Whether the PTE table of `vpn` is there.
    #[inline(always)]
    pub fn has_table(&self, vpn: u64) -> bool {
        self.pmds[self.table_of(vpn)].load(&PMD_READ) != 0
    }

    /// Installs the PTE table of `vpn` unless it is there already. Orders the table's contents
    /// before its being seen, and nothing else.
    #[cold]
    pub fn install_table(&self, vpn: u64) {
        let table = self.table_of(vpn);
        let _pmd = self.pmd_lock.lock();
        if self.pmds[table].load(&PMD_READ) == 0 {
            let entries = vec![Pte::NONE; 1 << self.table_shift];
            // The lock is nobody else's yet: taking it here orders nothing.
            *self.tables[table].ptl.lock() = entries.into();
            self.pmds[table].store(1, &PMD_INSTALL);
        }
    }

    /// Locks the table that `vpns` lie in, which must be there and be one.
    #[inline(always)]
    pub fn lock(&self, vpns: Range<u64>) -> LockedPtes<'_, P> {
        LockedPtes {
            ptl: self.tables[self.table_of(vpns.start)].ptl.lock(),
            range: self.entries(&vpns),
        }
    }

    /// The same unless somebody has it locked; for audits.
    pub(crate) fn try_lock(&self, vpns: Range<u64>) -> Option<LockedPtes<'_, P>> {
        Some(LockedPtes {
            ptl: self.tables[self.table_of(vpns.start)].ptl.try_lock()?,
            range: self.entries(&vpns),
        })
    }

    /// Where in their table virtual pages are.
    #[inline(always)]
    fn entries(&self, vpns: &Range<u64>) -> Range<usize> {
        let start = (vpns.start & ((1 << self.table_shift) - 1)) as usize;
        start..start + (vpns.end - vpns.start) as usize
    }

    /// Takes away the tables that lie wholly in a range (`free_pgtables()`): their entries are
    /// none, and the VMA is no longer found through its file. A table that reaches beyond may be
    /// another VMA's too, and stays.
    pub(crate) fn free_tables(&self, vpns: Range<u64>) {
        let _pmd = self.pmd_lock.lock();
        let first = vpns.start.div_ceil(1 << self.table_shift) as usize;
        let end = (vpns.end >> self.table_shift) as usize;
        for table in first..end {
            self.pmds[table].store(0, &PMD_INSTALL);
            *self.tables[table].ptl.lock() = Box::from([]);
        }
    }

    #[inline(always)]
    fn table_of(&self, vpn: u64) -> usize {
        (vpn >> self.table_shift) as usize
    }
}
