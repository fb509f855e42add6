//! Words in the columns of a mail.

/// The widest line.
pub const COLUMNS: usize = 72;

/// Breaks text into lines of at most [`COLUMNS`]. The first begins with `head` as it is, the
/// others with as many spaces.
pub fn wrap(head: &str, text: &str) -> String {
    wrap_to(COLUMNS, head, text)
}

/// The same for lines of at most `columns`. A word that is longer than a line is broken.
pub fn wrap_to(columns: usize, head: &str, text: &str) -> String {
    let mut out = head.to_owned();
    let indent = " ".repeat(head.len());
    let room = columns.saturating_sub(head.len()).max(1);
    let mut column = 0;
    for word in text.split_whitespace() {
        let mut word = word;
        if column > 0 && column + 1 + word.len() > room {
            out.push('\n');
            out.push_str(&indent);
            column = 0;
        }
        if column > 0 {
            out.push(' ');
            column += 1;
        }
        while word.len() > room && word.is_char_boundary(room) {
            let (line, rest) = word.split_at(room);
            out.push_str(line);
            out.push('\n');
            out.push_str(&indent);
            word = rest;
        }
        out.push_str(word);
        column += word.len();
    }
    out.push('\n');
    out
}

/// Breaks a command into lines of at most [`COLUMNS`] that a shell takes for one: a backslash ends
/// each but the last. The first begins with `head`, the others with as many spaces; what is left of
/// a word that is longer than a line begins its own.
pub fn wrap_command(head: &str, command: &str) -> String {
    let mut out = head.to_owned();
    let indent = " ".repeat(head.len());
    let mut column = head.len();
    for (number, word) in shell_words(command).into_iter().enumerate() {
        if number > 0 && column + 1 + word.len() + 2 > COLUMNS {
            out.push_str(&format!(" \\\n{indent}"));
            column = indent.len();
        } else if number > 0 {
            out.push(' ');
            column += 1;
        }
        let mut quoted = false;
        let mut before = ' ';
        for c in word.chars() {
            // Room for what closes a quotation, and for the end of the line; not between a
            // backslash and what it stands before.
            if column + 4 > COLUMNS && before != '\\' {
                out.push_str(if quoted { "'\\\n'" } else { "\\\n" });
                column = usize::from(quoted);
            }
            quoted ^= c == '\'' && (quoted || before != '\\');
            out.push(c);
            column += 1;
            // A backslash after a backslash stands for itself.
            before = if c == '\\' && (quoted || before == '\\') {
                ' '
            } else {
                c
            };
        }
    }
    out.push('\n');
    out
}

/// The words of a command, with their quotes: blanks in single quotes are no ends of words.
fn shell_words(command: &str) -> Vec<&str> {
    let mut quoted = false;
    let mut before = ' ';
    let words = command.split(|c: char| {
        quoted ^= c == '\'' && (quoted || before != '\\');
        before = c;
        c == ' ' && !quoted
    });
    words.filter(|word| !word.is_empty()).collect()
}

/// The text with what isn't printable ASCII written out: paths and hosts may hold anything.
pub fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_graphic() || c == ' ' || c == '\n' {
            out.push(c);
        } else {
            out.extend(c.escape_default());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_text_keeps_its_words_its_head_and_its_width() {
        let text = "one two  three ".repeat(20);
        let wrapped = wrap("a   ", &text);
        assert!(wrapped.lines().all(|line| line.len() <= COLUMNS));
        assert!(wrapped.starts_with("a   one two"));
        let mut rest = wrapped.lines().skip(1);
        assert!(rest.all(|line| line.starts_with("    ") && !line.starts_with("     ")));
        let words = |text: &str| text.split_whitespace().count();
        assert_eq!(words(&wrapped), 1 + words(&text));
        assert_eq!(wrap("", "short"), "short\n");
    }

    #[test]
    fn a_word_longer_than_a_line_is_broken_and_nothing_of_it_is_lost() {
        let word = "/path".repeat(40);
        let wrapped = wrap("command   ", &format!("--out {word} --seed 1"));
        assert!(wrapped.lines().all(|line| line.len() <= COLUMNS));
        let joined: String = wrapped.split_whitespace().collect();
        assert_eq!(joined, format!("command--out{word}--seed1"));
    }

    #[test]
    fn a_shell_takes_the_lines_of_a_command_for_one() {
        let long = "a b".repeat(60);
        let plain = "/path".repeat(30);
        let words = [
            "x",
            "",
            "it's here",
            "'",
            &long,
            &plain,
            "\\",
            "\u{e9}\u{e9} %",
            "1",
            "2",
        ];
        // As they come from the command line: quoted, and what isn't ASCII by printf.
        let quote = |word: &&str| match word.is_ascii() {
            true => format!("'{}'", word.replace('\'', r"'\''")),
            false => r#""$(printf '\303\251\303\251\040%%')""#.to_owned(),
        };
        for plain_first in 0..40 {
            let command: Vec<_> = words.iter().map(quote).collect();
            let first = "y".repeat(plain_first);
            let command = format!("printf '%s\\n' .{first} {}", command.join(" "));
            let wrapped = wrap_command("again     ", &command);
            assert!(
                wrapped.lines().all(|line| line.len() <= COLUMNS),
                "{wrapped}"
            );
            let mut shell = std::process::Command::new("sh");
            let shell = shell.arg("-c").arg(wrapped.replacen("again", "", 1));
            let read = shell.output().expect("a shell");
            let expected = format!(".{first}\n{}\n", words.join("\n"));
            assert_eq!(String::from_utf8_lossy(&read.stdout), expected, "{wrapped}");
        }
    }

    #[test]
    fn what_is_not_ascii_is_written_out() {
        assert_eq!(ascii("caf\u{e9}\t1"), "caf\\u{e9}\\t1");
    }
}
