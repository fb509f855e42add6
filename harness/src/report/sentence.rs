//! What a run has shown, in one sentence that claims no more than its intervals allow.

use crate::record::Run;
use crate::statistics::{COVERAGE, Interval};
use crate::summary::{GroupSummary, Row};

/// How a scheme did in a group.
enum Finding {
    /// So many times the baseline's pages per second, outside the noise.
    Differs(f64),
    /// Not told apart from it.
    Same,
}

/// Whether a ratio says anything: its interval covers 95 %, which takes six rounds, excludes 1, and
/// lies wholly outside that of the baseline's second run.
fn finding(ratio: &Interval, noise: Option<&Interval>) -> Finding {
    let told_apart = noise.is_none_or(|noise| ratio.lo > noise.hi || ratio.hi < noise.lo);
    if ratio.coverage >= COVERAGE && ratio.excludes(1.0) && told_apart {
        Finding::Differs(ratio.median)
    } else {
        Finding::Same
    }
}

/// The sentence; `None` if there is nothing to compare.
pub fn in_a_sentence(run: &Run<'_>) -> Option<String> {
    let baseline = run.configuration.baseline;
    let clauses: Vec<String> = run.summary.iter().filter_map(clause).collect();
    if clauses.is_empty() {
        return None;
    }
    Some(format!(
        "Seen in this run, pages mapped per second against {baseline}: {}.",
        clauses.join("; ")
    ))
}

fn clause(group: &GroupSummary) -> Option<String> {
    let again = group.rows.iter().find(|row| row.again);
    let noise = again.and_then(|row| row.ratio.as_ref());
    let others = group.rows.iter().filter(|row| !row.again);
    let told: Vec<String> = others.filter_map(|row| scheme(row, noise, again)).collect();
    if told.is_empty() {
        return None;
    }
    let plural = if group.threads == 1 { "" } else { "s" };
    Some(format!(
        "{}, {} thread{plural}: {}",
        group.storm,
        group.threads,
        told.join(", ")
    ))
}

fn scheme(row: &Row, noise: Option<&Interval>, again: Option<&Row>) -> Option<String> {
    let mapped = match finding(row.ratio.as_ref()?, noise) {
        Finding::Differs(ratio) => format!("{ratio:.2} times"),
        Finding::Same => "not told apart".to_owned(),
    };
    let broken = if row.broken { " (broken)" } else { "" };
    let mut text = format!("{}{broken} {mapped}", row.scheme);
    let remover = row.remover.as_ref().and_then(|it| it.ratio.as_ref());
    if let Some(ratio) = remover {
        let again = again.and_then(|row| row.remover.as_ref());
        let noise = again.and_then(|it| it.ratio.as_ref());
        match finding(ratio, noise) {
            Finding::Differs(ratio) => {
                text.push_str(&format!(" with the remover {ratio:.2} times as fast"));
            }
            Finding::Same => text.push_str(" with the remover's speed not told apart"),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(lo: f64, hi: f64) -> Interval {
        Interval {
            median: f64::midpoint(lo, hi),
            lo,
            hi,
            coverage: 0.979,
            values: 10,
        }
    }

    #[test]
    fn a_difference_must_exclude_one_and_lie_outside_the_noise() {
        let differs = |lo, hi, noise: (f64, f64)| {
            let noise = interval(noise.0, noise.1);
            matches!(
                finding(&interval(lo, hi), Some(&noise)),
                Finding::Differs(_)
            )
        };
        assert!(differs(1.8, 2.0, (0.98, 1.03)));
        assert!(differs(0.8, 0.9, (0.98, 1.03)));
        assert!(!differs(0.9, 1.1, (0.98, 1.03)), "holds 1");
        assert!(!differs(1.01, 1.2, (0.98, 1.03)), "overlaps the noise");
        let once = Interval {
            coverage: 0.5,
            values: 2,
            ..interval(2.0, 2.1)
        };
        assert!(
            matches!(finding(&once, None), Finding::Same),
            "two rounds show nothing"
        );
    }
}
