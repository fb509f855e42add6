//! From options to sizes of files, of the model and of the running kernel.

use kernel_model::Orders;
use measuring::machine::{Sizes, orders_in_words};

use super::failure::Failure;
use super::options::{Extent, Hole, Model};

/// Pages of a file that has each order of a mix.
pub(super) const MIX_PAGES: u32 = Orders::MIX.len() as u32 * Orders::MIX_RUN as u32;

/// Pages of a file by default.
pub(super) const PAGES: u32 = 4096;
/// Windows that a hole takes away by default.
pub(super) const HOLE_WINDOWS: u32 = 4;

/// The sizes of the model, with `pages` of file and `hole_windows` of holes by default.
pub(super) fn sizes(
    model: &Model,
    extent: &Extent,
    hole: &Hole,
    pages: u32,
    hole_windows: u32,
) -> Result<Sizes, Failure> {
    let window = model.window;
    let named = format!("--window {window}");
    let (pages, hole) = pages_and_hole(extent, hole, window, &named, pages, hole_windows)?;
    let (least, folios) = match model.order {
        Orders::All(order) => (1 << order, format!("folios of {} pages", 1_u32 << order)),
        Orders::Mix => (MIX_PAGES, format!("{MIX_PAGES} pages to have all orders")),
    };
    if pages < least {
        return Err(Failure::Usage(format!(
            "--order {} takes {folios}, and the file has {pages}: give at least --pages {least}",
            orders_in_words(model.order)
        )));
    }
    Ok(Sizes {
        pages,
        neighbour: false,
        refill: false,
        orders: model.order,
        window_pages: window,
        readahead_pages: window,
        hole_pages: hole,
        fill_ns_per_page: 0,
    })
}

/// The sizes of a file of the running kernel.
pub(super) fn kernel_sizes(
    extent: &Extent,
    hole: &Hole,
    window_pages: u32,
) -> Result<Sizes, Failure> {
    let named = format!("the kernel's window of {window_pages} pages");
    let (pages, hole_pages) =
        pages_and_hole(extent, hole, window_pages, &named, PAGES, HOLE_WINDOWS)?;
    Ok(Sizes {
        pages,
        neighbour: false,
        refill: true,
        orders: Orders::All(0),
        window_pages,
        readahead_pages: window_pages,
        hole_pages,
        fill_ns_per_page: 0,
    })
}

/// The pages of the file and of a hole, with `pages` and `hole_windows` by default.
fn pages_and_hole(
    extent: &Extent,
    hole: &Hole,
    window: u32,
    named: &str,
    pages: u32,
    hole_windows: u32,
) -> Result<(u32, u32), Failure> {
    let pages = extent.pages.unwrap_or(pages);
    if !pages.is_multiple_of(window) {
        let (below, above) = (pages / window * window, (pages / window + 1) * window);
        let allowed = match below {
            0 => format!("{above} is"),
            below => format!("{below} or {above} is"),
        };
        return Err(Failure::Usage(format!(
            "--pages {pages} isn't a multiple of {named}: {allowed}"
        )));
    }
    let hole = hole.hole.unwrap_or((hole_windows * window).min(pages));
    if !hole.is_multiple_of(window) || hole > pages {
        return Err(Failure::Usage(format!(
            "--hole {hole} must be a multiple of {named}, and at most --pages {pages}"
        )));
    }
    Ok((pages, hole))
}
