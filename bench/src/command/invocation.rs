//! How the program was run, and the command that repeats it, in words that a shell reads back.

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

/// The name that the program was run by, and what it was given.
#[derive(Debug, Clone)]
pub(super) struct Invocation {
    program: String,
    typed: String,
    arguments: Vec<Argument>,
}

/// An option of the command, given or not.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Argument {
    id: String,
    flag: String,
    /// Whether its values are separated by commas.
    is_list: bool,
    /// None where it wasn't given; no values where it takes none.
    given: Option<Vec<OsString>>,
}

impl Invocation {
    /// From all arguments, the program's name first; `by_cargo` where cargo is the parent.
    pub(super) fn of(arguments: &[OsString], by_cargo: bool) -> Self {
        let name = arguments.first().map_or(OsStr::new("faultaround"), |it| it);
        // Cargo gives a relative name where it was run in the workspace, and finds it there again.
        let program = match by_cargo && Path::new(name).is_relative() {
            true => cargo_run(Path::new(name)),
            false => quoted_word(name),
        };
        let words = arguments.iter().skip(1).map(quoted_word);
        let words: Vec<String> = std::iter::once(program.clone()).chain(words).collect();
        Self {
            program,
            typed: words.join(" "),
            arguments: Vec::new(),
        }
    }

    /// That of `cargo bench`, which ends in a storm with all defaults.
    pub(super) fn of_cargo_bench() -> Self {
        Self {
            program: "cargo run --release --".to_owned(),
            typed: "cargo bench".to_owned(),
            arguments: Vec::new(),
        }
    }

    /// The same with what a subcommand was given, as it was parsed.
    pub(super) fn with(mut self, subcommand: &Command, matches: &ArgMatches) -> Self {
        let options = subcommand.get_arguments().filter_map(|option| {
            let id = option.get_id().as_str();
            let is_known = matches.try_contains_id(id).is_ok();
            let source = is_known.then(|| matches.value_source(id)).flatten();
            let is_given = source == Some(ValueSource::CommandLine);
            let takes_values = option.get_action().takes_values();
            let values = || {
                let raw = matches.get_raw(id).into_iter().flatten();
                raw.filter(|_| takes_values).map(OsStr::to_owned).collect()
            };
            Some(Argument {
                id: id.to_owned(),
                flag: format!("--{}", option.get_long()?),
                is_list: option.get_value_delimiter().is_some(),
                given: is_given.then(values),
            })
        });
        self.arguments = options.collect();
        // As they were typed.
        self.arguments.sort_by_key(|it| match it.given {
            Some(_) => matches.index_of(&it.id),
            None => None,
        });
        self.program = format!("{} {}", self.program, subcommand.get_name());
        self
    }

    /// The command as it was typed.
    pub(super) fn typed(&self) -> &str {
        &self.typed
    }

    /// The first of these options that was given, as it is written.
    pub(super) fn first_given(&self, ids: &[&str]) -> Option<&str> {
        let mut given = self.arguments.iter().filter(|it| it.given.is_some());
        let argument = given.find(|it| ids.contains(&it.id.as_str()));
        argument.map(|it| it.flag.as_str())
    }

    /// The command with another value of an option, given before or not, at its end.
    pub(super) fn set(mut self, id: &str, value: impl ToString) -> Self {
        let at = self.arguments.iter().position(|it| it.id == id);
        let mut argument = self.arguments.remove(at.expect("an option of the command"));
        argument.given = Some(vec![value.to_string().into()]);
        self.arguments.push(argument);
        self
    }

    /// The command with no others of its options than these.
    pub(super) fn only(mut self, ids: &[&str]) -> Self {
        let others = (self.arguments.iter_mut()).filter(|it| !ids.contains(&&*it.id));
        others.for_each(|it| it.given = None);
        self
    }
}

/// The longest list of values in a command: it is a word, and must fit into a line of a mail.
const LONGEST_LIST: usize = 44;

/// The command that repeats the run: what was given as it was parsed, and no defaults.
impl Display for Invocation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.program)?;
        for argument in &self.arguments {
            let flag = &argument.flag;
            let values = argument.given.iter().flatten();
            if argument.given.as_ref().is_some_and(Vec::is_empty) {
                write!(out, " {flag}")?;
            }
            for word in words(values, argument.is_list) {
                // What begins like an option is taken for one in a word of its own.
                let is_plain = !word.as_bytes().starts_with(b"-");
                let between = if is_plain { ' ' } else { '=' };
                write!(out, " {flag}{between}{}", quoted_word(word))?;
            }
        }
        Ok(())
    }
}

/// The values of a list in words that aren't too long; others as they are.
fn words<'a>(values: impl Iterator<Item = &'a OsString>, is_list: bool) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    for value in values {
        match words.last_mut() {
            Some(word) if is_list && word.len() + 1 + value.len() <= LONGEST_LIST => {
                word.push(",");
                word.push(value);
            }
            _ => words.push(value.clone()),
        }
    }
    words
}

/// What makes cargo run this binary: the folder it is in has the profile's name.
fn cargo_run(binary: &Path) -> String {
    let folder = binary.parent().and_then(Path::file_name);
    match folder.and_then(OsStr::to_str) {
        Some("debug") | None => "cargo run --".to_owned(),
        Some("release") => "cargo run --release --".to_owned(),
        Some(profile) => format!("cargo run --profile {profile} --"),
    }
}

/// A word so that any shell reads it back. What isn't ASCII is written as `printf` takes it: a
/// report is ASCII.
fn quoted_word(word: impl AsRef<OsStr>) -> String {
    let bytes = word.as_ref().as_bytes();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_=,./:+%@".contains(byte);
    if !bytes.is_empty() && bytes.iter().all(plain) {
        String::from_utf8_lossy(bytes).into_owned()
    } else if bytes.is_ascii() {
        let text = String::from_utf8_lossy(bytes);
        format!("'{}'", text.replace('\'', r"'\''"))
    } else {
        let mut out = String::from("\"$(printf '");
        for byte in bytes {
            let _ = match byte {
                b'%' => write!(out, "%%"),
                // One at its start would be an option of printf's.
                b'-' => write!(out, "\\055"),
                _ if plain(byte) => write!(out, "{}", *byte as char),
                _ => write!(out, "\\{byte:03o}"),
            };
        }
        out + "')\""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str], by_cargo: bool) -> Invocation {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        Invocation::of(&words, by_cargo)
    }

    #[test]
    fn the_program_is_called_as_it_was_run() {
        for (name, by_cargo, program) in [
            ("faultaround", false, "faultaround"),
            ("/opt/my tools/fa", false, "'/opt/my tools/fa'"),
            (
                "target/release/faultaround",
                false,
                "target/release/faultaround",
            ),
            ("target/release/faultaround", true, "cargo run --release --"),
            ("target/debug/faultaround", true, "cargo run --"),
            (
                "target/long/faultaround",
                true,
                "cargo run --profile long --",
            ),
            // Cargo itself was run elsewhere, and would find nothing there.
            (
                "/x/target/release/faultaround",
                true,
                "/x/target/release/faultaround",
            ),
        ] {
            let run = of(&[name, "list"], by_cargo);
            assert_eq!(run.typed(), format!("{program} list"));
            assert_eq!(run.to_string(), program);
        }
    }

    #[test]
    fn a_shell_reads_words_back() {
        let words = [
            "x",
            "it's here",
            "",
            "--cpus=0,2-3",
            "50%",
            "\u{e9} %s\\n'",
            "$HOME `x`",
        ];
        let quoted: Vec<_> = words.iter().map(quoted_word).collect();
        let quoted = quoted.join(" ");
        assert!(quoted.is_ascii(), "{quoted}");
        let script = format!("printf '%s\\n' {quoted}");
        let mut shell = std::process::Command::new("sh");
        let read = shell.args(["-c", &script]).output().expect("a shell");
        assert_eq!(
            String::from_utf8_lossy(&read.stdout),
            words.join("\n") + "\n"
        );
    }
}
