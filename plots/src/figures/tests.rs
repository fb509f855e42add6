//! Figures of runs that are made here, with all schemes there are, and written to the disk.

use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;
use kernel_model::fault_around::Schemes;
use kernel_model::platform::Native;
use machine_facts::histogram::new_histogram;
use machine_facts::statistics::Latency;
use measuring::cell::Setup;
use measuring::fixture::{removals, round_of};
use measuring::machine::Sizes;
use measuring::order::Access;
use measuring::rounds::{
    CellRound, Control, Ended, Finished, Group, Key, Plan, RemoverRound, Rounds,
};
use measuring::storms::Storms;
use measuring::summary::Results;
use reporting::record::{Header, Run};
use reporting::writer::RunWriter;

use super::*;
use crate::chart::{Content, Marks, Row, Scale, Series};
use crate::render::misplaced_text;

/// What tests change of a run.
#[derive(Clone, Copy)]
struct Made {
    window: u32,
    rate: f64,
    threads: &'static [u32],
    faults: u64,
    access: Access,
    /// How much longer the second scheme's faults take in some rounds.
    starved: f64,
}

const MADE: Made = Made {
    window: 16,
    rate: 5000.0,
    threads: &[1, 2],
    faults: 4000,
    access: Access::Sequential,
    starved: 1.0,
};

fn latencies(count: u64, ns: u64) -> Histogram<u64> {
    let mut latencies = new_histogram();
    for at in 1..=count {
        latencies.record(ns + ns * 20 / at).unwrap();
    }
    latencies
}

impl Made {
    fn cell(&self, plan: &Plan, key: Key, round: u32) -> Finished {
        let cell = plan.cell(key);
        let storms = !cell.storm.removers().is_empty();
        let mut ns_per_page = 30.0 + 4.0 * key.scheme as f64 + f64::from(round % 3);
        if key.scheme == 1 && round >= 3 {
            ns_per_page *= self.starved;
        }
        let faults = latencies(self.faults, 16 * ns_per_page as u64);
        let operations = latencies(if storms { 400 } else { 0 }, 9000);
        let remover = storms.then(|| RemoverRound {
            latency: Latency::of(&operations),
            ..removals(400, self.rate)
        });
        let figures = CellRound {
            faults_per_s: 1e9 / ns_per_page / 16.0,
            pages_per_s: f64::from(cell.fault_threads) * 1e9 / ns_per_page,
            ns_per_page,
            latency: Latency::of(&faults),
            remover,
            ..round_of(&cell, key.variant, round)
        };
        Finished {
            key,
            cell: figures,
            faults,
            operations,
        }
    }

    /// Writes the run, and gives its directory.
    fn write(&self, out: &Path) -> PathBuf {
        let groups = ["none", "punch-hole"].into_iter().flat_map(|storm| {
            let group = move |fault_threads: &u32| Group {
                storm: Storms::<Native>::named(storm).unwrap(),
                fault_threads: *fault_threads,
                calibrated: false,
            };
            self.threads.iter().map(group)
        });
        let plan = Plan {
            subjects: Schemes::<Native>::ALL
                .iter()
                .map(|it| (*it).into())
                .collect(),
            groups: groups.collect(),
            rounds: Rounds::Fixed(6),
            controls: vec![Control::Planted(50.0), Control::Unrecorded],
            seed: 1,
        };
        let setup = measuring::fixture::setup();
        let setup = Setup {
            sizes: Sizes {
                window_pages: self.window,
                readahead_pages: self.window,
                hole_pages: 4 * self.window,
                ..setup.sizes
            },
            access: self.access,
            rate_per_s: Some(self.rate),
            ..setup
        };
        let mut results = Results::default();
        for round in 0..6 {
            for key in (0..plan.groups.len()).flat_map(|group| plan.keys_of(group)) {
                results.add(self.cell(&plan, key, round));
            }
        }
        let header = Header {
            left_out: Vec::new(),
            ..reporting::fixture::header()
        };
        let run = Run::new(&header, &plan, &setup, &results, Some(Ended::AllRounds));
        let writer = RunWriter::create(out, "storm", &plan).unwrap();
        writer.write(&run, &plan, &results).unwrap();
        writer.finish().unwrap()
    }
}

/// The figures of runs like these.
fn figures(made: &[Made]) -> Figures {
    let place = tempfile::tempdir().unwrap();
    let made = made.iter().enumerate();
    let directories = made.map(|(at, made)| made.write(&place.path().join(at.to_string())));
    let directories: Vec<PathBuf> = directories.collect();
    let sources = directories.iter().map(|it| Source::read(it).unwrap());
    Figures::of(&sources.collect::<Vec<_>>()).unwrap()
}

fn figure<'f>(figures: &'f Figures, name: &str) -> &'f Figure {
    let mut drawn = figures.drawn.iter();
    let named = drawn.find(|it| it.name == name);
    &named.unwrap_or_else(|| panic!("no {name}")).figure
}

fn lines(figure: &Figure, panel: usize) -> (&[Series], Scale) {
    match &figure.panels[panel].content {
        Content::Lines { series, y, .. } => (series, y.scale),
        Content::Rows { .. } => panic!("{} has rows", figure.title),
    }
}

#[test]
fn every_scheme_is_in_every_figure_no_control_is_and_no_text_covers_another() {
    let all = figures(&[
        MADE,
        Made { window: 64, ..MADE },
        Made { rate: 9e4, ..MADE },
    ]);
    let kinds = ["latency-", "threads-", "windows-", "rates-"];
    assert!(
        kinds
            .iter()
            .all(|kind| all.drawn.iter().any(|it| it.name.starts_with(kind)))
    );
    for Named { name, figure } in &all.drawn {
        assert_eq!(misplaced_text(figure), None, "{name}");
        for panel in 0..figure.panels.len() {
            let (series, _) = lines(figure, panel);
            let names: Vec<_> = series.iter().map(|it| it.name.as_str()).collect();
            assert_eq!(
                names.len(),
                Schemes::<Native>::ALL.len() + 1,
                "{name}: {names:?}"
            );
            assert!(names.contains(&"sketch (broken)") && !names.contains(&"sketch"));
            let again = series.iter().find(|it| it.name == "page-locked A/A");
            assert_eq!(again.map(|it| it.marks), Some(Marks::None), "{name}");
        }
        let words = figure.subtitle.join(" ");
        for part in [
            "commit",
            "1970-01-01",
            "4096 pages",
            "6 rounds of 200 ms",
            "closed loop",
        ] {
            assert!(words.contains(part), "{name}: {part} in {words}");
        }
        assert!(figure.notes.iter().any(|it| it.contains("KVM")), "{name}");
    }
}

#[test]
fn the_remover_stands_beside_faults_where_there_is_one() {
    let all = figures(&[MADE]);
    assert_eq!(figure(&all, "latency-none-1").panels.len(), 1);
    let both = figure(&all, "latency-punch-hole-1");
    assert_eq!(both.panels.len(), 2);
    // 6 rounds of 400 operations, 10 of them beyond the last point.
    let (removals, _) = lines(both, 1);
    let last = removals[0].points.last().unwrap().0;
    assert!((0.99..1.0 - 10.0 / 2400.0).contains(&last), "{last}");
    assert!(
        both.notes.iter().any(|it| it.contains("2,400 to 2,400")),
        "{:?}",
        both.notes
    );
}

#[test]
fn curves_have_their_intervals_and_far_apart_values_a_logarithmic_axis() {
    let all = figures(&[MADE]);
    let threads = figure(&all, "threads-none");
    for panel in 0..2 {
        let (series, scale) = lines(threads, panel);
        assert_eq!(scale, Scale::Linear);
        let points = &series[0].points;
        assert_eq!(points.iter().map(|it| it.0).collect::<Vec<_>>(), [1.0, 2.0]);
        let band = series[0].band.as_ref().unwrap();
        let inside = points.iter().zip(band);
        let mut inside = inside.map(|((_, y), (low, high))| low <= y && y <= high && low < high);
        assert!(inside.all(|it| it), "{band:?}");
    }
    let starved = figures(&[Made {
        starved: 900.0,
        ..MADE
    }]);
    let (_, scale) = lines(figure(&starved, "threads-none"), 1);
    assert_eq!(scale, Scale::Log);
}

#[test]
fn one_number_of_threads_gives_points_with_whiskers() {
    let all = figures(&[Made {
        threads: &[2],
        ..MADE
    }]);
    let figure = figure(&all, "threads-punch-hole");
    assert_eq!(misplaced_text(figure), None);
    let Content::Rows { rows, .. } = &figure.panels[1].content else {
        panic!("rows");
    };
    assert_eq!(rows.len(), Schemes::<Native>::ALL.len() + 1);
    let whiskers = rows.iter().filter(|row| {
        matches!(
            row,
            Row::Dot {
                whisker: Some(_),
                ..
            }
        )
    });
    assert_eq!(whiskers.count(), rows.len());
}

#[test]
fn runs_that_differ_in_more_than_the_sweep_are_left_out_by_name() {
    let random = Made {
        window: 8,
        access: Access::Random,
        ..MADE
    };
    let all = figures(&[
        MADE,
        Made { window: 4, ..MADE },
        random,
        Made { window: 4, ..MADE },
    ]);
    let (series, _) = lines(figure(&all, "windows-none-1"), 0);
    let at: Vec<f64> = series[0].points.iter().map(|it| it.0).collect();
    assert_eq!(at, [4.0, 16.0], "by rising window, one run each");
    let said = |part: &str| all.left_out.iter().any(|it| it.contains(part));
    assert!(
        said("access (Random, not Sequential)"),
        "{:?}",
        all.left_out
    );
    assert!(said("a window of 4, as "), "{:?}", all.left_out);
    assert!(
        said("rates: takes runs with at least two rates"),
        "{:?}",
        all.left_out
    );
}

#[test]
fn without_ten_thousand_faults_there_is_no_tail() {
    let few = Made {
        faults: 1000,
        ..MADE
    };
    let all = figures(&[few, Made { rate: 9e4, ..few }]);
    assert!(all.drawn.iter().all(|it| !it.name.starts_with("rates")));
    assert!(
        all.left_out.iter().any(|it| it.contains("10,000")),
        "{:?}",
        all.left_out
    );
    let mixed = figures(&[MADE, Made { rate: 9e4, ..MADE }, Made { rate: 2e4, ..few }]);
    let rates = figure(&mixed, "rates-punch-hole-1");
    let note = rates
        .notes
        .iter()
        .find(|it| it.starts_with("Left out, since fewer than"));
    let note = note.unwrap_or_else(|| panic!("{:?}", rates.notes));
    for scheme in Schemes::<Native>::ALL {
        assert!(note.contains(scheme.about().name), "{note}");
    }
    assert!(note.contains("page-locked A/A at 1 rate"), "{note}");
    let (series, _) = lines(rates, 0);
    let at: Vec<f64> = series[0].points.iter().map(|it| it.0).collect();
    assert_eq!(at, [5000.0, 90_000.0], "the one with too few is no point");
}
