//! The faults' tail against the storm's rate.

use std::collections::BTreeMap;

use measuring::rounds::Variant;
use measuring::summary::GroupSummary;

use super::Figures;
use super::sweep::{loads, members, other_builds, rate_in_words};
use crate::chart::{Axis, Content, Figure, Marks, Panel, Scale, Series, Ticks};
use crate::source::{Source, Sweep, counted, drawn, label, load, style};

const KIND: &str = "rates";

pub(super) fn add(figures: &mut Figures, sources: &[Source<'_>]) {
    let rates: Vec<String> = sources.iter().map(rate_in_words).collect();
    if rates.iter().all(|it| *it == rates[0]) {
        let reason = format!(
            "takes runs with at least two rates of the storm; here is {} alone",
            rates[0]
        );
        figures.leave_out(KIND, &reason);
        return;
    }
    let place = |source: &Source<'_>| format!("a storm at {}", rate_in_words(source));
    let members = members(figures, sources, Sweep::Rates, KIND, &place);
    for load in loads(&members) {
        // Without a storm there is no rate.
        if load[0].1.storm_threads > 0 {
            add_load(figures, &members, &load);
        }
    }
}

fn add_load(figures: &mut Figures, members: &[&Source<'_>], groups: &[(usize, &GroupSummary)]) {
    let (_, first) = groups[0];
    let name = format!("{KIND}-{}-{}", first.storm, first.threads);
    if groups.len() < 2 {
        let only = rate_in_words(members[groups[0].0]);
        figures.leave_out(
            &name,
            &format!("only the run with a storm at {only} has it"),
        );
        return;
    }
    let (series, without) = curves(members[groups[0].0], groups);
    if series.iter().all(|it| it.points.len() < 2) {
        let reason = "no curve has a p99.9 at two rates: it takes 10,000 faults at each";
        figures.leave_out(&name, reason);
        return;
    }
    let mut notes = vec![
        "At the rate that the storm kept, which flat out is what faults let it do. p99.9 over \
         all rounds, without an interval; the thin line is the baseline's second run (A/A)."
            .to_owned(),
    ];
    if !without.is_empty() {
        let names = without
            .iter()
            .map(|(name, points)| format!("{name} at {}", counted(*points, "rate")));
        notes.push(format!(
            "Left out, since fewer than 10,000 faults have no p99.9: {}.",
            names.collect::<Vec<_>>().join(", ")
        ));
    }
    notes.extend(other_builds(members));
    let oversubscribed = groups.iter().any(|(_, group)| group.oversubscribed);
    notes.extend(members[groups[0].0].warnings(oversubscribed));
    let figure = Figure {
        title: format!(
            "p99.9 of faults against the rate of the storm, {}, {}",
            load(&first.storm),
            counted(first.threads, "fault thread")
        ),
        subtitle: members[groups[0].0].what_was_run(first.storm_threads, Sweep::Rates),
        panels: vec![Panel {
            title: String::new(),
            content: Content::Lines {
                x: Axis {
                    label: "storm (operations/s)".to_owned(),
                    scale: Scale::Log,
                    ticks: Ticks::Numbers,
                },
                y: Axis {
                    label: "p99.9 of faults".to_owned(),
                    scale: Scale::Log,
                    ticks: Ticks::Nanoseconds,
                },
                series,
            },
        }],
        notes,
    };
    figures.draw(name, figure);
}

/// A curve for each scheme, and how many points of which have no p99.9.
fn curves(
    source: &Source<'_>,
    groups: &[(usize, &GroupSummary)],
) -> (Vec<Series>, BTreeMap<String, u32>) {
    let mut all: Vec<Series> = Vec::new();
    let mut without = BTreeMap::new();
    for row in groups.iter().flat_map(|(_, group)| drawn(group)) {
        let name = label(row);
        let known = all.iter().position(|it| it.name == name);
        let at = known.unwrap_or_else(|| {
            let again = row.variant == Variant::Again;
            all.push(Series {
                name,
                style: style(source, row),
                points: Vec::new(),
                band: None,
                marks: if again { Marks::None } else { Marks::AtPoints },
            });
            all.len() - 1
        });
        let p999_ns = row.latency.and_then(|it| it.p999_ns);
        let ops_per_s = row.remover.as_ref().map(|it| it.ops_per_s.median);
        match (ops_per_s, p999_ns) {
            (Some(ops_per_s), Some(ns)) => all[at].points.push((ops_per_s, ns as f64)),
            _ => *without.entry(label(row)).or_default() += 1,
        }
    }
    for series in &mut all {
        series
            .points
            .sort_by(|one, other| one.0.total_cmp(&other.0));
        // A line through one point is none.
        if series.points.len() == 1 {
            series.marks = Marks::AtPoints;
        }
    }
    all.retain(|it| !it.points.is_empty());
    (all, without)
}
