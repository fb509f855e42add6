//! `mapcount-recheck` written out by hand over `core::sync::atomic`, without the platform: what
//! the abstraction costs is the difference between the two.

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

/// The hand-written scheme over a file that is all in the page cache.
pub struct Twin {
    folios: Box<[Folio]>,
    slots: Box<[AtomicU64]>,
    present: Box<[AtomicU64]>,
    tables: Box<[Table]>,
    i_size: AtomicU64,
    window_pages: usize,
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
        Self {
            folios: (0..pages as u64).map(folio).collect(),
            slots: (1..=pages as u64).map(AtomicU64::new).collect(),
            present: (0..pages.div_ceil(ENTRIES))
                .map(|_| AtomicU64::new(1))
                .collect(),
            tables: (0..pages.div_ceil(ENTRIES))
                .map(|_| Table {
                    lock: AtomicBool::new(false),
                    entries: vec![0; ENTRIES].into(),
                })
                .collect(),
            i_size: AtomicU64::new(pages as u64),
            window_pages: walk.window_pages as usize,
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
    #[inline(never)]
    fn map_window(&mut self, window: u64) {
        let start = window as usize * self.window_pages;
        let end = start + self.window_pages;
        let number = start / ENTRIES;
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
        let first = start % ENTRIES;
        let entries = &mut table.entries[first..first + self.window_pages];
        let slots = &self.slots[start..end];
        for ((entry, slot), index) in entries.iter_mut().zip(slots).zip(start as u64..) {
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
                || index >= self.i_size.load(Relaxed)
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
            self.hits += u64::from(index == start as u64);
        }
        table.lock.store(false, Release);
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
