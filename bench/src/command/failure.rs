//! Why a command did not do what it was asked for: said in one line, and an exit status.

use std::process::ExitCode;

use machine_facts::cancel::{Cancel, INTERRUPTED};
use machine_facts::progress::say;

/// Why a command did not do what it was asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// What was found isn't what is declared; it has been said already.
    NotAsDeclared,
    /// The machine isn't fit to be measured on; it has been said already, and why.
    Unfit,
    /// Bad usage or bad input: one line that says what was given and what is allowed.
    Usage(String),
    /// The work could not be done or finished: one line that says why.
    Broke(String),
    /// Ctrl-C was pressed; what was measured has been kept.
    Interrupted,
}

impl Failure {
    /// A failure of the machine or of the input, told by an error of one line.
    pub(super) fn usage(error: impl std::fmt::Display) -> Self {
        Self::Usage(error.to_string())
    }

    /// A failure of the work, told by an error of one line.
    pub(super) fn broke(error: impl std::fmt::Display) -> Self {
        Self::Broke(error.to_string())
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::NotAsDeclared | Self::Unfit => 1,
            Self::Usage(_) | Self::Broke(_) => 2,
            Self::Interrupted => INTERRUPTED as u8,
        }
    }
}

/// Says what went wrong, if anything did, and gives the exit status.
pub fn exit(result: Result<(), Failure>) -> ExitCode {
    let Err(failure) = result else {
        return ExitCode::SUCCESS;
    };
    match &failure {
        Failure::Usage(line) | Failure::Broke(line) => {
            say(&format!("faultaround: {}", shortened(line)));
        }
        Failure::NotAsDeclared | Failure::Unfit | Failure::Interrupted => {}
    }
    ExitCode::from(failure.exit_code())
}

/// The longest word that is said again: longer than any path that one types.
const LONGEST_WORD: usize = 200;
/// The longest line that is said, for words that come by the thousand.
const LONGEST_LINE: usize = 2_000;

/// A line in which no value is so long that the rest of it can't be found.
fn shortened(line: &str) -> String {
    let cut = |text: &str, kept: usize| {
        let start: String = text.chars().take(kept).collect();
        format!("{start}...({} characters)", text.chars().count())
    };
    let word = |word: &str| match word.chars().count() > LONGEST_WORD {
        true => cut(word, LONGEST_WORD / 4),
        false => word.to_owned(),
    };
    let words: Vec<_> = line.split(' ').map(word).collect();
    match words.join(" ") {
        line if line.chars().count() > LONGEST_LINE => cut(&line, LONGEST_LINE),
        line => line,
    }
}

/// What Ctrl-C and its like ask to stop.
pub(super) fn cancel_on_signals() -> Result<Cancel, Failure> {
    let cancel = Cancel::default();
    cancel.on_signals().map_err(Failure::broke)?;
    Ok(cancel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_no_longer_than_one_can_read() {
        let usual = "cannot read \"results/x\": no such file";
        assert_eq!(shortened(usual), usual);
        let long = shortened(&format!(
            "invalid value '{}' for --seed: 0 to 9",
            "\u{e9}".repeat(5_000)
        ));
        assert!(
            long.ends_with("...(5002 characters) for --seed: 0 to 9"),
            "{long}"
        );
        assert!(shortened(&"a b ".repeat(5_000)).len() < LONGEST_LINE + 100);
    }
}
