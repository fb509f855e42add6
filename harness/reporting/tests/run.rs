//! A small run from its plan to its directory.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use jiff::Timestamp;
use kernel_model::fault_around::{About, FaultAround, Schemes};
use kernel_model::page_table::Pte;
use kernel_model::platform::{Native, Site};
use kernel_model::removal::Duties;
use kernel_model::{MapPages, Mapped, Window};
use kernel_model::{Task, invariants};
use machine_facts::cancel::Cancel;
use machine_facts::clock::Clock;
use machine_facts::counters::Event;
use machine_facts::doctor::caveats;
use machine_facts::environment::Environment;
use machine_facts::statistics::Spread;
use machine_facts::topology::Topology;
use measuring::cell::{Cell, CellError, Setup, Subject, measure};
use measuring::fixture::{cell, small};
use measuring::machine::MmKind;
use measuring::order::Access;
use measuring::rounds::{self, Ended, Finished, Group, Observer, Plan, Rounds, Stopped, Variant};
use measuring::storms::Storms;
use measuring::summary::{Results, Row};
use reporting::record::{Header, Run};
use reporting::report;
use reporting::writer::RunWriter;

fn setup(mm: MmKind, access: Access) -> Setup {
    Setup {
        mm,
        access,
        events: Event::STANDARD.to_vec(),
        ..small()
    }
}

#[test]
fn a_quiet_cell_maps_every_page_by_fault_around_and_finds_nothing_wrong() {
    for scheme in ["page-locked", "mapcount-recheck"] {
        for (mm, access) in [
            (MmKind::Private, Access::Sequential),
            (MmKind::Shared, Access::Random),
        ] {
            let cell = cell(scheme, "none", 1);
            let start = Instant::now();
            let measured = measure(
                &cell,
                &setup(mm, access),
                1,
                &Clock::new(),
                &Cancel::default(),
            );
            let (measured, taken) = (measured.unwrap(), start.elapsed());
            assert_eq!(measured.violation_count, 0, "{:?}", measured.violations);
            let thread = &measured.fault_threads[0];
            let faults = thread.histogram.len();
            // One at least, however busy the CPU was.
            assert!(faults > 0);
            assert_eq!(thread.counters.mapped, faults * 16, "{scheme}, {mm:?}");
            assert_eq!(thread.counters.slow_faults, 0);
            let in_faults = u128::from(thread.in_faults_ns);
            assert!(in_faults > 0 && in_faults < taken.as_nanos(), "{in_faults}");
            assert!(measured.storm_threads.is_empty());
        }
    }
}

#[test]
fn a_storm_removes_faults_bring_back_and_the_counts_balance() {
    for storm in ["truncate", "punch-hole"] {
        for scheme in ["page-locked", "mapcount-recheck"] {
            let setup = Setup {
                rate_per_s: Some(2_000.0),
                // Long enough for all to run even where they share one busy CPU.
                duration_ns: 200_000_000,
                ..setup(MmKind::Private, Access::Random)
            };
            let cell = cell(scheme, storm, 1);
            let measured = measure(&cell, &setup, 1, &Clock::new(), &Cancel::default()).unwrap();
            assert_eq!(measured.violation_count, 0, "{:?}", measured.violations);
            let removed = measured.storm_threads[0].counters.removed;
            let filled: u64 = (measured.fault_threads.iter())
                .map(|thread| thread.counters.filled)
                .sum();
            assert!(
                removed > 0 && filled > 0,
                "{scheme} under {storm}: {removed}, {filled}"
            );
            assert!(!measured.storm_threads[0].histogram.is_empty());
        }
    }
}

/// Takes a reference too many for each page that it maps.
struct Careless;

const CARELESS_MAPCOUNT: Site = Site::rmw("careless_mapcount", Relaxed, "none", "nothing");

impl FaultAround<Native> for Careless {
    fn about(&self) -> &'static About {
        Schemes::<Native>::named("page-locked").unwrap().about()
    }
}

impl MapPages<Native> for Careless {
    fn map_pages(&self, window: &Window<'_, Native>, _task: &mut Task) -> Mapped {
        let mut mapped = Mapped::default();
        let slots = window.vma.mapping.slots(window.pgoffs.clone());
        for (pte, slot) in window.lock_ptes().iter_mut().zip(slots.iter()) {
            let Some(pfn) = slot.load() else { continue };
            let folio = window.system.memmap.folio(pfn);
            folio.get();
            folio.get();
            folio.mapcount_add(1, &CARELESS_MAPCOUNT);
            *pte = Pte::present(pfn);
            mapped.pages += 1;
        }
        mapped
    }
}

impl Duties<Native> for Careless {}

#[test]
fn what_is_wrong_at_the_end_is_found_and_named() {
    let cell = Cell {
        subject: Subject::Scheme(&Careless),
        calibrated: false,
        ..cell("page-locked", "none", 1)
    };
    let setup = setup(MmKind::Private, Access::Sequential);
    let measured = measure(&cell, &setup, 1, &Clock::new(), &Cancel::default()).unwrap();
    assert!(measured.violation_count > 0);
    let all = &measured.violations;
    assert!(
        all.iter()
            .all(|it| it.invariant == invariants::COUNTS_BALANCE),
        "{all:?}"
    );
}

#[test]
fn a_rate_is_kept() {
    let setup = Setup {
        rate_per_s: Some(2_000.0),
        duration_ns: 400_000_000,
        ..setup(MmKind::Private, Access::Sequential)
    };
    let cell = cell("page-locked", "punch-hole", 1);
    let measured = measure(&cell, &setup, 1, &Clock::new(), &Cancel::default()).unwrap();
    let operations = measured.storm_threads[0].histogram.len();
    // 400 ms at 2,000/s and no more; fewer only if the machine stopped the thread at the end.
    assert!((200..=801).contains(&operations), "{operations}");
}

#[test]
fn a_cpu_that_cannot_be_had_is_an_error_and_no_hang() {
    let setup = Setup {
        cpus: vec![60_000],
        ..setup(MmKind::Private, Access::Sequential)
    };
    let result = measure(
        &cell("page-locked", "punch-hole", 1),
        &setup,
        1,
        &Clock::new(),
        &Cancel::default(),
    );
    assert!(matches!(result, Err(CellError::Pin(_))), "{result:?}");
}

/// Collects, and stops the run after so many cells.
struct Collector {
    results: Results,
    cells_left: u32,
    cancel: Cancel,
    rounds_ended: u32,
}

impl Observer for Collector {
    fn cell_begins(&mut self, _round: u32, _scheme: &str, _storm: &str, _threads: u32) {}

    fn cell_ended(&mut self, finished: Finished) {
        self.results.add(finished);
        self.cells_left -= 1;
        if self.cells_left == 0 {
            self.cancel.request();
        }
    }

    fn round_ended(&mut self, _round: u32) -> Result<(), String> {
        self.rounds_ended += 1;
        Ok(())
    }

    fn widest_interval(&self) -> f64 {
        f64::INFINITY
    }
}

fn plan() -> Plan {
    let group = |storm, fault_threads| Group {
        storm: Storms::<Native>::named(storm).unwrap(),
        fault_threads,
        calibrated: false,
    };
    Plan {
        subjects: ["page-locked", "mapcount-recheck", "sketch"]
            .map(|name| Schemes::<Native>::named(name).unwrap().into())
            .to_vec(),
        groups: vec![group("none", 1), group("punch-hole", 1)],
        rounds: Rounds::Fixed(3),
        controls: Vec::new(),
        seed: 5,
    }
}

fn collect(plan: &Plan, setup: &Setup, cells: u32) -> (Collector, Result<Ended, Stopped>) {
    let cancel = Cancel::default();
    let mut collector = Collector {
        results: Results::default(),
        cells_left: cells,
        cancel: cancel.clone(),
        rounds_ended: 0,
    };
    let result = rounds::run(plan, setup, &Clock::new(), &cancel, &mut collector);
    (collector, result)
}

fn header() -> Header {
    let environment = Environment::capture(&Topology::detect().unwrap());
    Header {
        rerun: "cargo run --release -- storm --seed 5".to_owned(),
        started: Timestamp::now(),
        caveats: caveats(&environment),
        environment,
        ..reporting::fixture::header()
    }
}

fn text(run: &Run, plan: &Plan, results: &Results) -> String {
    let extras = report::Extras {
        latencies: Some(&report::Measured { plan, results }),
        ..report::Extras::default()
    };
    report::text(run, &extras).unwrap()
}

#[test]
fn a_run_is_summed_up_reported_and_put_on_the_disk() {
    let (plan, setup) = (plan(), setup(MmKind::Private, Access::Sequential));
    let (collector, result) = collect(&plan, &setup, u32::MAX);
    assert!(result.is_ok() && collector.rounds_ended == 3);
    let header = header();
    let run = Run::new(&header, &plan, &setup, &collector.results, result.ok());
    assert!(run.complete && run.rounds.len() == 24);
    for group in &run.summary {
        let names: Vec<_> = group
            .rows
            .iter()
            .map(|row| (row.scheme.as_str(), row.variant))
            .collect();
        let expected = [
            ("page-locked", Variant::Plain),
            ("page-locked", Variant::Again),
            ("mapcount-recheck", Variant::Plain),
            ("sketch", Variant::Plain),
        ];
        assert_eq!(names, expected);
        assert!(group.rows[0].ratio.is_none());
        for row in &group.rows {
            assert_eq!(row.rounds, 3);
            let latency = row.latency.unwrap();
            assert_eq!(latency.count, row.totals.faults);
            let cells = run.rounds.iter().filter(|cell| {
                (&cell.scheme, cell.variant, &cell.storm)
                    == (&row.scheme, row.variant, &group.storm)
            });
            let pages: u64 = cells
                .map(|cell| cell.pages_mapped.iter().sum::<u64>())
                .sum();
            assert_eq!(row.totals.pages_mapped, pages);
            assert_eq!(row.remover.is_some(), group.storm == "punch-hole");
        }
        let rates = |row: &Row| -> Vec<f64> {
            let key = (&row.scheme, row.variant, &group.storm);
            let cells = run.rounds.iter();
            let cells = cells.filter(|cell| (&cell.scheme, cell.variant, &cell.storm) == key);
            cells.map(|cell| cell.pages_per_s).collect()
        };
        let (ours, base) = (rates(&group.rows[2]), rates(&group.rows[0]));
        let ratios = ours.iter().zip(&base).map(|(ours, base)| ours / base);
        let ratio = group.rows[2].ratio.unwrap();
        assert_eq!(ratio.median, Spread::of(ratios).unwrap().median);
        assert!(ratio.lo <= ratio.median && ratio.median <= ratio.hi && ratio.values == 3);
    }

    let text = text(&run, &plan, &collector.results);
    assert!(
        text.is_ascii()
            && text
                .lines()
                .all(|line| line.len() <= machine_facts::text::COLUMNS),
        "{text}"
    );
    assert!(
        text.contains("\nsketch (broken) ") && text.contains("left out"),
        "{text}"
    );
    let tsv = report::tsv(&run);
    assert_eq!(tsv.lines().count(), 1 + 2 * 3, "{tsv}");

    let parent = tempfile::tempdir().unwrap();
    let writer = RunWriter::create(parent.path(), "test", &plan).unwrap();
    writer.write(&run, &plan, &collector.results).unwrap();
    let directory = writer.finish().unwrap();
    let written = std::fs::read_to_string(directory.join("report.txt")).unwrap();
    assert_eq!(written, text);
    // From the directory alone, the same text to the last character.
    let extras = report::Extras {
        latencies: Some(&report::Recorded(&directory)),
        ..report::Extras::default()
    };
    let read = Run::read(&directory).unwrap();
    assert_eq!(report::text(&read, &extras).unwrap(), text);
    let files = std::fs::read_dir(&directory).unwrap().count();
    // Three files of figures, and a table and a log of each side that has latencies: a storm that
    // others keep off its CPU may have none.
    let rows = run.summary.iter().flat_map(|group| &group.rows);
    let removers = rows.clone().filter_map(|row| row.remover.as_ref());
    let sides = rows.count() + removers.filter(|it| it.latency.is_some()).count();
    assert_eq!(files, 3 + 2 * sides);
}

#[test]
fn a_run_that_is_stopped_keeps_whole_cells_only_and_is_not_complete() {
    let (plan, setup) = (plan(), setup(MmKind::Private, Access::Sequential));
    let (collector, result) = collect(&plan, &setup, 9);
    assert!(matches!(result, Err(Stopped::Cell(CellError::Interrupted))));
    assert_eq!(
        (collector.results.cells().count(), collector.rounds_ended),
        (9, 1)
    );
    let header = header();
    let run = Run::new(&header, &plan, &setup, &collector.results, result.ok());
    assert!(!run.complete);
    assert!(text(&run, &plan, &collector.results).starts_with("INCOMPLETE"));
}
