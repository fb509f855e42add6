//! `faultaround weaken`: which orderings a scheme needs.

use std::fmt::Write;
use std::num::NonZero;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use checking::trace::{Trace, simplest};
use checking::weaken::{Joint, Stopped, Weakening, cells_of, joint, ladder, sites_of, weaken};
use checking::{Bound, Cell, Ended, Extent, Processes, explore_all};
use clap::Args;
use kernel_model::platform::checked::Mutation;
use kernel_model::platform::{Access, Site};
use machine_facts::cancel::Cancel;
use machine_facts::progress::{Progress, say};
use machine_facts::text::wrap;

use super::check::{Cells, TRACE_BOUND, explore_each, grouped, many, processes, told};
use super::failure::{Failure, cancel_on_signals};
use super::options::{of_any_family, or};
use super::output::{self, Format};

/// Preemptions that are tried for each weakening, in scenarios of two CPUs; the joint minimum is
/// gone through again in all scenarios with their own bounds.
const BOUND: Bound = Bound::Preemptions(2);

/// What `faultaround weaken` takes.
#[derive(Debug, Args)]
#[command(
    mut_arg("scheme", or("all sound ones")),
    mut_arg("scheme", of_any_family),
    mut_arg("bound", or("2"))
)]
pub(super) struct Options {
    #[command(flatten)]
    cells: Cells,
}

/// Runs the command on the sound schemes among the cells.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let cancel = cancel_on_signals()?;
    let options = &options.cells;
    let cells = &options.named()?[..];
    let sound = cells.iter().filter(|cell| cell.scheme.verdict.is_sound());
    let mut schemes: Vec<Cell> = sound.copied().collect();
    schemes.dedup_by_key(|cell| cell.scheme.name);
    if schemes.is_empty() {
        return Err(Failure::Usage(format!(
            "--scheme {}: only a sound scheme has orderings that can be shown to be needed",
            options.schemes.scheme.join(",")
        )));
    }
    options.refuse_random(cells, "weaken")?;
    let extent = Extent {
        bound: Some(options.bound.unwrap_or(BOUND)),
        ..Extent::default()
    };
    let of = |first: &Cell| Work::new(first, cells);
    let mut works: Vec<Work> = schemes.iter().map(of).collect();
    let processes = processes(&cancel);
    let broken = go_through_unchanged(&mut works, &extent, &processes)?;
    works.retain(|work| !work.is_broken);
    let steps = works.iter().map(Work::steps);
    let mut progress = Progress::new(steps.sum());
    let mut tables = Tables::default();
    let mut result = match broken {
        true => Err(Failure::NotAsDeclared),
        false => Ok(()),
    };
    for work in &works {
        let (progress, tables) = (&mut progress, &mut tables);
        match one_scheme(work, &extent, options, &processes, progress, tables) {
            Ok(()) => {}
            // It has been said; the other schemes go on.
            Err(Failure::NotAsDeclared) => result = Err(Failure::NotAsDeclared),
            Err(other) => {
                result = Err(other);
                break;
            }
        }
    }
    progress.finish();
    if options.printed.format == Format::Json {
        output::print(&format!("{:#}\n", serde_json::Value::from(tables.json)))?;
    }
    result
}

/// A scheme that is weakened.
struct Work {
    scheme: &'static str,
    sites: Vec<&'static Site>,
    /// All scenarios, for the joint minimum.
    all: Vec<Cell>,
    /// Those of two CPUs, for the sites; all if there are none of two.
    cells: Vec<Cell>,
    /// The time that the cells take unchanged, one after the other.
    unchanged: Duration,
    is_broken: bool,
}

impl Work {
    /// Of the scheme of this cell.
    fn new(first: &Cell, cells: &[Cell]) -> Self {
        let scheme = first.scheme.name;
        let all = cells.iter().copied();
        let all = all.filter(|cell| cell.scheme.name == scheme && !cell.scenario.is_at_random());
        let all: Vec<Cell> = all.collect();
        let pairs = all.iter().copied();
        let mut cells: Vec<Cell> = pairs.filter(|cell| cell.scenario.cpus.len() == 2).collect();
        if cells.is_empty() {
            cells.clone_from(&all);
        }
        Self {
            scheme,
            sites: sites_of(first.family, first.scheme),
            all,
            cells,
            unchanged: Duration::ZERO,
            is_broken: false,
        }
    }

    /// One for each site, and one for each in the joint minimum.
    fn steps(&self) -> u64 {
        2 * self.sites.len() as u64
    }
}

/// Goes through all cells unchanged: what breaks as it is would be taken for needed. Says how long
/// the rest will take. Returns whether something breaks.
fn go_through_unchanged(
    works: &mut [Work],
    extent: &Extent,
    processes: &Processes,
) -> Result<bool, Failure> {
    let cells: Vec<Cell> = works.iter().flat_map(|work| work.cells.clone()).collect();
    let mut progress = Progress::new(cells.len() as u64);
    progress.step_begins("going through the scenarios unchanged");
    let explorations = explore_each(&cells, &Mutation::NONE, extent, processes, |_| {
        progress.step_ended();
    });
    progress.finish();
    let explorations = explorations?;
    if processes.cancel().is_requested() {
        say("interrupted before anything was weakened");
        return Err(Failure::Interrupted);
    }
    let mut explorations = explorations.iter();
    for work in &mut *works {
        let own: Vec<_> = work.cells.iter().zip(&mut explorations).collect();
        work.unchanged = own.iter().map(|(_, it)| it.elapsed).sum();
        let mut broken = own.iter().filter(|(_, it)| goes_wrong(&it.ended));
        if let Some((cell, it)) = broken.next() {
            work.is_broken = true;
            say(&format!(
                "{} breaks as it is, in {}: {}",
                work.scheme,
                cell.scenario.name,
                told(&it.ended)
            ));
        }
    }
    let going = works.iter().filter(|work| !work.is_broken);
    let seconds: f64 = going
        .map(|work| work.steps() as f64 * work.unchanged.as_secs_f64())
        .sum();
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    say(&format!(
        "weakening {} takes {} at least, by the time that they took unchanged",
        many(works.len() as u64, "scheme"),
        about(seconds / workers as f64)
    ));
    Ok(works.iter().any(|work| work.is_broken))
}

fn goes_wrong(ended: &Ended) -> bool {
    matches!(ended, Ended::Violated(_) | Ended::Panicked(_))
}

/// Seconds as a person says them.
fn about(seconds: f64) -> String {
    match seconds {
        short if short < 100.0 => format!("{:.0} s", short.max(1.0)),
        long => format!("{:.0} min", long / 60.0),
    }
}

/// What goes out as one table, though it is of several schemes.
#[derive(Default)]
struct Tables {
    json: Vec<serde_json::Value>,
    has_head: bool,
}

fn one_scheme(
    work: &Work,
    extent: &Extent,
    options: &Cells,
    processes: &Processes,
    progress: &mut Progress,
    tables: &mut Tables,
) -> Result<(), Failure> {
    let Work {
        scheme,
        sites,
        all,
        cells,
        ..
    } = work;
    let stopped = |why: Stopped| match why {
        Stopped::Interrupted => {
            say(&format!("interrupted while {scheme} was being weakened"));
            Failure::Interrupted
        }
        Stopped::NoThread(_) | Stopped::NoProcess(_) => Failure::broke(why),
    };
    let explore = |cell: Cell, mutation: &Mutation, extent: &Extent| {
        processes.explore(cell, mutation, extent)
    };
    progress.step_begins(&format!("{scheme}: weakening one site at a time"));
    let weakenings = explore_all(
        sites,
        |site| weaken(site, &Mutation::NONE, cells, extent, &explore),
        |site, _| {
            progress.step_begins(&format!("{scheme}: {} is done", sites[site].name));
            progress.step_ended();
        },
    )
    .map_err(|error| stopped(error.into()))?;
    // Those that were reached are kept, whatever comes.
    let (mut reached, mut unreached) = (Vec::new(), None);
    for weakening in weakenings {
        match (weakening, &unreached) {
            (Ok(weakening), _) => reached.push(weakening),
            // It is why the others were interrupted.
            (Err(_), Some(Stopped::NoProcess(_))) => {}
            (Err(why), _) => unreached = Some(why),
        }
    }
    let weakenings: Vec<Weakening> = reached;
    let joint = match unreached {
        Some(why) => Err(why),
        None => {
            progress.step_begins(&format!("{scheme}: weakening all together"));
            joint(&weakenings, cells, all, extent, &explore, |site| {
                progress.step_begins(&format!("{scheme}: {} and those before it", site.name));
                progress.step_ended();
            })
        }
    };
    let table = Table {
        scheme,
        all,
        weakenings: &weakenings,
        joint: joint.as_ref().ok(),
        extent,
    };
    progress.aside(|| match options.printed.format {
        Format::Text => output::print(&table.text()),
        Format::Tsv => output::print(&table.tsv(!tables.has_head)),
        Format::Json => {
            tables.json.push(table.json());
            Ok(())
        }
    })?;
    tables.has_head = true;
    let joint = joint.map_err(stopped)?;
    if options.trace {
        progress.aside(|| print_traces(&weakenings, processes.cancel()))?;
    }
    match joint.confirmed {
        None => Ok(()),
        Some(_) => Err(Failure::NotAsDeclared),
    }
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

/// What became of a scheme's sites.
struct Table<'a> {
    scheme: &'a str,
    /// The scenarios that were gone through, some of them for the joint minimum only.
    all: &'a [Cell],
    weakenings: &'a [Weakening],
    /// None if somebody pressed Ctrl-C.
    joint: Option<&'a Joint>,
    extent: &'a Extent,
}

impl Table<'_> {
    /// What a site is left with when all are weakened; `unknown` if that wasn't reached.
    fn jointly(&self, site: &Site, unknown: &'static str) -> &'static str {
        self.joint
            .map_or(unknown, |joint| order_of(site, joint.order(site)))
    }

    /// The scenarios, if they aren't all that there are.
    fn scenarios(&self) -> String {
        if self.all.len() == cells_of(self.scheme).len() {
            return "all scenarios".to_owned();
        }
        let names: Vec<_> = self.all.iter().map(|cell| cell.scenario.name).collect();
        format!("{} ALONE", names.join(", "))
    }

    fn text(&self) -> String {
        let bound = match self.extent.bound {
            Some(Bound::Preemptions(bound)) => format!("bound {bound}"),
            _ => "no bound".to_owned(),
        };
        let title = format!(
            "orderings, each weakened alone ({bound}; {})",
            self.scenarios()
        );
        let mut out = wrap(&format!("{}: ", self.scheme), &title);
        let _ = writeln!(
            out,
            "{:<20} {:<8} {:<8} {:<8} what breaks below that",
            "site", "is", "needs", "jointly"
        );
        for weakening in self.weakenings {
            let site = weakening.site;
            let _ = writeln!(
                out,
                "{:<20} {:<8} {:<8} {:<8} {}",
                site.name,
                order_of(site, site.order),
                order_of(site, weakening.weakest),
                self.jointly(site, "?"),
                weakening.breaks.last().map_or("-", |it| it.ended.name()),
            );
            out.push_str(&wrap("    stands for ", site.stands_for));
            for broken in &weakening.breaks {
                let head = format!("    {}: ", order_of(site, broken.order));
                let text = format!(
                    "{} {} (execution {})",
                    broken.cell.scenario.name,
                    told(&broken.ended),
                    grouped(broken.executions)
                );
                out.push_str(&wrap(&head, &text));
            }
        }
        out.push('\n');
        match self.joint {
            Some(joint) => out.push_str(&self.joint_text(joint)),
            None => out.push_str("jointly: interrupted before that was known\n"),
        }
        out
    }

    fn joint_text(&self, joint: &Joint) -> String {
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
                "passes {} with their own bounds too ({})",
                self.scenarios(),
                many(joint.executions, "execution")
            ),
            Some((cell, ended)) => format!(
                "but with its own bound {} {}",
                cell.scenario.name,
                told(ended)
            ),
        };
        wrap("jointly: ", &format!("{together}; {again}."))
            + &wrap(
                "",
                "\"needs\" is proved by an execution that goes wrong below it; that something \
                 weaker passes holds for what Loom models and no further (docs/checking.md).",
            )
    }

    fn tsv(&self, head: bool) -> String {
        let mut out = String::new();
        if head {
            out.push_str(
                "scheme\tsite\tstands_for\tis\tneeds\tjointly\tbelow\tscenario\tinvariant\t\
                 executions\n",
            );
        }
        for it in self.weakenings {
            let site = it.site;
            let _ = write!(
                out,
                "{}\t{}\t{}\t{}\t{}\t{}",
                self.scheme,
                site.name,
                site.stands_for,
                order_of(site, site.order),
                order_of(site, it.weakest),
                self.jointly(site, "nan"),
            );
            let _ = match it.breaks.last() {
                None => writeln!(out, "\tnan\tnan\tnan\tnan"),
                Some(broken) => writeln!(
                    out,
                    "\t{}\t{}\t{}\t{}",
                    order_of(site, broken.order),
                    broken.cell.scenario.name,
                    broken.ended.name(),
                    broken.executions
                ),
            };
        }
        out
    }

    fn json(&self) -> serde_json::Value {
        let broken = |it: &Weakening| {
            let breaks = it.breaks.iter().map(|broken| {
                serde_json::json!({
                    "order": order_of(it.site, broken.order),
                    "scenario": broken.cell.scenario.name,
                    "invariant": broken.ended.name(),
                    "executions": broken.executions,
                })
            });
            breaks.collect::<Vec<_>>()
        };
        let sites = self.weakenings.iter().map(|it| {
            serde_json::json!({
                "site": it.site.name,
                "stands_for": it.site.stands_for,
                "pairs_with": it.site.pairs_with,
                "is": order_of(it.site, it.site.order),
                "needs": order_of(it.site, it.weakest),
                "jointly": self.joint.map(|joint| order_of(it.site, joint.order(it.site))),
                "breaks": broken(it),
            })
        });
        let scenarios = self.all.iter().map(|cell| cell.scenario.name);
        serde_json::json!({
            "scheme": self.scheme,
            "scenarios": scenarios.collect::<Vec<_>>(),
            "complete": self.joint.is_some(),
            "sites": sites.collect::<Vec<_>>(),
            "joint_confirmed": self.joint.map(|joint| joint.confirmed.is_none()),
        })
    }
}

/// An execution for the strongest ordering of each site that doesn't pass.
fn print_traces(weakenings: &[Weakening], cancel: &Cancel) -> Result<(), Failure> {
    for weakening in weakenings {
        let Some(broken) = weakening.breaks.last() else {
            continue;
        };
        if cancel.is_requested() {
            return Err(Failure::Interrupted);
        }
        debug_assert!(ladder(weakening.site).contains(&broken.order));
        let mut mutation = Mutation::NONE;
        mutation.weakened.push((weakening.site.name, broken.order));
        let trace: Option<Trace> = simplest(broken.cell, None, &mutation, TRACE_BOUND, cancel);
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
