//! What counters read: scaled where they were multiplexed, missing where nothing was counted.

use serde::{Deserialize, Serialize};

/// What one event's counter read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The event's name.
    pub name: String,
    /// How many there were: an estimate if `running_share` is below 1. `None`: not counted, which
    /// isn't 0.
    pub count: Option<f64>,
    /// The share of the measured time in which the event was on one of the CPU's counters; of
    /// several threads or cells, the least of any. 0: never.
    pub running_share: f64,
}

/// What the counters of a thread, or of several together, read. In the order in which they were
/// asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Readings(pub Vec<Reading>);

/// What the kernel gives for an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) count: u64,
    pub(super) enabled_ns: u64,
    pub(super) running_ns: u64,
}

/// Shares above this are a rounding, not worth a line.
const AS_GOOD_AS_ALL: f64 = 0.999;

impl Sample {
    /// The count over all the time that it was enabled, and the share in which it was counted.
    fn scaled(self) -> (Option<f64>, f64) {
        if self.enabled_ns == 0 || self.running_ns == 0 {
            return (None, 0.0);
        }
        // The kernel reads its clock twice, and running may come out as the longer one.
        let share = (self.running_ns as f64 / self.enabled_ns as f64).min(1.0);
        (Some(self.count as f64 / share), share)
    }
}

impl Reading {
    /// From what the kernel gave, if it gave anything.
    pub(super) fn new(name: String, sample: Option<Sample>) -> Self {
        let (count, running_share) = sample.map_or((None, 0.0), Sample::scaled);
        Self {
            name,
            count,
            running_share,
        }
    }

    /// Whether the count is an estimate, since the event had to share a counter with others.
    pub fn is_scaled(&self) -> bool {
        self.count.is_some() && self.running_share < AS_GOOD_AS_ALL
    }

    fn add(&mut self, other: &Self) {
        self.count = self.count.zip(other.count).map(|(a, b)| a + b);
        self.running_share = self.running_share.min(other.running_share);
    }

    fn missing(name: &str) -> Self {
        Self::new(name.to_owned(), None)
    }
}

impl Readings {
    /// The count of an event; `None` if it wasn't counted.
    pub fn count(&self, name: &str) -> Option<f64> {
        let mut readings = self.0.iter();
        readings.find(|reading| reading.name == name)?.count
    }

    /// The count of an event for each of `many` faults or pages; `None` if it wasn't counted or
    /// there were none.
    pub fn per(&self, name: &str, many: u64) -> Option<f64> {
        let count = self.count(name)?;
        (many > 0).then(|| count / many as f64)
    }

    /// Several threads' or cells' together. What one of them didn't count is missing: a sum over
    /// the rest would be taken for one over all.
    pub fn sum<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = all.into_iter();
        let mut sum = all.next().cloned().unwrap_or_default();
        for readings in all {
            for reading in &readings.0 {
                if !sum.0.iter().any(|it| it.name == reading.name) {
                    sum.0.push(Reading::missing(&reading.name));
                }
            }
            for reading in &mut sum.0 {
                let other = readings.0.iter().find(|it| it.name == reading.name);
                match other {
                    Some(other) => reading.add(other),
                    None => *reading = Reading::missing(&reading.name),
                }
            }
        }
        sum
    }

    /// What has to be said beside the counts: those that are estimates, and from how much of the
    /// time. `None`: nothing.
    pub fn caveat(&self) -> Option<String> {
        let scaled = self.0.iter().filter(|reading| reading.is_scaled());
        let scaled: Vec<_> = scaled
            .map(|it| format!("{} {:.1}%", it.name, it.running_share * 100.0))
            .collect();
        (!scaled.is_empty()).then(|| {
            format!(
                "multiplexed, counts scaled up from a share of the time: {}",
                scaled.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(name: &str, count: u64, enabled_ns: u64, running_ns: u64) -> Reading {
        let sample = Sample {
            count,
            enabled_ns,
            running_ns,
        };
        Reading::new(name.to_owned(), Some(sample))
    }

    fn readings(of: &[(&str, Option<f64>, f64)]) -> Readings {
        let reading = |&(name, count, running_share): &(&str, Option<f64>, f64)| Reading {
            name: name.to_owned(),
            count,
            running_share,
        };
        Readings(of.iter().map(reading).collect())
    }

    #[test]
    fn counts_are_scaled_to_the_time_enabled() {
        let all = reading("cycles", 1_000, 500, 500);
        assert_eq!((all.count, all.running_share), (Some(1_000.0), 1.0));
        assert!(!all.is_scaled());
        let quarter = reading("cycles", 1_000, 800, 200);
        assert_eq!(
            (quarter.count, quarter.running_share),
            (Some(4_000.0), 0.25)
        );
        assert!(quarter.is_scaled());
    }

    #[test]
    fn running_longer_than_enabled_is_all_the_time() {
        let odd = reading("cycles", 1_000, 500, 501);
        assert_eq!((odd.count, odd.running_share), (Some(1_000.0), 1.0));
    }

    #[test]
    fn zero_is_not_the_same_as_not_counted() {
        assert_eq!(reading("cycles", 0, 500, 500).count, Some(0.0));
        for never in [
            reading("cycles", 0, 500, 0),
            reading("cycles", 0, 0, 0),
            Reading::new("cycles".to_owned(), None),
        ] {
            assert_eq!((never.count, never.running_share), (None, 0.0));
            assert!(!never.is_scaled());
        }
    }

    #[test]
    fn a_sum_has_counts_of_all_or_none() {
        let first = readings(&[("a", Some(1.0), 1.0), ("b", Some(2.0), 0.5)]);
        let second = readings(&[("a", Some(10.0), 0.25), ("b", None, 0.0)]);
        let third = readings(&[("a", Some(100.0), 0.5), ("b", Some(5.0), 1.0)]);
        let sum = Readings::sum([&first, &second, &third]);
        assert_eq!(sum, readings(&[("a", Some(111.0), 0.25), ("b", None, 0.0)]));
        assert_eq!(Readings::sum([&first]), first);
        assert_eq!(Readings::sum([]), Readings::default());
    }

    #[test]
    fn what_one_does_not_know_is_missing_from_the_sum() {
        let first = readings(&[("a", Some(1.0), 1.0)]);
        let second = readings(&[("b", Some(2.0), 1.0)]);
        let missing = readings(&[("a", None, 0.0), ("b", None, 0.0)]);
        assert_eq!(Readings::sum([&first, &second]), missing);
    }

    #[test]
    fn per_fault_needs_faults_and_a_count() {
        let readings = readings(&[("a", Some(10.0), 1.0), ("b", None, 0.0)]);
        assert_eq!(readings.per("a", 4), Some(2.5));
        assert_eq!(readings.per("a", 0), None);
        assert_eq!(readings.per("b", 4), None);
        assert_eq!(readings.per("c", 4), None);
    }

    #[test]
    fn estimates_are_named_with_their_share() {
        let fine = readings(&[("a", Some(1.0), 1.0), ("b", None, 0.0)]);
        assert_eq!(fine.caveat(), None);
        let scaled = readings(&[
            ("a", Some(1.0), 0.334),
            ("b", Some(1.0), 1.0),
            ("c", None, 0.0),
        ]);
        let line = scaled.caveat().expect("an estimate");
        assert!(line.ends_with("the time: a 33.4%"), "{line}");
    }

    #[test]
    fn they_survive_json_with_what_is_missing() {
        let before = readings(&[("a", Some(0.0), 1.0), ("b", None, 0.0)]);
        let json = serde_json::to_string(&before).unwrap();
        assert_eq!(serde_json::from_str::<Readings>(&json).unwrap(), before);
        assert!(json.contains(r#""count":null"#), "{json}");
    }
}
