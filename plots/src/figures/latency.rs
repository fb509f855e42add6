//! Latency by percentile: faults, and the remover beside them.

use hdrhistogram::Histogram;
use machine_facts::statistics::percentile;
use measuring::rounds::Variant;
use measuring::summary::GroupSummary;
use reporting::record::{ReadError, Run, Side};

use super::Figures;
use crate::chart::{Axis, Content, Figure, Marks, Panel, Scale, Series, Ticks};
use crate::source::{Source, Sweep, counted, drawn, grouped, label, load, style};

/// Points of a curve each time the distance to 100 % halves.
const POINTS: i32 = 12;

pub(super) fn add(figures: &mut Figures, source: &Source<'_>) -> Result<(), ReadError> {
    for group in &source.run.summary {
        let name = format!("latency-{}-{}", group.storm, group.threads);
        let (faults, samples) = curves(source, group, Side::Faults)?;
        if faults.is_empty() {
            figures.leave_out(&name, "too few faults for a percentile: it takes 20");
            continue;
        }
        let mut notes = vec![
            "Percentiles with at least 10 samples beyond them. The thin line is the baseline's \
             second run (A/A): what lies closer together than the two is noise."
                .to_owned(),
            format!("Faults: {samples}."),
        ];
        let mut panels = vec![panel("faults", faults)];
        if group.storm_threads > 0 {
            let (removals, samples) = curves(source, group, Side::Remover)?;
            if removals.is_empty() {
                notes.push("Remover: too few operations for a percentile.".to_owned());
            } else {
                notes.push(format!("Remover: {samples}."));
                panels.push(panel("remover", removals));
            }
        }
        if panels.len() == 1 {
            panels[0].title.clear();
        }
        notes.push(format!(
            "Each latency contains a clock read and a note of it, {:.0} ns.",
            source.run.header.recording_ns
        ));
        notes.extend(source.warnings(group.oversubscribed));
        let title = format!(
            "Latency of faults {}, {}",
            load(&group.storm),
            counted(group.threads, "fault thread")
        );
        let subtitle = source.what_was_run(group.storm_threads, Sweep::None);
        figures.draw(
            name,
            Figure {
                title,
                subtitle,
                panels,
                notes,
            },
        );
    }
    Ok(())
}

/// The curves of a side, and how many samples they rest on, in words.
fn curves(
    source: &Source<'_>,
    group: &GroupSummary,
    side: Side,
) -> Result<(Vec<Series>, String), ReadError> {
    let mut curves = Vec::new();
    let mut counts = Vec::new();
    for row in drawn(group) {
        let Some(latencies) = Run::read_latencies(source.directory, group, row, side)? else {
            continue;
        };
        let points = points(&latencies);
        if points.is_empty() {
            continue;
        }
        counts.push(latencies.len());
        curves.push(Series {
            name: label(row),
            style: style(source, row),
            points,
            band: None,
            marks: match row.variant {
                Variant::Again => Marks::None,
                _ => Marks::Spread,
            },
        });
    }
    let least = counts.iter().min().copied().unwrap_or(0);
    let most = counts.iter().max().copied().unwrap_or(0);
    let samples = format!("{} to {} samples a curve", grouped(least), grouped(most));
    Ok((curves, samples))
}

/// As far out as the samples go.
fn points(latencies: &Histogram<u64>) -> Vec<(f64, f64)> {
    let quantiles = (0..).map(|it| 1.0 - 0.5_f64.powf(f64::from(it) / f64::from(POINTS)));
    let points = quantiles.map_while(|quantile| {
        let ns = percentile(latencies, quantile)?;
        Some((quantile, ns as f64))
    });
    let mut points: Vec<_> = points.collect();
    // With fewer than 20 samples there is no median, and a line short of it says little.
    if points.last().is_none_or(|(quantile, _)| *quantile < 0.5) {
        points.clear();
    }
    points
}

fn panel(title: &str, series: Vec<Series>) -> Panel {
    Panel {
        title: title.to_owned(),
        content: Content::Lines {
            x: Axis {
                label: "percentile".to_owned(),
                scale: Scale::Percentile,
                ticks: Ticks::Numbers,
            },
            y: Axis {
                label: "latency".to_owned(),
                scale: Scale::Log,
                ticks: Ticks::Nanoseconds,
            },
            series,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: u64) -> Vec<(f64, f64)> {
        let mut latencies = Histogram::new_with_bounds(1, 10_000_000_000, 3).unwrap();
        for ns in 1..=count {
            latencies.record(ns).unwrap();
        }
        points(&latencies)
    }

    #[test]
    fn a_curve_ends_where_ten_samples_are_left() {
        let curve = of(1_000);
        assert!(curve.last().is_some_and(|(quantile, ns)| {
            *quantile <= 0.99 && *quantile > 0.98 && *ns <= 990.0 && *ns > 980.0
        }));
        assert!(curve.is_sorted_by(|one, other| one.0 < other.0 && one.1 <= other.1));
        let median = curve.iter().find(|(quantile, _)| *quantile == 0.5);
        assert_eq!(median, Some(&(0.5, 500.0)));
    }

    #[test]
    fn below_twenty_samples_there_is_no_curve() {
        assert!(of(19).is_empty());
        assert!(!of(20).is_empty());
        assert!(of(0).is_empty());
    }
}
