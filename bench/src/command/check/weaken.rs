//! `faultaround check --weaken`: which orderings a scheme needs.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use harness::cancel::Cancel;
use harness::check::trace::{Trace, simplest};
use harness::check::weaken::{Interrupted, Joint, Weakening, joint, ladder, sites_of, weaken};
use harness::check::{Bound, Cell, Extent, explore_all};
use harness::progress::{Progress, say};
use harness::report::wrap;
use kernel_model::platform::checked::Mutation;
use kernel_model::platform::{Access, Site};

use super::TRACE_BOUND;
use super::options::Options;
use super::verdicts::{grouped, many};
use crate::command::output::Format;
use crate::command::{Failure, output};

/// Preemptions that are tried for each weakening; the joint minimum is gone through again with the
/// scenarios' own bounds.
const BOUND: Bound = Bound::Preemptions(2);

/// Runs the command on the sound schemes among the cells.
pub(super) fn run(options: &Options, cells: &[Cell], cancel: &Cancel) -> Result<(), Failure> {
    let mut schemes: Vec<&str> = cells
        .iter()
        .filter(|cell| cell.scheme.verdict.is_sound())
        .map(|cell| cell.scheme.name)
        .collect();
    schemes.dedup();
    if schemes.is_empty() {
        return Err(Failure::Usage(format!(
            "--weaken with --scheme {}: only a sound scheme has orderings that can be shown to be \
             needed",
            options.scheme.join(",")
        )));
    }
    if cells.iter().all(|cell| cell.scenario.is_at_random()) {
        return Err(Failure::Usage(format!(
            "--weaken with --scenario {}: random schedules are of a machine on which orderings make \
             no difference",
            options.scenario.join(",")
        )));
    }
    let extent = Extent {
        bound: Some(options.bound.unwrap_or(BOUND)),
        ..Extent::default()
    };
    for scheme in schemes {
        let cells: Vec<Cell> = cells
            .iter()
            .copied()
            .filter(|cell| cell.scheme.name == scheme)
            .filter(|cell| !cell.scenario.is_at_random())
            .collect();
        one_scheme(scheme, &cells, &extent, options, cancel).map_err(|Interrupted| {
            say(&format!("interrupted while {scheme} was being weakened"));
            Failure::Interrupted
        })??;
    }
    Ok(())
}

fn one_scheme(
    scheme: &str,
    cells: &[Cell],
    extent: &Extent,
    options: &Options,
    cancel: &Cancel,
) -> Result<Result<(), Failure>, Interrupted> {
    let sites = sites_of(scheme);
    // A step for each site, and one for each in the joint minimum.
    let mut progress = Progress::new(2 * sites.len() as u64);
    progress.step_begins(&format!("{scheme}: weakening one site at a time"));
    let weakenings = explore_all(
        &sites,
        |site| weaken(site, &Mutation::NONE, cells, extent, cancel),
        |site, _| {
            progress.step_begins(&format!("{scheme}: {} is done", sites[site].name));
            progress.step_ended();
        },
    );
    let weakenings: Vec<Weakening> = weakenings.into_iter().collect::<Result<_, _>>()?;
    progress.step_begins(&format!("{scheme}: weakening all together"));
    let joint = joint(&weakenings, cells, extent, cancel, |site| {
        progress.step_begins(&format!("{scheme}: {} and those before it", site.name));
        progress.step_ended();
    })?;
    progress.finish();
    let table = match options.format {
        Format::Text => text(scheme, &weakenings, &joint, extent),
        Format::Tsv => tsv(scheme, &weakenings, &joint),
        Format::Json => format!("{:#}\n", json(scheme, &weakenings, &joint)),
    };
    if let Err(failure) = output::print(&table) {
        return Ok(Err(failure));
    }
    if options.trace {
        return Ok(print_traces(&weakenings, cancel));
    }
    Ok(Ok(()))
}

/// An ordering as it is said of a site.
fn order_of(site: &Site, order: Ordering) -> &'static str {
    match (site.access, order) {
        (Access::Fence, Ordering::SeqCst) => "full",
        (Access::Fence, Ordering::Relaxed) => "none",
        (_, Ordering::SeqCst) => "seqcst",
        (_, Ordering::AcqRel) => "acqrel",
        (_, Ordering::Acquire) => "acquire",
        (_, Ordering::Release) => "release",
        _ => "relaxed",
    }
}

fn text(scheme: &str, weakenings: &[Weakening], joint: &Joint, extent: &Extent) -> String {
    let bound = match extent.bound {
        Some(Bound::Preemptions(bound)) => format!("bound {bound}"),
        _ => "no bound".to_owned(),
    };
    let mut out = format!("{scheme}: orderings, each weakened alone ({bound})\n");
    let _ = writeln!(
        out,
        "{:<20} {:<8} {:<8} {:<8} what breaks below that",
        "site", "is", "needs", "jointly"
    );
    for weakening in weakenings {
        let site = weakening.site;
        let jointly = joint.order(site);
        let _ = writeln!(
            out,
            "{:<20} {:<8} {:<8} {:<8} {}",
            site.name,
            order_of(site, site.order),
            order_of(site, weakening.weakest),
            order_of(site, jointly),
            weakening
                .breaks
                .last()
                .map_or("-".to_owned(), |it| format!("{}", it.found.invariant)),
        );
        out.push_str(&wrap("    stands for ", site.stands_for));
        for broken in &weakening.breaks {
            let head = format!("    {}: ", order_of(site, broken.order));
            let text = format!(
                "{} VIOLATES {} (execution {})",
                broken.cell.scenario.name,
                broken.found.invariant,
                grouped(broken.executions)
            );
            out.push_str(&wrap(&head, &text));
        }
    }
    out.push('\n');
    out.push_str(&joint_text(joint));
    out
}

fn joint_text(joint: &Joint) -> String {
    let weakened: Vec<_> = joint
        .mutation
        .weakened
        .iter()
        .map(|(site, order)| format!("{site} {}", format!("{order:?}").to_lowercase()))
        .collect();
    let together = match weakened[..] {
        [] => "nothing can be weakened".to_owned(),
        _ => weakened.join(", "),
    };
    let again = match &joint.confirmed {
        None => format!(
            "passes all scenarios with their own bounds too ({})",
            many(joint.executions, "execution")
        ),
        Some((cell, found)) => format!(
            "but with its own bound {} VIOLATES {}",
            cell.scenario.name, found.invariant
        ),
    };
    wrap("jointly: ", &format!("{together}; {again}."))
        + &wrap(
            "",
            "\"needs\" is proved by an execution that goes wrong below it; that something weaker \
             passes holds for what Loom models and no further (docs/checking.md).",
        )
}

fn tsv(scheme: &str, weakenings: &[Weakening], joint: &Joint) -> String {
    let mut out = String::from(
        "scheme\tsite\tstands_for\tis\tneeds\tjointly\tbelow\tscenario\tinvariant\texecutions\n",
    );
    for it in weakenings {
        let site = it.site;
        let _ = write!(
            out,
            "{scheme}\t{}\t{}\t{}\t{}\t{}",
            site.name,
            site.stands_for,
            order_of(site, site.order),
            order_of(site, it.weakest),
            order_of(site, joint.order(site)),
        );
        let _ = match it.breaks.last() {
            None => writeln!(out, "\tnan\tnan\tnan\tnan"),
            Some(broken) => writeln!(
                out,
                "\t{}\t{}\t{}\t{}",
                order_of(site, broken.order),
                broken.cell.scenario.name,
                broken.found.invariant,
                broken.executions
            ),
        };
    }
    out
}

fn json(scheme: &str, weakenings: &[Weakening], joint: &Joint) -> serde_json::Value {
    let sites: Vec<_> = weakenings
        .iter()
        .map(|it| {
            let breaks: Vec<_> = it
                .breaks
                .iter()
                .map(|broken| {
                    serde_json::json!({
                        "order": order_of(it.site, broken.order),
                        "scenario": broken.cell.scenario.name,
                        "invariant": broken.found.invariant.name(),
                        "executions": broken.executions,
                    })
                })
                .collect();
            serde_json::json!({
                "site": it.site.name,
                "stands_for": it.site.stands_for,
                "pairs_with": it.site.pairs_with,
                "is": order_of(it.site, it.site.order),
                "needs": order_of(it.site, it.weakest),
                "jointly": order_of(it.site, joint.order(it.site)),
                "breaks": breaks,
            })
        })
        .collect();
    serde_json::json!({
        "scheme": scheme,
        "sites": sites,
        "joint_confirmed": joint.confirmed.is_none(),
    })
}

/// An execution for the strongest ordering of each site that doesn't pass.
fn print_traces(weakenings: &[Weakening], cancel: &Cancel) -> Result<(), Failure> {
    for weakening in weakenings {
        let Some(broken) = weakening.breaks.last() else {
            continue;
        };
        debug_assert!(ladder(weakening.site).contains(&broken.order));
        let mut mutation = Mutation::NONE;
        mutation.weakened.push((weakening.site.name, broken.order));
        let trace: Option<Trace> = simplest(broken.cell, &mutation, TRACE_BOUND, cancel);
        if let Some(trace) = trace {
            let title = format!(
                "\n{} in {}, {} {}:\n\n",
                broken.cell.scheme.name,
                broken.cell.scenario.name,
                weakening.site.name,
                order_of(weakening.site, broken.order)
            );
            output::print(&(title + &trace.text(&mutation)))?;
        }
    }
    Ok(())
}
