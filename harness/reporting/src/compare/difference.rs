//! In what two runs differ, and what that leaves to compare.

use machine_facts::environment::Environment;
use machine_facts::topology::format_cpu_list;
use measuring::cell::Setup;
use measuring::machine::{MmKind, orders_in_words};
use measuring::order::Access;
use serde::Serialize;

use crate::record::Run;

/// What can be compared. The worst comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Comparable {
    /// Everything: at most what one may want to compare differs, as the kernel.
    All,
    /// Only each scheme's ratio to its own run's baseline.
    Ratios,
    /// Nothing: the same name stands for different work.
    Nothing,
}

/// Something that isn't the same in both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// What.
    pub what: &'static str,
    /// What it is in A.
    pub a: String,
    /// What it is in B.
    pub b: String,
    /// What it leaves to compare.
    pub leaves: Comparable,
}

/// What the differences leave to compare.
pub(super) fn comparable(differences: &[Difference]) -> Comparable {
    let leaves = differences.iter().map(|difference| difference.leaves);
    leaves.max().unwrap_or(Comparable::All)
}

/// All differences, the worst first.
pub(super) fn differences(a: &Run, b: &Run) -> Vec<Difference> {
    let facts = facts(a).into_iter().zip(facts(b));
    let different = facts.filter(|((_, one, _), (_, other, _))| one != other);
    let difference =
        |((what, a, leaves), (_, b, _)): (Fact, Fact)| Difference { what, a, b, leaves };
    let mut differences: Vec<_> = different.map(difference).collect();
    differences.sort_by_key(|difference| std::cmp::Reverse(difference.leaves));
    differences
}

/// A name, what it is in words, and what is left to compare if it differs.
type Fact = (&'static str, String, Comparable);

fn facts(run: &Run) -> Vec<Fact> {
    let mut facts = work(run);
    facts.extend(machine(&run.header.environment));
    facts
}

fn work(run: &Run) -> Vec<Fact> {
    use Comparable::{All, Nothing, Ratios};
    let configuration = &run.configuration;
    let setup: &Setup = &configuration.setup;
    let sizes = &setup.sizes;
    let ms = |ns: u64| format!("{} ms", ns as f64 / 1e6);
    let rate = setup.rate_per_s;
    let (what, files) = measured(run);
    vec![
        // Of these, each changes what a fault has to do.
        ("what was measured", what.to_owned(), Nothing),
        ("window", sizes.window_pages.to_string(), Nothing),
        ("order of folios", orders_in_words(sizes.orders), Nothing),
        ("mm", mm(setup.mm).to_owned(), Nothing),
        ("baseline", configuration.baseline.clone(), Nothing),
        ("pages", sizes.pages.to_string(), Ratios),
        ("neighbour", yes_or_no(Some(sizes.neighbour)), Ratios),
        ("refill by the storm", yes_or_no(Some(sizes.refill)), Ratios),
        ("readahead", sizes.readahead_pages.to_string(), Ratios),
        ("hole", sizes.hole_pages.to_string(), Ratios),
        (
            "fill, ns per page",
            sizes.fill_ns_per_page.to_string(),
            Ratios,
        ),
        ("access", access(setup.access).to_owned(), Ratios),
        ("arrival", setup.arrival.to_string(), Ratios),
        (
            "storm rate",
            rate.map_or("flat out".to_owned(), |rate| format!("{rate}/s")),
            Ratios,
        ),
        ("storm threads", setup.storm_threads.to_string(), Ratios),
        ("CPUs", format_cpu_list(&setup.cpus), All),
        ("time per cell", ms(setup.duration_ns), All),
        ("warm-up", ms(setup.warm_up_ns), All),
        ("rounds", run.rounds_done().to_string(), All),
        ("files", files, All),
        (
            "the clock's step",
            run.header
                .clock_step
                .map_or("unknown".to_owned(), |step| format!("{:.1} ns", step.ns)),
            All,
        ),
    ]
}

/// The model or the kernel, and what the kernel's files are.
fn measured(run: &Run) -> (&'static str, String) {
    let configuration = &run.configuration;
    let files = configuration.schemes.iter().filter(|file| file.kernel);
    let files: Vec<_> = files.map(|file| file.lineage.as_str()).collect();
    match configuration.is_kernel() {
        true => ("the running kernel", files.join("; ")),
        false => ("the model", "none".to_owned()),
    }
}

fn machine(environment: &Environment) -> Vec<Fact> {
    use Comparable::{All, Nothing, Ratios};
    let build = &environment.build;
    let frequency = &environment.frequency;
    let kernel = &environment.kernel;
    let virtualization = &environment.virtualization;
    vec![
        // What was compiled in is timed, too.
        (
            "debug assertions",
            yes_or_no(Some(build.debug_assertions)),
            Nothing,
        ),
        ("opt-level", known(build.opt_level.as_deref()), Nothing),
        ("CPU", known(environment.processor.model.as_deref()), Ratios),
        (
            "virtual machine",
            yes_or_no(virtualization.virtual_machine),
            Ratios,
        ),
        (
            "hypervisor",
            known(virtualization.hypervisor.as_deref()),
            Ratios,
        ),
        ("target", known(build.target.as_deref()), Ratios),
        ("governor", known(frequency.governor.as_deref()), All),
        ("turbo", yes_or_no(frequency.turbo), All),
        (
            "SMT siblings used",
            yes_or_no(Some(environment.processor.smt_siblings_used)),
            All,
        ),
        ("kernel", known(kernel.release.as_deref()), All),
        ("commit", known(build.commit.as_deref()), All),
        ("uncommitted changes", yes_or_no(build.dirty), All),
        ("rustc", known(build.rustc.as_deref()), All),
        ("rustflags", flags(build.rustflags.as_deref()), All),
    ]
}

fn flags(flags: Option<&str>) -> String {
    known(flags.map(|flags| if flags.is_empty() { "none" } else { flags }))
}

fn known(text: Option<&str>) -> String {
    text.unwrap_or("unknown").to_owned()
}

fn yes_or_no(is: Option<bool>) -> String {
    let text = match is {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    };
    text.to_owned()
}

fn mm(mm: MmKind) -> &'static str {
    match mm {
        MmKind::Private => "private",
        MmKind::Shared => "shared",
    }
}

fn access(access: Access) -> &'static str {
    match access {
        Access::Sequential => "sequential",
        Access::Random => "random",
    }
}
