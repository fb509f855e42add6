//! What it costs to survive SIGBUS.

use machine_facts::clock::Clock;

use crate::host::{FileKind, HostError, Layout, Mapping, Touched};

const PAGES: u64 = 256;

/// What a touch beyond the end of a file takes, in nanoseconds: the fault, the signal, its handler
/// and the way back. The median of some hundreds, on the calling thread's CPU.
///
/// # Errors
/// A kernel that gives no file or mapping.
pub fn cost_of_sigbus_ns(clock: &Clock) -> Result<f64, HostError> {
    let file = FileKind::memfd().create(1)?;
    let mapping = Mapping::new(&file, 1 + PAGES, Layout::Whole)?;
    let mut ticks: Vec<_> = (1..=PAGES)
        .map(|pgoff| {
            let start = clock.now();
            let touched = mapping.touch(pgoff);
            let ticks = clock.now() - start;
            assert_eq!(touched, Touched::Bus, "page {pgoff} is beyond the end");
            ticks
        })
        .collect();
    ticks.sort_unstable();
    Ok(clock.ns(ticks[ticks.len() / 2]) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sigbus_is_survived_and_takes_longer_than_nothing() {
        assert!(cost_of_sigbus_ns(&Clock::new()).unwrap() > 0.0);
    }
}
