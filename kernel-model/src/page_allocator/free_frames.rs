//! Free frames: a stack, or a buddy allocator where there are large folios.

use crate::folio::Pfn;

/// What one lock protects.
pub(super) enum FreeFrames {
    /// Single frames, last freed first, as on the kernel's per-CPU page lists.
    Stack(Vec<Pfn>),
    /// Blocks of powers of two.
    Buddy(Buddy),
}

/// Free blocks of a run of frames, by order. A block that is freed is joined with its neighbour of
/// the same size if that is free, too (`__free_one_page()`).
pub(super) struct Buddy {
    /// The first frame of the run, aligned to the largest block.
    start: u32,
    /// Starts of free blocks for each order, counted from `start`, last freed first.
    free: Vec<Vec<u32>>,
    /// For each frame that a free block starts with: the block's order and its place among those of
    /// that order.
    starts: Vec<Option<(u8, u32)>>,
}

impl Buddy {
    /// All of `frames` is free. Its start must be aligned to the largest block.
    pub(super) fn new(frames: std::ops::Range<u32>, highest_order: u8) -> Self {
        let length = frames.end - frames.start;
        let mut buddy = Self {
            start: frames.start,
            free: vec![Vec::new(); usize::from(highest_order) + 1],
            starts: vec![None; length as usize],
        };
        let mut end = length;
        // Popped from the end: neighbours come out in ascending order.
        while end > 0 {
            let order = (highest_order).min(end.trailing_zeros() as u8);
            end -= 1 << order;
            buddy.insert(end, order);
        }
        buddy
    }

    fn insert(&mut self, start: u32, order: u8) {
        let blocks = &mut self.free[usize::from(order)];
        self.starts[start as usize] = Some((order, blocks.len() as u32));
        blocks.push(start);
    }

    fn remove(&mut self, start: u32) {
        let Some((order, place)) = self.starts[start as usize].take() else {
            return;
        };
        let blocks = &mut self.free[usize::from(order)];
        blocks.swap_remove(place as usize);
        if let Some(&moved) = blocks.get(place as usize) {
            self.starts[moved as usize] = Some((order, place));
        }
    }

    fn pop(&mut self, order: u8) -> Option<Pfn> {
        let orders = usize::from(order)..self.free.len();
        let found = orders.into_iter().find(|&it| !self.free[it].is_empty())?;
        let start = *self.free[found].last()?;
        self.remove(start);
        for half in (order..found as u8).rev() {
            self.insert(start + (1 << half), half);
        }
        Some(Pfn(self.start + start))
    }

    fn push(&mut self, pfn: Pfn, order: u8) {
        let (mut start, mut order) = (pfn.0 - self.start, order);
        while usize::from(order) + 1 < self.free.len() {
            let neighbour = start ^ (1 << order);
            let joins = matches!(self.starts.get(neighbour as usize), Some(Some((its, _))) if *its == order);
            if !joins {
                break;
            }
            self.remove(neighbour);
            start = start.min(neighbour);
            order += 1;
        }
        self.insert(start, order);
    }
}

impl FreeFrames {
    pub(super) fn pop(&mut self, order: u8) -> Option<Pfn> {
        match self {
            Self::Stack(frames) => frames.pop(),
            Self::Buddy(buddy) => buddy.pop(order),
        }
    }

    pub(super) fn push(&mut self, pfn: Pfn, order: u8) {
        match self {
            Self::Stack(frames) => frames.push(pfn),
            Self::Buddy(buddy) => buddy.push(pfn, order),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Stack(frames) => frames.len(),
            Self::Buddy(buddy) => (0..)
                .zip(&buddy.free)
                .map(|(order, blocks): (u32, _)| blocks.len() << order)
                .sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_split_and_joined_again() {
        let mut frames = FreeFrames::Buddy(Buddy::new(16..16 + 21, 3));
        assert_eq!(frames.len(), 21);
        assert_eq!(frames.pop(3), Some(Pfn(16)));
        assert_eq!(frames.pop(0), Some(Pfn(36)), "the smallest that fits");
        assert_eq!(frames.pop(1), Some(Pfn(32)));
        assert_eq!(frames.pop(1), Some(Pfn(34)));
        assert_eq!(frames.pop(2), Some(Pfn(24)), "split off the second block");
        assert_eq!(frames.pop(3), None, "what is left is in pieces");
        assert_eq!(frames.pop(2), Some(Pfn(28)));
        assert_eq!((frames.len(), frames.pop(0)), (0, None));
        for (pfn, order) in [(28, 1), (24, 2), (30, 0)] {
            frames.push(Pfn(pfn), order);
        }
        assert_eq!(frames.pop(3), None, "a page is missing");
        frames.push(Pfn(31), 0);
        assert_eq!(frames.len(), 8);
        assert_eq!(frames.pop(3), Some(Pfn(24)), "joined");
    }

    #[test]
    fn a_stack_gives_back_what_was_freed_last() {
        let mut frames = FreeFrames::Stack(vec![Pfn(1), Pfn(0)]);
        frames.push(Pfn(7), 0);
        assert_eq!(frames.pop(0), Some(Pfn(7)));
        assert_eq!(frames.pop(0), Some(Pfn(0)));
        assert_eq!(frames.len(), 1);
    }
}
