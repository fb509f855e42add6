//! Cost of a page against the size of the window.

use measuring::summary::GroupSummary;

use super::Figures;
use super::sweep::{loads, members, other_builds};
use super::threads::{COST, intervals, measured, series};
use crate::chart::{Axis, Content, Figure, Panel, Scale, Ticks};
use crate::source::{Source, Sweep, counted, drawn, load};

const KIND: &str = "windows";

fn window(source: &Source<'_>) -> u32 {
    source.run.configuration.setup.sizes.window_pages
}

pub(super) fn add(figures: &mut Figures, sources: &[Source<'_>]) {
    let sizes: Vec<u32> = sources.iter().map(window).collect();
    if sizes.iter().all(|it| *it == sizes[0]) {
        let reason = format!(
            "takes runs with at least two window sizes; here is {} alone",
            sizes[0]
        );
        figures.leave_out(KIND, &reason);
        return;
    }
    let place = |source: &Source<'_>| format!("a window of {}", window(source));
    let mut members = members(figures, sources, Sweep::Windows, KIND, &place);
    members.sort_by_key(|it| window(it));
    for load in loads(&members) {
        add_load(figures, &members, &load);
    }
}

fn add_load(figures: &mut Figures, members: &[&Source<'_>], groups: &[(usize, &GroupSummary)]) {
    let (_, first) = groups[0];
    let name = format!("{KIND}-{}-{}", first.storm, first.threads);
    if groups.len() < 2 {
        let only = window(members[groups[0].0]);
        let reason = format!("only the run with a window of {only} has it");
        figures.leave_out(&name, &reason);
        return;
    }
    let at: Vec<f64> = groups
        .iter()
        .map(|(at, _)| f64::from(window(members[*at])))
        .collect();
    let rows = || groups.iter().flat_map(|(_, group)| drawn(group));
    let values: Vec<f64> = rows().flat_map(|row| COST.values(row)).collect();
    let mut notes = vec![intervals("bands", rows()), sizes_beside(members)];
    notes.extend(other_builds(members));
    let oversubscribed = groups.iter().any(|(_, group)| group.oversubscribed);
    notes.extend(members[groups[0].0].warnings(oversubscribed));
    let figure = Figure {
        title: format!(
            "Cost of a page against the window, {}, {}",
            load(&first.storm),
            counted(first.threads, "fault thread")
        ),
        subtitle: members[groups[0].0].what_was_run(first.storm_threads, Sweep::Windows),
        panels: vec![Panel {
            title: String::new(),
            content: Content::Lines {
                x: Axis {
                    label: "window (pages)".to_owned(),
                    scale: Scale::Log,
                    ticks: Ticks::At(at.clone()),
                },
                y: measured("time in faults per page (ns)", &values),
                series: series(
                    members[groups[0].0],
                    at.iter().copied().zip(groups.iter().map(|it| it.1)),
                    &COST,
                ),
            },
        }],
        notes,
    };
    figures.draw(name, figure);
}

/// What went with the window: a cost that changes may be theirs.
fn sizes_beside(members: &[&Source<'_>]) -> String {
    let beside = members.iter().map(|source| {
        let sizes = &source.run.configuration.setup.sizes;
        format!(
            "{}: {} and {}",
            sizes.window_pages, sizes.hole_pages, sizes.readahead_pages
        )
    });
    let beside: Vec<String> = beside.collect();
    format!(
        "Window: hole and read-ahead of the same run, in pages: {}.",
        beside.join("; ")
    )
}
