//! The bounds of all latency histograms.

use hdrhistogram::Histogram;

/// The shortest latency that a histogram tells apart.
pub const LOWEST_NS: u64 = 1;
/// The longest; anything above is recorded as this, and counted.
pub const HIGHEST_NS: u64 = 10_000_000_000;
/// Significant decimal digits.
pub const DIGITS: u8 = 3;

/// Faults in a row whose time is taken together, at most.
///
/// The end of one is the start of the next, so that their sum is the difference of two readings
/// alone: however coarse the clock's step is, and whatever its phase, it shifts the sum by less
/// than one step.
pub const STRETCH: u32 = 64;

/// An empty latency histogram: 1 ns to 10 s with 3 significant digits.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, DIGITS)
        .expect("the bounds are constants that the format allows")
}
