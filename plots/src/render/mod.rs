//! Drawing a figure: first into a list of shapes, then those as SVG or PNG, so that both show the
//! same.
//!
//! The shapes are few and the layout is ours, which is what a plotting library would have had to
//! be told anyway: percentile axis, legend under the panels, rows with whiskers. What was tried
//! of plotters 0.3 has whole pixels for coordinates, an SVG element for each dash of a line, and
//! no smoothing of lines wider than one pixel.

mod axis;
mod canvas;
mod curves;
mod font;
mod layout;
mod legend;
mod png;
mod rows;
mod scene;
mod svg;
#[cfg(test)]
mod tests;

use crate::chart::Figure;

/// Pixels of a PNG to one of the natural size, in each direction: enough for print.
pub const PNG_SCALE: u32 = 2;

/// The figure as SVG. Text stays text, in DejaVu Sans or what the reader has of that width.
pub fn write_svg(figure: &Figure) -> String {
    svg::write(&layout::scene(figure), &figure.title)
}

/// The figure as PNG, [`PNG_SCALE`] times its natural size.
///
/// # Errors
/// In words, if there is no memory for the picture.
pub fn write_png(figure: &Figure) -> Result<Vec<u8>, String> {
    png::write(&layout::scene(figure), PNG_SCALE as f32)
}

/// What is wrong with where text stands, as measured in the embedded font: the first that is
/// outside of the picture, or two that cover each other.
#[cfg(test)]
pub(crate) fn misplaced_text(figure: &Figure) -> Option<String> {
    layout::scene(figure).misplaced_text()
}
