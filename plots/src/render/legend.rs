//! The legend, under the panels, where it covers nothing.

use super::canvas::{Anchor, Area, BLACK, Canvas, TICK};
use super::curves::stroke;
use super::font;
use super::rows::filled;
use crate::chart::{Content, Figure, Marks, Row, Series};
use crate::style::Fill;

/// The length of a piece of curve.
const SAMPLE: f64 = 42.0;
const BOX: f64 = 15.0;
const LINE: f64 = 21.0;

/// What stands before a name.
enum Sample<'a> {
    Curve(&'a Series),
    Part(Fill),
}

/// The entries of a figure's panels, each name once, in the order in which they come.
pub(super) struct Legend<'a> {
    entries: Vec<(&'a str, Sample<'a>)>,
}

impl<'a> Legend<'a> {
    pub(super) fn of(figure: &'a Figure) -> Self {
        let mut entries: Vec<(&str, Sample<'a>)> = Vec::new();
        let mut add = |name: &'a str, sample| {
            if !entries.iter().any(|(known, _)| *known == name) {
                entries.push((name, sample));
            }
        };
        for panel in &figure.panels {
            match &panel.content {
                Content::Lines { series, .. } => {
                    for series in series {
                        add(&series.name, Sample::Curve(series));
                    }
                }
                Content::Rows { rows, .. } => {
                    let parts = rows.iter().filter_map(|row| match row {
                        Row::Bar { parts, .. } => Some(parts),
                        Row::Heading(_) | Row::Dot { .. } => None,
                    });
                    for part in parts.flatten() {
                        if let Some(name) = &part.name {
                            add(name, Sample::Part(part.fill));
                        }
                    }
                }
            }
        }
        Self { entries }
    }

    /// Draws it into columns below `top`, and gives its lower edge.
    pub(super) fn draw(&self, canvas: &mut Canvas, left: f64, right: f64, top: f64) -> f64 {
        if self.entries.is_empty() {
            return top;
        }
        let samples = self.entries.iter().map(|(_, sample)| match sample {
            Sample::Curve(_) => SAMPLE,
            Sample::Part(_) => BOX,
        });
        let sample = samples.fold(0.0, f64::max);
        let names = self.entries.iter().map(|(name, _)| font::width(name, TICK));
        let widest = names.fold(0.0, f64::max);
        let column = (sample + 7.0 + widest + 22.0).min(right - left);
        let fit = (((right - left + 22.0) / column) as usize).max(1);
        // As many columns as fill the lines evenly.
        let lines = self.entries.len().div_ceil(fit);
        let columns = self.entries.len().div_ceil(lines);
        // Read downwards: the order is that of the rows.
        for (at, (name, kind)) in self.entries.iter().enumerate() {
            let (x, y) = (
                left + (at / lines) as f64 * column,
                top + ((at % lines) as f64 + 0.5) * LINE,
            );
            match kind {
                Sample::Curve(series) => {
                    canvas.line(&[(x, y), (x + SAMPLE, y)], stroke(series));
                    if series.marks != Marks::None {
                        canvas.mark((x + SAMPLE / 2.0, y), &series.style);
                    }
                }
                Sample::Part(fill) => {
                    let area = Area {
                        left: x,
                        top: y - BOX / 2.0,
                        right: x + BOX,
                        bottom: y + BOX / 2.0,
                    };
                    filled(canvas, area, *fill);
                }
            }
            let name = font::cut(name, TICK, column - sample - 7.0);
            let at = (x + sample + 7.0, y + 0.36 * TICK);
            canvas.text(at, Anchor::Start, TICK, BLACK, &name);
        }
        debug_assert!(columns <= fit);
        top + lines as f64 * LINE
    }
}
