//! What a patch would bring, in a table and in words.

use machine_facts::environment::counted;
use machine_facts::statistics::{Interval, Verdict};
use running_kernel::calibration::{Calibration, LARGE, Projected};

use super::FEW;
use crate::document::{Block, Document, Table};

pub(super) fn add(out: &mut Document, calibration: &Calibration) {
    if calibration.projected.is_empty() {
        return;
    }
    out.push(Block::Heading("what a patch would bring".to_owned()));
    for (order, what) in [(0, "16 order-0 pages, %"), (LARGE, "one order-4 folio, %")] {
        let projected = calibration.projected.iter();
        let of_order: Vec<_> = projected.filter(|it| it.order == order).collect();
        if of_order.is_empty() {
            out.note(
                "order 4",
                "not projected: no file with folios of 16 pages was measured",
            );
        } else {
            out.push(Block::Table(table(what, &of_order)));
        }
    }
    out.note(
        "~",
        format!(
            "not told apart from {}: the interval does not exclude 0 by more than A/A's strays from it, or \
             by more than 1%",
            calibration.scheme
        ),
    );
    out.push(Block::Paragraph(in_words(calibration)));
}

fn table(title: &str, projected: &[&Projected]) -> Table {
    let most = projected.iter().map(|it| it.threads).max().unwrap_or(1);
    let mut table = Table::new(title).columns(&[("bare x1", 8), ("x1", 6), ("interval ", 15)]);
    if most > 1 {
        table = table.columns(&[(&format!("x{most}"), 7), ("interval ", 15)]);
    }
    let mut schemes: Vec<(&str, bool)> = Vec::new();
    for it in projected {
        if !schemes.contains(&(it.scheme.as_str(), it.again)) {
            schemes.push((&it.scheme, it.again));
        }
    }
    for (scheme, again) in schemes {
        let find = |threads| {
            let mut found = projected.iter();
            found.find(|it| (it.scheme.as_str(), it.again, it.threads) == (scheme, again, threads))
        };
        let two = |found: Option<&&Projected>| match found {
            Some(it) => {
                let mark = match it.verdict {
                    Some(Verdict::Faster | Verdict::Slower) | None => ' ',
                    Some(_) => '~',
                };
                let ends = ends(&it.speed);
                [
                    percent(it.speed.median),
                    format!("{}{mark}", ends.join(" ")),
                ]
            }
            None => ["-".to_owned(), "- ".to_owned()],
        };
        let bare = find(1).and_then(|it| it.bare);
        let bare = bare.map_or("-".to_owned(), |bare| percent(bare.median));
        let alone = two(find(1));
        let name = if again {
            format!("{scheme} A/A")
        } else {
            scheme.to_owned()
        };
        let mut cells: Vec<_> = [bare].into_iter().chain(alone).collect();
        if most > 1 {
            cells.extend(two(find(most)));
        }
        table.row(name, cells);
    }
    table
}

/// How much longer a median fault is, in percent; negative if it is shorter.
fn percent(speed: f64) -> String {
    let percent = (1.0 / speed - 1.0) * 100.0;
    match percent.abs() {
        much if much >= 99.95 => format!("{percent:+.0}"),
        _ => format!("{percent:+.1}"),
    }
}

/// From the shortest to the longest: a higher speed is a shorter time.
fn ends(speed: &Interval) -> [String; 2] {
    [percent(speed.hi), percent(speed.lo)]
}

/// The answer, computed from the table.
fn in_words(calibration: &Calibration) -> String {
    let all = calibration.projected.iter().map(|it| it.threads);
    let most = all.max().unwrap_or(1);
    let mut parts = Vec::new();
    let rounds = calibration.projected.iter().map(|it| it.rounds);
    let few = rounds.min().filter(|rounds| *rounds < FEW);
    if let Some(rounds) = few {
        let rounds = counted(rounds.into(), "round");
        parts.push(format!("After {rounds} nothing can be told apart."));
    }
    let told = [(0, "16 order-0 pages"), (LARGE, "one order-4 folio")].into_iter();
    for (order, folios) in told.filter(|_| few.is_none()) {
        let of_order = |threads| {
            let projected = calibration.projected.iter();
            let found = projected.filter(move |it| (it.order, it.threads) == (order, threads));
            let found: Vec<_> = found.collect();
            (!found.is_empty()).then_some(found)
        };
        if let Some(alone) = of_order(1) {
            let time = alone.iter().find_map(|it| it.own_p50_ns);
            let time = time.map_or(String::new(), |ns| {
                format!(" ({ns} ns under {})", calibration.scheme)
            });
            parts.push(best(
                &format!("For a fault of {folios}{time} alone,"),
                &alone,
            ));
        }
        if let Some(together) = of_order(most).filter(|_| most > 1) {
            let text = format!("With {most} processes on the same pages,");
            parts.push(best(&text, &together));
        }
    }
    format!(
        "Change of a median fault's time against {}, the scheme of this kernel, in percent: on the \
         calibrated model, and beside it on the bare one, which is the most that locking could matter. \
         {} Assumed: that what the kernel does beyond the model stays as it is under every scheme, that \
         it is done where the model carries it (per folio and per page under the PTE-table lock, and under \
         the page lock where a scheme holds that), and that none of it contends but what the model models: \
         the lines of folios, locks and gates.",
        calibration.scheme,
        parts.join(" ")
    )
}

/// Which of these would bring most.
fn best(what: &str, projected: &[&Projected]) -> String {
    let told = projected
        .iter()
        .filter(|it| !it.again && it.verdict == Some(Verdict::Faster));
    let best = told.max_by(|left, right| left.speed.median.total_cmp(&right.speed.median));
    match best {
        Some(it) => format!(
            "{what} {} would bring most: {}% ({}).",
            it.scheme,
            percent(it.speed.median),
            ends(&it.speed).join(" to ")
        ),
        None => format!("{what} no scheme is told to be faster than what the kernel has."),
    }
}
