//! The table of verdicts.

use std::fmt::Write;
use std::time::Duration;

use checking::{Cell, Ended, Exploration, LOOM_REMEMBERS};
use kernel_model::platform::checked::Mutation;
use kernel_model::race::{self, Explored, Family, Graded, Scheme, Verdict};
use machine_facts::text::wrap;

use crate::command::output::Format;

/// What was explored, and what came of it.
pub(super) struct Outcome<'a> {
    pub(super) explored: &'a [(Cell, Exploration)],
    pub(super) mutation: &'a Mutation,
    pub(super) elapsed: Duration,
    pub(super) complete: bool,
}

impl Outcome<'_> {
    fn all(&self) -> impl Iterator<Item = (&Cell, &Exploration)> {
        self.explored.iter().map(|(cell, it)| (cell, it))
    }

    /// The cells in which an invariant was violated.
    fn violations(&self) -> impl Iterator<Item = (&Cell, &Exploration)> {
        self.all().filter(|(_, it)| it.violated().is_some())
    }

    /// The violations that a scheme doesn't declare of itself: those that a change brought about.
    fn caught(&self) -> impl Iterator<Item = (&Cell, &Exploration)> {
        self.violations()
            .filter(|(cell, _)| cell.declared().is_empty())
    }

    /// What is to be shown by traces.
    pub(super) fn shown(&self) -> Vec<Cell> {
        let is_shown = |(cell, it): &(&Cell, &Exploration)| {
            let violates = it.violated().is_some();
            let counts = !self.is_mutated() || cell.declared().is_empty();
            violates && counts || it.panicked()
        };
        self.all().filter(is_shown).map(|(cell, _)| *cell).collect()
    }

    /// Of each scheme the first cell that showed a graded outcome and can be traced.
    pub(super) fn showing(&self, graded: Graded) -> Vec<Cell> {
        let first = |scheme| {
            let mut seen = self.showing_of(scheme, graded);
            seen.find(|(cell, _)| !cell.scenario.is_at_random())
        };
        let firsts = self.schemes().filter_map(|(_, scheme)| first(scheme));
        firsts.map(|(cell, _)| *cell).collect()
    }

    /// Whether somebody has changed the code: it is to be caught then.
    fn is_mutated(&self) -> bool {
        *self.mutation != Mutation::NONE
    }

    /// Whether all is as it is declared: each verdict; and where a scheme was explored in all
    /// scenarios, whether each graded outcome was seen. A mutation is to be caught somewhere.
    pub(super) fn is_as_declared(&self) -> bool {
        if self.is_mutated() {
            let panicked = self.all().any(|(_, it)| it.panicked());
            return self.caught().next().is_some() && !panicked;
        }
        let verdicts = self
            .all()
            .all(|(cell, it)| it.is_declared(&cell.declared()));
        let grades = self.schemes().all(|(family, scheme)| {
            let is_wrong = |graded| self.graded_is_declared(family, scheme, graded) == Some(false);
            !family.graded.iter().any(|&graded| is_wrong(graded))
        });
        verdicts && grades && self.complete
    }

    /// The schemes, each once, with their families.
    fn schemes(&self) -> impl Iterator<Item = (&'static Family, &'static Scheme)> {
        let mut before = "";
        let schemes = self.all().map(|(cell, _)| (cell.family, cell.scheme));
        schemes.filter(move |(_, it)| std::mem::replace(&mut before, it.name) != it.name)
    }

    /// The cells of a scheme that showed a graded outcome.
    fn showing_of(
        &self,
        scheme: &'static Scheme,
        graded: Graded,
    ) -> impl Iterator<Item = (&Cell, &Exploration)> {
        let cells = self.of(scheme);
        cells.filter(move |(cell, it)| it.showed(cell, graded) > 0)
    }

    /// The cells of a scheme.
    fn of(&self, scheme: &'static Scheme) -> impl Iterator<Item = (&Cell, &Exploration)> {
        self.all()
            .filter(move |(cell, _)| cell.scheme.name == scheme.name)
    }

    /// Whether a graded outcome was seen as the scheme declares. No answer where a violation may
    /// have come first, or where scenarios were left out in which it might have been seen.
    fn graded_is_declared(
        &self,
        family: &'static Family,
        scheme: &'static Scheme,
        graded: Graded,
    ) -> Option<bool> {
        let seen = self.showing_of(scheme, graded).next().is_some();
        let all = self.of(scheme).count() == (family.scenarios)().len();
        let whole = all && scheme.verdict.is_sound() && !self.is_mutated() && self.complete;
        (seen || whole).then_some(seen == scheme.shows.contains(&graded))
    }

    /// Where a graded outcome was seen.
    fn graded(&self, family: &'static Family, scheme: &'static Scheme, graded: Graded) -> String {
        let seen = self.showing_of(scheme, graded);
        let seen: Vec<_> = seen.map(|(cell, _)| cell.scenario.name).collect();
        let text = match seen[..] {
            [] => "not seen".to_owned(),
            _ => format!("seen in {}", seen.join(", ")),
        };
        match self.graded_is_declared(family, scheme, graded) {
            Some(false) if !self.is_mutated() => text + "; NOT AS DECLARED",
            _ => text,
        }
    }

    pub(super) fn print(&self, format: Format) -> String {
        match format {
            Format::Text => self.text(),
            Format::Tsv => self.tsv(),
            Format::Json => format!("{:#}\n", self.json()),
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        if self.is_mutated() {
            let changes = changes(self.mutation).join(", ");
            out.push_str(&wrap("CHANGED CODE: ", &changes));
            out.push('\n');
        }
        let scenarios = self.all().map(|(cell, _)| cell.scenario.name);
        let names = scenarios.chain(all_graded().into_iter().map(|it| it.name));
        let width = names.map(str::len).max().unwrap_or_default();
        let head = |name: &str| format!("  {name:<width$} ");
        for (family, scheme) in self.schemes() {
            let verdict = scheme.verdict;
            let declared = match verdict {
                Verdict::Sound { .. } => "sound".to_owned(),
                Verdict::Broken { .. } => {
                    let all = (family.scenarios)().into_iter();
                    let broken = all.filter(|it| !verdict.violates(it.tags).is_empty());
                    format!("BROKEN in {} scenarios", broken.count())
                }
            };
            let text = format!("declared {declared}: {}", verdict.why());
            out.push_str(&wrap(&format!("{}: ", scheme.name), &text));
            for (cell, exploration) in self.of(scheme) {
                let text = self.verdict(cell, exploration);
                out.push_str(&wrap(&head(cell.scenario.name), &text));
            }
            for &graded in family.graded {
                let text = self.graded(family, scheme, graded);
                out.push_str(&wrap(&head(graded.name), &text));
            }
            out.push('\n');
        }
        out.push_str(&self.closing());
        out
    }

    fn verdict(&self, cell: &Cell, exploration: &Exploration) -> String {
        let text = match &exploration.ended {
            Ended::Violated(_) | Ended::Panicked(_) => {
                let execution = grouped(exploration.executions);
                format!("{} (execution {execution})", told(&exploration.ended))
            }
            Ended::Exhausted => {
                let mark = if exploration.forgot_values() {
                    " *"
                } else {
                    ""
                };
                format!("ok ({}){mark}", extent(exploration))
            }
            Ended::Vacuous => {
                let unseen: Vec<_> = exploration.unseen(cell).map(|it| it.says).collect();
                let unseen = unseen.join(", ");
                format!("VACUOUS: never seen: {unseen} ({})", extent(exploration))
            }
            Ended::OutOfTime => format!("NO VERDICT: out of time, {}", extent(exploration)),
            Ended::Interrupted => "NO VERDICT: interrupted".to_owned(),
        };
        let declared = cell.declared();
        let suffix = match (self.is_mutated(), exploration.is_declared(&declared)) {
            (true, _) if !declared.is_empty() && exploration.violated().is_some() => {
                ", as it does unchanged".to_owned()
            }
            (true, _) | (false, true) => String::new(),
            (false, false) if declared.is_empty() => {
                "; NOT AS DECLARED: it is to be sound".to_owned()
            }
            (false, false) => {
                let names: Vec<_> = declared.iter().map(|it| it.name).collect();
                format!("; NOT AS DECLARED: it is to violate {}", names.join(" or "))
            }
        };
        text + &suffix
    }

    fn closing(&self) -> String {
        let mut out = String::new();
        let verdicts = self.explored.len();
        let seconds = self.elapsed.as_secs_f64();
        let executions: u64 = self.all().map(|(_, it)| it.executions).sum();
        let (reached, executions) = (
            many(verdicts as u64, "verdict"),
            many(executions, "execution"),
        );
        let work = format!("{reached} from {executions} in {seconds:.1} s");
        let text = if self.is_mutated() {
            let gave_up = self.all().any(|(_, it)| it.ended == Ended::OutOfTime);
            match self.caught().count() {
                0 if gave_up => format!("{work}: the change was not noticed in that time"),
                0 => format!("{work}: the change was NOT noticed"),
                caught => format!("{work}: the change was caught in {caught}"),
            }
        } else {
            let declared = self
                .all()
                .filter(|(cell, it)| it.is_declared(&cell.declared()));
            match declared.count() {
                all if all == verdicts => format!("{work}, all as declared"),
                some => format!("{work}, {} of them NOT AS DECLARED", verdicts - some),
            }
        };
        out.push_str(&wrap("", &(text + ".")));
        let is_ok = |it: &Exploration| it.ended == Ended::Exhausted;
        if self.all().any(|(_, it)| is_ok(it) && it.forgot_values()) {
            let text = format!(
                "a word had more values than the {LOOM_REMEMBERS} that Loom remembers; loads of \
                 older ones weren't tried"
            );
            out.push_str(&wrap("* ", &text));
        }
        if self.all().all(|(cell, _)| cell.scenario.is_at_random()) {
            return out;
        }
        out.push_str(&wrap(
            "",
            "\"ok\" means that no execution which Loom knows of goes wrong, within the bound. It \
             knows of no load that gets a value stored later (load buffering): docs/checking.md.",
        ));
        out
    }

    fn tsv(&self) -> String {
        let all_graded = all_graded();
        let graded: Vec<_> = all_graded.iter().map(column).collect();
        let graded = graded.join("\t");
        let mut out = format!(
            "family\tscheme\tscenario\tdeclared\tverdict\tas_declared\texecutions\tbound\tchecker\t\
             not_exhausted\tforgot_values\t{graded}\tseen\telapsed_s",
        );
        out.push('\n');
        for (cell, it) in self.all() {
            let declared: Vec<_> = cell.declared().iter().map(|it| it.name).collect();
            let declared = match declared[..] {
                [] => "ok".to_owned(),
                _ => declared.join(","),
            };
            let showed = all_graded.iter().map(|graded| it.showed(cell, *graded));
            let showed: Vec<_> = showed.map(|executions| executions.to_string()).collect();
            let _ = writeln!(
                out,
                "{}\t{}\t{}\t{declared}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{:.3}",
                cell.family.name,
                cell.scheme.name,
                cell.scenario.name,
                it.ended.name(),
                it.is_declared(&cell.declared()),
                it.executions,
                bound(it.explored),
                checker(it.explored),
                it.not_exhausted
                    .map_or("nan".to_owned(), |it| it.to_string()),
                it.forgot_values(),
                showed.join("\t"),
                seen(cell, it).join("; "),
                it.elapsed.as_secs_f64(),
            );
        }
        out
    }

    fn json(&self) -> serde_json::Value {
        let cells: Vec<_> = self
            .all()
            .map(|(cell, it)| {
                let declared: Vec<_> = cell.declared().iter().map(|it| it.name).collect();
                let mut json = serde_json::json!({
                    "family": cell.family.name,
                    "scheme": cell.scheme.name,
                    "scenario": cell.scenario.name,
                    "declared_violations": declared,
                    "verdict": it.ended.name(),
                    "detail": it.ended.detail(),
                    "as_declared": it.is_declared(&cell.declared()),
                    "executions": it.executions,
                    "bound": match it.explored {
                        Explored::Exhaustively { bound } => bound,
                        Explored::AtRandom { .. } => None,
                    },
                    "not_exhausted": it.not_exhausted,
                    "forgot_values": it.forgot_values(),
                    "checker": checker(it.explored),
                    "seen": seen(cell, it),
                    "longest_history": it.longest_history,
                    "elapsed_s": it.elapsed.as_secs_f64(),
                });
                for graded in cell.family.graded {
                    json[column(graded)] = it.showed(cell, *graded).into();
                }
                json
            })
            .collect();
        serde_json::json!({
            "complete": self.complete,
            "changes": changes(self.mutation),
            "elapsed_s": self.elapsed.as_secs_f64(),
            "verdicts": cells,
        })
    }
}

/// The graded outcomes of all families, each once.
fn all_graded() -> Vec<Graded> {
    let mut all: Vec<Graded> = Vec::new();
    for graded in race::families().flat_map(|family| family.graded) {
        if !all.contains(graded) {
            all.push(*graded);
        }
    }
    all
}

/// The name of a graded outcome's column.
fn column(graded: &Graded) -> String {
    graded.name.replace('-', "_")
}

/// What must be seen, and in how many executions it was.
fn seen(cell: &Cell, exploration: &Exploration) -> Vec<String> {
    let seen = exploration.seen_of(cell);
    seen.map(|(clause, executions)| format!("{}: {executions}", clause.says))
        .collect()
}

/// How far an exploration went.
fn extent(exploration: &Exploration) -> String {
    let executions = many(exploration.executions, "execution");
    let mut text = match exploration.explored {
        Explored::Exhaustively { bound: None } if exploration.ended == Ended::Exhausted => {
            format!("{executions}, complete")
        }
        Explored::Exhaustively { bound: None } => executions,
        Explored::Exhaustively { bound: Some(bound) } => {
            format!("{executions}, bound {bound}")
        }
        Explored::AtRandom { .. } => many(exploration.executions, "random schedule"),
    };
    if let Some(beyond) = exploration.not_exhausted {
        let beyond = grouped(beyond);
        let _ = write!(text, "; no end in {beyond} without a bound");
    }
    text
}

/// What went wrong, of an exploration in which something did.
pub(in crate::command) fn told(ended: &Ended) -> String {
    match ended {
        Ended::Panicked(panic) => format!("PANICKED: {panic}"),
        ended => format!("VIOLATES {}", ended.name()),
    }
}

fn bound(explored: Explored) -> String {
    match explored {
        Explored::Exhaustively { bound: Some(bound) } => bound.to_string(),
        Explored::Exhaustively { bound: None } => "none".to_owned(),
        Explored::AtRandom { .. } => "nan".to_owned(),
    }
}

fn checker(explored: Explored) -> &'static str {
    match explored {
        Explored::Exhaustively { .. } => "loom",
        Explored::AtRandom { .. } => "shuttle",
    }
}

/// What was changed, each in a few words.
fn changes(mutation: &Mutation) -> Vec<String> {
    let weakened = mutation.weakened.iter().map(|(site, order)| {
        let order = format!("{order:?}").to_lowercase();
        format!("{site} is {order}")
    });
    let left_out = mutation
        .left_out
        .iter()
        .map(|site| format!("without {site}"));
    weakened.chain(left_out).collect()
}

/// So many of something.
pub(in crate::command) fn many(number: u64, of: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {of}{plural}", grouped(number))
}

/// A number with its thousands set apart.
pub(in crate::command) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use checking::{Found, Panic};
    use kernel_model::invariants::RIGHT_OFFSET;

    /// Verdicts of the first cells, one for each of these.
    fn outcome<R>(ended: &[Ended], mutation: &Mutation, ask: impl FnOnce(&Outcome<'_>) -> R) -> R {
        let exploration = |(cell, ended): (Cell, &Ended)| Exploration {
            explored: Explored::Exhaustively { bound: Some(2) },
            executions: 3,
            ended: ended.clone(),
            graded: vec![0; cell.family.graded.len()],
            // The last one is never seen.
            seen: vec![3, 0],
            longest_history: 0,
            not_exhausted: None,
            elapsed: Duration::ZERO,
        };
        let cells = Cell::all().into_iter().zip(ended);
        let explored: Vec<_> = cells
            .map(|(cell, ended)| (cell, exploration((cell, ended))))
            .collect();
        ask(&Outcome {
            explored: &explored,
            mutation,
            elapsed: Duration::ZERO,
            complete: true,
        })
    }

    #[test]
    fn no_panic_and_nothing_vacuous_passes_for_a_verdict() {
        let panicked = Ended::Panicked(Panic {
            message: "attempt to subtract with overflow".to_owned(),
            place: "removal/truncate.rs:7".to_owned(),
        });
        let all = [panicked.clone(), Ended::Vacuous, Ended::Exhausted];
        outcome(&all, &Mutation::NONE, |outcome| {
            let text = outcome.text();
            let words: Vec<_> = text.split_whitespace().collect();
            let text = words.join(" ");
            for part in [
                "PANICKED: attempt to subtract with overflow (removal/truncate.rs:7) (execution 3)",
                "VACUOUS: never seen: a folio left the page cache (3 executions, bound 2); NOT AS",
                "2 of them NOT AS DECLARED",
            ] {
                assert!(text.contains(part), "{part} in {text}");
            }
            assert!(!outcome.is_as_declared());
            let tsv = outcome.tsv();
            let verdicts: Vec<_> = tsv.lines().map(|line| line.split('\t').nth(4)).collect();
            let expected = ["verdict", "panicked", "vacuous", "ok"].map(Some);
            assert_eq!(verdicts, expected);
            let json = outcome.json();
            assert_eq!(json["verdicts"][0]["as_declared"], false);
            assert_eq!(
                json["verdicts"][0]["detail"],
                "attempt to subtract with overflow (removal/truncate.rs:7)"
            );
            assert_eq!(
                json["verdicts"][1]["seen"][1],
                "a folio left the page cache: 0"
            );
        });
        outcome(&[Ended::Exhausted], &Mutation::NONE, |outcome| {
            assert!(outcome.is_as_declared());
        });
        // A panic of changed code isn't how a change is caught.
        let mut changed = Mutation::NONE;
        changed.left_out.push("luck");
        let caught = Ended::Violated(Found {
            invariant: RIGHT_OFFSET,
            detail: String::new(),
        });
        for (ended, is_caught) in [
            (vec![caught.clone()], true),
            (vec![caught, panicked], false),
        ] {
            outcome(&ended, &changed, |outcome| {
                assert_eq!(outcome.is_as_declared(), is_caught, "{ended:?}");
            });
        }
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(many(1, "execution"), "1 execution");
        assert_eq!(many(1_000, "execution"), "1,000 executions");
    }
}
