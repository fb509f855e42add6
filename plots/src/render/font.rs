//! The embedded font, and how wide text is in it.

use std::sync::LazyLock;

use skrifa::instance::{LocationRef, Size};
use skrifa::metrics::GlyphMetrics;
use skrifa::{FontRef, MetadataProvider};

/// What an SVG asks for. Those after the first have its widths or less.
pub(super) const FAMILIES: &str = "'DejaVu Sans', Verdana, Helvetica, Arial, sans-serif";

/// The first of them.
pub(super) fn embedded() -> &'static [u8] {
    dejavu::sans::regular()
}

static FONT: LazyLock<FontRef<'static>> =
    LazyLock::new(|| FontRef::new(embedded()).expect("the embedded font is a font: tests draw it"));

/// The width of text of this size, in the unit of the size.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let letters = FONT.charmap();
    let metrics = GlyphMetrics::new(&FONT, Size::new(size as f32), LocationRef::default());
    let advance = |letter| metrics.advance_width(letters.map(letter).unwrap_or_default());
    let advances = text.chars().filter_map(advance);
    advances.map(f64::from).sum()
}

/// The text in lines that are no wider than this. A word that is wider is cut.
pub(super) fn wrap(text: &str, size: f64, limit: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = cut(word, size, limit);
        match lines.last_mut() {
            Some(line) if width(&format!("{line} {word}"), size) <= limit => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// As much of the text as is no wider than this, with an ellipsis if that isn't all.
pub(super) fn cut(text: &str, size: f64, limit: f64) -> String {
    if width(text, size) <= limit {
        return text.to_owned();
    }
    let mut kept = text.to_owned();
    while kept.pop().is_some() {
        let shown = format!("{kept}…");
        if width(&shown, size) <= limit {
            return shown;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_the_font() {
        // DejaVu Sans: m is 0.974 em wide, i 0.278, a digit 0.636.
        for (text, em) in [("m", 0.974), ("i", 0.278), ("00", 1.272), ("", 0.0)] {
            assert!((width(text, 100.0) - em * 100.0).abs() < 0.1, "{text}");
        }
    }

    #[test]
    fn lines_are_filled_and_never_too_wide() {
        let text =
            "a few words, and one_that_is_far_too_wide_for_any_line_of_this_width at the end";
        let lines = wrap(text, 12.0, 150.0);
        assert!(
            lines.iter().all(|line| width(line, 12.0) <= 150.0),
            "{lines:?}"
        );
        assert!(lines.iter().any(|line| line.ends_with('…')), "{lines:?}");
        assert!(lines[0].starts_with("a few words"), "{lines:?}");
        assert_eq!(wrap("", 12.0, 150.0), Vec::<String>::new());
    }
}
