//! A scene as PNG.

use tiny_skia::{
    FillRule, LineJoin, Paint, Path, PathBuilder, Pixmap, Stroke as Pen, StrokeDash, Transform,
};
use ttf_parser::OutlineBuilder;

use super::font;
use super::scene::{Scene, Shape, Stroke, Text};
use crate::style::Color;

/// The picture, `scale` pixels to one of the natural size.
pub(super) fn write(scene: &Scene, scale: f32) -> Result<Vec<u8>, String> {
    let pixels = |length: f64| (length as f32 * scale).ceil() as u32;
    let (width, height) = (pixels(scene.width), pixels(scene.height));
    let mut picture = Pixmap::new(width, height)
        .ok_or_else(|| format!("a picture of {width} by {height} pixels cannot be had"))?;
    picture.fill(tiny_skia::Color::WHITE);
    let at = Transform::from_scale(scale, scale);
    for shape in &scene.shapes {
        match shape {
            Shape::Path {
                points,
                closed,
                stroke,
                fill,
            } => {
                let Some(path) = path_of(points, *closed) else {
                    continue;
                };
                if let Some((color, cover)) = fill {
                    let paint = paint(*color, *cover);
                    picture.fill_path(&path, &paint, FillRule::Winding, at, None);
                }
                draw_line(&mut picture, &path, stroke.as_ref(), at);
            }
            Shape::Circle {
                center: (x, y),
                radius,
                stroke,
                fill,
            } => {
                let circle = PathBuilder::from_circle(*x as f32, *y as f32, *radius as f32);
                let Some(path) = circle else { continue };
                picture.fill_path(&path, &paint(*fill, 1.0), FillRule::Winding, at, None);
                draw_line(&mut picture, &path, stroke.as_ref(), at);
            }
            Shape::Text(text) => {
                if let Some(path) = path_of_text(text) {
                    let paint = paint(text.color, 1.0);
                    picture.fill_path(&path, &paint, FillRule::Winding, at, None);
                }
            }
        }
    }
    picture
        .encode_png()
        .map_err(|error| format!("the picture cannot be encoded: {error}"))
}

fn paint(Color(red, green, blue): Color, cover: f64) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, (cover * 255.0).round() as u8);
    paint
}

fn path_of(points: &[(f64, f64)], closed: bool) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (at, (x, y)) in points.iter().enumerate() {
        let (x, y) = (*x as f32, *y as f32);
        match at {
            0 => path.move_to(x, y),
            _ => path.line_to(x, y),
        }
    }
    if closed {
        path.close();
    }
    path.finish()
}

fn draw_line(picture: &mut Pixmap, path: &Path, stroke: Option<&Stroke>, at: Transform) {
    let Some(stroke) = stroke else { return };
    let dashes = stroke.dashes.iter().map(|it| *it as f32).collect();
    let pen = Pen {
        width: stroke.width as f32,
        line_join: LineJoin::Round,
        // None for an empty pattern, too: an unbroken line.
        dash: StrokeDash::new(dashes, 0.0),
        ..Pen::default()
    };
    picture.stroke_path(path, &paint(stroke.color, 1.0), &pen, at, None);
}

fn path_of_text(text: &Text) -> Option<Path> {
    let mut letters = Letters {
        path: PathBuilder::new(),
        offset: 0.0,
    };
    font::outline(&text.text, &mut letters, |it, offset| it.offset = offset);
    let size = text.size as f32 / font::units_per_em();
    // A font's y goes up.
    let mut place = Transform::from_scale(size, -size).post_translate(-text.lead() as f32, 0.0);
    if text.turned {
        place = place.post_rotate(-90.0);
    }
    let place = place.post_translate(text.at.0 as f32, text.at.1 as f32);
    letters.path.finish()?.transform(place)
}

/// Outlines of letters, one beside the other.
struct Letters {
    path: PathBuilder,
    offset: f32,
}

impl OutlineBuilder for Letters {
    fn move_to(&mut self, x: f32, y: f32) {
        self.path.move_to(x + self.offset, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.path.line_to(x + self.offset, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let by = self.offset;
        self.path.quad_to(x1 + by, y1, x + by, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let by = self.offset;
        self.path.cubic_to(x1 + by, y1, x2 + by, y2, x + by, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}
