//! Reading an interval log back.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use machine_facts::histogram::new_histogram;

/// All histograms of an interval log in one.
///
/// # Errors
/// One line that says what is wrong with it.
pub fn read_hlog(text: &[u8]) -> Result<Histogram<u64>, String> {
    let mut merged = new_histogram();
    let mut deserializer = Deserializer::new();
    for (number, entry) in IntervalLogIterator::new(text).enumerate() {
        let number = number + 1;
        let entry = entry.map_err(|_| format!("entry {number} isn't one of an interval log"))?;
        let LogEntry::Interval(interval) = entry else {
            continue;
        };
        let fail = |what: &str, error: String| format!("entry {number}: {what}: {error}");
        let packed = BASE64_STANDARD
            .decode(interval.encoded_histogram())
            .map_err(|error| fail("no base64", error.to_string()))?;
        let histogram: Histogram<u64> = deserializer
            .deserialize(&mut packed.as_slice())
            .map_err(|error| fail("no histogram", error.to_string()))?;
        merged
            .add(&histogram)
            .map_err(|error| fail("another range of values", error.to_string()))?;
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Interval, write_hlog};
    use jiff::Timestamp;
    use std::time::Duration;

    fn log() -> (Vec<u8>, Histogram<u64>) {
        let mut first = new_histogram();
        let mut second = new_histogram();
        for value in [3, 250, 1_000_000] {
            first.record(value).unwrap();
            second.record_n(value * 2, 5).unwrap();
        }
        let start: Timestamp = "2026-11-21T01:39:05.9Z".parse().unwrap();
        let interval = |histogram| Interval {
            tag: "faults",
            start,
            duration: Duration::from_millis(200),
            histogram,
        };
        let mut out = Vec::new();
        write_hlog(&mut out, start, &[interval(&first), interval(&second)], 1e6).unwrap();
        first += second;
        (out, first)
    }

    #[test]
    fn what_was_written_is_read_back_as_one() {
        let (text, merged) = log();
        assert_eq!(read_hlog(&text).unwrap(), merged);
    }

    #[test]
    fn what_is_cut_off_or_foreign_is_an_error_or_is_missed_by_its_count() {
        let (text, merged) = log();
        for length in 0..text.len() {
            match read_hlog(&text[..length]) {
                Ok(read) => assert!(read.len() < merged.len() || length + 1 >= text.len()),
                Err(line) => assert!(!line.contains('\n'), "{line}"),
            }
        }
        assert!(read_hlog(b"scheme\tstorm\n").is_err());
        assert!(read_hlog(&[0xff, 0xfe, 0]).is_err());
    }
}
