//! A comparison as plain text: ASCII, at most 72 columns.

use machine_facts::environment::counted;
use machine_facts::statistics::Verdict;

use super::{Comparable, Compared, Comparison, Metric, Row};
use crate::document::{Block, Document, NOTHING_TOLD, Table, fit};

impl Comparison {
    /// The comparison as plain text.
    pub fn text(&self) -> String {
        let mut out = Document::default();
        for (name, run) in ["A", "B"].iter().zip(&self.runs) {
            let whole = if run.complete { "" } else { ", INCOMPLETE" };
            out.note(
                name,
                format!(
                    "{}, {} rounds{whole}: {}",
                    run.started.strftime("%Y-%m-%d %H:%M UTC"),
                    run.rounds,
                    run.machine
                ),
            );
            out.note("", &run.build);
            out.command("", &run.command);
        }
        let [a, b] = self.runs.each_ref().map(|run| run.kernel);
        if a != b {
            let of = |kernel| {
                if kernel {
                    "the running kernel"
                } else {
                    "the model"
                }
            };
            let text = format!(
                "A is a run of {}, B of {}: they have no rows in common. faultaround \
                 calibrate sets one beside the other.",
                of(a),
                of(b)
            );
            out.push(Block::Paragraph(text));
            return out.text();
        }
        self.add_differences(&mut out);
        for (name, only) in ["only in A", "only in B"].iter().zip(&self.only) {
            if !only.is_empty() {
                out.note(name, only.join(", "));
            }
        }
        out.push(Block::Gap);
        self.add_counts(&mut out);
        for group in &self.groups {
            let threads = counted(group.threads.into(), "fault thread");
            let title = format!("{}: {threads}", group.storm);
            out.push(Block::Heading(title));
            for compared in &group.metrics {
                out.push(Block::Table(table(compared)));
                if let Some(text) = samples(&compared.rows) {
                    out.note("samples", text);
                }
            }
        }
        if self.groups.is_empty() {
            let text = "The runs have no storm with the same number of fault threads in common.";
            out.push(Block::Paragraph(text.to_owned()));
        }
        out.push(Block::Heading("how this was compared".to_owned()));
        out.note(
            "columns",
            "medians over rounds (a percentile is taken in each round), +- the larger half of the \
             95% interval of each; change of B against A with the 95% percentile bootstrap \
             interval of the ratio of two medians, expanded for few rounds. What the step of the \
             coarser clock leaves open is in all intervals of latencies; fault p50 is over stretches \
             of faults in a row where both runs have them",
        );
        out.note(
            "verdict",
            "faster or slower where the interval excludes no change by more than either run's A/A \
             interval strays from 1, and by more than 1%; ~ where it doesn't; n/c where the runs \
             can't be compared by this",
        );
        out.note(
            "caveat",
            "the runs are not interleaved with each other: what else changed between them is in \
             the change of absolute figures, and A/A doesn't know of it. Schemes, or files, are \
             interleaved with their baseline in each run: trust the ratios more",
        );
        for (name, run) in ["of A", "of B"].iter().zip(&self.runs) {
            for caveat in &run.caveats {
                out.note("caveat", format!("{name}: {caveat}"));
            }
        }
        out.text()
    }

    fn add_differences(&self, out: &mut Document) {
        if self.differences.is_empty() {
            out.note("differ in", "nothing but their figures and when they ran");
        }
        for difference in &self.differences {
            let (what, a, b) = (difference.what, &difference.a, &difference.b);
            let name = match difference.leaves {
                Comparable::All => "differs",
                Comparable::Ratios | Comparable::Nothing => "NOT COMPARABLE",
            };
            out.note(name, format!("{what}: {a} against {b}"));
        }
        match self.comparable {
            Comparable::All => {}
            Comparable::Ratios => out.push(Block::Paragraph(
                "Absolute figures are not comparable (n/c): only ratios to each run's own \
                 baseline are judged."
                    .to_owned(),
            )),
            Comparable::Nothing => out.push(Block::Paragraph(
                "Nothing is comparable (n/c), not even ratios to the baseline: the same name \
                 stands for different work."
                    .to_owned(),
            )),
        }
    }

    /// How many rows of each metric are what.
    fn add_counts(&self, out: &mut Document) {
        let mut table = Table::new("B against A, rows").columns(&[
            ("faster", 10),
            ("slower", 10),
            ("~", 10),
            ("n/c", 10),
        ]);
        for metric in Metric::ALL {
            let all = self.groups.iter().flat_map(|group| &group.metrics);
            let rows = all.filter(|it| it.metric == metric).flat_map(|it| &it.rows);
            let rows: Vec<_> = rows.collect();
            if rows.is_empty() {
                continue;
            }
            let count = |verdict: Option<Verdict>| {
                let of = rows.iter().filter(|row| row.verdict == verdict);
                of.count().to_string()
            };
            table.row(
                metric.name().to_owned(),
                vec![
                    count(Some(Verdict::Faster)),
                    count(Some(Verdict::Slower)),
                    count(Some(Verdict::NotToldApart)),
                    count(None),
                ],
            );
        }
        if !table.is_empty() {
            out.push(Block::Table(table));
        }
    }
}

fn table(compared: &Compared) -> Table {
    let mut table = Table::new(compared.metric.name()).columns(&[
        ("A", 7),
        ("+-", 4),
        ("B", 7),
        ("+-", 4),
        ("change", 8),
        ("interval", 14),
        ("", 7),
    ]);
    for row in &compared.rows {
        let [a, b] = &row.values;
        let around = |it: &machine_facts::statistics::Interval| {
            let widest = (it.hi / it.median - 1.0).max(1.0 - it.lo / it.median);
            match widest * 100.0 {
                percent if percent < 99.5 => format!("{percent:.0}%"),
                _ => ">1x".to_owned(),
            }
        };
        let change = &row.change;
        let (lo, hi) = (change.lo - 1.0, change.hi - 1.0);
        table.row(
            row.label.clone(),
            vec![
                fit(a.median, 7),
                around(a),
                fit(b.median, 7),
                around(b),
                format!("{}%", signed(change.median - 1.0)),
                match change.values {
                    ..2 => "one round".to_owned(),
                    _ if change.width() + 1.0 <= NOTHING_TOLD => {
                        format!("{}..{}%", signed(lo), signed(hi))
                    }
                    _ => format!(">{NOTHING_TOLD}x"),
                },
                word(row.verdict).to_owned(),
            ],
        );
    }
    table
}

/// A share in percent, in at most five characters where it has a sign and is below 10000.
fn signed(share: f64) -> String {
    let percent = share * 100.0;
    let text = match percent.abs() {
        size if size < 99.95 => format!("{percent:+.1}"),
        size if size < 9_999.5 => format!("{percent:+.0}"),
        _ => "+>1e4".to_owned(),
    };
    match text.as_str() {
        "-0.0" | "+0.0" => "0.0".to_owned(),
        _ => text,
    }
}

/// What stands for a verdict.
pub(super) fn word(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        None => "n/c",
        Some(Verdict::NotToldApart) => "~",
        Some(verdict) => verdict.in_words(),
    }
}

/// Of a percentile: the fewest and the most samples of a row.
fn samples(rows: &[Row]) -> Option<String> {
    let of = |side: usize| {
        let samples = rows.iter().map(|row| row.samples[side]);
        let (least, most) = (samples.clone().min()?, samples.max()?);
        (most > 0).then(|| format!("{least} to {most} a row"))
    };
    Some(format!("A {}, B {}", of(0)?, of(1)?))
}
