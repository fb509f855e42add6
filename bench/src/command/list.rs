//! `faultaround list`: what there is to run.

use std::collections::BTreeSet;

use kernel_model::platform::Native;
use kernel_model::race::{self, Explored, Family, Scheme, Tag, Verdict};
use machine_facts::counters::{Cpu, PRESETS};
use machine_facts::text::wrap;
use measuring::storms::Storms;

use super::failure::Failure;
use super::{host, output};

/// Prints the lists.
pub(super) fn run() -> Result<(), Failure> {
    output::print(&text())
}

fn text() -> String {
    let mut out = String::new();
    for family in race::families() {
        write_family(&mut out, family);
    }
    write_storms(&mut out);
    write_events(&mut out);
    out
}

/// What there is of a family.
fn write_family(out: &mut String, family: &'static Family) {
    let text = format!("{} ({})", family.question, family.source);
    out.push_str(&wrap(&format!("family {}: ", family.name), &text));
    out.push_str("\nschemes (--scheme)\n");
    for scheme in (family.schemes)() {
        write_scheme(out, family, scheme);
    }
    let names: BTreeSet<_> = (family.model_checks)().iter().map(|it| it.name).collect();
    if !names.is_empty() {
        let names: Vec<_> = names.into_iter().collect();
        let text = format!("also {}: checks of the model around them", names.join(", "));
        out.push_str(&wrap(&head("--without"), &text));
    }
    out.push_str("\nkinds of race (what a scheme is broken on)\n");
    for tag in family.tags {
        out.push_str(&wrap(&head(tag.name), tag.says));
    }
    write_scenarios(out, family);
    out.push_str("\ninvariants (check looks at all; audits and storms at what shows there)\n");
    for invariant in family.invariants {
        out.push_str(&wrap(&head(invariant.name), invariant.says));
    }
    for graded in family.graded {
        let text = format!("no invariant, but told: {}", graded.says);
        out.push_str(&wrap(&head(graded.name), &text));
    }
    out.push('\n');
}

fn write_storms(out: &mut String) {
    out.push_str("storms (--storm)\n");
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
}

/// What `check` explores.
fn write_scenarios(out: &mut String, family: &Family) {
    out.push_str("\nscenarios (check --scenario)\n");
    let scenarios = (family.scenarios)();
    let names = scenarios.iter().map(|scenario| scenario.name.len());
    let width = names.max().unwrap_or(0) + 2;
    for scenario in scenarios {
        let explored = match scenario.explored {
            Explored::Exhaustively { bound: None } => "all executions".to_owned(),
            Explored::Exhaustively { bound: Some(1) } => {
                "executions with one preemption at most".to_owned()
            }
            Explored::Exhaustively { bound: Some(bound) } => {
                format!("executions with up to {bound} preemptions")
            }
            Explored::AtRandom { schedules } => format!("{schedules} random schedules"),
        };
        let text = format!("{}; {explored}", scenario.summary);
        let head = format!("  {:<width$}", scenario.name);
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

/// Where a scheme's kinds of race are: storms, of the core family, and scenarios.
fn shown_by(family: &Family, verdict: Verdict) -> String {
    let shows = |tags: &[Tag]| !verdict.violates(tags).is_empty();
    let storms = Storms::<Native>::ALL.iter();
    let storms = storms.filter(|it| it.removers().iter().any(|it| shows(it.about().tags)));
    let storms: Vec<_> = storms.map(|it| it.about().name).collect();
    let scenarios = (family.scenarios)().into_iter();
    let scenarios = scenarios.filter(|it| shows(it.tags));
    let scenarios: Vec<_> = scenarios.map(|it| it.name).collect();
    let by_checker = format!("a checker shows it in {}", scenarios.join(", "));
    match storms[..] {
        [] => by_checker,
        _ => format!("audits show it under {}, {by_checker}", storms.join(", ")),
    }
}

/// What a broken scheme violates, kind of race by kind.
fn violations(on: &[(Tag, &[race::Invariant])]) -> String {
    let mut said: Vec<(Vec<&str>, String)> = Vec::new();
    for (tag, violates) in on {
        let names: Vec<_> = violates.iter().map(|invariant| invariant.name).collect();
        let names = names.join(", ");
        match said.last_mut() {
            Some((tags, same)) if *same == names => tags.push(tag.name),
            _ => said.push((vec![tag.name], names)),
        }
    }
    let said = said.iter();
    let said: Vec<_> = said
        .map(|(tags, names)| format!("{names} on {}", tags.join(", ")))
        .collect();
    said.join("; ")
}

fn write_scheme(out: &mut String, family: &'static Family, scheme: &'static Scheme) {
    out.push_str(&wrap(&head(scheme.name), scheme.lineage));
    let verdict = match scheme.verdict {
        Verdict::Sound { why } => format!("sound: {why}"),
        Verdict::Broken { on, why } => {
            let shown_by = shown_by(family, scheme.verdict);
            format!("BROKEN: {why}; violates {}; {shown_by}", violations(on))
        }
    };
    let names: Vec<_> = family.checks_of(scheme).map(|site| site.name).collect();
    let shows: Vec<_> = scheme.shows.iter().map(|graded| graded.name).collect();
    let mut rows = vec![
        ("does", scheme.summary.to_owned()),
        ("verdict", verdict),
        ("shows", shows.join(", ")),
    ];
    rows.extend((family.facts)(scheme));
    rows.push(("--without", names.join(", ")));
    for (name, text) in rows.into_iter().filter(|(_, text)| !text.is_empty()) {
        out.push_str(&wrap(&format!("    {name:<21}"), &text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel_model::fault_around::Schemes;
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
        for family in race::families() {
            let schemes = (family.schemes)().into_iter().map(|it| it.name);
            let scenarios = (family.scenarios)().into_iter().map(|it| it.name);
            let invariants = family.invariants.iter().map(|it| it.name);
            let named = schemes.chain(scenarios).chain(invariants);
            for name in named.chain([family.name]) {
                assert!(text.contains(name), "{name}");
            }
        }
        for storm in Storms::<Native>::ALL {
            assert!(text.contains(storm.about().name));
        }
        assert!(text.is_ascii());
        let widest = text.lines().max_by_key(|line| line.len()).unwrap();
        assert!(widest.len() <= COLUMNS, "{widest}");
        assert!(text.contains("BROKEN"), "broken schemes are labelled");
    }
}
