//! A calibration in words and tables.

mod projection;

use super::burden::name_of;
use super::fidelity::{Compared, Fidelity};
use super::file::Recorded;
use super::{Calibration, Fit, LARGE, Side};
use crate::report::{Block, Document, Table, fit};
use crate::statistics::Interval;
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
             page-table walk, perf's and vmstat's counts of faults; the touch itself, and its TLB miss"
        }
        Work::Range => {
            "for each folio of which pages are mapped: NR_FILE_MAPPED of node and memcg, the XArray's \
             walk, the folio's flags and counts in struct page"
        }
        Work::Page => "for each page: PTE construction and checks, rss counters",
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
    for text in fidelity_words(fidelity) {
        out.note("", text);
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
        let mark = match row.is_met() {
            Some(true) => '+',
            Some(false) => '!',
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

fn fidelity_words(fidelity: &Fidelity) -> Vec<String> {
    let goals = fidelity.rows.iter().filter(|row| row.goal.is_some());
    let (met, missed): (Vec<&Compared>, Vec<_>) = goals.partition(|row| row.is_met() == Some(true));
    let mut words = vec![format!(
        "ratio is calibrated over kernel, round by round, {} rounds. x: how many times as long as \
         alone, under {} operations per second of {} pages each (both sides; a remover's: its median, \
         under a process that faults all the time). +: within the goal (slopes 10%, storms 25%), !: not; \
         {} of {} goals are met",
        fidelity.rounds,
        fidelity.rate_per_s,
        fidelity.hole_pages,
        met.len(),
        met.len() + missed.len()
    )];
    let [kernel, model] = &fidelity.order;
    let order = match kernel == model {
        true => format!("the same on both, {}", kernel.join(" < ")),
        false => format!("kernel {}; model {}", kernel.join(" < "), model.join(" < ")),
    };
    let apart = match &fidelity.contradicted[..] {
        [] => "No two that are told apart on both are so in opposite ways".to_owned(),
        pairs => format!("NOT the same: {}", pairs.join(", ")),
    };
    words.push(format!(
        "loads by the median cost of a fault: {order}. {apart}"
    ));
    words
}

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
             rounds with 95% bootstrap intervals; loops that stand for the kernel's work were tuned in \
             rounds before those that are shown; storms: {} pages of file, {} ms each after {} ms of \
             warm-up, a process for each fault thread, the storm brings back what it removed",
            recorded.seed,
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
    out.note("command", recorded.command.clone());
    out.note("again", recorded.rerun.clone());
    for caveat in &recorded.caveats {
        out.note("caveat", caveat.clone());
    }
}
