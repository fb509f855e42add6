//! A scene as SVG.

use std::fmt::Write;

use super::font::FAMILIES;
use super::scene::{Anchor, Scene, Shape, Stroke, Text};
use crate::style::Color;

/// The document.
pub(super) fn write(scene: &Scene, title: &str) -> String {
    let (width, height) = (number(scene.width), number(scene.height));
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"{FAMILIES}\">\n\
         <title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        escaped(title)
    );
    for shape in &scene.shapes {
        // Writing to a string can't fail.
        let _ = match shape {
            Shape::Path {
                points,
                closed,
                stroke,
                fill,
            } => {
                let points: Vec<_> = points
                    .iter()
                    .map(|(x, y)| format!("{},{}", number(*x), number(*y)))
                    .collect();
                let name = if *closed { "polygon" } else { "polyline" };
                let fill = match fill {
                    None => "none\"".to_owned(),
                    Some((color, 1.0)) => format!("{}\"", hex(*color)),
                    Some((color, cover)) => {
                        format!("{}\" fill-opacity=\"{}\"", hex(*color), number(*cover))
                    }
                };
                writeln!(
                    out,
                    "<{name} points=\"{}\" fill=\"{fill}{}/>",
                    points.join(" "),
                    stroked(stroke.as_ref())
                )
            }
            Shape::Circle {
                center: (x, y),
                radius,
                stroke,
                fill,
            } => writeln!(
                out,
                "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{}\"{}/>",
                number(*x),
                number(*y),
                number(*radius),
                hex(*fill),
                stroked(stroke.as_ref())
            ),
            Shape::Text(text) => writeln!(out, "{}", written(text)),
        };
    }
    out.push_str("</svg>\n");
    out
}

fn written(text: &Text) -> String {
    let (x, y) = (number(text.at.0), number(text.at.1));
    let anchor = match text.anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    let turned = match text.turned {
        true => format!(" transform=\"rotate(-90 {x} {y})\""),
        false => String::new(),
    };
    format!(
        "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\" fill=\"{}\"{anchor}{turned}>{}</text>",
        number(text.size),
        hex(text.color),
        escaped(&text.text)
    )
}

fn stroked(stroke: Option<&Stroke>) -> String {
    let Some(stroke) = stroke else {
        return String::new();
    };
    let mut out = format!(
        " stroke=\"{}\" stroke-width=\"{}\" stroke-linejoin=\"round\"",
        hex(stroke.color),
        number(stroke.width)
    );
    if !stroke.dashes.is_empty() {
        let dashes: Vec<_> = stroke.dashes.iter().map(|it| number(*it)).collect();
        let _ = write!(out, " stroke-dasharray=\"{}\"", dashes.join(","));
    }
    out
}

/// To a hundredth of a pixel.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }.to_owned()
}

fn hex(Color(red, green, blue): Color) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Text that may come from a file. What XML does not allow at all becomes a question mark.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\u{fffe}' | '\u{ffff}' => out.push('?'),
            letter if letter.is_control() => out.push('?'),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_files_cannot_leave_its_element() {
        assert_eq!(escaped("a<b>&\u{1b}[0m"), "a&lt;b&gt;&amp;?[0m");
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [(1.0, "1"), (0.126, "0.13"), (-0.001, "0"), (100.0, "100")] {
            assert_eq!(number(value), text);
        }
    }
}
