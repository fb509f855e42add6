//! The percentile-distribution text format (`.hgrm`).

use std::io::{self, Write};

use hdrhistogram::Histogram;

/// With more, the products in [`Level::is_reached`] would not fit 128 bits.
const MAX_TICKS_PER_HALF_DISTANCE: u32 = 1000;

/// Writes `histogram` as the table that HdrHistogram's plotters read.
///
/// Values are divided by `unit_scale`: 1000.0 turns recorded nanoseconds into
/// microseconds. Each time the distance to 100 % halves, the table has about
/// `ticks_per_half_distance` further rows; plotters are used to 5. An empty
/// histogram gives a table without rows.
///
/// Lines are written one by one, so `out` should be a buffer.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidInput`] when `unit_scale` is not a positive, finite
/// number or `ticks_per_half_distance` is not in 1 to 1000; else what `out`
/// reports.
pub fn write_hgrm(
    out: &mut impl Write,
    histogram: &Histogram<u64>,
    unit_scale: f64,
    ticks_per_half_distance: u32,
) -> io::Result<()> {
    if !(unit_scale.is_finite() && unit_scale > 0.0) {
        return Err(invalid(format!(
            "the unit scale of a percentile table must be positive and finite, not {unit_scale}"
        )));
    }
    if !(1..=MAX_TICKS_PER_HALF_DISTANCE).contains(&ticks_per_half_distance) {
        return Err(invalid(format!(
            "a percentile table has 1 to {MAX_TICKS_PER_HALF_DISTANCE} ticks per half distance, \
             not {ticks_per_half_distance}"
        )));
    }
    let digits = usize::from(histogram.sigfig());
    let scaled = |value: u64| value as f64 / unit_scale;

    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let mut level = Level::first(ticks_per_half_distance);
    let mut total = 0_u64;
    for step in histogram.iter_recorded() {
        total = total.saturating_add(step.count_at_value());
        while level.is_reached(total, histogram.len()) {
            let percentile = format!("{:.12}", level.quantile());
            // Also a quantile just below one may print as one. Readers take
            // that for the end of the table, which is written below.
            if percentile.starts_with('1') {
                break;
            }
            writeln!(
                out,
                "{:12.digits$} {percentile} {total:10} {:14.2}",
                scaled(step.value_iterated_to()),
                level.inverse_distance(),
            )?;
            level.advance();
            if total == histogram.len() {
                // All the levels up to one would repeat the largest value.
                break;
            }
        }
    }
    if !histogram.is_empty() {
        writeln!(
            out,
            "{:12.digits$} {:.12} {:10}",
            scaled(histogram.max()),
            1.0,
            histogram.len(),
        )?;
    }

    writeln!(
        out,
        "#[Mean    = {:12.digits$}, StdDeviation   = {:12.digits$}]",
        histogram.mean() / unit_scale,
        histogram.stdev() / unit_scale,
    )?;
    writeln!(
        out,
        "#[Max     = {:12.digits$}, Total count    = {:12}]",
        scaled(histogram.max()),
        histogram.len(),
    )?;
    writeln!(
        out,
        "#[Buckets = {:12}, SubBuckets     = {:12}]",
        histogram.buckets(),
        sub_buckets(histogram.sigfig()),
    )
}

/// A quantile that has a row.
///
/// Kept as a fraction: `Histogram::iter_quantiles` adds up binary fractions,
/// gets to a little more than 0.75 and gives it the value of the next rank.
struct Level {
    /// The distance to one, in parts.
    distance: u128,
    /// How many parts one has.
    parts: u128,
    ticks_per_half_distance: u128,
}

impl Level {
    fn first(ticks_per_half_distance: u32) -> Self {
        let ticks_per_half_distance = u128::from(ticks_per_half_distance);
        Self {
            distance: 2 * ticks_per_half_distance,
            parts: 2 * ticks_per_half_distance,
            ticks_per_half_distance,
        }
    }

    fn advance(&mut self) {
        self.distance -= 1;
        if self.distance == self.ticks_per_half_distance {
            self.distance *= 2;
            self.parts *= 2;
        }
    }

    /// Whether the first `total` of `all` values make up this quantile.
    fn is_reached(&self, total: u64, all: u64) -> bool {
        u128::from(all.saturating_sub(total)) * self.parts <= self.distance * u128::from(all)
    }

    fn quantile(&self) -> f64 {
        1.0 - self.distance as f64 / self.parts as f64
    }

    fn inverse_distance(&self) -> f64 {
        self.parts as f64 / self.distance as f64
    }
}

/// How many linear steps each bucket has.
///
/// `sigfig` decimal digits need single-unit steps up to twice that power of
/// ten, and a bucket is a power of two. The histogram does not tell.
fn sub_buckets(sigfig: u8) -> u32 {
    (2 * 10_u32.pow(u32::from(sigfig))).next_power_of_two()
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row {
        value: f64,
        percentile: f64,
        total: u64,
        inverse: Option<f64>,
    }

    fn text(histogram: &Histogram<u64>, unit_scale: f64) -> String {
        let mut out = Vec::new();
        write_hgrm(&mut out, histogram, unit_scale, 5).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// The rows of a table whose frame is as it should be.
    fn rows(text: &str) -> Vec<Row> {
        let (header, body) = text.split_once("\n\n").unwrap();
        assert_eq!(
            header,
            "       Value     Percentile TotalCount 1/(1-Percentile)"
        );
        let (table, footer): (Vec<_>, Vec<_>) = body.lines().partition(|l| !l.starts_with('#'));
        assert_eq!(footer.len(), 3, "{text}");
        table
            .iter()
            .map(|line| {
                assert_eq!(line.as_bytes()[12], b' ', "{line}");
                let columns: Vec<&str> = line.split_whitespace().collect();
                assert!((3..=4).contains(&columns.len()), "{line}");
                Row {
                    value: columns[0].parse().unwrap(),
                    percentile: columns[1].parse().unwrap(),
                    total: columns[2].parse().unwrap(),
                    inverse: columns.get(3).map(|c| c.parse().unwrap()),
                }
            })
            .collect()
    }

    fn check(text: &str, total: u64) -> Vec<Row> {
        let rows = rows(text);
        assert_eq!(rows[0].percentile, 0.0);
        for pair in rows.windows(2) {
            assert!(pair[0].value <= pair[1].value);
            assert!(pair[0].percentile <= pair[1].percentile);
            assert!(pair[0].total <= pair[1].total);
        }
        let ends: Vec<_> = rows.iter().filter(|r| r.percentile == 1.0).collect();
        assert_eq!(ends.len(), 1, "{text}");
        assert_eq!(text.matches(" 1.000000000000 ").count(), 1);
        assert_eq!(ends[0].total, total);
        assert!(
            rows.iter()
                .all(|r| r.inverse.is_none() == (r.percentile == 1.0))
        );
        rows
    }

    fn of(values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        for value in values {
            histogram.record(value).unwrap();
        }
        histogram
    }

    #[test]
    fn small_data_has_its_known_quantiles() {
        let table = text(&of(1..=1000), 1.0);
        let rows = check(&table, 1000);
        let at = |percentile: f64| {
            let row = rows.iter().find(|r| r.percentile == percentile).unwrap();
            (row.value, row.total, row.inverse)
        };
        assert_eq!(at(0.0), (1.0, 1, Some(1.0)));
        assert_eq!(at(0.3), (300.0, 300, Some(1.43)));
        assert_eq!(at(0.5), (500.0, 500, Some(2.0)));
        assert_eq!(at(0.75), (750.0, 750, Some(4.0)));
        assert_eq!(at(1.0), (1000.0, 1000, None));
        assert!(table.contains("\n     500.000 0.500000000000        500           2.00\n"));
        assert!(table.contains("#[Mean    =      500.500, StdDeviation   =      288.675]\n"));
        assert!(table.contains("#[Max     =     1000.000, Total count    =         1000]\n"));
    }

    #[test]
    fn one_final_row_whatever_the_shape() {
        check(&text(&of([7]), 1.0), 1);
        check(&text(&of([0, 0, 0]), 1.0), 3);
        check(&text(&of([100; 50]), 1000.0), 50);
        check(&text(&of((0..20_000).map(|n| n * n)), 1000.0), 20_000);
        let mut lopsided = of([5]);
        lopsided.record_n(1, 1 << 50).unwrap();
        // Reaches levels that 12 decimals cannot tell from one.
        check(&text(&lopsided, 1.0), (1 << 50) + 1);
    }

    #[test]
    fn rows_agree_with_the_histogram() {
        let histogram = of((1..10_000_u64).map(|n| n * n % 1_000_003));
        for ticks in [1, 7, 30] {
            let mut out = Vec::new();
            write_hgrm(&mut out, &histogram, 1.0, ticks).unwrap();
            for row in check(&String::from_utf8(out).unwrap(), histogram.len()) {
                let value = row.value as u64;
                assert_eq!(row.total, histogram.count_between(0, value));
                // Not exactly the quantile that was printed with 12 decimals.
                assert!(histogram.value_at_quantile(row.percentile - 1e-11) <= value.max(1));
                assert!(histogram.value_at_quantile(row.percentile + 1e-11) >= value);
            }
        }
    }

    #[test]
    fn values_are_scaled() {
        let table = text(&of([1500]), 1000.0);
        assert_eq!(check(&table, 1)[0].value, 1.5);
        assert!(table.contains("#[Max     =        1.500, "), "{table}");
    }

    #[test]
    fn empty_histogram_has_a_frame_without_rows() {
        let table = text(&of([]), 1.0);
        assert!(rows(&table).is_empty());
        assert!(
            table.contains("Total count    =            0]\n"),
            "{table}"
        );
        assert!(!table.contains("NaN"));
    }

    #[test]
    fn buckets_follow_the_bounds() {
        // 2048 << 25 is the first power of two above 60 s in nanoseconds.
        let table = text(&of([1]), 1.0);
        assert!(table.ends_with("#[Buckets =           26, SubBuckets     =         2048]\n"));
        let coarse = Histogram::new_with_bounds(1000, 1 << 20, 1).unwrap();
        let table = text(&coarse, 1.0);
        // 1000 rounds down to units of 512; 32 units of 512 << 7 exceed 2²⁰.
        assert!(table.ends_with("#[Buckets =            8, SubBuckets     =           32]\n"));
        let steps: Vec<u32> = (0..=5).map(sub_buckets).collect();
        assert_eq!(steps, [2, 32, 256, 2048, 32_768, 262_144]);
    }

    #[test]
    fn bad_parameters_are_errors() {
        for (scale, ticks) in [(0.0, 5), (-1.0, 5), (f64::NAN, 5), (1.0, 0), (1.0, 1001)] {
            let error = write_hgrm(&mut Vec::new(), &of([1]), scale, ticks).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }
}
