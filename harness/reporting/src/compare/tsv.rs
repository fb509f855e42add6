//! A comparison for programs: a line for each metric of each scheme in each group.

use machine_facts::statistics::Verdict;

use super::Comparison;
use crate::document::number;

/// The names of the columns.
const HEADER: [&str; 19] = [
    "storm",
    "threads",
    "scheme",
    "metric",
    "a",
    "a_lo",
    "a_hi",
    "a_rounds",
    "a_samples",
    "b",
    "b_lo",
    "b_hi",
    "b_rounds",
    "b_samples",
    "change",
    "change_lo",
    "change_hi",
    "least_shown",
    "verdict",
];

impl Comparison {
    /// The comparison as a table. `change` is B over A, 1 where nothing has changed.
    pub fn tsv(&self) -> String {
        let mut out = HEADER.join("\t");
        out.push('\n');
        for group in &self.groups {
            for compared in &group.metrics {
                for row in &compared.rows {
                    let mut fields = vec![
                        group.storm.clone(),
                        group.threads.to_string(),
                        row.label.clone(),
                        compared.metric.name().to_owned(),
                    ];
                    for (values, samples) in row.values.iter().zip(row.samples) {
                        fields.extend([values.median, values.lo, values.hi].map(number));
                        fields.extend([values.values.to_string(), samples.to_string()]);
                    }
                    let change = &row.change;
                    fields.extend([change.median, change.lo, change.hi].map(number));
                    fields.push(number(row.least_shown.unwrap_or(f64::NAN)));
                    let verdict = match row.verdict {
                        None => "not-comparable",
                        Some(Verdict::NotToldApart) => "not-told-apart",
                        Some(verdict) => verdict.in_words(),
                    };
                    fields.push(verdict.to_owned());
                    out.push_str(&fields.join("\t"));
                    out.push('\n');
                }
            }
        }
        out
    }
}
