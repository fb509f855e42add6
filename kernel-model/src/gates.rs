//! Gates: by which removers tell faults that they are at work, for the schemes that ask for it.
//!
//! A gate counts the removers that are active in a part of the file, and how many have been: the
//! number of those that are active in its lower half, and a generation above it. A file has several
//! gates, each in a cache line of its own, and a part of it belongs to one of them by its number,
//! so that a remover in one place is nothing to a fault in another.

use std::ops::Range;

use crate::line::Line;
use crate::platform::{AtomicWord, Holds, Platform, Site};

/// Pages that have a gate in common: what a PTE table maps.
const GATE_PAGES: u64 = 512;
/// Gates that a file has at most: as many lines as a removal of all of it writes.
const MOST_GATES: u64 = 16;

const ACTIVE_ONE: u64 = 1;
const ACTIVE_BITS: u32 = 16;
const GENERATION_ONE: u64 = 1 << ACTIVE_BITS;

/// What a gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateState(u64);

impl GateState {
    /// That of a word as it is kept.
    pub fn of(word: u64) -> Self {
        Self(word)
    }

    /// Removers that are at work.
    #[inline(always)]
    pub fn active(self) -> u64 {
        self.0 & (GENERATION_ONE - 1)
    }

    /// How many have been, as far as the word can tell: it starts over after 2^48.
    pub fn generation(self) -> u64 {
        self.0 >> ACTIVE_BITS
    }
}

/// The gates of a file.
pub struct Gates<P: Platform> {
    gates: Box<[Line<P::AtomicU64>]>,
    /// log2 of the pages that have a gate in common.
    shift: u32,
}

impl<P: Platform> Gates<P> {
    /// As many as a file of this size needs.
    pub fn for_file(pages: u64) -> Self {
        let needed = pages.div_ceil(GATE_PAGES).clamp(1, MOST_GATES);
        Self::new(needed.next_power_of_two() as u32, GATE_PAGES, 0)
    }

    /// `gates` gates, each for every so manieth run of `pages` pages, with so many removers behind
    /// them. Both must be powers of two.
    pub fn new(gates: u32, pages: u64, generation: u64) -> Self {
        assert!(gates.is_power_of_two() && pages.is_power_of_two());
        let word = || Line(P::AtomicU64::new(Holds::Gate, generation << ACTIVE_BITS));
        Self {
            gates: (0..gates).map(|_| word()).collect(),
            shift: pages.trailing_zeros(),
        }
    }

    /// The gate of the page at `index`.
    #[inline(always)]
    fn at(&self, index: u64) -> &P::AtomicU64 {
        &self.gates[(index >> self.shift) as usize & (self.gates.len() - 1)].0
    }

    /// The gates of a range, each once.
    fn of(&self, range: &Range<u64>) -> impl Iterator<Item = &P::AtomicU64> {
        let first = range.start >> self.shift;
        let end = ((range.end.max(range.start + 1) - 1) >> self.shift) + 1;
        let end = end.min(first + self.gates.len() as u64);
        (first..end).map(|part| self.at(part << self.shift))
    }

    /// A remover of a range begins. Orders nothing by itself.
    pub fn enter(&self, range: &Range<u64>, site: &'static Site) {
        for gate in self.of(range) {
            gate.fetch_add(ACTIVE_ONE, site);
        }
    }

    /// It has ended: one less is active, and one more has been.
    pub fn leave(&self, range: &Range<u64>, site: &'static Site) {
        for gate in self.of(range) {
            gate.fetch_add(GENERATION_ONE - ACTIVE_ONE, site);
        }
    }

    /// What the gates of a window say. A window has two at most: it is no longer than what shares
    /// one.
    #[inline(always)]
    pub fn read(&self, window: &Range<u64>, site: &'static Site) -> [GateState; 2] {
        let (first, last) = (self.at(window.start), self.at(window.end - 1));
        let state = GateState(first.load(site));
        if std::ptr::eq(first, last) {
            [state; 2]
        } else {
            [state, GateState(last.load(site))]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Native;
    use std::sync::atomic::Ordering::Relaxed;

    const TEST: Site = Site::rmw("gate_test", Relaxed, "", "");

    #[test]
    fn a_remover_is_seen_in_its_own_part_of_the_file_alone() {
        let gates = Gates::<Native>::new(4, 8, 0);
        let active = |window: Range<u64>| gates.read(&window, &TEST).map(GateState::active);
        gates.enter(&(8..17), &TEST);
        assert_eq!(active(0..8), [0, 0]);
        assert_eq!(active(4..12), [0, 1]);
        assert_eq!(active(16..24), [1, 1]);
        assert_eq!(active(40..48), [1, 1], "has the second gate, too");
        gates.enter(&(0..1000), &TEST);
        assert_eq!(active(24..40), [1, 1]);
        assert_eq!(active(8..16), [2, 2], "each gate is entered once");
        gates.leave(&(8..17), &TEST);
        gates.leave(&(0..1000), &TEST);
        assert_eq!(active(8..32), [0, 0]);
        let generations = gates.read(&(0..16), &TEST).map(GateState::generation);
        assert_eq!(generations, [1, 2]);
    }

    #[test]
    fn the_last_generation_is_followed_by_the_first() {
        let gates = Gates::<Native>::new(1, 8, u64::MAX >> ACTIVE_BITS);
        gates.enter(&(0..1), &TEST);
        gates.leave(&(0..1), &TEST);
        let [state, _] = gates.read(&(0..1), &TEST);
        assert_eq!((state.generation(), state.active()), (0, 0));
    }
}
