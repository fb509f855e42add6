//! The list of shapes that a figure becomes.

use super::font;
use crate::style::Color;

/// A place in pixels of the natural size, from the upper left corner.
pub(super) type Point = (f64, f64);

/// A picture.
pub(super) struct Scene {
    pub(super) width: f64,
    pub(super) height: f64,
    /// In the order in which they are drawn.
    pub(super) shapes: Vec<Shape>,
}

/// What can be drawn.
pub(super) enum Shape {
    /// Lines from point to point.
    Path {
        points: Vec<Point>,
        closed: bool,
        stroke: Option<Stroke>,
        /// And how much it covers, from 0 to 1.
        fill: Option<(Color, f64)>,
    },
    /// A disc.
    Circle {
        center: Point,
        radius: f64,
        stroke: Option<Stroke>,
        fill: Color,
    },
    /// A line of text.
    Text(Text),
}

/// A line's look.
#[derive(Clone, Copy)]
pub(super) struct Stroke {
    pub(super) color: Color,
    pub(super) width: f64,
    /// Lengths of line and gap in turn; empty for an unbroken line.
    pub(super) dashes: &'static [f64],
}

/// A line of text.
pub(super) struct Text {
    /// Where it is anchored, on the base line.
    pub(super) at: Point,
    pub(super) anchor: Anchor,
    pub(super) size: f64,
    /// Turned to the left, to be read from below.
    pub(super) turned: bool,
    pub(super) color: Color,
    pub(super) text: String,
}

/// Which part of a text is where it is anchored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Text {
    /// How far the text begins before its anchor.
    pub(super) fn lead(&self) -> f64 {
        let width = font::width(&self.text, self.size);
        match self.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => width / 2.0,
            Anchor::End => width,
        }
    }
}

#[cfg(test)]
impl Text {
    /// Left, top, right and bottom.
    fn bounds(&self) -> [f64; 4] {
        let (from, width) = (-self.lead(), font::width(&self.text, self.size));
        let (up, down) = (0.76 * self.size, 0.24 * self.size);
        let (x, y) = self.at;
        match self.turned {
            false => [x + from, y - up, x + from + width, y + down],
            true => [x - up, y - from - width, x + down, y - from],
        }
    }
}

#[cfg(test)]
impl Scene {
    /// The first text that is outside of the picture, or two that cover each other.
    pub(super) fn misplaced_text(&self) -> Option<String> {
        let texts = self.shapes.iter().filter_map(|shape| match shape {
            Shape::Text(text) => Some((text.bounds(), &text.text)),
            _ => None,
        });
        let texts: Vec<_> = texts.collect();
        let cover = |one: &[f64; 4], other: &[f64; 4]| {
            one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3]
        };
        texts.iter().enumerate().find_map(|(at, (bounds, text))| {
            let [left, top, right, bottom] = *bounds;
            if left < 0.0 || top < 0.0 || right > self.width || bottom > self.height {
                return Some(format!("{text:?} is outside"));
            }
            let mut later = texts[at + 1..].iter();
            let (_, other) = later.find(|(it, _)| cover(bounds, it))?;
            Some(format!("{text:?} and {other:?} cover each other"))
        })
    }
}
