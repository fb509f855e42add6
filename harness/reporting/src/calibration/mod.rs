//! A calibration in words and tables.

mod projection;
#[cfg(test)]
mod tests;

use machine_facts::environment::counted;
use machine_facts::noise;
use machine_facts::statistics::{FEWEST, Interval};
use running_kernel::calibration::{
    Calibration, Fidelity, Fit, LARGE, Met, Recorded, Side, name_of,
};

use crate::document::{Block, Document, Table, fit};
use kernel_model::platform::Work;

/// The report as plain text: ASCII, at most 72 columns.
pub fn text(recorded: &Recorded) -> String {
    document(recorded).text()
}

/// The same with GitHub's tables.
pub fn markdown(recorded: &Recorded) -> String {
    document(recorded).markdown()
}

fn document(recorded: &Recorded) -> Document {
    let mut out = Document::default();
    let calibration = &recorded.calibration;
    if !calibration.complete {
        let lacking = match (&calibration.fidelity, calibration.carried.turns.is_empty()) {
            (_, true) => "the loops that stand for the kernel's work didn't get their lengths",
            (None, false) => "nothing was run under storms, and nothing is projected",
            (Some(_), _) => "what follows rests on fewer rounds than asked for, or lacks a part",
        };
        out.push(Block::Paragraph(format!(
            "INCOMPLETE: the calibration was stopped; {lacking}."
        )));
        out.push(Block::Gap);
    }
    let release = recorded.environment.kernel.release.as_deref();
    out.push(Block::Paragraph(format!(
        "What a read fault of fault-around costs on the running kernel (Linux {}) and in the model \
         under {}, the scheme that stands for what this kernel does; what the model lacks, and how far \
         it is from the kernel when it carries that; {}.",
        release.unwrap_or("of unknown release"),
        calibration.scheme,
        recorded.started.strftime("%Y-%m-%d %H:%M UTC")
    )));
    out.note("machine", recorded.environment.headline());
    add_faults(&mut out, calibration);
    add_removals(&mut out, calibration);
    add_remaining(&mut out, calibration);
    add_fidelity(&mut out, calibration);
    projection::add(&mut out, calibration);
    add_method(&mut out, recorded);
    out
}

/// From one end to the other, in 14 columns.
fn interval(of: &Interval) -> String {
    let between = if of.lo < 0.0 { ".." } else { "-" };
    let [lo, hi] = [of.lo, of.hi].map(|end| fit(end, 7));
    format!("{lo}{between}{hi}")
}

fn side(side: Side, of: &str, order: u8) -> String {
    match side {
        Side::Kernel => of.to_owned(),
        Side::Bare => format!("model, order {order}"),
        Side::Calibrated => format!("calibrated, order {order}"),
    }
}

fn line_table(title: &str) -> Table {
    Table::new(title).columns(&[
        ("once", 7),
        ("interval", 15),
        ("a page", 7),
        ("interval", 15),
        ("r2", 7),
    ])
}

fn line(fitted: &Fit) -> Vec<String> {
    vec![
        fit(fitted.intercept_ns.median, 7),
        interval(&fitted.intercept_ns),
        fit(fitted.page_ns.median, 7),
        interval(&fitted.page_ns),
        format!("{:.4}", fitted.r_squared),
    ]
}

fn add_faults(out: &mut Document, calibration: &Calibration) {
    out.push(Block::Heading(
        "what a fault costs by the pages that it maps".to_owned(),
    ));
    let mut table = line_table("ns");
    for cost in &calibration.faults {
        table.row(side(cost.side, &cost.of, cost.order), line(&cost.fit));
    }
    out.push(Block::Table(table));
    let Some(first) = calibration.faults.first() else {
        return;
    };
    let mut table = Table::new("ns per fault of");
    for (pages, _) in &first.fit.points {
        table = table.columns(&[(&format!("{pages} p."), 8)]);
    }
    for cost in &calibration.faults {
        let points = cost.fit.points.iter().map(|point| fit(point.1, 8));
        table.row(side(cost.side, &cost.of, cost.order), points.collect());
    }
    out.push(Block::Table(table));
    let text = "a VMA for each window, clipped to so many pages, one touch each: that each was one \
                fault and mapped as many pages was looked at. Orders are those that the sizes of \
                writes ask for";
    out.note("windows", text);
}

fn add_removals(out: &mut Document, calibration: &Calibration) {
    out.push(Block::Heading(
        "what a removal costs by the pages that it removes".to_owned(),
    ));
    for (call, mapped) in [
        ("punch-hole", false),
        ("punch-hole", true),
        ("truncate", false),
        ("truncate", true),
    ] {
        let mut table = line_table(&match mapped {
            true => format!("{call}, mapped"),
            false => call.to_owned(),
        });
        let costs = calibration.removals.iter();
        for cost in costs.filter(|cost| cost.call == call && cost.mapped == mapped) {
            table.row(side(cost.side, "memfd", 0), line(&cost.fit));
        }
        if !table.is_empty() {
            out.push(Block::Table(table));
        }
    }
    match &calibration.flush {
        Some(flush) => out.note(
            "flush",
            format!(
                "the calibrated model carries what a flush takes where the mm also runs elsewhere, as it \
                 does in storms; the kernel here flushed its own CPU alone. Where the mm runs on another CPU, too, a removal of 16 mapped pages takes {} ns \
                 longer ({}), and that CPU loses {} ns ({}) each time",
                fit(flush.remover_ns.median, 7),
                interval(&flush.remover_ns),
                fit(flush.interrupted_ns.median, 7),
                interval(&flush.interrupted_ns)
            ),
        ),
        None => out.note("flush", "not measured: that takes a second CPU"),
    }
}

/// What the kernel does there and the model doesn't.
fn lacks(work: Work) -> &'static str {
    match work {
        Work::Fault => {
            "exception entry and exit with the CPU's mitigations, the VMA's lookup and its lock, the \
             page-table walk, the window's rss counter, perf's and vmstat's counts of faults; the touch \
             itself, and its TLB miss"
        }
        Work::Range => {
            "for each folio of which pages are mapped: NR_FILE_MAPPED of node and memcg, the XArray's \
             walk, the folio's flags and counts in struct page"
        }
        Work::Page => "for each page: PTE construction and checks, its part of the folio's counts",

        Work::Removal => {
            "for each operation: the system call, the file system, times and notifications of the \
             inode, the unmapping's set-up"
        }
        Work::RemovedFolio => {
            "for each folio that goes: XArray, LRU, memcg uncharge, node statistics, the page \
             allocator"
        }
        Work::ZappedPage => "for each PTE that is cleared: rmap and rss, mmu_gather, accessed bits",
        Work::Flush => "for each zap of a mapped range: the TLB flush, and the wait for other CPUs",
        Work::Flushed => "for each such flush: the interrupt on a CPU that runs the mm",
        Work::Slow => {
            "for each fault on a page that isn't there: the page allocator, zeroing, memcg charge, LRU, \
             XArray"
        }
    }
}

fn add_remaining(out: &mut Document, calibration: &Calibration) {
    out.push(Block::Heading(
        "what the kernel does beyond the model, ns".to_owned(),
    ));
    for work in Work::ALL {
        let Some(ns) = calibration.carried.remaining_ns.get(name_of(work)) else {
            continue;
        };
        out.push(Block::Note(
            format!("{:<14} {:>6}", name_of(work), fit(*ns, 7)),
            22,
            lacks(work).to_owned(),
        ));
    }
    out.note(
        "what",
        "the whole of each was measured; what is named beside it is what the kernel is known to do there \
         and the model isn't, and how it is shared out was not",
    );
    if !calibration
        .faults
        .iter()
        .any(|cost| cost.side == Side::Kernel && cost.order == LARGE)
    {
        out.note(
            "page",
            "no file with folios of 16 pages was measured (give --dir on a file system that has them), so \
             that what a folio and what a page costs can't be told apart: all of it is the folio's, and a \
             calibrated fault on large folios is cheaper than the kernel's",
        );
    }
}

fn add_fidelity(out: &mut Document, calibration: &Calibration) {
    let Some(fidelity) = &calibration.fidelity else {
        return;
    };
    out.push(Block::Heading(
        "fidelity: the calibrated model beside the kernel".to_owned(),
    ));
    out.push(Block::Table(fidelity_table(fidelity)));
    for (name, text) in fidelity_words(calibration, fidelity) {
        out.note(name, text);
    }
}

/// The fidelity of a calibration as parts of other reports.
pub(crate) fn add_fidelity_of(out: &mut Document, recorded: &Recorded) {
    out.push(Block::Heading("calibration".to_owned()));
    let release = recorded.environment.kernel.release.as_deref();
    out.push(Block::Paragraph(format!(
        "Calibrated loads carry what the kernel does beyond the model, as measured on {} with Linux {}.",
        recorded.started.strftime("%Y-%m-%d %H:%M UTC"),
        release.unwrap_or("of unknown release")
    )));
    add_fidelity(out, &recorded.calibration);
}

fn fidelity_table(fidelity: &Fidelity) -> Table {
    let mut table = Table::new("").columns(&[
        ("kernel", 9),
        ("calibr.", 9),
        ("bare", 9),
        ("ratio", 7),
        ("interval ", 16),
    ]);
    for row in &fidelity.rows {
        let mark = match row.met() {
            Some(Met::Yes) => '+',
            Some(Met::Median) => '?',
            Some(Met::No) => '!',
            None => ' ',
        };
        let unit = match row.unit.as_str() {
            "" => "x",
            unit => unit,
        };
        let figure = |of: &Interval| fit(of.median, 9);
        table.row(
            format!("{} {unit}", row.what),
            vec![
                figure(&row.kernel),
                figure(&row.calibrated),
                figure(&row.bare),
                fit(row.ratio.median, 7),
                format!("{}{mark}", interval(&row.ratio)),
            ],
        );
    }
    table
}

fn fidelity_words(calibration: &Calibration, fidelity: &Fidelity) -> Vec<(&'static str, String)> {
    let met = |wanted: Met| {
        let rows = fidelity.rows.iter();
        rows.filter(|row| row.met() == Some(wanted)).count()
    };
    let (yes, median, no) = (met(Met::Yes), met(Met::Median), met(Met::No));
    let mut words = vec![(
        "goals",
        format!(
            "slopes 10%, what storms do 25%: {yes} of {} met (+); {median} by the median alone, the \
             interval reaching beyond or unknown (?); {no} not (!)",
            yes + median + no
        ),
    )];
    words.push((
        "ratio",
        format!(
            "calibrated over kernel, round by round: {} of fits (once, a page, a missing page), {} of \
             storms{}",
            counted(calibration.fit_rounds.into(), "round"),
            counted(fidelity.rounds.into(), "round"),
            few(calibration.fit_rounds.min(fidelity.rounds))
        ),
    ));
    let [kernel, model] = &fidelity.order;
    if kernel.len() > 1 {
        let rate = match fidelity.rate_per_s {
            rate if rate.is_finite() => format!("at {rate} operations per second"),
            _ => "flat out".to_owned(),
        };
        words.push((
            "x",
            format!(
                "how many times as long as alone, under a storm {rate} of {} pages each on both sides; a \
                 remover's is its median, under a process that faults all the time",
                fidelity.hole_pages
            ),
        ));
        let order = match kernel == model {
            true => format!("the same on both, {}", kernel.join(" < ")),
            false => format!("kernel {}; model {}", kernel.join(" < "), model.join(" < ")),
        };
        let apart = match &fidelity.contradicted[..] {
            [] if fidelity.rounds < FEW => "So few rounds tell none of them apart".to_owned(),
            [] => "No two that are told apart on both are so in opposite ways".to_owned(),
            pairs => format!("NOT the same: {}", pairs.join(", ")),
        };
        words.push((
            "order",
            format!("of loads by the median cost of a fault: {order}. {apart}"),
        ));
    } else if fidelity.rounds > 0 {
        words.push((
            "storms",
            "not measured: they, and a second process, take a second CPU".to_owned(),
        ));
    }
    if !fidelity.missing.is_empty() {
        words.push((
            "missing",
            format!(
                "{}: in some round nothing was recorded (a --rate too low or too high for --duration?)",
                fidelity.missing.join("; ")
            ),
        ));
    }
    words
}

/// What is to be said of few rounds.
fn few(rounds: u32) -> &'static str {
    if rounds < FEW {
        "; where there are fewer than six, intervals are whole ranges, and nothing is told by them"
    } else {
        ""
    }
}

/// Rounds below which there are no intervals worth the name, and no verdicts.
const FEW: u32 = FEWEST as u32;

fn add_method(out: &mut Document, recorded: &Recorded) {
    out.push(Block::Heading("how this was measured".to_owned()));
    out.note("build", recorded.environment.build_line());
    for (name, what) in &recorded.files {
        out.note("file", format!("{name}: {what}"));
    }
    let setup = &recorded.setup;
    out.note(
        "method",
        format!(
            "kernel and models by turns, in random order (seed {}), each fit per round and medians over \
             {} with 95% bootstrap intervals; loops that stand for the kernel's work were tuned in \
             rounds before those that are shown; storms: {} pages of file, {} ms each after {} ms of \
             warm-up, a process for each fault thread, the storm brings back what it removed",
            recorded.seed,
            counted(recorded.calibration.fit_rounds.into(), "round"),
            setup.sizes.pages,
            setup.duration_ns / 1_000_000,
            setup.warm_up_ns / 1_000_000
        ),
    );
    let stolen = match recorded.stolen_s {
        Some(stolen) => format!("{stolen:.2} s stolen by the hypervisor; "),
        None => String::new(),
    };
    out.note(
        "overhead",
        format!("{stolen}{:.0} s in all", recorded.elapsed_s),
    );
    let floors = noise::lines(&recorded.noise);
    if !floors.is_empty() {
        let floors = floors.join("; ");
        out.note("noise", format!("each CPU was watched before. {floors}"));
    }
    out.command("command", &recorded.command);
    out.command("again", &recorded.rerun);
    for caveat in &recorded.caveats {
        out.note("caveat", caveat.clone());
    }
}
