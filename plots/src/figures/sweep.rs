//! Runs that differ in one thing and agree in everything else that matters, so that a curve may
//! go through them.

use std::fmt::Display;

use measuring::machine::orders_in_words;
use measuring::summary::GroupSummary;

use super::Figures;
use crate::source::{Source, Sweep};

/// Runs of a sweep, the others left out and said so: what differs from the first in more than the
/// sweep, and what has the same place in it as one before.
pub(super) fn members<'s, 'a>(
    figures: &mut Figures,
    sources: &'s [Source<'a>],
    sweep: Sweep,
    kind: &str,
    place: &dyn Fn(&Source<'_>) -> String,
) -> Vec<&'s Source<'a>> {
    let Some((first, others)) = sources.split_first() else {
        return Vec::new();
    };
    let mut members = vec![first];
    for source in others {
        let differing = differences(first, source, sweep);
        let here = place(source);
        let twin = members.iter().find(|it| place(it) == here);
        if !differing.is_empty() {
            figures.leave_out(
                kind,
                &format!(
                    "{} isn't drawn: it differs from {} in {}",
                    source.name(),
                    first.name(),
                    differing.join(", ")
                ),
            );
        } else if let Some(twin) = twin {
            let reason = format!("{} isn't drawn: {here}, as {}", source.name(), twin.name());
            figures.leave_out(kind, &reason);
        } else {
            members.push(source);
        }
    }
    members
}

/// In what two runs differ that spoils a comparison, in words.
fn differences(one: &Source<'_>, other: &Source<'_>, sweep: Sweep) -> Vec<String> {
    let of = |source: &Source<'_>| -> Vec<(&'static str, String)> {
        let setup = &source.run.configuration.setup;
        let sizes = &setup.sizes;
        let processor = &source.run.header.environment.processor;
        let text = |it: &dyn Display| it.to_string();
        let mut all = vec![
            ("what was measured", measured(source)),
            ("CPU model", format!("{:?}", processor.model)),
            ("order", orders_in_words(sizes.orders)),
            ("pages", text(&sizes.pages)),
            ("neighbour", text(&sizes.neighbour)),
            ("refill by the storm", text(&sizes.refill)),
            ("mm", format!("{:?}", setup.mm)),
            ("access", format!("{:?}", setup.access)),
            ("arrival", text(&setup.arrival)),
            ("storm threads", text(&setup.storm_threads)),
            ("fill time", text(&sizes.fill_ns_per_page)),
            (
                "debug assertions",
                text(&source.run.header.environment.build.debug_assertions),
            ),
        ];
        // By default these follow the window.
        if sweep != Sweep::Windows {
            all.push(("window", text(&sizes.window_pages)));
            all.push(("read-ahead", text(&sizes.readahead_pages)));
            all.push(("hole", text(&sizes.hole_pages)));
        }
        if sweep != Sweep::Rates {
            all.push(("storm rate", rate_in_words(source)));
        }
        all
    };
    let pairs = of(one).into_iter().zip(of(other));
    pairs
        .filter(|((_, one), (_, other))| one != other)
        .map(|((what, one), (_, other))| format!("{what} ({other}, not {one})"))
        .collect()
}

fn measured(source: &Source<'_>) -> String {
    let what = match source.run.configuration.is_kernel() {
        true => "the running kernel",
        false => "the model",
    };
    what.to_owned()
}

pub(super) fn rate_in_words(source: &Source<'_>) -> String {
    match source.run.configuration.setup.rate_per_s {
        Some(rate) => format!("{rate}/s"),
        None => "flat out".to_owned(),
    }
}

/// The groups of all members under the same load: a storm and a number of fault threads.
pub(super) fn loads<'s>(members: &[&'s Source<'_>]) -> Vec<Vec<(usize, &'s GroupSummary)>> {
    let mut loads: Vec<Vec<(usize, &GroupSummary)>> = Vec::new();
    for (at, member) in members.iter().enumerate() {
        for group in &member.run.summary {
            let same = |load: &&mut Vec<(usize, &GroupSummary)>| {
                (&load[0].1.storm, load[0].1.threads) == (&group.storm, group.threads)
            };
            match loads.iter_mut().find(same) {
                Some(load) => load.push((at, group)),
                None => loads.push(vec![(at, group)]),
            }
        }
    }
    loads
}

/// The builds and lengths of all runs, where the first one's don't stand for all.
pub(super) fn other_builds(members: &[&Source<'_>]) -> Option<String> {
    let build = |source: &Source<'_>| {
        let build = source.run.header.environment.build_line();
        format!("{build}, {}", source.length())
    };
    let mut builds: Vec<String> = Vec::new();
    for member in members {
        let build = build(member);
        if !builds.contains(&build) {
            builds.push(build);
        }
    }
    (builds.len() > 1).then(|| {
        format!(
            "Runs of different builds or lengths: {}.",
            builds.join("; ")
        )
    })
}
