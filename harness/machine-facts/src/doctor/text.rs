//! Findings for people and for programs.

use super::{Finding, Verdict, is_fit};
use crate::environment::wording::{ascii, counted};
use crate::text::{COLUMNS, wrap};

/// The findings in lines of at most 72 columns, ASCII; the last line says what they come to.
pub fn text(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let head = format!("{:<7}{:<14}", mark(finding.verdict), finding.fact);
        out.push_str(&told(&head, &finding.found));
        for (name, said) in [("spoils:", &finding.spoils), ("mend:", &finding.mend)] {
            if let Some(said) = said {
                out.push_str(&told(&format!("  {name:<8}"), said));
            }
        }
    }
    let count = |verdict| {
        let such = findings.iter().filter(|it| it.verdict == verdict);
        such.count() as u64
    };
    let spoiling = count(Verdict::Spoils);
    let spoil = if spoiling == 1 { "spoils" } else { "spoil" };
    out.push_str(&format!(
        "{}: {} {spoil} a measurement, {}\n",
        if is_fit(findings) { "fit" } else { "unfit" },
        counted(spoiling, "finding"),
        counted(count(Verdict::Note), "note"),
    ));
    out
}

/// The findings as a table: a line for each, `-` where there is nothing to say.
pub fn tsv(findings: &[Finding]) -> String {
    let mut out = "fact\tverdict\tfound\tspoils\tmend\n".to_owned();
    for finding in findings {
        let verdict = match finding.verdict {
            Verdict::Fit => "fit",
            Verdict::Note => "note",
            Verdict::Spoils => "spoils",
        };
        let said = |said: &Option<String>| ascii(said.as_deref().unwrap_or("-"));
        let cells = [
            finding.fact.clone(),
            verdict.to_owned(),
            ascii(&finding.found),
            said(&finding.spoils),
            said(&finding.mend),
        ];
        out.push_str(&cells.join("\t"));
        out.push('\n');
    }
    out
}

fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fit => "ok",
        Verdict::Note => "note",
        Verdict::Spoils => "SPOILS",
    }
}

/// Text in words of at most `longest` bytes: a CPU list is broken after its commas, anything else
/// where it has to be.
fn short_words(text: &str, longest: usize) -> String {
    let text = ascii(text);
    let mut pieces: Vec<String> = Vec::new();
    for word in text.split(' ') {
        pieces.push(String::new());
        let parts = word.split_inclusive(',');
        for chunk in parts.flat_map(|part| part.as_bytes().chunks(longest)) {
            let chunk = String::from_utf8_lossy(chunk);
            match pieces.last_mut() {
                Some(piece) if piece.len() + chunk.len() <= longest => piece.push_str(&chunk),
                _ => pieces.push(chunk.into_owned()),
            }
        }
    }
    pieces.join(" ")
}

/// Text behind a head, in lines of at most 72 columns.
fn told(head: &str, text: &str) -> String {
    wrap(head, &short_words(text, COLUMNS - head.len()))
}
