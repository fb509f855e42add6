//! Where a figure's parts stand.

use super::canvas::{Anchor, Area, BLACK, Canvas, DARK, LABEL, SMALL, TICK, TITLE};
use super::curves::{self, Curves};
use super::font;
use super::legend::Legend;
use super::rows::Rows;
use crate::chart::{Content, Figure};

/// The widths of figures of one panel and of more. At the width of a page, 160 mm, text of 13
/// pixels is 8 and 6.5 points high.
const NARROW: f64 = 740.0;
const WIDE: f64 = 920.0;
const MARGIN: f64 = 16.0;

/// A panel with what it needs around it.
enum Prepared<'a> {
    Curves(Curves<'a>),
    Rows(Rows<'a>),
}

impl Prepared<'_> {
    fn height(&self) -> f64 {
        match self {
            Self::Curves(_) => curves::HEIGHT,
            Self::Rows(rows) => rows.height(),
        }
    }

    fn gutters(&self) -> (f64, f64) {
        match self {
            // The last tick's label may stand out by its half.
            Self::Curves(curves) => (curves.gutter(), 24.0),
            Self::Rows(rows) => (rows.gutter(), rows.right_gutter().max(24.0)),
        }
    }
}

/// The figure as SVG. Text stays text, in DejaVu Sans or what the reader has of that width.
pub fn write_svg(figure: &Figure) -> String {
    let mut canvas = Canvas::default();
    let width = if figure.panels.len() > 1 {
        WIDE
    } else {
        NARROW
    };
    let (left, right) = (MARGIN, width - MARGIN);

    let mut y = MARGIN;
    let lines = |canvas: &mut Canvas, y: &mut f64, texts: &[String], size: f64, color| {
        for text in texts {
            for line in font::wrap(text, size, right - left) {
                *y += 1.32 * size;
                canvas.text((left, *y - 0.3 * size), Anchor::Start, size, color, &line);
            }
        }
    };
    lines(
        &mut canvas,
        &mut y,
        std::slice::from_ref(&figure.title),
        TITLE,
        BLACK,
    );
    y += 2.0;
    lines(&mut canvas, &mut y, &figure.subtitle, SMALL, DARK);
    y += 12.0;

    let panels: Vec<_> = figure
        .panels
        .iter()
        .map(|panel| match &panel.content {
            Content::Lines { x, y, series } => Prepared::Curves(Curves::new(x, y, series)),
            Content::Rows { x, rows } => Prepared::Rows(Rows::new(x, rows)),
        })
        .collect();
    if figure.panels.iter().any(|it| !it.title.is_empty()) {
        y += LABEL + 8.0;
    }
    let gutters = panels.iter().map(Prepared::gutters);
    let taken: f64 = gutters.map(|(left, right)| left + right).sum();
    // All panels are as wide as each other, whatever is written beside them.
    let each = ((right - left - taken) / panels.len().max(1) as f64).max(60.0);
    let height = panels.iter().map(Prepared::height).fold(0.0, f64::max);
    let mut x = left;
    for (panel, prepared) in figure.panels.iter().zip(&panels) {
        let (before, after) = prepared.gutters();
        let area = Area {
            left: x + before,
            top: y,
            right: x + before + each,
            bottom: y + height,
        };
        x = area.right + after;
        let title = font::cut(&panel.title, LABEL, each + after);
        let at = (area.left, area.top - 8.0);
        canvas.text(at, Anchor::Start, LABEL, BLACK, &title);
        match prepared {
            Prepared::Curves(curves) => curves.draw(&mut canvas, area),
            Prepared::Rows(rows) => rows.draw(&mut canvas, area),
        }
    }
    // Ticks' labels and the axis's.
    y += height + 6.0 + TICK + 8.0 + LABEL + 16.0;
    y = Legend::of(figure).draw(&mut canvas, left + 4.0, right, y);
    y += 6.0;
    lines(&mut canvas, &mut y, &figure.notes, SMALL, DARK);
    canvas.finish(&figure.title, width, (y + MARGIN).ceil())
}
