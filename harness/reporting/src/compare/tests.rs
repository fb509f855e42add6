use machine_facts::clock::Step;
use machine_facts::noise::Floor;
use machine_facts::statistics::Verdict;
use machine_facts::text::COLUMNS;

use super::*;
use crate::report::fixture::Fixture;

fn text_of(comparison: &Comparison) -> String {
    let text = comparison.text();
    assert!(text.is_ascii(), "{text}");
    for line in text.lines() {
        assert!(line.len() <= COLUMNS && !line.ends_with(' '), "{line:?}");
    }
    text
}

fn row<'c>(comparison: &'c Comparison, storm: &str, metric: Metric, label: &str) -> &'c Row {
    let groups = comparison
        .groups
        .iter()
        .filter(|group| group.storm == storm);
    let metrics = groups.flat_map(|group| &group.metrics);
    let mut rows = metrics
        .filter(|it| it.metric == metric)
        .flat_map(|it| &it.rows);
    rows.find(|row| row.label == label).unwrap()
}

fn rows(comparison: &Comparison) -> impl Iterator<Item = &Row> {
    let metrics = comparison.groups.iter().flat_map(|group| &group.metrics);
    metrics.flat_map(|metric| &metric.rows)
}

/// Everything a fifth faster, and mapcount-recheck another half.
fn faster() -> Fixture {
    Fixture {
        speed: |cell, _, round| match cell {
            "mapcount-recheck" => 1.2 * 3.0,
            _ => 1.2 * (Fixture::default().speed)(cell, "", round),
        },
        ..Fixture::default()
    }
}

#[test]
fn a_run_does_not_differ_from_itself() {
    let run = Fixture::default().make().run;
    let comparison = Comparison::of(&run, &run);
    assert!(comparison.differences.is_empty() && comparison.comparable == Comparable::All);
    assert_eq!(comparison.only, [Vec::<String>::new(), Vec::new()]);
    assert_eq!(comparison.groups.len(), 2);
    // Eight metrics with a storm, six without; the baseline has no ratio to itself.
    assert_eq!(rows(&comparison).count(), 6 * 4 - 1 + 8 * 4 - 1);
    for row in rows(&comparison) {
        assert_eq!(row.change.median, 1.0);
        assert_eq!(row.verdict, Some(Verdict::NotToldApart));
    }
    let text = text_of(&comparison);
    assert!(text.contains("differ in nothing but"), "{text}");
    for word in ["faster\n", "slower\n", "n/c\n", "NOT COMPARABLE"] {
        let tables = text.split("== how").next().unwrap().split("== ").skip(1);
        assert!(
            tables.into_iter().all(|table| !table.contains(word)),
            "{word}: {text}"
        );
    }
}

#[test]
fn what_has_changed_is_told_by_each_metric_in_its_own_direction() {
    let comparison = Comparison::of(&Fixture::default().make().run, &faster().make().run);
    let of = |metric, label| row(&comparison, "punch-hole", metric, label);
    for metric in [
        Metric::NsPerPage,
        Metric::PagesPerS,
        Metric::FaultP50,
        Metric::FaultP99,
    ] {
        let row = of(metric, "page-locked");
        assert_eq!(row.verdict, Some(Verdict::Faster), "{metric:?}");
        let expected = if metric.is_speed() { 1.2 } else { 1.0 / 1.2 };
        assert!(
            (row.change.median - expected).abs() < 0.01,
            "{metric:?} {row:?}"
        );
    }
    assert_eq!(
        of(Metric::FaultP99, "page-locked").samples,
        [200_000, 200_000]
    );
    assert_eq!(of(Metric::NsPerPage, "page-locked").samples, [0, 0]);
    // As fast as its own baseline before and after.
    let not = Some(Verdict::NotToldApart);
    assert_eq!(of(Metric::Ratio, "folio-batched").verdict, not);
    assert_eq!(of(Metric::RemoverP50, "mapcount-recheck").verdict, not);
    let ratio = of(Metric::Ratio, "mapcount-recheck");
    assert_eq!(ratio.verdict, Some(Verdict::Faster));
    assert!((ratio.change.median - 1.5).abs() < 0.01);
    let back = Comparison::of(&faster().make().run, &Fixture::default().make().run);
    let ratio = row(&back, "none", Metric::Ratio, "mapcount-recheck");
    assert_eq!(ratio.verdict, Some(Verdict::Slower));
    let text = text_of(&comparison);
    assert!(
        text.contains("+50.0%") && text.contains("  faster"),
        "{text}"
    );
}

#[test]
fn either_runs_noise_hides_a_change() {
    let noisy = Fixture {
        speed: |cell, _, round| match cell {
            "page-locked-again" if round % 2 == 0 => 1.9,
            _ => (faster().speed)(cell, "", round),
        },
        ..Fixture::default()
    };
    let (quiet, noisy) = (Fixture::default().make().run, noisy.make().run);
    for (a, b) in [(&quiet, &noisy), (&noisy, &quiet)] {
        let comparison = Comparison::of(a, b);
        // One goes up where the other goes down.
        for metric in [Metric::NsPerPage, Metric::PagesPerS] {
            let row = row(&comparison, "none", metric, "page-locked");
            assert_eq!(row.verdict, Some(Verdict::NotToldApart));
            assert!(row.least_shown.unwrap() > 1.5, "{row:?}");
        }
    }
}

#[test]
fn two_machines_are_compared_by_ratios_and_different_work_by_nothing() {
    let a = Fixture::default().make().run;
    let judged = |change: fn(&mut Run)| {
        let mut b = faster().make().run;
        change(&mut b);
        let comparison = Comparison::of(&a, &b);
        text_of(&comparison);
        let of = |metric| row(&comparison, "none", metric, "mapcount-recheck").verdict;
        (
            comparison.comparable,
            of(Metric::Ratio),
            of(Metric::NsPerPage),
        )
    };
    let faster = Some(Verdict::Faster);
    type Change = fn(&mut Run);
    let ratios: [Change; 10] = [
        |run| run.header.environment.processor.model = Some("another".to_owned()),
        |run| run.header.environment.virtualization.virtual_machine = Some(true),
        |run| run.header.environment.build.target = Some("aarch64".to_owned()),
        |run| run.configuration.setup.sizes.pages *= 2,
        |run| run.configuration.setup.sizes.hole_pages *= 2,
        |run| run.configuration.setup.sizes.readahead_pages *= 2,
        |run| run.configuration.setup.access = measuring::order::Access::Random,
        |run| run.configuration.setup.arrival = measuring::arrival::Arrival::Fixed(1e6),
        |run| run.configuration.setup.rate_per_s = None,
        |run| run.configuration.setup.storm_threads = 2,
    ];
    for change in ratios {
        assert_eq!(judged(change), (Comparable::Ratios, faster, None));
    }
    let nothing: [Change; 5] = [
        |run| run.configuration.setup.sizes.window_pages = 8,
        |run| run.configuration.setup.sizes.orders = kernel_model::Orders::All(4),
        |run| run.configuration.setup.mm = measuring::machine::MmKind::Shared,
        |run| run.header.environment.build.opt_level = Some("z".to_owned()),
        |run| {
            let build = &mut run.header.environment.build;
            build.debug_assertions = !build.debug_assertions;
        },
    ];
    for change in nothing {
        assert_eq!(judged(change), (Comparable::Nothing, None, None));
    }
    let all: [Change; 4] = [
        |run| run.header.environment.build.rustflags = Some("-C target-cpu=native".to_owned()),
        |run| run.header.environment.kernel.release = Some("7.1".to_owned()),
        |run| run.header.environment.build.commit = Some("abc".to_owned()),
        |run| run.configuration.setup.duration_ns *= 2,
    ];
    for change in all {
        assert_eq!(judged(change), (Comparable::All, faster, faster));
    }
}

#[test]
fn what_only_one_has_is_listed() {
    let a = Fixture::default().make().run;
    let b = Fixture {
        schemes: vec!["page-locked", "mapcount-recheck", "sketch"],
        groups: vec![("none", 1), ("none", 3)],
        ..Fixture::default()
    };
    let comparison = Comparison::of(&a, &b.make().run);
    let expected = [
        vec!["folio-batched in none x1", "all of punch-hole x1"],
        vec!["sketch (broken) in none x1", "all of none x3"],
    ];
    assert_eq!(comparison.only, expected);
    let text = text_of(&comparison);
    assert!(
        text.contains("only in A") && text.contains("all of none x3"),
        "{text}"
    );
}

#[test]
fn few_rounds_and_few_samples_claim_nothing() {
    let few = |fixture: Fixture| {
        Fixture {
            rounds: 4,
            ..fixture
        }
        .make()
        .run
    };
    let mut a = few(Fixture::default());
    let b = few(faster());
    // A run in which no round had enough faults for it.
    for latency in a.rounds.iter_mut().filter_map(|cell| cell.latency.as_mut()) {
        latency.p999_ns = None;
    }
    let comparison = Comparison::of(&a, &b);
    assert!(rows(&comparison).all(|row| row.verdict == Some(Verdict::NotToldApart)));
    let mut metrics = comparison.groups.iter().flat_map(|group| &group.metrics);
    assert!(metrics.all(|compared| compared.metric != Metric::FaultP999));
}

#[test]
fn the_table_for_programs_has_a_field_for_each_column() {
    let mut b = faster().make().run;
    b.header.environment.processor.model = Some("another".to_owned());
    let comparison = Comparison::of(&Fixture::default().make().run, &b);
    let tsv = comparison.tsv();
    let lines: Vec<Vec<&str>> = tsv.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines.len(), 1 + rows(&comparison).count());
    assert!(lines.iter().all(|fields| fields.len() == lines[0].len()));
    let last = |metric: &str| {
        let mut lines = lines.iter();
        let line = lines.find(|fields| fields[2] == "mapcount-recheck" && fields[3] == metric);
        *line.unwrap().last().unwrap()
    };
    assert_eq!(
        (last("pages/s to baseline"), last("ns/page")),
        ("faster", "not-comparable")
    );
}

#[test]
fn latencies_below_the_noise_floor_of_either_run_are_not_compared() {
    let run = Fixture::default().make().run;
    let mut noisy = run.clone();
    let baseline = &run.summary[0].rows[0];
    let p50_ns = baseline.latency.unwrap().p50_ns.unwrap();
    noisy.header.noise = vec![Floor {
        cpu: 0,
        watched_ns: 1_000_000,
        reads: 100_000,
        p50_ns: Some(1),
        p99_ns: Some(1),
        p999_ns: Some(p50_ns - 1),
        p9999_ns: None,
        max_ns: p50_ns,
        gaps: Vec::new(),
        lost_share: 0.0,
    }];
    let comparison = Comparison::of(&run, &noisy);
    let mut p50 = rows_of(&comparison, Metric::FaultP50);
    // Half as long as the baseline's, and so below.
    assert!(p50.all(|row| row.label != "mapcount-recheck"));
    assert!(rows_of(&comparison, Metric::FaultP50).any(|row| row.label == "page-locked"));
    assert!(rows_of(&comparison, Metric::NsPerPage).any(|row| row.label == "mapcount-recheck"));
}

fn rows_of(comparison: &Comparison, metric: Metric) -> impl Iterator<Item = &Row> {
    let metrics = comparison.groups.iter().flat_map(|group| &group.metrics);
    let metrics = metrics.filter(move |it| it.metric == metric);
    metrics.flat_map(|metric| &metric.rows)
}

#[test]
fn a_run_of_the_kernel_and_one_of_the_model_have_nothing_in_common_and_a_line_says_so() {
    let model = Fixture::default().make().run;
    let kernel = Fixture::default().make().of_the_kernel().run;
    let comparison = Comparison::of(&model, &kernel);
    assert_eq!(comparison.comparable, Comparable::Nothing);
    let text = text_of(&comparison);
    let words: Vec<_> = text.split_whitespace().collect();
    let line = "A is a run of the model, B of the running kernel: they have no rows in common.";
    assert!(words.join(" ").contains(line), "{text}");
    assert!(!text.contains("==") && !text.contains("only in"), "{text}");
    let same = Comparison::of(&kernel, &kernel);
    assert!(same.differences.is_empty() && same.comparable == Comparable::All);
}

#[test]
fn one_step_of_the_clock_is_no_difference() {
    let run = |speed: fn(&str, &str, u32) -> f64, step_ns| {
        let mut run = Fixture {
            speed,
            ..Fixture::default()
        }
        .make()
        .run;
        run.header.clock_step = Some(Step {
            ticks: 1.0,
            ns: step_ns,
        });
        run
    };
    let verdict = |step_ns| {
        // Medians of 180 and 190 ns.
        let a = run(|_, _, _| 600_000.5 / 181.0, step_ns);
        let b = run(|_, _, _| 600_000.5 / 191.0, step_ns);
        let comparison = Comparison::of(&a, &b);
        let row = row(&comparison, "none", Metric::FaultP50, "mapcount-recheck");
        assert!(row.change.lo < 1.05 && row.change.hi > 1.06, "{row:?}");
        row.verdict
    };
    assert_eq!(verdict(10.0), Some(Verdict::NotToldApart));
    assert_eq!(verdict(0.5), Some(Verdict::Slower));
}
