//! The interval log format (`.hlog`).

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};
use hdrhistogram::serialization::{V2DeflateSerializeError, V2DeflateSerializer};
use jiff::Timestamp;
use thiserror::Error;

/// The version of the format that has tags and a base time.
const FORMAT_VERSION: &str = "[Histogram log format version 1.3]";

/// One line of an interval log: what was measured under one tag in one stretch
/// of time.
#[derive(Debug, Clone, Copy)]
pub struct Interval<'a> {
    /// Names the series that the histogram belongs to.
    pub tag: &'a str,
    /// When the stretch began.
    pub start: Timestamp,
    /// How long it lasted.
    pub duration: Duration,
    /// The values that were recorded in it.
    pub histogram: &'a Histogram<u64>,
}

/// Why an interval log could not be written.
///
/// Each message is one line that holds the reason, so there is no separate
/// source.
#[derive(Debug, Error)]
pub enum HlogError {
    /// The tag would break the line it stands in.
    #[error("interval tag {tag:?}: {reason}")]
    Tag {
        /// The tag as it was given.
        tag: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The format has no negative times.
    #[error("interval {tag:?} starts at {start}, before the run did at {run_start}")]
    BeforeRun {
        /// The interval's tag.
        tag: String,
        /// When the interval starts.
        start: Timestamp,
        /// When the run starts.
        run_start: Timestamp,
    },
    /// The run starts before the epoch, which readers cannot parse.
    #[error("the run starts at {0}, which no interval log can hold; is the clock set?")]
    BeforeEpoch(Timestamp),
    /// The divisor gives maxima that are not numbers.
    #[error("the divisor of the maxima must be positive and finite, not {0}")]
    Divisor(f64),
    /// A histogram could not be encoded.
    #[error("interval {tag:?}: {reason}")]
    Encode {
        /// The interval's tag.
        tag: String,
        /// What the encoder reports.
        reason: V2DeflateSerializeError,
    },
    /// The log could not be written.
    #[error("cannot write the interval log: {0}")]
    Write(io::Error),
}

/// Writes `intervals`, ordered by their start, as an interval log.
///
/// Times in the log are relative to `run_start` and have milliseconds. The
/// maxima, which only human readers use, are divided by `max_value_divisor`;
/// by convention that is 1 000 000.0, for milliseconds where nanoseconds were
/// recorded. The histograms themselves stay in recorded units.
///
/// Start times must come from one clock that never goes back (`run_start` plus
/// elapsed time): a wall clock that is set during the run may put an interval
/// before it.
///
/// # Errors
///
/// Arguments are checked before anything is written. A tag must not be empty
/// or hold commas, white space or control characters.
pub fn write_hlog(
    out: &mut impl Write,
    run_start: Timestamp,
    intervals: &[Interval<'_>],
    max_value_divisor: f64,
) -> Result<(), HlogError> {
    if !(max_value_divisor.is_finite() && max_value_divisor > 0.0) {
        return Err(HlogError::Divisor(max_value_divisor));
    }
    // The header has milliseconds too. Were it rounded and the intervals
    // counted from the exact time, both errors would add up.
    let base = Timestamp::from_millisecond(run_start.as_millisecond())
        .ok()
        .filter(|base| *base >= Timestamp::UNIX_EPOCH)
        .ok_or(HlogError::BeforeEpoch(run_start))?;
    let mut lines = intervals
        .iter()
        .map(|interval| {
            let offset = Duration::try_from(interval.start.duration_since(base)).map_err(|_| {
                HlogError::BeforeRun {
                    tag: interval.tag.to_owned(),
                    start: interval.start,
                    run_start,
                }
            })?;
            Ok((offset, checked_tag(interval.tag)?, interval))
        })
        .collect::<Result<Vec<_>, HlogError>>()?;
    // A reader that wants a range of time stops at the first start beyond it.
    lines.sort_by_key(|(offset, ..)| *offset);

    // Readers guess whether times are relative unless both headers are there,
    // and measure ranges from the first interval where there is no start time.
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment(FORMAT_VERSION)
        .with_start_time(SystemTime::from(base))
        .with_base_time(SystemTime::from(base))
        .with_max_value_divisor(max_value_divisor)
        .begin_log_with(out, &mut serializer)
        .map_err(HlogError::Write)?;
    for (offset, tag, interval) in lines {
        log.write_histogram(interval.histogram, offset, interval.duration, Some(tag))
            .map_err(|error| match error {
                IntervalLogWriterError::IoError(reason) => HlogError::Write(reason),
                IntervalLogWriterError::SerializeError(reason) => HlogError::Encode {
                    tag: interval.tag.to_owned(),
                    reason,
                },
            })?;
    }
    Ok(())
}

/// Stricter than [`Tag::new`]: readers take an empty tag for none, and split
/// lines at more than the blank.
fn checked_tag(tag: &str) -> Result<Tag<'_>, HlogError> {
    let reason = if tag.is_empty() {
        "is empty"
    } else if tag.contains(',') {
        "holds a comma"
    } else if tag.contains(|c: char| c.is_whitespace() || c.is_control()) {
        "holds white space or a control character"
    } else if let Some(tag) = Tag::new(tag) {
        return Ok(tag);
    } else {
        "holds a character that interval logs cannot hold"
    };
    Err(HlogError::Tag {
        tag: tag.to_owned(),
        reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    fn base64_decode(text: &str) -> Vec<u8> {
        let mut bits = 0_u32;
        let mut held = 0;
        let mut bytes = Vec::new();
        for digit in text.bytes().filter(|b| *b != b'=') {
            let value = ALPHABET.iter().position(|b| *b == digit).unwrap();
            bits = (bits << 6) | u32::try_from(value).unwrap();
            held += 6;
            if held >= 8 {
                held -= 8;
                bytes.push((bits >> held) as u8);
                bits &= (1 << held) - 1;
            }
        }
        bytes
    }

    fn of(values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        for value in values {
            histogram.record(value).unwrap();
        }
        histogram
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn interval<'a>(tag: &'a str, start: &str, histogram: &'a Histogram<u64>) -> Interval<'a> {
        Interval {
            tag,
            start: at(start),
            duration: Duration::from_millis(2500),
            histogram,
        }
    }

    #[test]
    fn the_crate_reads_back_what_was_written() {
        let (slow, fast, none) = (of((1..5000).map(|n| n * 10_007)), of(200..900), of([]));
        let start = "2026-11-21T01:39:05.1239Z";
        let given = [
            interval("write/8", "2026-11-21T01:39:09.623Z", &slow),
            interval("read/8", start, &fast),
            interval("idle", "2026-11-21T01:39:15Z", &none),
        ];
        let mut log = Vec::new();
        write_hlog(&mut log, at(start), &given, 1_000_000.0).unwrap();

        let base = Duration::from_millis(at(start).as_millisecond().unsigned_abs());
        let mut entries = IntervalLogIterator::new(&log).map(Result::unwrap);
        assert_eq!(entries.next(), Some(LogEntry::StartTime(base)));
        assert_eq!(entries.next(), Some(LogEntry::BaseTime(base)));
        // Sorted by start, whatever the order they came in.
        for (sent, offset, max) in [
            (&given[1], 1, 0.001),
            (&given[0], 4500, 50.037),
            (&given[2], 9877, 0.0),
        ] {
            let Some(LogEntry::Interval(read)) = entries.next() else {
                panic!("{} is missing", sent.tag);
            };
            assert_eq!(read.tag().unwrap().as_str(), sent.tag);
            assert_eq!(read.start_timestamp(), Duration::from_millis(offset));
            assert_eq!(read.duration(), sent.duration);
            assert_eq!(read.max(), max);
            let bytes = base64_decode(read.encoded_histogram());
            let histogram: Histogram<u64> =
                Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
            assert_eq!(&histogram, sent.histogram);
            assert_eq!(histogram.len(), sent.histogram.len());
        }
        assert_eq!(entries.next(), None);
    }

    #[test]
    fn headers_are_wall_clock_times() {
        let mut log = Vec::new();
        write_hlog(&mut log, at("2026-11-21T01:39:05.5Z"), &[], 1_000_000.0).unwrap();
        let text = String::from_utf8(log).unwrap();
        assert_eq!(
            text,
            "#[Histogram log format version 1.3]\n\
             #[StartTime: 1795225145.500 (seconds since epoch)]\n\
             #[BaseTime: 1795225145.500 (seconds since epoch)]\n\
             #[MaxValueDivisor: 1000000.000]\n"
        );
    }

    #[test]
    fn bad_arguments_are_errors_and_nothing_is_written() {
        let start = "2026-11-21T01:39:05Z";
        let histogram = of([1]);
        let mut log = Vec::new();
        for tag in [
            "",
            "a,b",
            "a b",
            "a\nb",
            "a\rb",
            "a\tb",
            "a\0b",
            "a\u{2028}b",
        ] {
            let given = [
                interval("fine", start, &histogram),
                interval(tag, start, &histogram),
            ];
            let error = write_hlog(&mut log, at(start), &given, 1.0).unwrap_err();
            assert!(matches!(&error, HlogError::Tag { tag: named, .. } if named == tag));
            assert_eq!(error.to_string().lines().count(), 1);
        }
        let early = [interval("early", "2026-11-21T01:39:04Z", &histogram)];
        let error = write_hlog(&mut log, at(start), &early, 1.0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "interval \"early\" starts at 2026-11-21T01:39:04Z, \
             before the run did at 2026-11-21T01:39:05Z"
        );
        for divisor in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = write_hlog(&mut log, at(start), &[], divisor).unwrap_err();
            assert!(matches!(error, HlogError::Divisor(_)));
        }
        let error = write_hlog(&mut log, at("1969-12-31T00:00:00Z"), &[], 1.0).unwrap_err();
        assert!(matches!(error, HlogError::BeforeEpoch(_)));
        assert!(log.is_empty());
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let mut full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let error = write_hlog(&mut full, at("2026-11-21T01:39:05Z"), &[], 1.0).unwrap_err();
        assert!(matches!(error, HlogError::Write(_)), "{error}");
    }
}
