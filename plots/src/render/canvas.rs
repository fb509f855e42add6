//! What the parts of a figure are drawn with: an SVG that grows, and the sizes that they share.

use std::fmt::Write;

use super::font::FAMILIES;
use crate::style::{Color, Mark, Style};

/// Sizes of text, in pixels of the natural size. None is below 12.
pub(super) const TITLE: f64 = 18.0;
pub(super) const LABEL: f64 = 14.0;
pub(super) const TICK: f64 = 13.0;
pub(super) const SMALL: f64 = 12.0;

pub(super) const BLACK: Color = Color(0, 0, 0);
pub(super) const WHITE: Color = Color(255, 255, 255);
/// What is not data but has to be read.
pub(super) const DARK: Color = Color(70, 70, 70);
const GRID: Color = Color(222, 222, 222);
const FAINT: Color = Color(240, 240, 240);

/// Curves, and the thin ones behind them.
pub(super) const CURVE: f64 = 2.0;
pub(super) const THIN: f64 = 1.25;
/// From a mark's middle to its edge.
const MARK: f64 = 4.2;

/// A place in pixels of the natural size, from the upper left corner.
pub(super) type Point = (f64, f64);

/// A rectangle on the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

/// A line's look.
#[derive(Clone, Copy)]
pub(super) struct Stroke {
    pub(super) color: Color,
    pub(super) width: f64,
    /// Lengths of line and gap in turn; empty for an unbroken line.
    pub(super) dashes: &'static [f64],
}

/// Which part of a text is where it is anchored: a value of `text-anchor`.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Elements of an SVG, in the order in which they are drawn.
#[derive(Default)]
pub(super) struct Canvas {
    elements: String,
}

impl Canvas {
    /// The document.
    pub(super) fn finish(self, title: &str, width: f64, height: f64) -> String {
        let (width, height) = (number(width), number(height));
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"{FAMILIES}\">\n\
             <title>{}</title>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
            escaped(title),
            self.elements
        )
    }

    fn element(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string can't fail.
        let _ = writeln!(self.elements, "{element}");
    }

    /// A line of text, anchored on its base line.
    pub(super) fn text(&mut self, at: Point, anchor: Anchor, size: f64, color: Color, text: &str) {
        self.any_text(at, anchor, size, color, text, "");
    }

    /// Text that is read from below, centred.
    pub(super) fn turned(&mut self, (x, y): Point, size: f64, text: &str) {
        let turn = format!(" transform=\"rotate(-90 {} {})\"", number(x), number(y));
        self.any_text((x, y), Anchor::Middle, size, BLACK, text, &turn);
    }

    fn any_text(
        &mut self,
        (x, y): Point,
        anchor: Anchor,
        size: f64,
        color: Color,
        text: &str,
        turn: &str,
    ) {
        if text.is_empty() {
            return;
        }
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        self.element(format_args!(
            "<text x=\"{}\" y=\"{}\" font-size=\"{}\" fill=\"{color}\"{anchor}{turn}>{}</text>",
            number(x),
            number(y),
            number(size),
            escaped(text)
        ));
    }

    pub(super) fn line(&mut self, points: &[Point], stroke: Stroke) {
        let (points, stroke) = (listed(points), stroked(stroke));
        self.element(format_args!(
            "<polyline points=\"{points}\" fill=\"none\"{stroke}/>"
        ));
    }

    /// Covers an area, to a share of `cover`.
    pub(super) fn area(&mut self, points: &[Point], color: Color, cover: f64) {
        let cover = match cover {
            1.0 => String::new(),
            cover => format!(" fill-opacity=\"{}\"", number(cover)),
        };
        self.polygon(points, &color.to_string(), &cover);
    }

    fn polygon(&mut self, points: &[Point], fill: &str, more: &str) {
        let points = listed(points);
        self.element(format_args!(
            "<polygon points=\"{points}\" fill=\"{fill}\"{more}/>"
        ));
    }

    /// A line of the grid; a faint one helps only to count.
    pub(super) fn grid(&mut self, from: Point, to: Point, faint: bool) {
        let color = if faint { FAINT } else { GRID };
        self.line(&[from, to], plain(color, 1.0));
    }

    /// The edge of a panel.
    pub(super) fn frame(&mut self, area: Area) {
        self.polygon(&corners(area), "none", &stroked(plain(DARK, 1.0)));
    }

    /// An interval from `low` to `high`, level.
    pub(super) fn whisker(&mut self, low: f64, high: f64, y: f64, color: Color) {
        let end = 4.5;
        for line in [
            [(low, y), (high, y)],
            [(low, y - end), (low, y + end)],
            [(high, y - end), (high, y + end)],
        ] {
            self.line(&line, plain(color, 1.5));
        }
    }

    /// A curve's mark.
    pub(super) fn mark(&mut self, at: Point, style: &Style) {
        let (x, y) = at;
        let r = MARK;
        let square = |r: f64| {
            corners(Area {
                left: x - r,
                top: y - r,
                right: x + r,
                bottom: y + r,
            })
        };
        let diamond = |r: f64| [(x, y - r), (x + r, y), (x, y + r), (x - r, y)];
        let triangle = |r: f64| [(x, y - r), (x + r, y + 0.8 * r), (x - r, y + 0.8 * r)];
        let upside = |points: [Point; 3]| points.map(|(px, py)| (px, 2.0 * y - py));
        match style.mark {
            Mark::Circle => self.disc(at, r, false, style.color),
            Mark::OpenCircle => self.disc(at, r, true, style.color),
            Mark::Square => self.shape(&square(0.88 * r), false, style.color),
            Mark::OpenSquare => self.shape(&square(0.88 * r), true, style.color),
            Mark::Diamond => self.shape(&diamond(1.25 * r), false, style.color),
            Mark::OpenDiamond => self.shape(&diamond(1.25 * r), true, style.color),
            Mark::TriangleUp => self.shape(&triangle(1.15 * r), false, style.color),
            Mark::TriangleDown => self.shape(&upside(triangle(1.15 * r)), false, style.color),
            Mark::Cross => self.strokes(at, &[(1.0, 1.0), (1.0, -1.0)], style.color),
            Mark::Plus => self.strokes(at, &[(1.3, 0.0), (0.0, 1.3)], style.color),
            Mark::Star => {
                let ways = [(0.8, 0.8), (0.8, -0.8), (1.2, 0.0), (0.0, 1.2)];
                self.strokes(at, &ways, style.color);
            }
        }
    }

    fn disc(&mut self, (x, y): Point, radius: f64, open: bool, color: Color) {
        let (edge, fill) = edge_and_fill(open, color);
        self.element(format_args!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{fill}\"{edge}/>",
            number(x),
            number(y),
            number(radius)
        ));
    }

    fn shape(&mut self, points: &[Point], open: bool, color: Color) {
        let (edge, fill) = edge_and_fill(open, color);
        self.polygon(points, &fill.to_string(), &edge);
    }

    fn strokes(&mut self, (x, y): Point, ways: &[Point], color: Color) {
        for (dx, dy) in ways {
            let (dx, dy) = (dx * MARK, dy * MARK);
            let points = [(x - dx, y - dy), (x + dx, y + dy)];
            self.line(&points, plain(color, 1.8));
        }
    }
}

/// An unbroken line.
pub(super) fn plain(color: Color, width: f64) -> Stroke {
    Stroke {
        color,
        width,
        dashes: &[],
    }
}

/// A full mark has a white edge, so that it stands out from the curves that it covers.
fn edge_and_fill(open: bool, color: Color) -> (String, Color) {
    match open {
        true => (stroked(plain(color, 1.5)), WHITE),
        false => (stroked(plain(WHITE, 0.8)), color),
    }
}

pub(super) fn corners(area: Area) -> [Point; 4] {
    [
        (area.left, area.top),
        (area.right, area.top),
        (area.right, area.bottom),
        (area.left, area.bottom),
    ]
}

fn listed(points: &[Point]) -> String {
    let points = points
        .iter()
        .map(|(x, y)| format!("{},{}", number(*x), number(*y)));
    points.collect::<Vec<_>>().join(" ")
}

fn stroked(stroke: Stroke) -> String {
    let mut out = format!(
        " stroke=\"{}\" stroke-width=\"{}\" stroke-linejoin=\"round\"",
        stroke.color,
        number(stroke.width)
    );
    if !stroke.dashes.is_empty() {
        let dashes: Vec<_> = stroke.dashes.iter().map(|it| number(*it)).collect();
        out += &format!(" stroke-dasharray=\"{}\"", dashes.join(","));
    }
    out
}

/// To a hundredth of a pixel.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }.to_owned()
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
