//! Words and figures in the columns of a mail.

use machine_facts::statistics::Interval;

/// The width of a table's column of names.
pub(crate) const NAMES: usize = 21;

/// From one figure to another, in 13 columns with a space before it.
pub(crate) fn range(from: f64, to: f64) -> String {
    format!("{}-{}", fit(from, 6).trim(), fit(to, 6).trim())
}

/// An interval this wide tells nothing, as a factor between its ends.
pub(crate) const NOTHING_TOLD: f64 = 10.0;

/// An interval, or what stands in its place: one round has none, and one that is too wide is not
/// printed as if it told something.
pub(crate) fn interval(it: &Interval) -> String {
    match it.width() + 1.0 {
        _ if it.values < 2 => "one round".to_owned(),
        width if width <= NOTHING_TOLD => range(it.lo, it.hi),
        _ => format!(">{NOTHING_TOLD}x"),
    }
}

/// A number of nanoseconds in a column; a dash where there is none.
pub(crate) fn percentile(ns: Option<u64>, width: usize) -> String {
    ns.map_or_else(|| "-".to_owned(), |ns| whole(ns, width))
}

/// A count in a column, with room for a space before it.
pub(crate) fn whole(count: u64, width: usize) -> String {
    let text = count.to_string();
    if text.len() < width {
        text
    } else {
        fit(count as f64, width)
    }
}

/// A figure of four significant digits that leaves room for a space in a column of this width: in
/// thousands (k), millions (M) and so on where it has no room.
pub(crate) fn fit(value: f64, width: usize) -> String {
    const UNITS: [(f64, &str); 5] = [(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")];
    if !value.is_finite() {
        return "-".to_owned();
    }
    let figure = |&(unit, letter): &(f64, &str)| {
        let value = value / unit;
        let digits = match value.abs() {
            value if value < 10.0 => 3,
            value if value < 100.0 => 2,
            value if value < 1000.0 => 1,
            _ => 0,
        };
        let digits = match (letter, value) {
            ("", _) => digits,
            (_, value) if value.abs() < 100.0 => 1,
            _ => 0,
        };
        format!("{value:.digits$}{letter}")
    };
    let mut figures = UNITS.iter().map(figure);
    let text = figures.find(|text| text.len() < width);
    text.unwrap_or_else(|| "-".to_owned())
}

/// Six significant digits: more than any measurement of time has.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "nan".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = (5 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_fit_their_columns() {
        for (value, text) in [
            (1.2345, "1.234"),
            (123.45, "123.5"),
            (12_345.0, "12345"),
            (123_456.0, "123456"),
            (1_234_567.0, "1235k"),
            (99_999_999.0, "100.0M"),
            (f64::NAN, "-"),
            (f64::INFINITY, "-"),
        ] {
            assert_eq!(fit(value, 7), text, "{value}");
        }
        assert_eq!(
            (fit(217_900.0, 6), fit(99_900.0, 5)),
            ("218k".to_owned(), "0.1M".to_owned())
        );
        for exponent in 0..19 {
            for width in [7, 8, 9] {
                let text = whole(10_u64.pow(exponent), width);
                assert!(text.len() < width, "{text:?}");
            }
        }
        assert!(range(123_456.0, 9_876_543.0).len() < 13);
    }

    #[test]
    fn numbers_have_six_digits_and_no_exponent() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.000_012_345_678, "0.0000123457"),
            (35.123_456_7, "35.1235"),
            (12_345_678.9, "12345679"),
            (100.0, "100"),
            (f64::NAN, "nan"),
            (f64::INFINITY, "nan"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
