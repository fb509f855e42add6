//! What was run on what, how, and what to hold against it.

use kernel_model::Orders;
use machine_facts::doctor::SPOILT_LOST_SHARE;
use machine_facts::environment::counted;
use machine_facts::noise::{self, percent as share_in_percent, time};
use machine_facts::statistics::{COVERAGE, SMALLEST};
use machine_facts::topology::format_cpu_list;
use measuring::cell::Setup;
use measuring::machine::MmKind;
use measuring::order::Access;
use measuring::rounds::{Ended, Rounds};

use super::clock;
use super::controls::off_balance;
use super::group::unstable;
use crate::document::{Block, Document};
use crate::record::Run;

pub(super) fn add(out: &mut Document, run: &Run) {
    out.push(Block::Heading("how this was measured".to_owned()));
    let kernel = run.configuration.is_kernel();
    let of_the_kernel = |text: fn(&Run) -> String| match kernel {
        true => text(run),
        false => String::new(),
    };
    add_notes(
        out,
        [
            ("build", run.header.environment.build_line()),
            ("files", of_the_kernel(files)),
            ("sizes", sizes(run)),
            ("method", method(run)),
            ("touches", of_the_kernel(touches)),
            ("pages", of_the_kernel(pages)),
            ("SIGBUS", of_the_kernel(sigbus)),
            ("rounds", rounds(run)),
            ("ratio", ratio(run)),
            ("interval", interval(run)),
            ("overhead", overhead(run)),
            ("clock", clock::step(run)),
            ("transfer", clock::transfer(run)),
            ("noise", noise(run, &noise::lines(&run.header.noise))),
            ("counters", run.header.counters.line().unwrap_or_default()),
        ],
    );
    out.command("command", &run.header.command);
    add_again_and_caveats(out, run);
    for left_out in &run.header.left_out {
        out.note("left out", left_out);
    }
}

/// What one has to know of any run, however short its report is to be: a clock whose step matters
/// is among the caveats, and what ratios are to stands below their tables.
pub(super) fn add_short(out: &mut Document, run: &Run) {
    out.push(Block::Heading("how this was measured, in short".to_owned()));
    let worst =
        noise::worst(&run.header.noise).map(|floor| noise::lines(std::slice::from_ref(floor)));
    add_notes(
        out,
        [
            ("build", run.header.environment.build_line()),
            ("sizes", sizes(run)),
            ("method", method(run)),
            ("interval", interval(run)),
            ("noise", noise(run, &worst.unwrap_or_default())),
        ],
    );
    add_again_and_caveats(out, run);
}

/// Words under names; what has none is left out.
fn add_notes<const N: usize>(out: &mut Document, notes: [(&str, String); N]) {
    for (name, text) in notes.iter().filter(|(_, text)| !text.is_empty()) {
        out.note(name, text);
    }
}

fn add_again_and_caveats(out: &mut Document, run: &Run) {
    out.command("again", &run.header.rerun);
    for caveat in caveats(run) {
        out.note("caveat", caveat);
    }
}

/// Threads that start further apart than this share of what is measured don't run side by side for
/// as long, and are counted as if they did.
const SKEWED: f64 = 0.01;

/// What others took, before the run and in it, and threads that started apart.
fn disturbed(run: &Run) -> Vec<String> {
    let mut caveats = Vec::new();
    let cpus = run.configuration.setup.cpus.len() as f64;
    let stolen = run.stolen_s.map(|stolen| stolen / (run.elapsed_s * cpus));
    if let Some(share) = stolen.filter(|&share| share > SPOILT_LOST_SHARE) {
        caveats.push(format!(
            "the hypervisor took {} of the CPUs' time in this run",
            share_in_percent(share)
        ));
    }
    let worst = noise::worst(&run.header.noise);
    if let Some(worst) = worst.filter(|floor| floor.lost_share > SPOILT_LOST_SHARE) {
        caveats.push(format!(
            "others took {} of CPU {}'s time before the run, when it was watched",
            share_in_percent(worst.lost_share),
            worst.cpu
        ));
    }
    let (skew, cell) = (start_skew_ns(run), run.configuration.setup.duration_ns);
    if skew as f64 > SKEWED * cell as f64 {
        caveats.push(format!(
            "threads started up to {} apart (largest median), of {} that are measured",
            time(skew),
            time(cell)
        ));
    }
    caveats
}

/// The largest median over rounds.
fn start_skew_ns(run: &Run) -> u64 {
    let rows = run.summary.iter().flat_map(|group| &group.rows);
    rows.map(|row| row.start_skew_ns.median).fold(0.0, f64::max) as u64
}

/// What to hold against the run, the worst first.
pub(crate) fn caveats(run: &Run) -> Vec<String> {
    let rows = run.summary.iter().flat_map(|group| &group.rows);
    let unstable = unstable(run, rows).map(|text| format!("unstable rounds (*): {text}"));
    let own = unstable.into_iter().chain(off_balance(run));
    let own = own.chain(disturbed(run)).chain(clock::caveats(run));
    own.chain(run.header.caveats.iter().cloned()).collect()
}

fn mm(setup: &Setup) -> &'static str {
    match setup.mm {
        MmKind::Private => "an mm for each fault thread (processes)",
        MmKind::Shared => "one mm for all fault threads (threads)",
    }
}

fn access(setup: &Setup) -> &'static str {
    match setup.access {
        Access::Sequential => "sequential",
        Access::Random => "random",
    }
}

/// The sizes in words.
fn sizes(run: &Run) -> String {
    let setup = &run.configuration.setup;
    match run.configuration.is_kernel() {
        true => file_sizes(setup),
        false => model_sizes(setup),
    }
}

fn model_sizes(setup: &Setup) -> String {
    let sizes = &setup.sizes;
    let (mm, access) = (mm(setup), access(setup));
    let neighbour = match (sizes.neighbour, sizes.refill) {
        (true, _) => " the storm hits as many more, which no mm maps and which it fills itself;",
        (false, true) => " the storm brings back what it removed;",
        (false, false) => "",
    };
    let folios = match sizes.orders {
        Orders::All(order) => format!("folios of order {order}"),
        Orders::Mix => format!(
            "of each 256 of them 64 in folios of order {} each",
            Orders::MIX.map(|order| order.to_string()).join(", ")
        ),
    };
    format!(
        "{} pages of file, {folios};{neighbour} windows of {}, {access}; holes of {} pages; reads \
         of {} pages at {} ns each; {mm}",
        sizes.pages,
        sizes.window_pages,
        sizes.hole_pages,
        sizes.readahead_pages,
        sizes.fill_ns_per_page
    )
}

fn file_sizes(setup: &Setup) -> String {
    let sizes = &setup.sizes;
    format!(
        "{} pages of file, all of them in the page cache and clean at the start; windows of {} as \
         found, {}; holes of {} pages, which the storm brings back outside of its recorded time; {}",
        sizes.pages,
        sizes.window_pages,
        access(setup),
        sizes.hole_pages,
        mm(setup)
    )
}

/// What each file is.
fn files(run: &Run) -> String {
    let files = run.configuration.schemes.iter();
    let files = files.map(|file| format!("{}: {}", file.name, file.lineage));
    files.collect::<Vec<_>>().join("; ")
}

/// What touches the pages, and what of it is timed.
fn touches(run: &Run) -> String {
    let faulters = match run.configuration.setup.mm {
        MmKind::Private => "each fault thread is a process of its own",
        MmKind::Shared => "the fault threads are one process",
    };
    format!(
        "a fault is a read of one word in each window of a shared read-only mapping, zapped by \
         MADV_DONTNEED between passes; {faulters}, the storm is in another, which maps nothing"
    )
}

fn pages(_: &Run) -> String {
    "the kernel does not tell what a fault mapped: pages mapped are counted in /proc/self/pagemap at \
     the end of each pass, and those that a storm removed meanwhile are missing"
        .to_owned()
}

/// What it costs to outlive a truncation.
fn sigbus(run: &Run) -> String {
    let one = match run.header.sigbus_ns {
        Some(ns) => format!(
            "some {} ns (median before the run), and is in its latency",
            ns.round()
        ),
        None => "more than others, and that is in its latency".to_owned(),
    };
    format!(
        "a touch beyond the end of the file is survived by moving the program counter on, as the \
         kernel does by its exception table: nothing on touches that don't fault there; one that \
         does takes {one}"
    )
}

fn method(run: &Run) -> String {
    let setup = &run.configuration.setup;
    let arrival = match setup.arrival.rate_per_s() {
        None => "closed loop: each fault starts when the one before has ended, and latency is \
                 from there"
            .to_owned(),
        Some(_) => format!(
            "open loop: faults arrive as {} per second, and latency runs from the intended start",
            setup.arrival
        ),
    };
    format!(
        "{}s interleaved in random order (seed {}), {} ms each after {} ms of warm-up, threads \
         pinned to CPUs {} in this order; {arrival}; only faults are timed, not the zaps between \
         passes; medians over rounds, latencies of all rounds together",
        run.configuration.noun(),
        run.configuration.seed,
        setup.duration_ns / 1_000_000,
        setup.warm_up_ns / 1_000_000,
        format_cpu_list(&setup.cpus)
    )
}

/// How many rounds there are, and why there are no more.
fn rounds(run: &Run) -> String {
    let done = counted(u64::from(run.rounds_done()), "round");
    match (run.ended, run.configuration.rounds) {
        (None, _) => format!("{done} when the run was stopped"),
        (Some(Ended::Narrow), Rounds::Auto { width, .. }) => format!(
            "{done}, until every interval of a ratio of pages/s was narrower than {}%",
            percent(width)
        ),
        (Some(Ended::TimeLimit), Rounds::Auto { width, limit_s }) => format!(
            "{done}: the limit of {limit_s} s was reached; the widest interval of a ratio of \
             pages/s is {}% wide, and was to be narrower than {}%",
            percent(widest(run)),
            percent(width)
        ),
        _ => format!("{done}, as asked for"),
    }
}

fn percent(share: f64) -> String {
    let text = format!("{:.1}", share * 100.0);
    text.trim_end_matches(".0").to_owned()
}

fn widest(run: &Run) -> f64 {
    let rows = run.summary.iter().flat_map(|group| &group.rows);
    let widths = rows.filter_map(|row| Some(row.ratio?.width()));
    widths.fold(0.0, f64::max)
}

fn ratio(run: &Run) -> String {
    let remover = match run.configuration.setup.rate_per_s {
        None => "the remover's ops/s",
        Some(_) => "the remover's speed by its p50",
    };
    format!(
        "to {}, round by round, above 1 is faster: pages mapped per second of time in faults; \
         speed by p50; {remover}",
        run.configuration.baseline
    )
}

fn interval(run: &Run) -> String {
    let rows = run.summary.iter().flat_map(|group| &group.rows);
    let coverage = rows.filter_map(|row| row.ratio.as_ref());
    let coverage = coverage.map(|ratio| ratio.coverage).fold(1.0, f64::min);
    let few = match coverage < COVERAGE {
        true if run.rounds_done() < 2 => {
            " Of the one round here there is none, and nothing is told apart.".to_owned()
        }
        true => format!(
            " Here there are fewer than six, the intervals are whole ranges and cover {:.0}% at \
             least, and nothing is told apart.",
            coverage * 100.0
        ),
        false => String::new(),
    };
    format!(
        "95% percentile bootstrap of the median over rounds, expanded for few rounds.{few} A/A is \
         the baseline run twice. ~: not told apart from the baseline, that is, the interval does \
         not exclude 1 by more than A/A's interval strays from it, or by more than {:.0}%",
        (SMALLEST - 1.0) * 100.0
    )
}

fn overhead(run: &Run) -> String {
    let skew = time(start_skew_ns(run));
    let stolen = match run.stolen_s {
        Some(stolen) => format!("{stolen:.2} s stolen by the hypervisor"),
        None => "stolen time isn't counted here".to_owned(),
    };
    format!(
        "clock and record cost {:.1} ns in each fault's latency; threads started within {skew} of \
         each other (largest median); {stolen}; {:.0} s in all",
        run.header.recording_ns, run.elapsed_s
    )
}

/// What the machine does to a thread by itself; nothing if that wasn't watched.
fn noise(run: &Run, lines: &[String]) -> String {
    let floors = &run.header.noise;
    let Some(worst) = noise::worst(floors) else {
        return String::new();
    };
    let mut text = format!(
        "each CPU was watched before the run. {}{}.",
        if lines.len() < floors.len() {
            "The worst, "
        } else {
            ""
        },
        lines.join("; ")
    );
    let rows = run.summary.iter().flat_map(|group| &group.rows);
    let baseline = rows.filter(|row| row.baseline);
    let p50_ns = baseline.filter_map(|row| row.latency?.p50_ns).max();
    if let Some(p50_ns) = p50_ns {
        text.push_str(&format!(
            " Of operations as long as {}'s median fault, {p50_ns} ns, the machine alone hits so \
             many that nothing beyond p{} tells of a {}.",
            run.configuration.baseline,
            cut(worst.blameless_percentile(p50_ns)),
            run.configuration.noun()
        ));
    }
    if let Some(floor_ns) = noise::least_comparable_ns(floors) {
        text.push_str(&format!(" Medians below {floor_ns} ns aren't compared."));
    }
    text
}

/// A percentile, cut so that it claims no more than it may.
fn cut(percentile: f64) -> f64 {
    (percentile * 1e3).floor() / 1e3
}
