//! What the counters read: the CPU's for each fault and each page, the kernel's for a million
//! faults, which have few of them.

use machine_facts::counters::{Event, Kind, Readings};
use measuring::summary::{GroupSummary, Row};

use super::labels::label;
use crate::document::{Block, Document, Table, fit};
use crate::record::Run;

/// Columns of a table.
const PER_TABLE: usize = 5;
const WIDTH: usize = 10;

pub(super) fn add(out: &mut Document, run: &Run, group: &GroupSummary) {
    let counted = |of_the_kernel: bool| -> Vec<&str> {
        let names = run.header.counters.counted.iter();
        let names = names.filter(|name| is_of_the_kernel(name) == of_the_kernel);
        names.map(String::as_str).collect()
    };
    let faults = |row: &Row| row.totals.faults as f64;
    let pages = |row: &Row| row.totals.pages_mapped as f64;
    let mut tables = |title: &str, names: Vec<&str>, many: &dyn Fn(&Row) -> f64| {
        for names in names.chunks(PER_TABLE) {
            out.push(Block::Table(table(run, group, title, names, many)));
        }
    };
    tables("counted per fault", counted(false), &faults);
    tables("counted per page", counted(false), &pages);
    tables("per million faults", counted(true), &|row| {
        faults(row) / 1e6
    });
    // The work is in the kernel, and who may count there is a matter of perf_event_paranoid.
    if run.configuration.is_kernel() && !counted(false).is_empty() {
        let text =
            "what the CPU counts is counted in user space alone: of a fault, all but nothing";
        out.note("counters", text);
    }
    let all = Readings::sum(group.rows.iter().map(|row| &row.counters));
    if let Some(text) = all.caveat() {
        out.note("counters", text);
    }
    let never = |name: &&String| {
        group
            .rows
            .iter()
            .all(|row| row.counters.count(name).is_none())
    };
    let never: Vec<_> = (run.header.counters.counted.iter())
        .filter(never)
        .map(String::as_str)
        .collect();
    if !never.is_empty() {
        let text = format!(
            "never counted, though the kernel took them: {}: something else had the CPU's \
             counters (the NMI watchdog, another perf)",
            never.join(", ")
        );
        out.note("counters", text);
    }
}

/// Whether the kernel counts this event, and not the CPU.
fn is_of_the_kernel(name: &str) -> bool {
    let mut standard = Event::STANDARD.iter();
    standard.any(|event| event.kind() == Kind::Software && event.name() == name)
}

fn table(
    run: &Run,
    group: &GroupSummary,
    title: &str,
    names: &[&str],
    many: &dyn Fn(&Row) -> f64,
) -> Table {
    let heads: Vec<_> = names.iter().map(|name| (short(name), WIDTH)).collect();
    let mut table = Table::new(title).columns(&heads);
    for row in &group.rows {
        let cell = |name: &&str| match row.counters.count(name) {
            Some(count) => fit(count / many(row), WIDTH),
            None => "-".to_owned(),
        };
        table.row(label(run, row), names.iter().map(cell).collect());
    }
    table
}

/// An event's name where there is little room.
fn short(name: &str) -> &str {
    match name {
        "instructions" => "instr",
        "llc_misses" => "LLC-miss",
        "branch_misses" => "br-miss",
        "page_faults" => "pgfaults",
        "context_switches" => "switches",
        "cpu_migrations" => "migrated",
        other => &other[..other.len().min(WIDTH - 1)],
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use machine_facts::counters::{Availability, Reading};

    fn run() -> Run {
        let mut run = fixture::Fixture::default().make().run;
        let events = ["cycles", "llc_misses", "page_faults", "r01d2"];
        run.header.counters = Availability {
            counted: events.map(str::to_owned).to_vec(),
            not_counted: Vec::new(),
        };
        for row in &mut run.summary[0].rows {
            row.totals.faults = 2_000_000;
            row.totals.pages_mapped = 32_000_000;
            let reading = |name: &str, count, running_share| Reading {
                name: name.to_owned(),
                count,
                running_share,
            };
            row.counters = Readings(vec![
                reading("cycles", Some(1.6e9), 1.0),
                reading("llc_misses", None, 0.0),
                reading("page_faults", Some(6.0), 1.0),
                reading("r01d2", Some(0.0), 0.25),
            ]);
        }
        run
    }

    #[test]
    fn the_cpus_counts_are_per_fault_and_per_page_and_the_kernels_per_million_faults() {
        let run = run();
        let mut out = Document::default();
        add(&mut out, &run, &run.summary[0]);
        let text = out.text();
        let after = |title: &str| -> Vec<&str> {
            let mut lines = text.lines().skip_while(|line| !line.starts_with(title));
            let head = lines.next().unwrap_or_else(|| panic!("{title}: {text}"));
            assert!(head.len() <= 72 && head.is_ascii());
            lines.next().unwrap().split_whitespace().collect()
        };
        // Missing is no 0.
        assert_eq!(after("counted per fault")[1..], ["800.0", "-", "0.000"]);
        assert_eq!(after("counted per page")[1..], ["50.00", "-", "0.000"]);
        assert_eq!(after("per million faults")[1..], ["3.000"]);
        let words: Vec<_> = text.split_whitespace().collect();
        let words = words.join(" ");
        assert!(words.contains("r01d2 25.0%"), "multiplexed: {text}");
        assert!(words.contains("never counted, though the kernel took them: llc_misses"));
    }

    #[test]
    fn a_run_that_counted_nothing_has_no_tables_of_it() {
        let mut run = fixture::Fixture::default().make().run;
        run.header.counters = Availability::default();
        let mut out = Document::default();
        add(&mut out, &run, &run.summary[0]);
        assert_eq!(out.text(), "");
    }
}
