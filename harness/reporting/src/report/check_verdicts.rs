//! What is declared of the schemes that were run, and what the model checker found.

use std::path::Path;

use machine_facts::files::read_input;
use serde::Deserialize;

use crate::document::{Block, Document};
use crate::record::{ReadError, Run, SchemeInfo};

/// What `faultaround check --format json` has printed.
#[derive(Debug, Clone, Deserialize)]
pub struct CheckVerdicts {
    complete: bool,
    changes: Vec<String>,
    verdicts: Vec<CheckVerdict>,
}

/// One scheme in one scenario.
#[derive(Debug, Clone, Deserialize)]
struct CheckVerdict {
    scheme: String,
    scenario: String,
    verdict: String,
    as_declared: bool,
    executions: u64,
}

/// Words that stand for no violation.
const OK: &str = "ok";
/// What stands for schemes that no checker looked at, or not to the end.
const UNCHECKED: &str = "UNCHECKED";
const UNKNOWN: [&str; 4] = ["vacuous", "out-of-time", "interrupted", "panicked"];

impl CheckVerdicts {
    /// Reads a file of verdicts.
    ///
    /// # Errors
    /// A file that can't be read or holds something else, or verdicts of code that was changed for
    /// the checker.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let fail = |reason: String| ReadError::new(path, reason);
        let bytes = read_input(path).map_err(|error| fail(error.to_string()))?;
        let verdicts: Self = serde_json::from_slice(&bytes).map_err(|error| {
            fail(format!(
                "it isn't what faultaround check --format json prints: {error}"
            ))
        })?;
        if verdicts.changes.is_empty() {
            return Ok(verdicts);
        }
        let changes = verdicts.changes.join(", ");
        Err(fail(format!(
            "its verdicts are of changed code ({changes}), and not of what was measured"
        )))
    }

    /// What was found of a scheme: a name for it, and the rest.
    fn of(&self, scheme: &SchemeInfo) -> (&'static str, String) {
        let of = self.verdicts.iter().filter(|it| it.scheme == scheme.name);
        let of: Vec<_> = of.collect();
        if of.is_empty() {
            return (UNCHECKED, "not among the verdicts".to_owned());
        }
        let scenarios = of.len();
        let executions: u64 = of.iter().map(|it| it.executions).sum();
        let count = |is: &dyn Fn(&str) -> bool| of.iter().filter(|it| is(&it.verdict)).count();
        let is_unknown = |verdict: &str| UNKNOWN.contains(&verdict);
        let unknown = count(&is_unknown);
        let violating = count(&|verdict| verdict != OK && !is_unknown(verdict));
        let name = match (violating, unknown) {
            (1.., _) => "VIOLATES",
            (0, 0) => "ok",
            _ => UNCHECKED,
        };
        let mut parts = Vec::new();
        if violating > 0 {
            let violated = of.iter().map(|it| it.verdict.as_str());
            let violated = violated.filter(|verdict| *verdict != OK && !is_unknown(verdict));
            let violated: std::collections::BTreeSet<&str> = violated.collect();
            let violated: Vec<&str> = violated.into_iter().collect();
            let violated = violated.join(", ");
            parts.push(format!(
                "{violated} in {violating} of {scenarios} scenarios"
            ));
        } else {
            let ok = scenarios - unknown;
            parts.push(format!("no violation in {ok} of {scenarios} scenarios"));
        }
        if unknown > 0 {
            parts.push(format!("NO VERDICT in {unknown}"));
        }
        let executions = format!("{executions} executions");
        parts.push(executions);
        let other = of.iter().filter(|it| !it.as_declared);
        let other: Vec<_> = other.map(|it| it.scenario.as_str()).collect();
        parts.push(match other.is_empty() {
            true => "as declared".to_owned(),
            false => format!("NOT AS DECLARED in {}", other.join(", ")),
        });
        (name, parts.join(", "))
    }
}

pub(super) fn add(out: &mut Document, run: &Run, verdicts: Option<&CheckVerdicts>) {
    if run.configuration.is_kernel() {
        out.push(Block::Heading("what was checked".to_owned()));
        let text = "the first word of each page that was touched: its stamp, or 0 where a hole was \
                    read back; another would have ended the run. Nothing else of the kernel is \
                    looked at, and verdicts of faultaround check are of the model's schemes";
        out.push(Block::Paragraph(text.to_owned()));
        return;
    }
    let schemes = &run.configuration.schemes;
    out.push(Block::Heading("are the schemes sound?".to_owned()));
    let Some(verdicts) = verdicts else {
        let text = "NOT CHECKED in this run. What follows is what each scheme declares of itself; \
                    faultaround check must find the same";
        out.push(Block::Paragraph(text.to_owned()));
        let sound = schemes.iter().filter(|scheme| scheme.sound);
        let sound: Vec<_> = sound.map(|scheme| scheme.name.as_str()).collect();
        if !sound.is_empty() {
            out.note("declared", format!("to be sound: {}", sound.join(", ")));
        }
        for scheme in schemes.iter().filter(|scheme| !scheme.sound) {
            out.note("BROKEN", format!("{}: {}", scheme.name, scheme.reason));
        }
        return;
    };
    let text = "found by faultaround check, in all executions within its bounds or in random \
                schedules; its file names no commit";
    out.push(Block::Paragraph(text.to_owned()));
    if !verdicts.complete {
        out.push(Block::Paragraph("INCOMPLETE: check was stopped".to_owned()));
    }
    for scheme in schemes {
        let (name, found) = verdicts.of(scheme);
        let broken = if scheme.sound { "" } else { " (broken)" };
        out.note(name, format!("{}{broken}: {found}", scheme.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn read(json: &str) -> Result<CheckVerdicts, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), json).unwrap();
        CheckVerdicts::read(file.path()).map_err(|error| error.to_string())
    }

    fn verdict(scheme: &str, scenario: &str, verdict: &str, as_declared: bool) -> String {
        format!(
            r#"{{"scheme":"{scheme}","scenario":"{scenario}","verdict":"{verdict}",
                "as_declared":{as_declared},"executions":40,"more":1}}"#
        )
    }

    fn of(verdicts: &[String]) -> (&'static str, String) {
        let json = format!(
            r#"{{"complete":true,"changes":[],"verdicts":[{}]}}"#,
            verdicts.join(",")
        );
        let scheme = SchemeInfo {
            name: "sketch".to_owned(),
            lineage: String::new(),
            sound: false,
            reason: String::new(),
            kernel: false,
        };
        read(&json).unwrap().of(&scheme)
    }

    #[test]
    fn each_kind_of_verdict_is_counted_and_none_is_taken_for_another() {
        let ok = verdict("sketch", "one", "ok", true);
        let bad = verdict("sketch", "two", "no-stale-pte", true);
        let foreign = verdict("page-locked", "two", "no-stale-pte", false);
        let rest = "no-stale-pte in 1 of 2 scenarios, 80 executions, as declared";
        let found = of(&[ok.clone(), bad, foreign.clone()]);
        assert_eq!(found, ("VIOLATES", rest.to_owned()));
        let late = verdict("sketch", "three", "out-of-time", false);
        let rest = "no violation in 1 of 2 scenarios, NO VERDICT in 1, 80 executions, NOT AS DECLARED in three";
        assert_eq!(of(&[ok.clone(), late]), ("UNCHECKED", rest.to_owned()));
        let rest = "no violation in 1 of 1 scenarios, 40 executions, as declared";
        assert_eq!(of(&[ok]), ("ok", rest.to_owned()));
        assert_eq!(of(&[foreign]).0, "UNCHECKED");
        assert_eq!(of(&[]).0, "UNCHECKED");
    }

    #[test]
    fn what_are_no_verdicts_of_this_code_is_refused_in_one_line() {
        for (json, part) in [
            ("", "faultaround check"),
            ("{}", "faultaround check"),
            (
                r#"{"complete":true,"changes":["x is relaxed"],"verdicts":[]}"#,
                "x is relaxed",
            ),
        ] {
            let line = read(json).unwrap_err();
            assert!(line.contains(part) && !line.contains('\n'), "{line}");
        }
    }
}
