//! The embedded font: how wide text is, and its outlines.

use std::sync::LazyLock;

use ttf_parser::{Face, OutlineBuilder};

/// What an SVG asks for. Those after the first have its widths or less.
pub(super) const FAMILIES: &str = "'DejaVu Sans', Verdana, Helvetica, Arial, sans-serif";

static FACE: LazyLock<Face<'static>> = LazyLock::new(|| {
    Face::parse(dejavu::sans::regular(), 0).expect("the embedded font is a font: tests draw it")
});

/// The width of text of this size, in the unit of the size.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let advances = text.chars().map(|letter| f64::from(advance(letter)));
    advances.sum::<f64>() * size / f64::from(FACE.units_per_em())
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

/// Gives each letter's outline to `builder`, which is told its offset, all in the font's units.
pub(super) fn outline<B: OutlineBuilder>(text: &str, builder: &mut B, moved: impl Fn(&mut B, f32)) {
    let mut at = 0.0_f32;
    for letter in text.chars() {
        moved(builder, at);
        if let Some(glyph) = FACE.glyph_index(letter) {
            // None for a space, which has no outline.
            let _ = FACE.outline_glyph(glyph, builder);
        }
        at += f32::from(advance(letter));
    }
}

/// The font's units to one of the size.
pub(super) fn units_per_em() -> f32 {
    f32::from(FACE.units_per_em())
}

fn advance(letter: char) -> u16 {
    let glyph = FACE.glyph_index(letter).unwrap_or_default();
    FACE.glyph_hor_advance(glyph).unwrap_or(0)
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
