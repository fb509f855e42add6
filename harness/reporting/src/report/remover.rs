//! The storm's side: what a scheme does to those who remove.

use machine_facts::statistics::{Latency, Verdict};
use measuring::summary::{GroupSummary, RATE_KEPT, RemoverSummary, Row};

use super::group::{plain, ratio};
use super::labels::label;
use crate::document::{Block, Document, Table, fit, interval, percentile, whole};
use crate::record::Run;

/// A remover whose speed, over that under the baseline, lies below this with all of its interval is
/// said in words to be slowed: by more than 1.5 times.
const SLOWED: f64 = 1.0 / 1.5;

/// What is counted beside the latencies.
const FOLIOS: &str = "folios per operation";
const TRANSIENT: &str = "transient-mapcount";
const KEPT: &str = "not frozen, split";

pub(super) fn add(out: &mut Document, run: &Run, group: &GroupSummary) {
    out.push(Block::Table(table(run, group)));
    let removals = plain(group).filter_map(|row| Some((row, row.remover.as_ref()?)));
    let removals: Vec<(&Row, &RemoverSummary)> = removals.collect();
    let counted = |row: &Row| !run.configuration.is_file(&row.scheme);
    if !removals.iter().any(|(row, _)| counted(row)) {
        let text = "not counted: the kernel does not tell what a system call removed";
        out.note("folios", text);
        add_slowed(out, run, &removals);
        add_rate(out, run, &removals);
        return;
    }
    let mut wide = |name: &str, of: &dyn Fn(&RemoverSummary) -> Option<String>| {
        let texts = removals.iter().filter_map(|(row, remover)| {
            let text = of(remover)?;
            Some(format!("{} {text}", label(run, row)))
        });
        let texts: Vec<_> = texts.collect();
        if !texts.is_empty() {
            out.push(Block::Note(name.to_owned(), 20, texts.join(", ")));
        }
    };
    wide(FOLIOS, &|remover| {
        let folios = remover.folios_removed as f64 / remover.ops.max(1) as f64;
        Some(fit(folios, 7))
    });
    wide(TRANSIENT, &|remover| {
        let removed = whole(remover.folios_removed, 9);
        (remover.transient_mapcount > 0)
            .then(|| format!("{} of {removed}", remover.transient_mapcount))
    });
    wide(KEPT, &|remover| {
        let kept = remover.busy + remover.split > 0;
        kept.then(|| format!("{} and {}", remover.busy, remover.split))
    });
    if removals
        .iter()
        .all(|(_, remover)| remover.transient_mapcount == 0)
    {
        let none = "seen under no scheme".to_owned();
        out.push(Block::Note(TRANSIENT.to_owned(), 20, none));
    }
    add_slowed(out, run, &removals);
    add_rate(out, run, &removals);
}

fn add_slowed(out: &mut Document, run: &Run, removals: &[(&Row, &RemoverSummary)]) {
    for (row, remover) in removals {
        let told = remover.verdict == Some(Verdict::Slower);
        let slowed = remover.ratio.filter(|ratio| told && ratio.hi < SLOWED);
        if let Some(ratio) = slowed {
            let slowed = ratio.inverse();
            let (median, interval) = (slowed.median, interval(&slowed));
            let label = label(run, row);
            if run.configuration.is_file(&row.scheme) {
                let text = format!(
                    "a removal from {label} takes {median:.2} ({interval}) times as long; the file \
                     system's own work is in it, and not only what faults hold up"
                );
                out.note("slower", text);
            } else {
                let text = format!("{label} slows the remover by {median:.2} ({interval})");
                out.note("SLOWED", text);
            }
        }
    }
}

fn table(run: &Run, group: &GroupSummary) -> Table {
    let mut table = Table::new("remover, ns").columns(&[
        ("ops/s", 7),
        ("ratio", 7),
        ("interval ", 14),
        ("p50", 7),
        ("p99", 8),
        ("samples", 8),
    ]);
    for row in &group.rows {
        let Some(remover) = &row.remover else {
            continue;
        };
        let at = |of: fn(&Latency) -> Option<u64>| remover.latency.as_ref().and_then(of);
        let [ratio, interval] = ratio(row, remover.ratio.as_ref(), remover.verdict);
        table.row(
            label(run, row),
            vec![
                fit(remover.ops_per_s.median.round(), 7),
                ratio,
                interval,
                percentile(at(|it| it.p50_ns), 7),
                percentile(at(|it| it.p99_ns), 8),
                whole(remover.latency.map_or(0, |latency| latency.count), 8),
            ],
        );
    }
    table
}

fn add_rate(out: &mut Document, run: &Run, removals: &[(&Row, &RemoverSummary)]) {
    let Some(rate) = run.configuration.setup.rate_per_s else {
        return;
    };
    let kept = |it: &&(&Row, &RemoverSummary)| it.1.ops_per_s.median;
    let Some(slowest) = removals
        .iter()
        .min_by(|one, other| kept(one).total_cmp(&kept(other)))
    else {
        return;
    };
    let (name, slowest) = (label(run, slowest.0), kept(&slowest));
    if slowest < RATE_KEPT * rate {
        let why = match slowest == 0.0 {
            // It ran all the time, but did what should have been done before.
            true => {
                "it fell so far behind that none of the operations that were due in the measured time \
                 was begun in it; those that ran then had been due before, and are not counted; the \
                 remover's ratio isn't given"
            }
            false => "the remover's latencies count what piled up, and its ratio isn't given",
        };
        let text = format!(
            "the storm did not keep its rate, least of all against {name} ({slowest:.0} of \
             {rate}/s): {why}"
        );
        out.note("caveat", text);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, unfolded};

    /// The report where the removers of one scheme did so many operations in a second, of 5000.
    fn report_of(ops_per_s: f64) -> String {
        let mut run = Fixture::default().make().run;
        let row = run.summary[1].rows.last_mut().unwrap();
        row.remover.as_mut().unwrap().ops_per_s.median = ops_per_s;
        unfolded(&run)
    }

    #[test]
    fn a_storm_that_is_late_says_what_is_counted_and_one_that_is_later_still_that_nothing_is() {
        let kept = report_of(5000.0);
        assert!(!kept.contains("did not keep its rate"), "{kept}");
        let late = report_of(2000.0);
        let said = "(2000 of 5000/s): the remover's latencies count what piled up, and its ratio";
        assert!(late.contains(said), "{late}");
        let never = report_of(0.0);
        let said = "(0 of 5000/s): it fell so far behind that none of the operations that were due";
        assert!(
            never.contains(said) && !never.contains("piled up"),
            "{never}"
        );
    }
}
