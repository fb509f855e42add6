//! Panels of curves.

use super::axis::{Range, Tick};
use super::canvas::{Anchor, Area, BLACK, CURVE, Canvas, LABEL, Point, Stroke, THIN, TICK};
use super::font;
use crate::chart::{Axis, Marks, Series};

/// How high the panel is, without what is written around it.
pub(super) const HEIGHT: f64 = 340.0;
/// Between an axis and the values at its ends, where these were chosen.
const INSET: f64 = 18.0;
/// Marks of a curve along a panel that are there only to tell it from the others.
const SPREAD: usize = 3;

/// A panel of curves with its ranges.
pub(super) struct Curves<'a> {
    x_label: &'a str,
    y_label: &'a str,
    x: Range,
    y: Range,
    series: &'a [Series],
}

impl<'a> Curves<'a> {
    pub(super) fn new(x: &'a Axis, y: &'a Axis, series: &'a [Series]) -> Self {
        let points = || series.iter().flat_map(|it| it.points.iter().copied());
        let bands = series.iter().flat_map(|it| it.band.iter().flatten());
        let bands = bands.flat_map(|(low, high)| [*low, *high]);
        Self {
            x_label: &x.label,
            y_label: &y.label,
            x: Range::of(x, points().map(|(x, _)| x)),
            y: Range::of(y, points().map(|(_, y)| y).chain(bands)),
            series,
        }
    }

    /// What is written left of the panel takes this.
    pub(super) fn gutter(&self) -> f64 {
        let labels = self.y.ticks.iter().filter_map(|it| it.label.as_deref());
        let widths = labels.map(|it| font::width(it, TICK));
        widths.fold(0.0, f64::max) + 8.0 + LABEL + 8.0
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, area: Area) {
        let x_of = |value| {
            Some(inset(
                area.left,
                area.right,
                self.x.inset,
                self.x.place(value)?,
            ))
        };
        let y_of = |value| {
            Some(inset(
                area.bottom,
                area.top,
                self.y.inset,
                self.y.place(value)?,
            ))
        };
        for tick in &self.y.ticks {
            let Some(y) = y_of(tick.value) else { continue };
            let faint = tick.label.is_none();
            canvas.grid((area.left, y), (area.right, y), faint);
            let label = tick.label.as_deref().unwrap_or("");
            let at = (area.left - 6.0, y + 0.36 * TICK);
            canvas.text(at, Anchor::End, TICK, BLACK, label);
        }
        x_ticks(canvas, &self.x.ticks, x_of, area);
        canvas.text(below(area), Anchor::Middle, LABEL, BLACK, self.x_label);
        let middle = (area.top + area.bottom) / 2.0;
        let left = area.left - self.gutter() + LABEL;
        canvas.turned((left, middle), LABEL, self.y_label);

        let place = |(x, y): (f64, f64)| Some((x_of(x)?, y_of(y)?));
        for series in self.series {
            let Some(band) = &series.band else { continue };
            let ends = series.points.iter().zip(band);
            let lows = ends
                .clone()
                .filter_map(|((x, _), (low, _))| place((*x, *low)));
            let highs = ends
                .rev()
                .filter_map(|((x, _), (_, high))| place((*x, *high)));
            let edge: Vec<Point> = lows.chain(highs).collect();
            canvas.area(&edge, series.style.color, 0.12);
        }
        // The light ones behind all others, and marks over all lines.
        let (light, plain): (Vec<_>, Vec<_>) = self
            .series
            .iter()
            .rev()
            .partition(|it| it.marks == Marks::None);
        let lines: Vec<(&Series, Vec<Point>)> = light
            .into_iter()
            .chain(plain)
            .map(|it| (it, it.points.iter().filter_map(|at| place(*at)).collect()))
            .collect();
        for (series, points) in &lines {
            canvas.line(points, stroke(series));
        }
        canvas.frame(area);
        let all = lines.len();
        for (at, (series, points)) in lines.iter().enumerate() {
            let marked = match series.marks {
                Marks::AtPoints => points.clone(),
                Marks::Spread => spread(points, at as f64 / all as f64, area),
                Marks::None => Vec::new(),
            };
            for point in marked {
                canvas.mark(point, &series.style);
            }
        }
    }
}

/// How a curve is drawn, in a panel and in the legend.
pub(super) fn stroke(series: &Series) -> Stroke {
    Stroke {
        color: series.style.color,
        width: if series.marks == Marks::None {
            THIN
        } else {
            CURVE
        },
        dashes: series.style.dash.pattern(),
    }
}

/// Where an axis's label stands.
pub(super) fn below(area: Area) -> Point {
    let middle = (area.left + area.right) / 2.0;
    (middle, area.bottom + 6.0 + TICK + 8.0 + LABEL)
}

/// The lines and labels of the ticks of an axis that goes to the right. Labels that would touch
/// the one before are left out.
pub(super) fn x_ticks(
    canvas: &mut Canvas,
    ticks: &[Tick],
    x_of: impl Fn(f64) -> Option<f64>,
    area: Area,
) {
    let mut free = f64::NEG_INFINITY;
    for tick in ticks {
        let Some(x) = x_of(tick.value) else { continue };
        canvas.grid((x, area.bottom), (x, area.top), tick.label.is_none());
        let Some(label) = &tick.label else { continue };
        let half = font::width(label, TICK) / 2.0;
        if x - half < free {
            continue;
        }
        free = x + half + 4.0;
        let at = (x, area.bottom + 6.0 + TICK);
        canvas.text(at, Anchor::Middle, TICK, BLACK, label);
    }
}

fn inset(from: f64, to: f64, inset: bool, place: f64) -> f64 {
    let by = if inset {
        INSET * (to - from).signum()
    } else {
        0.0
    };
    from + by + place * (to - from - 2.0 * by)
}

/// Places along a line, at the same distance of each other; `phase`, from 0 to below 1, tells
/// where between two of them the first is, so that curves that run together keep theirs apart.
fn spread(points: &[Point], phase: f64, area: Area) -> Vec<Point> {
    let step = (area.right - area.left) / SPREAD as f64;
    let wanted = (0..SPREAD).map(|it| area.left + (it as f64 + phase) * step + 0.05 * step);
    let on_the_line = |x: f64| {
        let pair = points.windows(2).find(|it| it[0].0 <= x && x <= it[1].0)?;
        let [(x0, y0), (x1, y1)] = [pair[0], pair[1]];
        let share = if x1 > x0 { (x - x0) / (x1 - x0) } else { 0.0 };
        Some((x, y0 + share * (y1 - y0)))
    };
    wanted.filter_map(on_the_line).collect()
}
