//! Panels of rows: points with whiskers, and bars.

use super::axis::Range;
use super::canvas::{Anchor, Area, BLACK, Canvas, LABEL, TICK, WHITE, corners, plain};
use super::curves::{below, x_ticks};
use super::font;
use crate::chart::{Axis, Row};
use crate::style::Fill;

const STEP: f64 = 25.0;
const BAR: f64 = 15.0;
const GAP: f64 = 10.0;

/// A panel of rows with its range.
pub(super) struct Rows<'a> {
    x_label: &'a str,
    x: Range,
    rows: &'a [Row],
}

impl<'a> Rows<'a> {
    pub(super) fn new(x: &'a Axis, rows: &'a [Row]) -> Self {
        Self {
            x_label: &x.label,
            x: Range::of(x, rows.iter().flat_map(values)),
            rows,
        }
    }

    pub(super) fn height(&self) -> f64 {
        self.rows.len() as f64 * STEP + GAP
    }

    /// What is written left of the panel takes this. Where there is nothing, half a tick's label
    /// may still stand out.
    pub(super) fn gutter(&self) -> f64 {
        let widths = self.rows.iter().map(|it| font::width(name(it), TICK));
        widths.fold(0.0, f64::max) + 14.0
    }

    /// And right of it.
    pub(super) fn right_gutter(&self) -> f64 {
        let widths = self.rows.iter().map(|row| match row {
            Row::Bar { label, .. } => font::width(label, TICK) + 8.0,
            Row::Heading(_) | Row::Dot { .. } => 0.0,
        });
        widths.fold(14.0, f64::max)
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, area: Area) {
        let x_of = |value| Some(area.left + self.x.place(value)? * (area.right - area.left));
        x_ticks(canvas, &self.x.ticks, x_of, area);
        canvas.text(below(area), Anchor::Middle, LABEL, BLACK, self.x_label);
        canvas.frame(area);
        if let Some(zero) = x_of(0.0) {
            canvas.line(&[(zero, area.top), (zero, area.bottom)], plain(BLACK, 1.0));
        }
        for (at, row) in self.rows.iter().enumerate() {
            let y = area.top + GAP / 2.0 + (at as f64 + 0.5) * STEP;
            let base = y + 0.36 * TICK;
            let left = area.left - 8.0;
            canvas.text((left, base), Anchor::End, TICK, BLACK, name(row));
            match row {
                Row::Heading(text) => {
                    // Over the grid, which would run through the letters.
                    let width = font::width(text, TICK);
                    let back = Area {
                        left: area.left + 5.0,
                        top: y - 0.6 * TICK,
                        right: area.left + 11.0 + width,
                        bottom: y + 0.6 * TICK,
                    };
                    canvas.area(&corners(back), WHITE, 1.0);
                    let at = (area.left + 8.0, base);
                    canvas.text(at, Anchor::Start, TICK, BLACK, text);
                }
                Row::Dot {
                    style,
                    value,
                    whisker,
                    ..
                } => {
                    if let Some((low, high)) = whisker
                        && let (Some(low), Some(high)) = (x_of(*low), x_of(*high))
                    {
                        canvas.whisker(low, high, y, style.color);
                    }
                    if let Some(x) = x_of(*value) {
                        canvas.mark((x, y), style);
                    }
                }
                Row::Bar {
                    parts,
                    whisker,
                    label,
                    ..
                } => {
                    let mut from = 0.0;
                    for part in parts {
                        let to = from + part.value;
                        if let (Some(left), Some(right)) = (x_of(from), x_of(to)) {
                            let bar = Area {
                                left: left.min(right),
                                top: y - BAR / 2.0,
                                right: left.max(right),
                                bottom: y + BAR / 2.0,
                            };
                            filled(canvas, bar, part.fill);
                        }
                        from = to;
                    }
                    if let Some((low, high)) = whisker
                        && let (Some(low), Some(high)) = (x_of(*low), x_of(*high))
                    {
                        canvas.whisker(low, high, y, BLACK);
                    }
                    let at = (area.right + 6.0, base);
                    canvas.text(at, Anchor::Start, TICK, BLACK, label);
                }
            }
        }
    }
}

/// A filled rectangle with a white edge on the right, which keeps parts of a bar apart.
pub(super) fn filled(canvas: &mut Canvas, area: Area, fill: Fill) {
    canvas.area(&corners(area), fill.color, 1.0);
    let (height, white) = (area.bottom - area.top, plain(WHITE, 1.4));
    if fill.hatched {
        let mut x = area.left - height;
        while x < area.right {
            // Cut at the sides.
            let (from, to) = (x.max(area.left), (x + height).min(area.right));
            if from < to {
                let y = |at| area.bottom - (at - x);
                canvas.line(&[(from, y(from)), (to, y(to))], white);
            }
            x += 5.0;
        }
    }
    if area.right - area.left > 3.0 {
        let points = [(area.right, area.top), (area.right, area.bottom)];
        canvas.line(&points, plain(WHITE, 0.8));
    }
}

fn name(row: &Row) -> &str {
    match row {
        Row::Heading(_) => "",
        Row::Dot { name, .. } | Row::Bar { name, .. } => name,
    }
}

/// All that a row's axis has to reach.
pub(super) fn values(row: &Row) -> Vec<f64> {
    let ends = |whisker: &Option<(f64, f64)>| whisker.map_or(vec![], |(low, high)| vec![low, high]);
    match row {
        Row::Heading(_) => Vec::new(),
        Row::Dot { value, whisker, .. } => [vec![*value], ends(whisker)].concat(),
        Row::Bar { parts, whisker, .. } => {
            let whole = parts.iter().map(|it| it.value).sum();
            [vec![whole], ends(whisker)].concat()
        }
    }
}
