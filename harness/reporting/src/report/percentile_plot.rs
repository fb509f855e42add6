//! Percentiles drawn in characters: a row for each percentile, in which a letter for each scheme
//! stands where its latency is on a logarithmic scale.
//!
//! Curves of eight schemes in a box of characters lie on top of each other; rows can be read.

use hdrhistogram::Histogram;

use machine_facts::statistics::percentile;
use machine_facts::text::COLUMNS;

/// Latencies and the letter that they are drawn with.
pub(super) struct Curve {
    pub(super) letter: char,
    pub(super) histogram: Histogram<u64>,
}

/// The percentiles that are drawn, each a tenth of the one before beyond it.
const PERCENTILES: [(&str, f64); 6] = [
    ("50%", 0.5),
    ("90%", 0.9),
    ("99%", 0.99),
    ("99.9%", 0.999),
    ("99.99%", 0.9999),
    ("99.999%", 0.99999),
];

/// Columns before the scale.
const LABEL: usize = 9;

/// Columns of the scale.
const WIDTH: usize = COLUMNS - LABEL;

/// Lines that a percentile takes at most. Letters at the same place stand below each other, and
/// where there are more, `+` stands for those that have no room.
const DEPTH: usize = 3;

/// The drawing, its lines at most [`COLUMNS`] wide; `None` if no percentile rests on enough
/// samples.
pub(super) fn draw(curves: &[Curve]) -> Option<String> {
    let rows = PERCENTILES.iter().filter_map(|&(label, quantile)| {
        let point = |curve: &Curve| {
            let ns = percentile(&curve.histogram, quantile)?.max(1);
            Some((curve.letter, ns as f64))
        };
        let points: Vec<(char, f64)> = curves.iter().filter_map(point).collect();
        (!points.is_empty()).then_some((label, points))
    });
    let rows: Vec<_> = rows.collect();
    let all = rows.iter().flat_map(|(_, points)| points);
    let lowest = all.clone().map(|point| point.1).reduce(f64::min)?;
    let highest = all.map(|point| point.1).fold(lowest, f64::max);
    let scale = Scale::new(lowest, highest);
    let ticks = scale.ticks();
    let mut out = String::new();
    for (label, points) in &rows {
        let lines = stacked(&scale, points);
        for (number, mut line) in lines.into_iter().enumerate() {
            for &(column, _) in ticks.iter().filter(|_| number == 0) {
                if line[column] == ' ' {
                    line[column] = '.';
                }
            }
            let label = if number == 0 { label } else { "" };
            let line: String = line.into_iter().collect();
            let line = format!("{label:>width$} {line}", width = LABEL - 1);
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    let mut axis = String::new();
    for (column, text) in ticks {
        axis.push_str(&" ".repeat(column - axis.len()));
        axis.push_str(&text);
    }
    out.push_str(&format!("{:LABEL$}{axis}\n", ""));
    Some(out)
}

/// The letters of a percentile, in as many lines as it takes.
fn stacked(scale: &Scale, points: &[(char, f64)]) -> Vec<Vec<char>> {
    let mut columns: Vec<Vec<char>> = vec![Vec::new(); WIDTH];
    for &(letter, ns) in points {
        let column = &mut columns[scale.column(ns)];
        if !column.contains(&letter) {
            column.push(letter);
        }
    }
    for column in &mut columns {
        if column.len() > DEPTH {
            column.truncate(DEPTH - 1);
            column.push('+');
        }
    }
    let depth = columns.iter().map(Vec::len).max().unwrap_or(0);
    let line = |number: usize| -> Vec<char> {
        let letters = columns.iter().map(|column| column.get(number));
        letters
            .map(|letter| letter.copied().unwrap_or(' '))
            .collect()
    };
    (0..depth).map(line).collect()
}

/// A logarithmic scale.
struct Scale {
    from: f64,
    to: f64,
}

impl Scale {
    fn new(lowest: f64, highest: f64) -> Self {
        // At least a factor of two, so that a nanosecond isn't the width of the page.
        let to = highest.max(lowest * 2.0);
        Self {
            from: lowest / 1.02,
            to: to * 1.02,
        }
    }

    fn column(&self, ns: f64) -> usize {
        let share = (ns / self.from).ln() / (self.to / self.from).ln();
        ((share * (WIDTH - 1) as f64).round() as usize).min(WIDTH - 1)
    }

    /// Columns of round figures, and what is written there: as many as have room.
    fn ticks(&self) -> Vec<(usize, String)> {
        // Figures of a decade, and of how many decades one has them.
        const CHOICES: [(&[f64], usize); 5] = [
            (&[1.0, 2.0, 5.0], 1),
            (&[1.0, 3.0], 1),
            (&[1.0], 1),
            (&[1.0], 3),
            // For a factor of two, in which there are two of these at least.
            (&[1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], 1),
        ];
        let of = |(figures, step): (&[f64], usize)| -> Vec<(usize, String)> {
            let decades = (0..11).step_by(step).map(|power| 10_f64.powi(power));
            let ticks = decades.flat_map(|decade| figures.iter().map(move |it| it * decade));
            let inside = ticks.filter(|ns| (self.from..=self.to).contains(ns));
            let ticks = inside.map(|ns| (self.column(ns), format!("|{}", in_units(ns))));
            // The last one may have no room beside it.
            ticks
                .filter(|(column, text)| column + text.len() <= WIDTH)
                .collect()
        };
        // One tick alone is no scale.
        let has_room = |a: &(usize, String), b: &(usize, String)| a.0 + a.1.len() < b.0;
        let fits = |ticks: &[(usize, String)]| {
            let mut pairs = ticks.windows(2);
            ticks.len() > 1 && pairs.all(|pair| has_room(&pair[0], &pair[1]))
        };
        let choices = CHOICES.into_iter().map(of);
        let mut choices = choices.filter(|ticks| fits(ticks));
        choices.next().unwrap_or_else(|| {
            // The finest figures, without those that have no room after the one before them.
            let mut kept = Vec::new();
            for tick in of(CHOICES[CHOICES.len() - 1]) {
                if kept.last().is_none_or(|last| has_room(last, &tick)) {
                    kept.push(tick);
                }
            }
            kept
        })
    }
}

/// A round number of nanoseconds.
fn in_units(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns}ns"),
        ns if ns < 1e6 => format!("{}us", ns / 1e3),
        ns if ns < 1e9 => format!("{}ms", ns / 1e6),
        ns => format!("{}s", ns / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine_facts::histogram::new_histogram;

    fn curve(letter: char, values: &[(u64, u64)]) -> Curve {
        let mut histogram = new_histogram();
        for &(value, count) in values {
            histogram.record_n(value, count).unwrap();
        }
        Curve { letter, histogram }
    }

    #[test]
    fn letters_stand_where_latencies_are_and_nothing_is_drawn_beyond_the_samples() {
        let curves = [
            curve('a', &[(100, 900), (1_000, 90), (10_000, 10)]),
            curve('b', &[(200, 60), (4_000, 60)]),
        ];
        let drawing = draw(&curves).unwrap();
        let lines: Vec<&str> = drawing.lines().collect();
        // A thousand samples support 99 %, 120 support 90 %.
        assert_eq!(lines.len(), 4, "{drawing}");
        let at = |line: usize, text: &str| lines[line].find(text);
        assert!(lines[0].starts_with("     50%") && lines[2].starts_with("     99%"));
        assert!(at(0, "a") < at(0, "b") && at(0, "b").is_some(), "{drawing}");
        assert!(at(1, "b").is_some() && at(2, "b").is_none(), "{drawing}");
        // What is 100 ns, and 1 us, is above its tick.
        assert_eq!(at(0, "a"), at(3, "|100ns"), "{drawing}");
        assert_eq!(at(2, "a"), at(3, "|1us"), "{drawing}");
    }

    #[test]
    fn letters_at_one_place_stand_below_each_other_and_many_become_a_plus() {
        let letters = |all: &str| -> Vec<Curve> {
            let letters = all.chars();
            letters.map(|letter| curve(letter, &[(500, 50)])).collect()
        };
        let column = |drawing: &str| -> String {
            let lines = drawing.lines().filter(|line| !line.contains('|'));
            lines
                .map(|line| line.trim_end().chars().next_back().unwrap())
                .collect()
        };
        let drawing = |all| -> Vec<String> {
            let drawing = draw(&letters(all)).unwrap();
            drawing.lines().map(|line| line.replace('.', " ")).collect()
        };
        assert_eq!(column(&drawing("abc").join("\n")), "abc");
        assert_eq!(column(&drawing("abcd").join("\n")), "ab+");
        assert_eq!(column(&drawing("aab").join("\n")), "ab");
    }

    #[test]
    fn drawings_fit_a_mail_whatever_their_range() {
        let mut ranges = vec![(1, 9_999_999_999), (180, 550), (4_100, 9_000)];
        for lowest in (10..100).chain((100..1_000).step_by(7)) {
            let factors = (0..80).map(|step| 1.1_f64.powi(step));
            ranges.extend(factors.map(|factor| (lowest, (lowest as f64 * factor) as u64)));
        }
        for (lowest, highest) in ranges {
            let curves = [
                curve('a', &[(lowest, 10_000)]),
                curve('b', &[(highest, 10_000)]),
            ];
            let drawing = draw(&curves).unwrap();
            assert!(drawing.is_ascii());
            assert!(
                drawing.lines().all(|line| line.len() <= COLUMNS),
                "{drawing}"
            );
            assert!(drawing.matches('|').count() > 1, "a scale: {drawing}");
        }
        assert!(draw(&[curve('a', &[(5, 19)])]).is_none(), "too few");
        assert!(draw(&[]).is_none());
    }
}
