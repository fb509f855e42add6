//! `mapcount-recheck` written out by hand over `core::sync::atomic`, without the platform: what
//! the abstraction costs is the difference between the two.

use std::hint::black_box;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64, compiler_fence};

use super::{Mapper, Walk};

const LOCKED: u64 = 1;
const UPTODATE: u64 = 1 << 2;
const NOT_AS_IT_IS: u64 = 1 << 18 | 1 << 21;
const MAPPING: u64 = 1;
const MAPCOUNT_ONE: u64 = 1 << 32;
const ENTRIES: usize = 512;

#[repr(C, align(64))]
struct Folio {
    flags: AtomicU64,
    lru: [u64; 2],
    mapping: AtomicU64,
    index: u64,
    private: u64,
    counts: AtomicU64,
    memcg_data: u64,
}

#[repr(align(64))]
struct Table {
    lock: AtomicBool,
    entries: Box<[u64]>,
}

/// The hand-written scheme over a file that is all in the page cache. What a fault computes before
/// the scheme's turn, and the indirect call to it, are here too: they are the model's, not the
/// platform's.
pub struct Twin {
    map_pages: fn(&mut Self, u64, u64) -> bool,
    folios: Box<[Folio]>,
    slots: Box<[AtomicU64]>,
    present: Box<[AtomicU64]>,
    tables: Box<[Table]>,
    i_size: AtomicU64,
    start_vpn: u64,
    pages: u64,
    table_shift: u32,
    window_pages: u64,
    mapped: u64,
    hits: u64,
    skipped: u64,
    undone: u64,
}

impl Twin {
    /// The counterpart of [`Bed::new`](super::Bed::new).
    pub fn new(walk: &Walk) -> Self {
        let pages = walk.pages as usize;
        let folio = |index| Folio {
            flags: AtomicU64::new(UPTODATE),
            lru: [0; 2],
            mapping: AtomicU64::new(MAPPING),
            index,
            private: 1,
            counts: AtomicU64::new(1),
            memcg_data: 0,
        };
        let tables = pages.div_ceil(ENTRIES);
        let table = || Table {
            lock: AtomicBool::new(false),
            entries: vec![0; ENTRIES].into(),
        };
        Self {
            map_pages: black_box(Self::map_pages),
            folios: (0..pages as u64).map(folio).collect(),
            slots: (1..=pages as u64).map(AtomicU64::new).collect(),
            present: (0..tables).map(|_| AtomicU64::new(1)).collect(),
            tables: (0..tables).map(|_| table()).collect(),
            i_size: AtomicU64::new(pages as u64),
            start_vpn: black_box(0),
            pages: pages as u64,
            table_shift: black_box(ENTRIES.trailing_zeros()),
            window_pages: u64::from(walk.window_pages),
            mapped: 0,
            hits: 0,
            skipped: 0,
            undone: 0,
        }
    }

    /// Fields that exist for the layout's sake, read so that they are really there.
    pub fn checksum(&self) -> u64 {
        let folios = self.folios.iter();
        folios
            .map(|folio| folio.lru[0] + folio.index + folio.private + folio.memcg_data)
            .sum()
    }
}

impl Mapper for Twin {
    #[inline]
    fn map_window(&mut self, window: u64) {
        let pgoff = window * self.window_pages;
        let vpn = self.start_vpn + pgoff;
        let aligned = vpn & !(self.window_pages - 1);
        let span = vpn >> self.table_shift << self.table_shift;
        let start = aligned.max(span).max(self.start_vpn);
        let end = (aligned + self.window_pages)
            .min(span + (1 << self.table_shift))
            .min(self.start_vpn + self.pages);
        black_box((self.map_pages)(self, start, end));
    }

    fn zap(&mut self) {
        for table in &mut self.tables {
            for entry in &mut table.entries {
                if *entry != 0 {
                    let folio = &self.folios[(*entry >> 12) as usize];
                    *entry = 0;
                    folio.counts.fetch_sub(MAPCOUNT_ONE + 1, SeqCst);
                }
            }
        }
    }
}

impl Twin {
    /// Maps the pages from `start` to `end`; returns whether the first one was mapped.
    fn map_pages(&mut self, start: u64, end: u64) -> bool {
        let (start, end) = (start as usize, end as usize);
        let number = start >> self.table_shift;
        assert_ne!(
            self.present[number].load(Acquire),
            0,
            "tables are installed"
        );
        let table = &mut self.tables[number];
        while table
            .lock
            .compare_exchange(false, true, Acquire, Relaxed)
            .is_err()
        {
            std::hint::spin_loop();
        }
        let first = start & (ENTRIES - 1);
        let i_size = self.i_size.load(Relaxed);
        let before = self.mapped;
        let entries = &mut table.entries[first..first + (end - start)];
        let faulted_before = entries[0] != 0;
        let slots = &self.slots[start..end.min(i_size as usize)];
        for (entry, slot) in entries.iter_mut().zip(slots) {
            if *entry != 0 {
                continue;
            }
            let there = slot.load(Acquire);
            if there == 0 {
                continue;
            }
            let folio = &self.folios[there as usize - 1];
            let mut counts = folio.counts.load(Relaxed);
            loop {
                if counts as u32 == 0 {
                    break;
                }
                match folio
                    .counts
                    .compare_exchange(counts, counts + 1, Acquire, Relaxed)
                {
                    Ok(_) => break,
                    Err(now) => counts = now,
                }
            }
            if counts as u32 == 0 {
                continue;
            }
            let flags = folio.flags.load(Acquire);
            if slot.load(Acquire) != there
                || flags & (UPTODATE | NOT_AS_IT_IS) != UPTODATE
                || flags & LOCKED != 0
            {
                self.skipped += 1;
                folio.counts.fetch_sub(1, SeqCst);
                continue;
            }
            folio.counts.fetch_add(MAPCOUNT_ONE, Relaxed);
            compiler_fence(SeqCst);
            let locked = folio.flags.load(Acquire) & LOCKED != 0;
            if locked || folio.mapping.load(Relaxed) != MAPPING {
                folio.counts.fetch_sub(MAPCOUNT_ONE, Relaxed);
                folio.counts.fetch_sub(1, SeqCst);
                self.undone += 1;
                continue;
            }
            *entry = (there - 1) << 12 | 1;
            self.mapped += 1;
        }
        let hit = !faulted_before && entries[0] != 0;
        self.hits += u64::from(hit && self.mapped > before);
        table.lock.store(false, Release);
        hit
    }
}
