//! Drawing a figure as SVG, and that SVG as PNG, so that both show the same.
//!
//! The shapes are few and the layout is ours, which is what a plotting library would have had to
//! be told anyway: percentile axis, legend under the panels, rows with whiskers. What was tried
//! of plotters 0.3 has whole pixels for coordinates, an SVG element for each dash of a line, and
//! no smoothing of lines wider than one pixel.

mod axis;
mod canvas;
mod curves;
mod font;
mod gnuplot;
mod layout;
mod legend;
mod rows;
#[cfg(test)]
mod tests;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

pub use gnuplot::write_gnuplot;
pub use layout::write_svg;
#[cfg(test)]
pub(crate) use tests::misplaced_text;

/// Pixels of a PNG to one of the natural size, in each direction: enough for print.
pub const PNG_SCALE: u32 = 2;

/// An SVG of [`write_svg`] as PNG, [`PNG_SCALE`] times its natural size.
///
/// # Errors
/// In words, if it is no SVG, or there is no memory for the picture.
pub fn write_png(svg: &str) -> Result<Vec<u8>, String> {
    let tree = parsed(svg)?;
    let pixels = |length: f32| length.ceil() as u32 * PNG_SCALE;
    let (width, height) = (pixels(tree.size().width()), pixels(tree.size().height()));
    let mut picture = Pixmap::new(width, height)
        .ok_or_else(|| format!("a picture of {width} by {height} pixels cannot be had"))?;
    let scale = PNG_SCALE as f32;
    resvg::render(
        &tree,
        Transform::from_scale(scale, scale),
        &mut picture.as_mut(),
    );
    picture
        .encode_png()
        .map_err(|error| format!("the picture cannot be encoded: {error}"))
}

/// With the embedded font and no other, whatever the system has.
fn parsed(svg: &str) -> Result<Tree, String> {
    let mut options = Options::default();
    options
        .fontdb_mut()
        .load_font_data(font::embedded().to_vec());
    Tree::from_str(svg, &options).map_err(|error| format!("the figure is no SVG: {error}"))
}
