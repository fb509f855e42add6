//! Of which orders the folios of a file are.

use std::ops::Range;

use crate::folio::MAX_ORDER;

/// The orders that the page cache is filled with. A folio is smaller where its place isn't aligned to
/// its size, where the file ends, where pages of it are there already, or where memory is in pieces,
/// as in `page_cache_ra_order()` and `ra_alloc_folio()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orders {
    /// All of one order.
    All(u8),
    /// Each aligned run of 64 pages has folios of one of [`Self::MIX`], each as often as the others:
    /// which one is drawn by the run's place, and is the same in every run.
    Mix,
}

impl Orders {
    /// The orders of a mix.
    pub const MIX: [u8; 4] = [0, 2, 4, 6];

    /// The order for a folio with the page at `index`.
    pub fn at(self, index: u64) -> u8 {
        match self {
            Self::All(order) => order,
            Self::Mix => {
                // The upper bits of a multiplication by the golden ratio are scattered evenly.
                let drawn = (index >> 6).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62;
                Self::MIX[drawn as usize]
            }
        }
    }

    /// The highest order that occurs.
    pub const fn highest(self) -> u8 {
        match self {
            Self::All(order) => order,
            Self::Mix => 6,
        }
    }

    /// Whether there are folios of more than one page.
    pub const fn are_large(self) -> bool {
        self.highest() > 0
    }

    /// A range with all of every folio of which a page lies in it.
    pub(crate) fn widen(self, range: &Range<u64>) -> Range<u64> {
        let pages = 1 << self.highest();
        range.start & !(pages - 1)..range.end.next_multiple_of(pages)
    }

    /// Whether the model has folios that large.
    pub(crate) const fn is_allowed(self) -> bool {
        self.highest() <= MAX_ORDER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_has_each_of_its_orders_as_often_as_the_others() {
        let mut seen = [0_u32; 7];
        for run in 0..4_000 {
            let order = Orders::Mix.at(run * 64);
            assert_eq!(order, Orders::Mix.at(run * 64 + 63));
            seen[usize::from(order)] += 1;
        }
        for order in Orders::MIX {
            assert!(seen[usize::from(order)].abs_diff(1_000) < 60, "{seen:?}");
        }
        assert_eq!(Orders::Mix.highest(), 6);
    }
}
