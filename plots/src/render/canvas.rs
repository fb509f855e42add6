//! What the parts of a figure are drawn with, and the sizes that they share.

use super::scene::{Anchor, Point, Shape, Stroke, Text};
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

/// A rectangle on the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

/// Shapes to be.
#[derive(Default)]
pub(super) struct Canvas {
    pub(super) shapes: Vec<Shape>,
}

impl Canvas {
    pub(super) fn text(&mut self, at: Point, anchor: Anchor, size: f64, color: Color, text: &str) {
        self.any_text(at, anchor, size, color, text, false);
    }

    /// Text that is read from below, centred.
    pub(super) fn turned(&mut self, at: Point, size: f64, text: &str) {
        self.any_text(at, Anchor::Middle, size, BLACK, text, true);
    }

    fn any_text(
        &mut self,
        at: Point,
        anchor: Anchor,
        size: f64,
        color: Color,
        text: &str,
        turned: bool,
    ) {
        if !text.is_empty() {
            self.shapes.push(Shape::Text(Text {
                at,
                anchor,
                size,
                turned,
                color,
                text: text.to_owned(),
            }));
        }
    }

    pub(super) fn line(&mut self, points: Vec<Point>, stroke: Stroke) {
        self.shapes.push(Shape::Path {
            points,
            closed: false,
            stroke: Some(stroke),
            fill: None,
        });
    }

    pub(super) fn area(&mut self, points: Vec<Point>, color: Color, cover: f64) {
        self.shapes.push(Shape::Path {
            points,
            closed: true,
            stroke: None,
            fill: Some((color, cover)),
        });
    }

    /// A line of the grid; a faint one helps only to count.
    pub(super) fn grid(&mut self, from: Point, to: Point, faint: bool) {
        let color = if faint { FAINT } else { GRID };
        self.line(vec![from, to], plain(color, 1.0));
    }

    /// The edge of a panel.
    pub(super) fn frame(&mut self, area: Area) {
        self.shapes.push(Shape::Path {
            points: corners(area),
            closed: true,
            stroke: Some(plain(DARK, 1.0)),
            fill: None,
        });
    }

    /// An interval from `low` to `high`, level.
    pub(super) fn whisker(&mut self, low: f64, high: f64, y: f64, color: Color) {
        let end = 4.5;
        for line in [
            [(low, y), (high, y)],
            [(low, y - end), (low, y + end)],
            [(high, y - end), (high, y + end)],
        ] {
            self.line(line.to_vec(), plain(color, 1.5));
        }
    }

    /// A curve's mark.
    pub(super) fn mark(&mut self, at: Point, style: &Style) {
        let (x, y) = at;
        let r = MARK;
        let square = |r: f64| {
            vec![
                (x - r, y - r),
                (x + r, y - r),
                (x + r, y + r),
                (x - r, y + r),
            ]
        };
        let diamond = |r: f64| vec![(x, y - r), (x + r, y), (x, y + r), (x - r, y)];
        let triangle = |r: f64| vec![(x, y - r), (x + r, y + 0.8 * r), (x - r, y + 0.8 * r)];
        let upside = |points: Vec<Point>| points.into_iter().map(|(px, py)| (px, 2.0 * y - py));
        match style.mark {
            Mark::Circle => self.disc(at, r, false, style.color),
            Mark::OpenCircle => self.disc(at, r, true, style.color),
            Mark::Square => self.shape(square(0.88 * r), false, style.color),
            Mark::OpenSquare => self.shape(square(0.88 * r), true, style.color),
            Mark::Diamond => self.shape(diamond(1.25 * r), false, style.color),
            Mark::OpenDiamond => self.shape(diamond(1.25 * r), true, style.color),
            Mark::TriangleUp => self.shape(triangle(1.15 * r), false, style.color),
            Mark::TriangleDown => {
                let points = upside(triangle(1.15 * r)).collect();
                self.shape(points, false, style.color);
            }
            Mark::Cross => self.strokes(at, &[(1.0, 1.0), (1.0, -1.0)], style.color),
            Mark::Plus => self.strokes(at, &[(1.3, 0.0), (0.0, 1.3)], style.color),
            Mark::Star => {
                let ways = [(0.8, 0.8), (0.8, -0.8), (1.2, 0.0), (0.0, 1.2)];
                self.strokes(at, &ways, style.color);
            }
        }
    }

    fn disc(&mut self, center: Point, radius: f64, open: bool, color: Color) {
        let (edge, fill) = edge_and_fill(open, color);
        self.shapes.push(Shape::Circle {
            center,
            radius,
            stroke: Some(edge),
            fill,
        });
    }

    fn shape(&mut self, points: Vec<Point>, open: bool, color: Color) {
        let (edge, fill) = edge_and_fill(open, color);
        self.shapes.push(Shape::Path {
            points,
            closed: true,
            stroke: Some(edge),
            fill: Some((fill, 1.0)),
        });
    }

    fn strokes(&mut self, (x, y): Point, ways: &[Point], color: Color) {
        for (dx, dy) in ways {
            let (dx, dy) = (dx * MARK, dy * MARK);
            let points = vec![(x - dx, y - dy), (x + dx, y + dy)];
            self.line(points, plain(color, 1.8));
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
fn edge_and_fill(open: bool, color: Color) -> (Stroke, Color) {
    match open {
        true => (plain(color, 1.5), WHITE),
        false => (plain(WHITE, 0.8), color),
    }
}

pub(super) fn corners(area: Area) -> Vec<Point> {
    vec![
        (area.left, area.top),
        (area.right, area.top),
        (area.right, area.bottom),
        (area.left, area.bottom),
    ]
}
