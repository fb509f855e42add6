//! How the program was run, in words that a shell reads back.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The name that the program was run by, and what it was given.
#[derive(Debug, Clone)]
pub(super) struct Invocation {
    program: String,
    command: String,
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
        let command = words.join(" ");
        Self { program, command }
    }

    /// That of `cargo bench`, which ends in a storm with all defaults.
    pub(super) fn of_cargo_bench() -> Self {
        Self {
            program: "cargo run --release --".to_owned(),
            command: "cargo bench".to_owned(),
        }
    }

    /// The command as it was typed.
    pub(super) fn command(&self) -> &str {
        &self.command
    }

    /// Another command of this program; the words are quoted already.
    pub(super) fn with(&self, words: &str) -> String {
        format!("{} {words}", self.program)
    }
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
pub(super) fn quoted_word(word: impl AsRef<OsStr>) -> String {
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
            assert_eq!(run.command(), format!("{program} list"));
            assert_eq!(run.with("storm"), format!("{program} storm"));
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
