//! Page tables: PTE tables with a lock each, installed on demand (`pmd_install()`) and taken away
//! where a large folio has come in their place (`retract_page_tables()`).
//!
//! Entries are plain data under their table's lock: no PTE is read without it. The walk that
//! the hardware would make isn't modelled, and neither is the TLB.
//!
//! A table that was taken away is freed after a grace period, as since v6.5: a walker that has read
//! the PMD entry may still lock it, and looks at the entry again then. On a platform without grace
//! periods ([`Platform::has_rcu`]) a table is never freed: it stays its PMD entry's, and is
//! installed there again.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, Range};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Mutex, PoisonError};

use crate::folio::Pfn;
use crate::invariants::NO_FREED_TABLE_USE;
use crate::mm::Mm;
use crate::platform::{AtomicWord, Holds, Note, Platform, Site, SpinLock};

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

/// Takes a PTE table away.
pub const PMD_CLEAR: Site = Site::store(
    "pmd_clear",
    Relaxed,
    "pmdp_collapse_flush()",
    "pmd_recheck, through the PTE-table lock",
);
/// Is the table that was locked still this PMD entry's?
pub const PMD_RECHECK: Site = Site::load(
    "pmd_recheck",
    Relaxed,
    "pmd_same() in pte_offset_map_lock()",
    "pmd_clear, through the PTE-table lock",
);
/// A walk is a read-side section, from its look at the PMD entry until it lets the table go.
pub const RCU_WALK: Site = Site::load(
    "rcu_walk",
    Relaxed,
    "rcu_read_lock() in pte_offset_map()",
    "table_grace",
);
/// A table that was taken away is freed after a grace period.
pub const TABLE_GRACE: Site = Site::load(
    "table_grace",
    Relaxed,
    "call_rcu() in pte_free_defer()",
    "rcu_walk",
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
    /// How often it was handed out and freed, for audits: odd while it is in use.
    life: AtomicU32,
}

/// A PMD entry: nothing, or the number of a table. Above that, for audits, the table's life.
#[derive(Clone, Copy)]
struct Pmd(u64);

impl Pmd {
    const NONE: Self = Self(0);

    fn of(table: usize, life: u32) -> Self {
        Self(u64::from(life) << 32 | (table as u64 + 1))
    }

    #[inline(always)]
    fn table(self) -> Option<usize> {
        (self.0 & u64::from(u32::MAX))
            .checked_sub(1)
            .map(|table| table as usize)
    }

    fn life(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Two levels: PMD entries, and the tables.
pub struct PageTable<P: Platform> {
    /// The free tables, the one that was freed last at the end.
    pmd_lock: P::SpinLock<Vec<usize>>,
    pmds: Box<[P::AtomicU64]>,
    tables: Box<[PteTable<P>]>,
    /// log2 of the entries of a table, so that a walk shifts as the kernel's does.
    table_shift: u32,
    /// The first use of a table that wasn't there any more, for audits.
    misuse: Mutex<Option<(Pfn, &'static str)>>,
}

/// Tables beyond one for each PMD entry, where they are freed after a grace period.
const SPARE_TABLES: u64 = 4;

/// A read-side section of RCU, unless a mutation has left it out.
struct RcuSection<P: Platform>(bool, PhantomData<P>);

impl<P: Platform> RcuSection<P> {
    #[inline(always)]
    fn enter() -> Self {
        let enters = P::has_rcu() && !P::left_out(&RCU_WALK);
        if enters {
            P::rcu_read_lock();
        }
        Self(enters, PhantomData)
    }
}

impl<P: Platform> Drop for RcuSection<P> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.0 {
            P::rcu_read_unlock();
        }
    }
}

type PtlGuard<'a, P> = <<P as Platform>::SpinLock<Box<[Pte]>> as SpinLock<Box<[Pte]>>>::Guard<'a>;

/// Entries of one table, with its lock held.
pub struct LockedPtes<'a, P: Platform> {
    // Let go before the section ends, in the order of the fields.
    ptl: PtlGuard<'a, P>,
    range: Range<usize>,
    _section: RcuSection<P>,
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
        let pmds = pages.div_ceil(u64::from(entries_per_table));
        let (tables, free) = match P::has_rcu() {
            true => (
                pmds + SPARE_TABLES,
                (0..(pmds + SPARE_TABLES) as usize).rev().collect(),
            ),
            false => (pmds, Vec::new()),
        };
        Self {
            pmd_lock: P::SpinLock::new("pmd_lock", free),
            pmds: (0..pmds)
                .map(|_| P::AtomicU64::new(Holds::Pmd, 0))
                .collect(),
            tables: (0..tables)
                .map(|_| PteTable {
                    ptl: P::SpinLock::new("ptl", Box::from([])),
                    life: AtomicU32::new(0),
                })
                .collect(),
            table_shift: entries_per_table.trailing_zeros(),
            misuse: Mutex::new(None),
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
        let pmd = self.pmds[self.pmd_of(vpn)].load(&PMD_READ);
        Pmd(pmd).table().is_some()
    }

    /// Installs the PTE table of `vpn` unless it is there already. Orders the table's contents
    /// before its being seen, and nothing else.
    #[cold]
    pub fn install_table(&self, vpn: u64) {
        let place = self.pmd_of(vpn);
        let mut free = self.pmd_lock.lock();
        if Pmd(self.pmds[place].load(&PMD_READ)).table().is_some() {
            return;
        }
        let number = match P::has_rcu() {
            true => free.pop().expect("few tables wait for a grace period"),
            false => place,
        };
        let table = &self.tables[number];
        // The lock has no other holder who would wait for this: taking it here orders nothing.
        let mut ptes = table.ptl.lock();
        if ptes.is_empty() {
            *ptes = vec![Pte::NONE; 1 << self.table_shift].into();
        }
        drop(ptes);
        let life = if P::AUDIT { table.turns() } else { 0 };
        self.pmds[place].store(Pmd::of(number, life).0, &PMD_INSTALL);
    }

    /// Locks the table that `vpns` lie in, if there is one (`pte_offset_map_lock()`).
    #[inline(always)]
    pub fn offset_map_lock(&self, vpns: Range<u64>) -> Option<LockedPtes<'_, P>> {
        let range = self.entries(&vpns);
        let word = &self.pmds[self.pmd_of(vpns.start)];
        loop {
            let section = RcuSection::enter();
            let pmd = Pmd(word.load(&PMD_READ));
            let number = pmd.table()?;
            self.audit_use(pmd);
            let ptl = self.tables[number].ptl.lock();
            self.audit_use(pmd);
            let is_same = || Pmd(word.load(&PMD_RECHECK)).table() == Some(number);
            if P::left_out(&PMD_RECHECK) || is_same() {
                return Some(LockedPtes {
                    ptl,
                    range,
                    _section: section,
                });
            }
        }
    }

    /// The same, and installs the table if it isn't there. Where one is taken away between the two
    /// the kernel gives the fault up, to be tried again; here it is tried again at once.
    #[inline(always)]
    pub fn install_and_lock(&self, vpns: Range<u64>) -> LockedPtes<'_, P> {
        loop {
            if let Some(ptes) = self.offset_map_lock(vpns.clone()) {
                return ptes;
            }
            self.install_table(vpns.start);
        }
    }

    /// The same of a table that is there, by a caller from whom it can't be taken.
    pub fn lock(&self, vpns: Range<u64>) -> LockedPtes<'_, P> {
        self.offset_map_lock(vpns).expect("a table that is there")
    }

    /// The same unless somebody has it locked; for audits.
    pub(crate) fn try_lock(&self, vpns: Range<u64>) -> Option<LockedPtes<'_, P>> {
        let section = RcuSection::enter();
        let word = &self.pmds[self.pmd_of(vpns.start)];
        let number = Pmd(word.load(&PMD_READ)).table()?;
        let ptl = self.tables[number].ptl.try_lock()?;
        let is_same = Pmd(word.load(&PMD_RECHECK)).table() == Some(number);
        is_same.then(|| LockedPtes {
            ptl,
            range: self.entries(&vpns),
            _section: section,
        })
    }

    /// Where in their table virtual pages are.
    #[inline(always)]
    fn entries(&self, vpns: &Range<u64>) -> Range<usize> {
        let start = (vpns.start & ((1 << self.table_shift) - 1)) as usize;
        start..start + (vpns.end - vpns.start) as usize
    }

    /// The PMD entries of the tables that lie wholly in a range.
    fn pmds_within(&self, vpns: &Range<u64>) -> Range<usize> {
        let first = vpns.start.div_ceil(1 << self.table_shift) as usize;
        first..((vpns.end >> self.table_shift) as usize).max(first)
    }

    /// Takes the table of a PMD entry away, as if it were empty; returns it. It isn't free yet.
    fn take_away(&self, place: usize) -> Option<usize> {
        let _pmd = self.pmd_lock.lock();
        let number = Pmd(self.pmds[place].load(&PMD_READ)).table()?;
        let ptes = self.tables[number].ptl.lock();
        self.audit_empty(&ptes, "a PTE table was taken away with a PTE in it");
        self.pmds[place].store(Pmd::NONE.0, &PMD_CLEAR);
        Some(number)
    }

    /// Frees a table that was taken away (`pte_free()`).
    fn free(&self, number: usize) {
        let mut free = self.pmd_lock.lock();
        let mut ptes = self.tables[number].ptl.lock();
        self.audit_empty(&ptes, "a PTE table was freed with a PTE in it");
        ptes.fill(Pte::NONE);
        drop(ptes);
        if P::AUDIT {
            self.tables[number].turns();
        }
        free.push(number);
    }

    fn audit_empty(&self, ptes: &[Pte], detail: &'static str) {
        if P::AUDIT
            && let Some(pfn) = ptes.iter().find_map(|pte| pte.pfn())
        {
            self.misused(pfn, detail);
        }
    }

    /// The table that a PMD entry has named is still the one that it was then.
    #[inline(always)]
    fn audit_use(&self, pmd: Pmd) {
        if P::AUDIT
            && let Some(number) = pmd.table()
            && self.tables[number].life.load(Relaxed) != pmd.life()
        {
            self.misused(Pfn(0), "a PTE table was used after it had been freed");
        }
    }

    #[cold]
    fn misused(&self, pfn: Pfn, detail: &'static str) {
        P::note(|| Note::Violated(NO_FREED_TABLE_USE));
        let mut misuse = self.misuse.lock().unwrap_or_else(PoisonError::into_inner);
        misuse.get_or_insert((pfn, detail));
    }

    /// The first wrong use of a table: a folio that it mapped, and what was seen.
    pub(crate) fn misuse(&self) -> Option<(Pfn, &'static str)> {
        *self.misuse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes away the tables that lie wholly in a range (`free_pgtables()`): their entries are
    /// none, and the VMA is no longer found through its file. A table that reaches beyond may be
    /// another VMA's too, and stays.
    pub(crate) fn free_tables(&self, vpns: Range<u64>) {
        for place in self.pmds_within(&vpns) {
            let Some(number) = self.take_away(place) else {
                continue;
            };
            if P::has_rcu() {
                self.free(number);
            } else {
                *self.tables[number].ptl.lock() = Box::from([]);
            }
        }
    }

    #[inline(always)]
    fn pmd_of(&self, vpn: u64) -> usize {
        (vpn >> self.table_shift) as usize
    }
}

impl<P: Platform> PteTable<P> {
    /// It is handed out, or freed; returns which of its lives it is in.
    fn turns(&self) -> u32 {
        self.life.fetch_add(1, Relaxed) + 1
    }
}

impl<P: Platform> Mm<P> {
    /// Takes the tables away that lie wholly in a range, and frees them when no walker can be at
    /// one any more (`retract_page_tables()`). They must be empty, and stay so until this returns.
    pub(crate) fn retract_tables(self: &Arc<Self>, vpns: Range<u64>) {
        for place in self.page_table.pmds_within(&vpns) {
            let Some(number) = self.page_table.take_away(place) else {
                continue;
            };
            if !P::has_rcu() {
                continue;
            }
            if P::left_out(&TABLE_GRACE) {
                self.page_table.free(number);
            } else {
                let mm = Arc::clone(self);
                P::call_rcu(move || mm.page_table.free(number));
            }
        }
    }
}
