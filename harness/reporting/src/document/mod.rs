//! What a report is made of, printed either way.

mod layout;
mod table;

use machine_facts::text::{ascii, wrap, wrap_command};

pub(crate) use layout::{NAMES, NOTHING_TOLD, fit, interval, number, percentile, range, whole};
pub(crate) use table::Table;

/// A part of a report.
#[derive(Debug, Clone)]
pub(crate) enum Block {
    /// What a section begins with.
    Heading(String),
    /// Words.
    Paragraph(String),
    /// Words with a name before them, which takes so many columns.
    Note(String, usize, String),
    /// Words for a shell, with a name before them, to be pasted.
    Command(String, String),
    /// Figures.
    Table(Table),
    /// Characters that are to stay where they are.
    Drawing(String),
    /// An empty line.
    Gap,
}

/// A report.
#[derive(Debug, Default)]
pub(crate) struct Document {
    blocks: Vec<Block>,
}

impl Document {
    /// Adds a part.
    pub(crate) fn push(&mut self, block: Block) {
        self.blocks.push(block);
    }

    /// Adds words with a name before them.
    pub(crate) fn note(&mut self, name: &str, text: impl Into<String>) {
        self.push(Block::Note(name.to_owned(), 9, text.into()));
    }

    /// Adds a command that a reader may paste.
    pub(crate) fn command(&mut self, name: &str, command: &str) {
        self.push(Block::Command(name.to_owned(), command.to_owned()));
    }

    /// Plain text, ASCII, at most 72 columns.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        for block in &self.blocks {
            match block {
                Block::Heading(text) => {
                    if !out.is_empty() && !out.ends_with("\n\n") {
                        out.push('\n');
                    }
                    out.push_str(&wrap("== ", text));
                }
                Block::Paragraph(text) => out.push_str(&wrap("", &ascii(text))),
                Block::Note(name, width, text) => {
                    out.push_str(&wrap(&format!("{name:<width$} "), &ascii(text)));
                }
                Block::Command(name, command) => {
                    out.push_str(&wrap_command(&format!("{name:<9} "), &ascii(command)));
                }
                Block::Table(table) => out.push_str(&table.text()),
                Block::Drawing(text) => out.push_str(text),
                Block::Gap => out.push('\n'),
            }
        }
        ascii(&out)
    }

    /// Markdown with GitHub's tables.
    pub(crate) fn markdown(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        let mut after_note = false;
        for block in &self.blocks {
            let is_note = matches!(block, Block::Note(..) | Block::Command(..));
            let part = match block {
                Block::Gap => continue,
                Block::Heading(text) => format!("### {}\n", plain(text)),
                Block::Paragraph(text) => format!("{}\n", plain(text)),
                // It goes on with what is before it, as its empty columns say in plain text.
                Block::Note(name, _, text) if name.is_empty() => format!("- {}\n", plain(text)),
                Block::Note(name, _, text) => format!("- **{}**: {}\n", plain(name), plain(text)),
                Block::Command(name, command) => {
                    format!("- **{}**: `` {} ``\n", plain(name), ascii(command))
                }
                Block::Table(table) => ascii(&table.markdown()),
                Block::Drawing(text) => format!("```\n{text}```\n"),
            };
            match parts.last_mut() {
                Some(list) if is_note && after_note => list.push_str(&part),
                _ => parts.push(part),
            }
            after_note = is_note;
        }
        parts.join("\n")
    }
}

/// Words in which Markdown finds nothing to make of.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in ascii(text).chars() {
        if "\\`*_<>~|[]#".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        let mut document = Document::default();
        document.push(Block::Paragraph("What: r\u{f6}hre_1".to_owned()));
        document.push(Block::Heading("none: 1 fault thread".to_owned()));
        document.note("machine", "a CPU");
        document.note("", "or two");
        document.note("build", "a compiler");
        document.push(Block::Gap);
        document.push(Block::Drawing(" a  b\n".to_owned()));
        document
    }

    #[test]
    fn text_is_ascii_and_has_an_empty_line_before_each_heading() {
        let expected = "\
What: r\\u{f6}hre_1

== none: 1 fault thread
machine   a CPU
          or two
build     a compiler

 a  b
";
        assert_eq!(document().text(), expected);
    }

    #[test]
    fn markdown_has_lists_and_fences_and_words_mean_nothing_to_it() {
        let expected = "\
What: r\\\\u{f6}hre\\_1

### none: 1 fault thread

- **machine**: a CPU
- or two
- **build**: a compiler

```
 a  b
```
";
        assert_eq!(document().markdown(), expected);
    }
}
