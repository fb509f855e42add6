//! Of which orders the folios of a file are.

use std::ops::Range;

use crate::folio::MAX_ORDER;

/// The orders that the page cache is filled with. A folio is smaller where its place isn't aligned
/// to its size, where the file ends, where pages of it are there already, or where memory is in
/// pieces, as in `page_cache_ra_order()` and `ra_alloc_folio()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orders {
    /// All of one order.
    All(u8),
    /// Each aligned run of [`Self::MIX_RUN`] pages has folios of one of [`Self::MIX`], and four
    /// such runs have each of them once. Which comes first is drawn by their place, the same in
    /// every run.
    Mix,
}

impl Orders {
    /// The orders of a mix.
    pub const MIX: [u8; 4] = [2, 0, 6, 4];
    /// Pages that have folios of one order in a mix.
    pub const MIX_RUN: u64 = 64;

    /// The order for a folio with the page at `index`.
    pub fn at(self, index: u64) -> u8 {
        match self {
            Self::All(order) => order,
            Self::Mix => {
                let run = index / Self::MIX_RUN;
                // The upper bits of a multiplication by the golden ratio are scattered evenly.
                let first = (run / 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62;
                Self::MIX[((run + first) % 4) as usize]
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
    fn four_runs_of_a_mix_have_each_of_its_orders_once() {
        let mut firsts = [0_u32; 7];
        for group in 0..1_000 {
            let orders = (0..4).map(|run| Orders::Mix.at((group * 4 + run) * 64));
            let mut orders: Vec<_> = orders.collect();
            firsts[usize::from(orders[0])] += 1;
            orders.sort_unstable();
            assert_eq!(orders, [0, 2, 4, 6]);
            assert_eq!(
                Orders::Mix.at(group * 256),
                Orders::Mix.at(group * 256 + 63)
            );
        }
        for order in Orders::MIX {
            assert!(firsts[usize::from(order)].abs_diff(250) < 40, "{firsts:?}");
        }
        assert_eq!(Orders::Mix.highest(), 6);
    }

    #[test]
    fn a_range_is_widened_to_whole_folios() {
        assert_eq!(Orders::All(2).widen(&(5..9)), 4..12);
        assert_eq!(Orders::All(0).widen(&(5..9)), 5..9);
        assert_eq!(Orders::Mix.widen(&(64..65)), 64..128);
    }
}
