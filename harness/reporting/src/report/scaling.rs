//! How schemes scale over a sweep of threads.

use crate::document::{Block, Document, Table, fit};
use crate::record::Run;
use crate::scaling::{Estimate, REACH, Scaling, of};

pub(super) fn add(out: &mut Document, run: &Run) {
    let mut left_out = Vec::new();
    let scalings = of(run, &mut left_out);
    if scalings.is_empty() && left_out.is_empty() {
        return;
    }
    out.push(Block::Heading(format!(
        "how {}s scale: the universal scalability law",
        run.configuration.noun()
    )));
    let mut storms: Vec<&str> = scalings.iter().map(|it| it.storm.as_str()).collect();
    storms.dedup();
    for storm in storms {
        let of_storm = scalings.iter().filter(|it| it.storm == storm);
        out.push(Block::Table(table(storm, of_storm)));
    }
    if let Some(first) = scalings.first() {
        let threads: Vec<_> = first.threads.iter().map(u32::to_string).collect();
        let text = format!(
            "pages/s at n threads as lambda n / (1 + sigma (n-1) + kappa n (n-1)): sigma is \
             contention, kappa coherency, in thousandths here, lambda in Mpages/s; least squares \
             of relative errors over all rounds at {} threads, 95% intervals by resampling \
             rounds; no median is further than {:.1}% from its law",
            threads.join(", "),
            scalings.iter().map(|it| it.worst_error).fold(0.0, f64::max) * 100.0
        );
        out.note("law", text);
        for scaling in &scalings {
            let text = format!(
                "{} under {}: {}",
                name(scaling),
                scaling.storm,
                scaling.peak_in_words()
            );
            out.note("peak", text);
        }
        let text =
            format!("nothing is said of more than {REACH:.0} times the most threads measured");
        out.note("peak", text);
    }
    for line in left_out {
        out.note("left out", line);
    }
}

fn name(scaling: &Scaling) -> String {
    let broken = if scaling.broken { " (broken)" } else { "" };
    format!("{}{broken}", scaling.scheme)
}

fn table<'s>(storm: &str, scalings: impl Iterator<Item = &'s Scaling>) -> Table {
    let mut table = Table::new(storm).columns(&[
        ("lambda", 8),
        ("sigma", 8),
        ("interval", 13),
        ("kappa", 8),
        ("interval", 13),
    ]);
    for scaling in scalings {
        let thousandths = |it: &Estimate| Estimate {
            value: it.value * 1e3,
            lo: it.lo * 1e3,
            hi: it.hi * 1e3,
        };
        let (sigma, kappa) = (thousandths(&scaling.sigma), thousandths(&scaling.kappa));
        let range = |it: &Estimate| crate::document::range(it.lo, it.hi);
        table.row(
            name(scaling),
            vec![
                fit(scaling.lambda.value / 1e6, 8),
                fit(sigma.value, 8),
                range(&sigma),
                fit(kappa.value, 8),
                range(&kappa),
            ],
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn a_run_without_a_sweep_says_nothing_of_scaling() {
        let mut out = Document::default();
        add(&mut out, &fixture::Fixture::default().make().run);
        assert_eq!(out.text(), "");
    }

    #[test]
    fn a_sweep_has_a_table_of_the_law_and_says_nothing_of_what_is_far_beyond_it() {
        let run = crate::scaling::tests::run(&[1, 2, 3, 4], 99, 12, 5);
        let mut out = Document::default();
        add(&mut out, &run);
        let text = out.text();
        assert!(
            text.lines().all(|line| line.len() <= 72) && text.is_ascii(),
            "{text}"
        );
        let row = text
            .lines()
            .find(|line| line.starts_with("page-locked"))
            .unwrap();
        let words: Vec<_> = row.split_whitespace().collect();
        let lambda: f64 = words[1].parse().unwrap();
        assert!((lambda - 20.0).abs() < 2.0, "{row}");
        let all: Vec<_> = text.split_whitespace().collect();
        let peak = "no peak up to 8 threads, twice the most measured";
        assert!(all.join(" ").contains(peak), "{text}");
    }

    #[test]
    fn a_sweep_without_cpus_enough_says_why_there_is_no_law() {
        let run = crate::scaling::tests::run(&[1, 2, 4, 8], 4, 3, 5);
        let mut out = Document::default();
        add(&mut out, &run);
        assert!(
            out.text().contains("left out  scaling under none"),
            "{}",
            out.text()
        );
    }
}
