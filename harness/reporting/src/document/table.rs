//! A table that is printed either way: in the columns of a mail, or as Markdown.

use std::fmt::Write;

use super::layout::NAMES;

/// A table with a column of names and columns of figures.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    /// What heads the column of names.
    title: String,
    /// The other columns' titles and widths. A line feed in a title makes a second line of heads.
    columns: Vec<(String, usize)>,
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// Adds columns.
    pub(crate) fn columns(mut self, columns: &[(&str, usize)]) -> Self {
        let columns = columns.iter();
        self.columns
            .extend(columns.map(|&(title, width)| (title.to_owned(), width)));
        self
    }

    /// Adds a row. A mark at the end of a cell, or a space in its place, stands in line with
    /// others.
    pub(crate) fn row(&mut self, name: String, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        #[cfg(test)]
        for (cell, (title, width)) in cells.iter().zip(&self.columns) {
            assert!(cell.len() < *width, "{cell:?} has no room under {title:?}");
        }
        self.rows.push((name, cells));
    }

    /// Whether there are no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// In columns. A name that is too long for its column has a line of its own.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        let title_lines = |title: &str| title.split('\n').count();
        let heads = self.columns.iter().map(|(title, _)| title_lines(title));
        let heads = heads.max().unwrap_or(1);
        for line in 0..heads {
            let first = if line == 0 { self.title.as_str() } else { "" };
            let mut text = format!("{first:NAMES$}");
            for (title, width) in &self.columns {
                let title = title.split('\n').nth(line).unwrap_or("");
                let _ = write!(text, "{title:>width$}");
            }
            let _ = writeln!(out, "{}", text.trim_end());
        }
        for (name, cells) in &self.rows {
            let mut text = if name.len() > NAMES {
                format!("{name}\n{:NAMES$}", "")
            } else {
                format!("{name:NAMES$}")
            };
            for (cell, (_, width)) in cells.iter().zip(&self.columns) {
                let _ = write!(text, "{cell:>width$}");
            }
            let _ = writeln!(out, "{}", text.trim_end());
        }
        out
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        // A bar would be taken for the end of a cell, a tilde for what is struck out.
        let cell = |text: &str| {
            let words: Vec<_> = text.split_whitespace().collect();
            words.join(" ").replace('|', "\\|").replace('~', "\\~")
        };
        let mut out = format!("| {} |", cell(&self.title));
        for (title, _) in &self.columns {
            let _ = write!(out, " {} |", cell(title));
        }
        out.push_str("\n|---|");
        out.push_str(&"---:|".repeat(self.columns.len()));
        out.push('\n');
        for (name, cells) in &self.rows {
            let _ = write!(out, "| {} |", cell(name));
            for text in cells {
                let _ = write!(out, " {} |", cell(text));
            }
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new("ns").columns(&[("none\nx1", 8), ("p50", 6)]);
        table.row(
            "page-locked".to_owned(),
            vec!["1.5~".to_owned(), "7 ".into()],
        );
        let long = "invalidate-only (broken)".to_owned();
        table.row(long, vec!["2.5 ".to_owned(), "-".to_owned()]);
        table
    }

    #[test]
    fn a_table_has_its_columns_in_text() {
        let expected = "\
ns                       none   p50
                           x1
page-locked              1.5~    7
invalidate-only (broken)
                         2.5      -
";
        assert_eq!(table().text(), expected);
    }

    #[test]
    fn a_table_has_the_same_cells_in_markdown() {
        let expected = "\
| ns | none x1 | p50 |
|---|---:|---:|
| page-locked | 1.5\\~ | 7 |
| invalidate-only (broken) | 2.5 | - |
";
        assert_eq!(table().markdown(), expected);
    }
}
