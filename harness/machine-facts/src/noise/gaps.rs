//! Gaps between clock reads, counted in ticks so that counting is hardly seen among them.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::clock::Ticks;

/// Gaps shorter than this have a counter each, in 16 KiB of which a quiet CPU uses a few lines.
const SHORT: usize = 2048;

/// Room for the others, which are noted one by one and counted when there is no more room.
const ROOM: usize = 16 * 1024;

/// Reads between two looks at whether to stop.
const BURST: u32 = 4096;

/// How often gaps of each length were seen.
#[derive(Debug)]
pub(super) struct Gaps {
    short: Vec<u64>,
    noted: Vec<Ticks>,
    long: BTreeMap<Ticks, u64>,
}

impl Gaps {
    /// None seen yet. All memory that noting takes has been touched: a page fault in the watch
    /// would be a gap of its own making.
    pub(super) fn new() -> Self {
        let mut short = vec![1; SHORT];
        let mut noted = vec![1; ROOM];
        black_box((&mut short, &mut noted));
        short.fill(0);
        noted.clear();
        Self {
            short,
            noted,
            long: BTreeMap::new(),
        }
    }

    /// Reads the clock back to back until a moment, or until it is to stop.
    ///
    /// A counter's increment lies between two reads, as a note does in what is measured. What takes
    /// longer, noting a long gap, is in no gap: the next one begins after it.
    #[inline]
    pub(super) fn watch(
        &mut self,
        start: Ticks,
        now: impl Fn() -> Ticks,
        end: Ticks,
        stop: &AtomicBool,
    ) {
        // A thread that got its CPU late has seen a gap by then.
        let mut last = start;
        // Relaxed: nothing hangs on it but the end.
        while last < end && !stop.load(Ordering::Relaxed) {
            for _ in 0..BURST {
                let read = now();
                // Counters that disagree between packages have been seen to run backwards.
                let gap = read.saturating_sub(last);
                last = read;
                if let Some(count) = self.short.get_mut(gap as usize) {
                    *count += 1;
                } else {
                    self.note(gap);
                    last = now();
                }
                if last >= end {
                    break;
                }
            }
        }
        self.count_noted();
    }

    #[cold]
    #[inline(never)]
    fn note(&mut self, gap: Ticks) {
        self.noted.push(gap);
        if self.noted.len() == ROOM {
            self.count_noted();
        }
    }

    fn count_noted(&mut self) {
        for gap in self.noted.drain(..) {
            *self.long.entry(gap).or_insert(0) += 1;
        }
    }

    /// Each length that was seen, in ticks, and how often; ascending.
    pub(super) fn counts(&self) -> impl Iterator<Item = (Ticks, u64)> {
        let short = self.short.iter().enumerate();
        let short = short.map(|(gap, &count)| (gap as Ticks, count));
        let long = self.long.iter().map(|(&gap, &count)| (gap, count));
        short.chain(long).filter(|(_, count)| *count > 0)
    }
}
