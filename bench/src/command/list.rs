//! `faultaround list`: what there is to run.

use std::collections::BTreeSet;

use kernel_model::Graded;
use kernel_model::Invariant;
use kernel_model::fault_around::{About, Schemes, Verdict};
use kernel_model::platform::Native;
use kernel_model::scenario::{Explored, Scenarios};
use kernel_model::tag::{self, Tag};
use machine_facts::counters::{Cpu, PRESETS};
use machine_facts::text::wrap;
use measuring::storms::Storms;

use super::failure::Failure;
use super::{host, output};
use kernel_model::shared_checks;

/// Prints the lists.
pub(super) fn run() -> Result<(), Failure> {
    output::print(&text())
}

fn text() -> String {
    let mut out = String::from("schemes (--scheme)\n");
    for scheme in Schemes::<Native>::ALL {
        write_scheme(&mut out, scheme.about());
    }
    out.push_str("\nkinds of race (what a scheme is broken on)\n");
    for tag in tag::ALL {
        out.push_str(&wrap(&head(tag.name), tag.says));
    }
    out.push_str("\nstorms (--storm)\n");
    for storm in Storms::<Native>::ALL {
        let about = storm.about();
        let text = format!("{}; {}", about.lineage, about.summary);
        out.push_str(&wrap(&head(about.name), &text));
    }
    let text = format!(
        "{}, those that a process can make by system calls, on files of the running kernel: a memfd, \
         and with --dir those of another file system",
        storms_called().join(", ")
    );
    out.push_str(&wrap(&head("host has"), &text));
    let names: BTreeSet<_> = shared_checks().map(|site| site.name).collect();
    let names: Vec<_> = names.into_iter().collect();
    let text = format!(
        "also {}: checks of the removers and of the slow path",
        names.join(", ")
    );
    out.push_str(&wrap(&head("--without"), &text));
    write_scenarios(&mut out);
    write_events(&mut out);
    out.push_str("\ninvariants (check looks at all; audits and storms at what shows there)\n");
    for invariant in Invariant::ALL {
        out.push_str(&wrap(&head(invariant.name()), invariant.says()));
    }
    for graded in Graded::ALL {
        let text = format!("no invariant, but told: {}", graded.says());
        out.push_str(&wrap(&head(graded.name()), &text));
    }
    out
}

/// What `check` explores.
fn write_scenarios(out: &mut String) {
    out.push_str("\nscenarios (check --scenario)\n");
    let names = Scenarios::<Native>::ALL.iter();
    let names = names.map(|scenario| scenario.about().name.len());
    let width = names.max().unwrap_or(0) + 2;
    for scenario in Scenarios::<Native>::ALL {
        let about = scenario.about();
        let explored = match about.explored {
            Explored::Exhaustively { bound: None } => "all executions".to_owned(),
            Explored::Exhaustively { bound: Some(1) } => {
                "executions with one preemption at most".to_owned()
            }
            Explored::Exhaustively { bound: Some(bound) } => {
                format!("executions with up to {bound} preemptions")
            }
            Explored::AtRandom { schedules } => format!("{schedules} random schedules"),
        };
        let text = format!("{}; {explored}", about.summary);
        let head = format!("  {:<width$}", about.name);
        out.push_str(&wrap(&head, &text));
    }
}

/// Events that can be counted by name.
fn write_events(out: &mut String) {
    out.push_str("\nevents of CPUs (storm --event; rNNN is any other)\n");
    let cpu = Cpu::here();
    for preset in &PRESETS {
        let here = if preset.is_for(&cpu) {
            ""
        } else {
            " (not this CPU's)"
        };
        out.push_str(&wrap(&head(preset.name), &(preset.description() + here)));
    }
}

/// What an entry begins with.
fn head(name: &str) -> String {
    format!("  {name:<23}")
}

/// The storms of `host`.
fn storms_called() -> Vec<&'static str> {
    let storms = Storms::<Native>::ALL.iter().copied();
    let called = storms.filter(|storm| host::can_be_called(*storm));
    called.map(|storm| storm.about().name).collect()
}

/// The storms and the scenarios that show a scheme broken.
fn shown_by(verdict: Verdict) -> [String; 2] {
    let shows = |tags: &[Tag]| !verdict.violates(tags).is_empty();
    let storms = Storms::<Native>::ALL.iter();
    let storms = storms.filter(|it| it.removers().iter().any(|it| shows(it.about().tags)));
    let scenarios = Scenarios::<Native>::ALL.iter().map(|it| it.about());
    let storms: Vec<_> = storms.map(|it| it.about().name).collect();
    let scenarios: Vec<_> = scenarios
        .filter(|it| shows(it.tags))
        .map(|it| it.name)
        .collect();
    [storms.join(", "), scenarios.join(", ")]
}

/// The read-modify-writes for a window of 16 pages, by the order of its folios.
fn rmws(about: &About) -> String {
    let of = |order| about.rmws.of_window(16, order);
    format!(
        "{} (order 0), {} (order 2), {} (order 4)",
        of(0),
        of(2),
        of(4)
    )
}

fn write_scheme(out: &mut String, about: &About) {
    out.push_str(&wrap(&head(about.name), about.lineage));
    let names: Vec<_> = about.checks().map(|site| site.name).collect();
    let verdict = match about.verdict {
        Verdict::Sound { why } => format!("sound: {why}"),
        Verdict::Broken { on, violates, why } => {
            let violates: Vec<_> = violates.iter().map(|invariant| invariant.name()).collect();
            let on: Vec<_> = on.iter().map(|tag| tag.name).collect();
            let [storms, scenarios] = shown_by(about.verdict);
            format!(
                "BROKEN: {why}; violates {} on {}; audits show it under {storms}, a checker in \
                 {scenarios}",
                violates.join(", "),
                on.join(", "),
            )
        }
    };
    for (name, text) in [
        ("does", about.summary.to_owned()),
        ("verdict", verdict),
        (
            "costs",
            format!(
                "read-modify-writes for 16 pages: {}; lines that all faults on the file share, \
                 written per fault: {}; transient-mapcount: {}",
                rmws(about),
                about.shared_lines_per_fault,
                if about.transient_mapcount {
                    "shown"
                } else {
                    "never"
                }
            ),
        ),
        ("removers", about.asks_of_removers.to_owned()),
        ("--without", names.join(", ")),
    ] {
        out.push_str(&wrap(&format!("    {name:<21}"), &text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine_facts::text::COLUMNS;

    #[test]
    fn readme_has_the_read_modify_writes_that_are_declared() {
        let readme = include_str!("../../../README.md");
        for scheme in Schemes::<Native>::ALL {
            let about = scheme.about();
            let name = format!("`{}`", about.name);
            let mut rows = readme.lines().filter(|line| line.starts_with("| `"));
            let row = rows.find(|row| row.split('|').nth(1).is_some_and(|it| it.contains(&name)));
            let row = row.unwrap_or_else(|| panic!("no row of {name}"));
            let [order0, order4] = [0, 4].map(|order| about.rmws.of_window(16, order));
            let cell = row.split('|').nth(3).unwrap();
            let places = row.split('|').nth(1).unwrap().split(',');
            let place = places.take_while(|it| !it.contains(&name)).count();
            let declared = format!("{order0} / {order4}");
            let written = cell.split(',').nth(place).map(str::trim);
            assert!(
                written.is_some_and(|it| it.starts_with(&declared)),
                "{name}: {cell}"
            );
        }
    }

    #[test]
    fn everything_is_listed_within_the_width_of_a_mail() {
        let text = text();
        for scheme in Schemes::<Native>::ALL {
            assert!(text.contains(scheme.about().name));
        }
        for storm in Storms::<Native>::ALL {
            assert!(text.contains(storm.about().name));
        }
        for invariant in Invariant::ALL {
            assert!(text.contains(invariant.name()));
        }
        for scenario in Scenarios::<Native>::ALL {
            assert!(text.contains(scenario.about().name));
        }
        assert!(text.is_ascii());
        let widest = text.lines().max_by_key(|line| line.len()).unwrap();
        assert!(widest.len() <= COLUMNS, "{widest}");
        assert!(text.contains("BROKEN"), "broken schemes are labelled");
    }
}
