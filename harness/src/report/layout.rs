//! Words and figures in the columns of a mail.

use crate::statistics::Interval;

/// The widest line.
pub const COLUMNS: usize = 72;

/// The width of a table's column of names.
pub(crate) const NAMES: usize = 21;

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

/// From one figure to another, in 13 columns with a space before it.
pub(crate) fn range(from: f64, to: f64) -> String {
    format!("{}-{}", fit(from, 6).trim(), fit(to, 6).trim())
}

/// An interval this wide tells nothing, as a factor between its ends.
pub(crate) const NOTHING_TOLD: f64 = 10.0;

/// An interval, or what stands in its place: one round has none, and one that is too wide is not
/// printed as if it told something.
pub(crate) fn interval(it: &Interval) -> String {
    match it.width() + 1.0 {
        _ if it.values < 2 => "one round".to_owned(),
        width if width <= NOTHING_TOLD => range(it.lo, it.hi),
        _ => format!(">{NOTHING_TOLD}x"),
    }
}

/// A number of nanoseconds in a column; a dash where there is none.
pub(crate) fn percentile(ns: Option<u64>, width: usize) -> String {
    ns.map_or_else(|| "-".to_owned(), |ns| whole(ns, width))
}

/// A count in a column, with room for a space before it.
pub(crate) fn whole(count: u64, width: usize) -> String {
    let text = count.to_string();
    if text.len() < width {
        text
    } else {
        fit(count as f64, width)
    }
}

/// A figure of four significant digits that leaves room for a space in a column of this width: in
/// thousands (k), millions (M) and so on where it has no room.
pub(crate) fn fit(value: f64, width: usize) -> String {
    const UNITS: [(f64, &str); 5] = [(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")];
    if !value.is_finite() {
        return "-".to_owned();
    }
    let figure = |&(unit, letter): &(f64, &str)| {
        let value = value / unit;
        let digits = match value.abs() {
            value if value < 10.0 => 3,
            value if value < 100.0 => 2,
            value if value < 1000.0 => 1,
            _ => 0,
        };
        let digits = match (letter, value) {
            ("", _) => digits,
            (_, value) if value.abs() < 100.0 => 1,
            _ => 0,
        };
        format!("{value:.digits$}{letter}")
    };
    let mut figures = UNITS.iter().map(figure);
    let text = figures.find(|text| text.len() < width);
    text.unwrap_or_else(|| "-".to_owned())
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
    fn figures_fit_their_columns() {
        for (value, text) in [
            (1.2345, "1.234"),
            (123.45, "123.5"),
            (12_345.0, "12345"),
            (123_456.0, "123456"),
            (1_234_567.0, "1235k"),
            (99_999_999.0, "100.0M"),
            (f64::NAN, "-"),
            (f64::INFINITY, "-"),
        ] {
            assert_eq!(fit(value, 7), text, "{value}");
        }
        assert_eq!(
            (fit(217_900.0, 6), fit(99_900.0, 5)),
            ("218k".to_owned(), "0.1M".to_owned())
        );
        for exponent in 0..19 {
            for width in [7, 8, 9] {
                let text = whole(10_u64.pow(exponent), width);
                assert!(text.len() < width, "{text:?}");
            }
        }
        assert!(range(123_456.0, 9_876_543.0).len() < 13);
        assert_eq!(ascii("caf\u{e9}\t1"), "caf\\u{e9}\\t1");
    }
}
