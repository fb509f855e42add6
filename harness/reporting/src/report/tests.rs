use machine_facts::conditions::Conditions;
use machine_facts::text::COLUMNS;
use measuring::arrival::Arrival;
use measuring::rounds::{Control, Ended, Rounds};

use super::fixture::{Fixture, Made, jitter};
use super::*;

fn text_of(made: &Made) -> String {
    let measured = Measured {
        plan: &made.plan,
        results: &made.results,
    };
    let extras = Extras {
        latencies: Some(&measured),
        ..Extras::default()
    };
    let text = text(&made.run, &extras).unwrap();
    assert!(text.is_ascii(), "{text}");
    for line in text.lines() {
        assert!(line.len() <= COLUMNS && !line.ends_with(' '), "{line:?}");
    }
    text
}

/// Without where lines end, which a sentence doesn't depend on.
fn unfolded(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ")
}

fn line_of<'t>(text: &'t str, start: &str) -> &'t str {
    let mut lines = text.lines();
    let line = lines.find(|line| line.starts_with(start));
    line.unwrap_or_else(|| panic!("no line begins with {start:?}: {text}"))
}

#[test]
fn what_others_took_and_threads_that_started_apart_are_caveats() {
    let mut made = Fixture::default().make();
    let caveats = |made: &Made| caveats(&made.run);
    let own = caveats(&made);
    assert_eq!(own, made.run.header.caveats);
    // Of 8 CPUs in 10 s.
    (made.run.elapsed_s, made.run.stolen_s) = (10.0, Some(0.79));
    let cells = &mut made.run.summary[0].rows[1].start_skew_ns;
    cells.median = 1_990_000.0;
    let gaps = |share: f64| {
        serde_json::from_value(serde_json::json!([{
            "cpu": 3, "watched_ns": 1_000_000, "reads": 9, "p50_ns": null, "p99_ns": null,
            "p999_ns": null, "p9999_ns": null, "max_ns": 9, "gaps": [], "lost_share": share,
        }]))
        .unwrap()
    };
    made.run.header.noise = gaps(0.009);
    assert_eq!(caveats(&made), own);
    made.run.stolen_s = Some(0.81);
    made.run.summary[0].rows[1].start_skew_ns.median = 4_059_891.0;
    made.run.header.noise = gaps(0.85);
    let expected = [
        "the hypervisor took 1.01 % of the CPUs' time in this run",
        "others took 85 % of CPU 3's time before the run, when it was watched",
        "threads started up to 4.0 ms apart (largest median), of 200 ms that are measured",
    ];
    assert_eq!(caveats(&made)[..3], expected);
    let text = unfolded(&text_of(&made));
    assert!(text.contains("within 4.0 ms of each other"), "{text}");
    let comparison = crate::compare::Comparison::of(&made.run, &Fixture::default().make().run);
    let compared = unfolded(&comparison.text());
    assert!(
        compared.contains(&format!("of A: {}", expected[0])),
        "{compared}"
    );
}

#[test]
fn the_summary_comes_first_and_words_and_marks_say_what_is_told_apart() {
    let text = text_of(&Fixture::default().make());
    let summary = text.find("pages/s, ratio").unwrap();
    assert!(summary < text.find("== none: 1 fault thread").unwrap());
    assert!(text.starts_with("Locking schemes for filemap_map_pages()"));
    let summary = &text[summary..];
    let fast = line_of(summary, "mapcount-recheck ");
    assert_eq!(fast.matches("2.000").count(), 2, "{fast}");
    assert!(!fast.contains('~'), "{fast}");
    assert_eq!(line_of(summary, "folio-batched ").matches('~').count(), 2);
    assert!(!line_of(summary, "page-locked A/A").contains('~'));
    assert_eq!(
        line_of(summary, "least that can show")
            .matches("1.0%")
            .count(),
        2
    );
    let words = unfolded(&text);
    for part in [
        "faster under all 2 loads: mapcount-recheck 2.00",
        "not told apart from page-locked anywhere: folio-batched;",
        "no scheme is told apart from page-locked by the remover's speed",
    ] {
        assert!(words.contains(part), "{part}: {text}");
    }
}

#[test]
fn schemes_of_which_the_same_is_found_share_a_sentence_and_it_names_the_loads() {
    let fixture = Fixture {
        schemes: vec!["page-locked", "folio-batched", "mapcount-recheck", "sketch"],
        speed: |cell, storm, round| match (cell, storm) {
            ("mapcount-recheck", "none") => 1.5,
            ("sketch", "none") => 1.75,
            ("sketch", "punch-hole") => 0.5,
            _ => jitter(round + 1) / jitter(round),
        },
        ..Fixture::default()
    };
    let words = unfolded(&text_of(&fixture.make()));
    for part in [
        "faster under none x1: mapcount-recheck 1.50, sketch (broken) 1.75",
        "slower under punch-hole x1: sketch (broken) 0.50",
        "anywhere: folio-batched; nor is what is marked ~",
        "BROKEN sketch: ",
        "to be sound: page-locked, folio-batched, mapcount-recheck",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
}

#[test]
fn few_rounds_show_nothing() {
    let rounds = 5;
    let text = text_of(
        &Fixture {
            rounds,
            ..Fixture::default()
        }
        .make(),
    );
    let words = unfolded(&text);
    assert!(words.contains("no scheme is told apart from page-locked by pages mapped"));
    assert!(!words.contains("faster under"), "{text}");
    assert!(
        words.contains("cover 94% at least, and nothing is told apart"),
        "{text}"
    );
}

#[test]
fn controls_are_rows_and_say_what_they_found() {
    let fixture = Fixture {
        controls: vec![Control::Planted(5.0), Control::Unrecorded],
        speed: |cell, storm, round| match (cell, storm) {
            ("page-locked-planted", "punch-hole") => 0.995,
            _ => (Fixture::default().speed)(cell, storm, round),
        },
        ..Fixture::default()
    };
    let made = fixture.make();
    let text = text_of(&made);
    let rows: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with("pages/s"))
        .collect();
    for (row, label) in [
        (2, "page-locked "),
        (3, "page-locked A/A "),
        (4, "page-locked +5% "),
        (5, "page-locked unrec. "),
    ] {
        assert!(rows[row].starts_with(label), "{label}: {text}");
    }
    let words = unfolded(&text);
    for part in [
        "planted slowdown of 5%: found under none x1 (by pages/s 0.950, 0.950-0.950; by p50",
        "NOT found, this run can't show 5% under punch-hole x1 (by pages/s 0.995",
        // A fifth of 640 ns.
        "none x1 20.0% (20.0% to 20.0%), 127.7 ns",
    ] {
        assert!(words.contains(part), "{part}: {text}");
    }
    let tsv = tsv(&made.run);
    let lines: Vec<Vec<&str>> = tsv.lines().map(|line| line.split('\t').collect()).collect();
    assert!(lines.iter().all(|fields| fields.len() == lines[0].len()));
    let schemes: Vec<&str> = lines[1..6].iter().map(|fields| fields[0]).collect();
    let expected = [
        "page-locked",
        "page-locked-planted",
        "page-locked-unrecorded",
        "folio-batched",
        "mapcount-recheck",
    ];
    assert_eq!(schemes, expected);
    let verdict = lines[0]
        .iter()
        .position(|name| *name == "ratio_verdict")
        .unwrap();
    let verdicts: Vec<&str> = lines[1..6].iter().map(|fields| fields[verdict]).collect();
    assert_eq!(
        verdicts,
        ["nan", "slower", "faster", "not-told-apart", "faster"]
    );
}

#[test]
fn a_baseline_that_differs_from_itself_is_a_caveat_and_hides_what_is_smaller() {
    let fixture = Fixture {
        speed: |cell, _, _| match cell {
            "page-locked-again" => 1.3,
            "mapcount-recheck" => 1.25,
            _ => 1.0,
        },
        ..Fixture::default()
    };
    let text = text_of(&fixture.make());
    assert!(unfolded(&text).contains("A/A misses 1: none x1 (1.300, 1.300-1.300), punch-hole"));
    assert_eq!(
        line_of(&text, "mapcount-recheck ")
            .matches("1.250~")
            .count(),
        2
    );
    assert_eq!(
        line_of(&text, "least that can show")
            .matches("30.0%")
            .count(),
        2
    );
    let quiet = text_of(&Fixture::default().make());
    assert!(!quiet.contains("misses"), "{quiet}");
}

#[test]
fn unstable_rounds_are_marked_and_counted_by_cause() {
    let fixture = Fixture {
        conditions: |cell, round| Conditions {
            stolen_ms: Some(if cell == "folio-batched" && round < 3 {
                10.0
            } else {
                0.0
            }),
            involuntary_switches: u64::from(cell == "folio-batched" && round == 0),
            ..Conditions::default()
        },
        ..Fixture::default()
    };
    let text = text_of(&fixture.make());
    let words = unfolded(&text);
    let part = "unstable 3 of 40 scheme rounds, all kept: stolen time 3, involuntary switches 1";
    assert_eq!(words.matches(part).count(), 2, "{text}");
    assert!(
        words.contains("unstable rounds (*): 6 of 80 scheme rounds"),
        "{text}"
    );
    let medians = &text[text.find("speed by p50           ratio").unwrap()..];
    assert!(line_of(medians, "folio-batched").ends_with("* 3"), "{text}");
    assert!(
        line_of(medians, "mapcount-recheck").ends_with(" 0"),
        "{text}"
    );
    assert!(!text_of(&Fixture::default().make()).contains("unstable rounds"));
}

#[test]
fn how_faults_came_and_how_rounds_ended_is_said() {
    let closed = Fixture::default().make();
    let words = unfolded(&text_of(&closed));
    assert!(words.contains("closed loop") && words.contains("rounds 10 rounds, as asked for"));
    let open = Fixture {
        arrival: Arrival::Poisson(1e5),
        arrived: 0.9,
        ..Fixture::default()
    };
    let mut open = open.make();
    open.run.configuration.rounds = Rounds::Auto {
        width: 0.05,
        limit_s: 60.0,
    };
    open.run.ended = Some(Ended::Narrow);
    let words = unfolded(&text_of(&open));
    for part in [
        "faults arrive as poisson:100000 per second, and latency runs from the intended start",
        "count the backlog: page-locked 90%",
        "until every interval of a ratio of pages/s was narrower than 5%",
        "faults arrive at 100000/s",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    open.run.ended = Some(Ended::TimeLimit);
    let words = unfolded(&text_of(&open));
    assert!(
        words.contains("10 rounds: the limit of 60 s was reached; the widest"),
        "{words}"
    );
    open.run.ended = None;
    open.run.complete = false;
    let text = text_of(&open);
    assert!(text.starts_with("INCOMPLETE"), "{text}");
    let kept = Fixture {
        arrival: Arrival::Fixed(1e5),
        ..Fixture::default()
    };
    assert!(!text_of(&kept.make()).contains("backlog"));
}

#[test]
fn many_schemes_under_many_loads_fit_the_columns_of_several_tables() {
    let all: Vec<&'static str> =
        kernel_model::fault_around::Schemes::<kernel_model::platform::Native>::ALL
            .iter()
            .map(|scheme| scheme.about().name)
            .collect();
    let storms = ["none", "punch-hole", "truncate", "mixed"];
    let groups = storms.iter().flat_map(|&storm| [(storm, 1), (storm, 7)]);
    let fixture = Fixture {
        schemes: all.clone(),
        groups: groups.collect(),
        controls: vec![Control::Planted(12.5), Control::Unrecorded],
        ..Fixture::default()
    };
    let text = text_of(&fixture.make());
    assert!(text.matches("\npages/s, ratio").count() > 1, "{text}");
    assert!(text.contains("\ninvalidate-only (broken)\n"), "{text}");
    for name in all {
        assert!(text.contains(name));
    }
    for storm in storms {
        let heads = text
            .lines()
            .filter(|line| line.starts_with("pages/s, ratio"));
        let named: usize = heads.map(|line| line.matches(storm).count()).sum();
        assert_eq!(named, 2, "{storm} x1 and x7: {text}");
        // The group with the most threads is plotted, and only that.
        let one = text.find(&format!("== {storm}: 1 fault thread,"));
        let one = one
            .or_else(|| text.find(&format!("== {storm}: 1 fault thread\n")))
            .unwrap();
        let seven = text.find(&format!("== {storm}: 7 fault threads")).unwrap();
        assert!(!text[one..seven].contains("by percentile"), "{storm}");
        let end = text[seven + 3..]
            .find("\n== ")
            .map(|end| seven + 3 + end)
            .unwrap();
        assert!(text[seven..end].contains("by percentile"), "{storm}");
    }
}

#[test]
fn markdown_has_the_figures_of_the_text() {
    let made = Fixture::default().make();
    let text = text_of(&made);
    let markdown = markdown(&made.run, &Extras::default()).unwrap();
    assert!(markdown.is_ascii() && markdown.contains("| mapcount-recheck | 2.000 | 2.000 |"));
    assert!(markdown.contains("### none: 1 fault thread") && !markdown.contains("== "));
    let line = line_of(&text, "folio-batched");
    for word in line.split_whitespace() {
        assert!(markdown.contains(&word.replace('~', "\\~")), "{word}");
    }
    // All rows of a table have as many cells as its head.
    let mut columns = 0;
    for line in markdown.lines() {
        let cells = line.matches('|').count();
        assert!(cells == 0 || columns == 0 || cells == columns, "{line}");
        columns = cells;
    }
}

#[test]
fn everything_may_be_plotted_or_nothing() {
    let made = Fixture::default().make();
    let measured = Measured {
        plan: &made.plan,
        results: &made.results,
    };
    for (plots, count) in [(Plots::Widest, 2), (Plots::All, 3), (Plots::None, 0)] {
        let extras = Extras {
            latencies: Some(&measured),
            plots,
            ..Extras::default()
        };
        let text = text(&made.run, &extras).unwrap();
        assert_eq!(
            text.matches("latency by percentile").count(),
            count,
            "{text}"
        );
    }
}

/// What must not be said of files of the running kernel.
#[test]
fn a_run_of_the_kernel_says_so_and_has_no_figures_of_what_nobody_counted() {
    let mut made = Fixture::default().make().of_the_kernel();
    for row in &mut made.run.summary[1].rows {
        (row.totals.faults, row.totals.sigbus) = (20_000, 200);
    }
    let text = text_of(&made);
    let words = unfolded(&text);
    for part in [
        "The running kernel, 6.18.0-test, timed from user space through mmap() and page faults",
        "3 files under 2 loads",
        "no file is told apart from page-locked by the remover's speed",
        "files page-locked: what page-locked is; folio-batched: what",
        "windows of 16 as found, sequential; holes of 64 pages, which the storm brings back",
        "files interleaved in random order",
        "counted in /proc/self/pagemap",
        "each fault thread is a process of its own, the storm is in another",
        "one that does takes some 2026 ns",
        "bus% each touch counted in bus% took 2026 ns (median before the run): the fault",
        "folios not counted: the kernel does not tell what a system call removed",
        "its stamp, or 0 where a hole was read back",
    ] {
        assert!(words.contains(part), "{part}: {text}");
    }
    for part in [
        "cheme",
        "under no",
        "no kernel was",
        "sound",
        "readahead",
        "reads of",
        "folios of order",
        "bare",
        "transient-mapcount",
        "SLOWED",
    ] {
        // The checker's verdicts are said to be of others.
        let words = words.replace("model's schemes", "");
        assert!(!words.contains(part), "{part}: {text}");
    }
    let counts = &text[text.rfind("fault path, per kf").unwrap()..];
    let row: Vec<_> = line_of(counts, "folio-batched")
        .split_whitespace()
        .collect();
    assert_eq!(row[2..7], ["-", "1.00", "-", "-", "-"], "{row:?}");
    let tsv = tsv(&made.run);
    let lines: Vec<Vec<&str>> = tsv.lines().map(|line| line.split('\t').collect()).collect();
    let at = |name: &str| lines[0].iter().position(|it| *it == name).unwrap();
    for name in [
        "slow_path_share",
        "skipped_locked",
        "undone",
        "slot_changed",
        "filled",
        "transient_mapcount",
        "gate_closed",
        "violations",
    ] {
        assert!(
            lines[1..].iter().all(|line| line[at(name)] == "nan"),
            "{name}"
        );
    }
    let punched = lines.iter().find(|line| line[1] == "punch-hole").unwrap();
    assert_eq!(
        (punched[at("sigbus")], punched[at("kernel")]),
        ("200", "true")
    );
}

#[test]
fn a_run_of_the_model_says_what_its_loads_stand_for_and_who_refills() {
    let bare = Fixture::default().make();
    let words = unfolded(&text_of(&bare));
    assert!(words.contains("loads bare: the model's own work alone, the most that locking"));
    assert!(words.contains("faultaround calibrate and storm --calibrated FILE"));
    assert!(!words.contains("the storm brings back") && !words.contains("SIGBUS"));
    let mut both = Fixture {
        groups: vec![
            ("none", 1),
            ("none-calibrated", 1),
            ("punch-hole", 7),
            ("punch-hole-calibrated", 7),
        ],
        ..Fixture::default()
    };
    let mut made = both.make();
    made.run.configuration.setup.sizes.refill = true;
    let text = text_of(&made);
    let words = unfolded(&text);
    for part in [
        "loads bare ones, the model's own work alone, are the most that locking could matter; \
         calibrated ones, with the kernel's remaining work, are what a user would see",
        "the storm brings back what it removed;",
        "== punch-hole, calibrated: 7 fault threads, 1 storm thread",
    ] {
        assert!(words.contains(part), "{part}: {text}");
    }
    let heads: Vec<_> = text
        .lines()
        .skip_while(|line| !line.starts_with("pages/s, ratio"))
        .take(3)
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .collect();
    assert_eq!(heads[0][2..], ["none", "none", "punch-hole", "punch-hole"]);
    assert_eq!(heads[1], ["calibrated", "calibrated"]);
    assert_eq!(heads[2], ["x1", "x1", "x7", "x7"]);
    both.groups = vec![("none-calibrated", 1)];
    let words = unfolded(&text_of(&both.make()));
    assert!(words.contains("loads calibrated: ") && words.contains("bare ones, without"));
}

#[test]
fn a_remover_that_takes_far_longer_is_slowed_by_a_scheme_and_slower_on_a_file() {
    let fixture = || Fixture {
        remover: |cell, _, _| {
            if cell == "mapcount-recheck" {
                0.25
            } else {
                1.0
            }
        },
        ..Fixture::default()
    };
    let words = unfolded(&text_of(&fixture().make()));
    assert!(
        words.contains("SLOWED mapcount-recheck slows the remover by 4.00 (3.992-4.008)"),
        "{words}"
    );
    let words = unfolded(&text_of(&fixture().make().of_the_kernel()));
    let said = "slower a removal from mapcount-recheck takes 4.00 (3.992-4.008) times as long";
    assert!(words.contains(said), "{words}");
    assert!(!words.contains("SLOWED"), "{words}");
}

/// By up to twelve powers of ten, another one for each cell and round.
fn wild(cell: &str, load: &str, round: u32) -> f64 {
    let mixed = (cell.len() * 7 + load.len() * 3 + round as usize * 5) % 13;
    10_f64.powi(mixed as i32 - 6)
}

/// Figures that no machine is known to give, and no machine is ruled out to.
#[test]
fn a_report_has_its_shape_whatever_was_measured() {
    type Speed = fn(&str, &str, u32) -> f64;
    let speeds: [(Speed, Speed); 4] = [
        (|_, _, _| 1e-9, |_, _, _| 1e9),
        (|_, _, _| 1e9, |_, _, _| 1e-9),
        (
            |cell, _, _| if cell == "page-locked" { 1e-6 } else { 1e6 },
            |cell, _, _| if cell == "page-locked" { 1e6 } else { 1e-6 },
        ),
        (wild, wild),
    ];
    let all_samples = [
        [1, 0],
        [2, 1],
        [19, 21],
        [20_000, 1_000],
        [u64::MAX >> 24, u64::MAX >> 24],
    ];
    let usual = Fixture::default().make().run;
    for (speed, remover) in speeds {
        for (rounds, samples) in [1, 3, 10]
            .into_iter()
            .flat_map(|rounds| all_samples.map(|samples| (rounds, samples)))
        {
            let fixture = Fixture {
                schemes: vec!["page-locked", "mapcount-recheck", "sketch"],
                controls: vec![Control::Planted(50.0), Control::Unrecorded],
                arrival: Arrival::Poisson(1e9),
                arrived: 1e-9,
                conditions: |_, _| Conditions {
                    stolen_ms: Some(1e6),
                    involuntary_switches: 1_000_000,
                    ..Conditions::default()
                },
                rounds,
                samples,
                speed,
                remover,
                ..Fixture::default()
            };
            for made in [fixture.make(), fixture.make().of_the_kernel()] {
                has_its_shape(&made, &usual);
            }
        }
    }
}

/// Everything that a run is printed as has its columns, and each row is there.
fn has_its_shape(made: &Made, other: &crate::record::Run) {
    let text = text_of(made);
    let labels = [
        "page-locked ",
        "page-locked A/A ",
        "page-locked +50% ",
        "page-locked unrec. ",
        "mapcount-recheck ",
        "sketch (broken) ",
        "least that can show ",
    ];
    let summary = &text[text.find("\npages/s, ratio").expect("a summary")..];
    for (line, label) in summary.trim_start().lines().skip(2).zip(labels) {
        assert!(line.starts_with(label), "{label}: {text}");
    }
    for load in ["none", "punch-hole"] {
        let group = &text[text.find(&format!("== {load}: ")).expect(load)..];
        for label in &labels[..6] {
            line_of(group, label);
        }
    }
    let short = Extras {
        short: true,
        ..Extras::default()
    };
    let short = super::text(&made.run, &short).unwrap();
    let fits = |text: &str| text.lines().all(|line| line.len() <= COLUMNS);
    assert!(fits(&short), "{short}");
    let markdown = markdown(&made.run, &Extras::default()).unwrap();
    assert_eq!(
        markdown.matches("| sketch (broken) |").count(),
        12,
        "{markdown}"
    );
    let columns = |line: &str| line.matches('\t').count();
    let tsv = tsv(&made.run);
    let heads = columns(tsv.lines().next().unwrap());
    assert!(tsv.lines().all(|line| columns(line) == heads), "{tsv}");
    for (a, b) in [(&made.run, &made.run), (&made.run, other)] {
        let compared = crate::compare::Comparison::of(a, b).text();
        assert!(compared.is_ascii() && fits(&compared), "{compared}");
    }
}
