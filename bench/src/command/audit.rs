//! `faultaround audit`: verdicts, no timings.

use std::fmt::Write;
use std::time::Duration;

use clap::Args;
use machine_facts::progress::{Progress, say};
use machine_facts::text::wrap;
use machine_facts::text::wrap_command;
use measuring::audit::{
    Audit, AuditError, AuditSetup, Audited, Schedule, Trials, Verdict, audit, repeat,
};
use measuring::storms::Storm;

use kernel_model::{Orders, SLOW_CHECKS};

use super::failure::{Failure, cancel_on_signals};
use super::invocation::Invocation;
use super::options::{
    Actors, Extent, Hole, Model, Printed, Readahead, Schemes, Storms, Without, or, value,
};
use super::output::{self, Format};
use super::rounds::{BYTES_PER_PAGE, refuse_more_than_memory, topology};
use super::sizes::{MIX_PAGES, sizes};
use super::values;

const DURATION: Duration = Duration::from_secs(10);
/// Few windows, so that faults and removals meet.
const WINDOWS: u32 = 2;

/// Violations that are printed for each audit; JSON has all that were kept.
const SHOWN: usize = 3;

/// What `faultaround audit` takes.
#[derive(Debug, Args)]
#[command(
    mut_arg("scheme", or(Schemes::SOUND)),
    mut_arg("storm", or("all that remove something")),
    mut_arg("storm_threads", value("2")),
    mut_arg("access", value("random")),
    mut_arg("cpus", |it| it.help("CPUs that threads are pinned to, in this order [default: none]")),
    mut_arg("pages", |it| it.help("Pages of the file [default: 2 windows, or 2 folios]")),
    mut_arg("duration", |it| it.help(
        "Time for each scheme under each storm, of an audit that finds nothing [default: 10s]"
    )),
    mut_arg("seed", |it| it.help("Where all random choices come from [default: 1]")),
    mut_arg("hole", |it| it.help("Pages that an operation removes [default: a window]")),
)]
pub(super) struct Options {
    #[command(flatten)]
    schemes: Schemes,

    #[command(flatten)]
    storms: Storms,

    /// Threads that fault
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = values::threads,
          allow_hyphen_values = true)]
    threads: u32,

    #[command(flatten)]
    actors: Actors,

    #[command(flatten)]
    extent: Extent,

    #[command(flatten)]
    hole: Hole,

    #[command(flatten)]
    model: Model,

    #[command(flatten)]
    readahead: Readahead,

    #[command(flatten)]
    without: Without,

    /// Repeat one schedule that an audit has printed, such as page/fault/punch-hole/A7,B12
    #[arg(long, value_name = "SCHEDULE", value_parser = str::parse::<Schedule>,
          conflicts_with_all = ["threads", "Actors", "Extent", "Hole", "Model", "Readahead"])]
    schedule: Option<Schedule>,

    #[command(flatten)]
    printed: Printed,
}

/// Runs the command.
pub(super) fn run(options: &Options, invocation: &Invocation) -> Result<(), Failure> {
    let cancel = cancel_on_signals()?;
    let mut schemes = options.schemes.named::<Audited>()?;
    let storms = removing(options)?;
    let of_schemes = schemes.iter().map(|scheme| scheme.about());
    let left_out = options.without.checks(of_schemes)?;
    let removers = storms.iter().flat_map(|storm| storm.removers());
    let of_removers: Vec<_> = removers
        .flat_map(|remover| remover.about().checks)
        .chain(SLOW_CHECKS)
        .copied()
        .collect();
    // Those that make none of these checks, and meet none, are what they were.
    schemes.retain(|scheme| {
        let own = scheme.about().checks();
        let mut checks = own.chain(of_removers.iter().copied());
        left_out.is_empty() || checks.any(|check| left_out.iter().any(|it| it.name == check.name))
    });
    if schemes.is_empty() {
        return Err(Failure::Usage(format!(
            "--without {}: neither these schemes nor the removers of these storms make that check; \
             faultaround check has more removers",
            options.without.without.join(",")
        )));
    }
    if options.schedule.is_some() && (schemes.len() != 1 || storms.len() != 1) {
        return Err(Failure::Usage(
            "--schedule shows one --scheme under one --storm: name both".to_owned(),
        ));
    }
    let setup = setup(options)?;
    refuse_more_than_memory(setup.pages, BYTES_PER_PAGE, setup.fault_threads)?;
    let mut audits = Vec::new();
    let mut failure = None;
    let mut progress = Progress::new((schemes.len() * storms.len()) as u64);
    let pairs = storms
        .iter()
        .flat_map(|storm| schemes.iter().map(move |scheme| (scheme, storm)));
    for (scheme, storm) in pairs {
        let (name, under) = (scheme.about().name, storm.about().name);
        progress.step_begins(&format!("auditing {name} under {under}"));
        let result = match &options.schedule {
            Some(schedule) => repeat(*scheme, *storm, &setup, schedule),
            None => audit(*scheme, *storm, &setup, &cancel),
        };
        match result {
            Ok(audit) => {
                if options.printed.format == Format::Text {
                    progress.finish();
                    output::print(&text(
                        &audit,
                        &setup,
                        options.schedule.is_some(),
                        invocation,
                    ))?;
                }
                audits.push(audit);
            }
            Err(AuditError::Interrupted) => {
                failure = Some(Failure::Interrupted);
                break;
            }
            Err(error) => {
                failure = Some(Failure::Broke(format!("{name} under {under}: {error}")));
                break;
            }
        }
        progress.step_ended();
    }
    progress.finish();
    match options.printed.format {
        Format::Text => {}
        Format::Tsv => output::print(&tsv(&audits))?,
        Format::Json => {
            let json = serde_json::json!({
                "complete": failure.is_none(),
                "setup": setup,
                "audits": audits
            });
            output::print(&format!("{json:#}\n"))?;
        }
    }
    if failure == Some(Failure::Interrupted) {
        say(&format!(
            "interrupted: {} of {} audits came to an end",
            audits.len(),
            schemes.len() * storms.len()
        ));
    }
    // As for check: what is left out is to be noticed somewhere.
    let is_good = |audit: &Audit| audit.verdict.is_good();
    let all_is_well = match options.without.without.is_empty() {
        true => audits.iter().all(is_good),
        false => audits.iter().any(is_good),
    };
    match failure {
        Some(failure) => Err(failure),
        None if all_is_well => Ok(()),
        None => Err(Failure::NotAsDeclared),
    }
}

/// The storms that there is something to audit under.
fn removing(options: &Options) -> Result<Vec<&'static dyn Storm<Audited>>, Failure> {
    let storms = options
        .storms
        .named::<Audited>(|storm| !storm.removers().is_empty())?;
    match storms.iter().find(|storm| storm.removers().is_empty()) {
        Some(storm) => Err(Failure::Usage(format!(
            "--storm {} removes nothing, so there is nothing to audit: name another storm",
            storm.about().name
        ))),
        None => Ok(storms),
    }
}

fn setup(options: &Options) -> Result<AuditSetup, Failure> {
    // Two folios of the largest size at least, or all orders of a mix.
    let folios = match options.model.order {
        Orders::All(order) => 2 << order,
        Orders::Mix => MIX_PAGES,
    };
    let pages = (WINDOWS * options.model.window).max(folios);
    let sizes = sizes(&options.model, &options.extent, &options.hole, pages, 1)?;
    let cpus = options.extent.cpus.as_deref();
    let cpus = cpus.map(|list| topology(Some(list))).transpose()?;
    Ok(AuditSetup {
        pages: sizes.pages,
        window_pages: sizes.window_pages,
        readahead_pages: options.readahead.readahead.unwrap_or(sizes.window_pages),
        orders: sizes.orders,
        hole_pages: sizes.hole_pages,
        fault_threads: options.threads,
        storm_threads: options.actors.storm_threads,
        mm: options.actors.mm.into(),
        access: options.actors.access.into(),
        duration: options.extent.duration.unwrap_or(DURATION),
        cpus: cpus.map(|topology| topology.ids()),
        left_out: options.without.without.clone(),
        seed: options.extent.seed.unwrap_or(1),
    })
}

/// What is to be said of what came out.
fn in_words(audit: &Audit, is_repeated: bool) -> &'static str {
    let found = !audit.found.is_empty();
    match audit.verdict {
        Verdict::AsDeclared if found => "as declared: it is known to be broken",
        Verdict::AsDeclared if audit.broken => {
            "as declared: this storm doesn't show that it is broken"
        }
        Verdict::AsDeclared => "as declared",
        Verdict::NotAsDeclared if !found => "NOT AS DECLARED: it should have been caught",
        Verdict::NotAsDeclared if audit.to_be_caught => {
            "NOT AS DECLARED: it should violate something else"
        }
        Verdict::NotAsDeclared => "NOT AS DECLARED: it should be sound here",
        Verdict::Noticed => "what was left out was noticed",
        Verdict::TooLittleDone if is_repeated => {
            "NO VERDICT: it is one schedule, and shows nothing"
        }
        Verdict::NotNoticed => {
            "what was left out was NOT noticed, under this storm and in this time"
        }
        Verdict::TooLittleDone => "NO VERDICT: too little was done, give it longer",
        Verdict::TooLittleTime => {
            "NO VERDICT: its threads had too little of the CPUs, give it longer or a machine that \
             has less to do"
        }
    }
}

/// What a verdict lacks that rests on two threads in turns alone, as where other work on the CPUs
/// left no time for more.
fn without_episodes(audit: &Audit) -> &'static str {
    match audit.verdict {
        Verdict::TooLittleDone | Verdict::TooLittleTime => "",
        _ if audit.work.episodes > 0 => "",
        _ => "; by two threads in turns alone: no time was left for threads that run freely",
    }
}

/// The turns of a schedule, and the command that shows them again.
fn schedule_text(audit: &Audit, schedule: &Schedule, invocation: &Invocation) -> String {
    let [a, b] = &schedule.trial.programs;
    let machine = schedule.trial.shape.name;
    let mut out = format!("    schedule on machine {machine}: A does {a}, B does {b}\n");
    let mut made = [0; 2];
    for turn in &audit.turns {
        let its = &mut made[usize::from(turn.thread == 'B')];
        let accesses = turn.accesses - *its;
        *its = turn.accesses;
        let ends = match turn.before {
            "" => "to its end".to_owned(),
            before if turn.waits => format!("waits for the other at {before}"),
            before => format!("stands before {before}"),
        };
        let _ = writeln!(out, "      {} {accesses:>4} accesses, {ends}", turn.thread);
    }
    let again = (invocation.clone().only(&["without"]))
        .set("scheme", audit.scheme)
        .set("storm", audit.storm)
        .set("schedule", schedule);
    out.push_str(&wrap_command("    again: ", &again.to_string()));
    out
}

fn text(audit: &Audit, setup: &AuditSetup, is_repeated: bool, invocation: &Invocation) -> String {
    let Audit { scheme, storm, .. } = audit;
    let noticed = in_words(audit, is_repeated);
    let name = if audit.broken {
        format!("{scheme} (broken)")
    } else {
        (*scheme).to_owned()
    };
    let mut out = format!("{name} under {storm}");
    if !setup.left_out.is_empty() {
        let _ = write!(out, ", without {}", setup.left_out.join(", "));
    }
    let elapsed = audit.elapsed.as_secs_f64();
    let verdict = if audit.found.is_empty() {
        format!(
            ": no violation in {elapsed:.1} s, {noticed}{}",
            without_episodes(audit)
        )
    } else {
        let name = audit.found[0].invariant;
        format!(": VIOLATES {name}, found within {elapsed:.2} s, {noticed}")
    };
    out = wrap("", &(out + &verdict));
    for found in audit.found.iter().take(SHOWN) {
        out.push_str(&wrap("    ", &found.to_string()));
    }
    let more = audit.violations.saturating_sub(SHOWN as u64);
    if more > 0 {
        let _ = writeln!(out, "    and {more} more");
    }
    if let Some(schedule) = &audit.schedule {
        out.push_str(&schedule_text(audit, schedule, invocation));
    }
    let work = &audit.work;
    let mut done = format!("{} schedules of two threads", work.schedules);
    if !is_repeated {
        let Trials { done: gone, all } = audit.trials;
        let _ = write!(done, ", all those of two turns in {gone} of {all} trials");
    }
    if work.episodes > 0 {
        let _ = write!(
            done,
            ", {} episodes of {} threads that run freely, which had {:.0}% of the CPUs",
            work.episodes,
            setup.fault_threads + setup.storm_threads,
            100.0 * audit.free.had_s / audit.free.possible_s.max(f64::MIN_POSITIVE)
        );
    }
    let cpu_time = work.cpu_time.as_secs_f64();
    out.push_str(&wrap(
        "    ",
        &format!("{done}; {cpu_time:.2} s of CPU time"),
    ));
    let line = format!(
        "{} faults mapped {} pages, {} pages skipped as locked, {} re-checks undone; {} removals \
         took {} folios, {} of them with a transient-mapcount",
        work.faults,
        work.pages_mapped,
        work.skipped_locked,
        work.undone,
        work.removals,
        work.folios_removed,
        work.transient_mapcount
    );
    out.push_str(&wrap("    ", &line));
    out
}

fn tsv(audits: &[Audit]) -> String {
    let mut out = String::from(
        "scheme\tstorm\tbroken\tto_be_caught\tas_declared\tviolations\tinvariant\toffset\tfolio\telapsed_s\t\
         faults\tremovals\tfolios_removed\tundone\ttransient_mapcount\tcpu_time_s\tschedule\n",
    );
    for audit in audits {
        let first = audit.found.first();
        let nan = || "nan".to_owned();
        let place = first.and_then(|violation| violation.place);
        let _ = writeln!(
            out,
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{:.3}\t{}\t{}\t{}\t{}\t{}\t{:.3}\t{}",
            audit.scheme,
            audit.storm,
            audit.broken,
            audit.to_be_caught,
            audit.verdict.is_good(),
            audit.violations,
            first.map_or_else(nan, |violation| violation.invariant.to_string()),
            place.map_or_else(nan, |place| place.index.to_string()),
            place.map_or_else(nan, |place| place.frame.to_string()),
            audit.elapsed.as_secs_f64(),
            audit.work.faults,
            audit.work.removals,
            audit.work.folios_removed,
            audit.work.undone,
            audit.work.transient_mapcount,
            audit.work.cpu_time.as_secs_f64(),
            audit
                .schedule
                .as_ref()
                .map_or_else(|| "nan".to_owned(), Schedule::to_string)
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches};
    use machine_facts::cancel::Cancel;

    use super::*;

    #[test]
    fn an_audit_without_time_for_more_says_that_two_threads_are_all() {
        let words = "audit --scheme page-locked --storm punch-hole".split(' ');
        let command = Options::augment_args(Command::new("audit"));
        let mut options = Options::from_arg_matches(&command.get_matches_from(words)).unwrap();
        options.extent.duration = Some(Duration::ZERO);
        let (setup, storms) = (setup(&options).unwrap(), removing(&options).unwrap());
        let schemes = options.schemes.named::<Audited>().unwrap();
        let mut audit = audit(schemes[0], storms[0], &setup, &Cancel::default()).unwrap();
        let invocation = Invocation::of(&[], false);
        let said = |audit: &Audit, is_repeated| {
            let text = text(audit, &setup, is_repeated, &invocation);
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let alone = "by two threads in turns alone: no time was left for threads that run freely";
        let whole = said(&audit, false);
        assert!(whole.contains(&format!("as declared; {alone}")), "{whole}");
        let Trials { done, all } = audit.trials;
        let share = format!("all those of two turns in {done} of {all} trials");
        assert!(done == all && whole.contains(&share), "{whole}");
        assert!(!said(&audit, true).contains("trials"));
        audit.verdict = Verdict::TooLittleDone;
        assert!(!said(&audit, false).contains(alone));
        (audit.verdict, audit.work.episodes) = (Verdict::NotNoticed, 1);
        assert!(!said(&audit, false).contains(alone));
    }
}
