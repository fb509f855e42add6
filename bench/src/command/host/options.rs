//! The options of `faultaround host`.

use std::path::PathBuf;

use clap::Args;

use crate::command::measuring::Load;
use crate::command::values;

/// The options of `faultaround host`.
#[derive(Debug, Args)]
pub(in crate::command) struct Options {
    /// Measure files in this directory, too, on whatever file system it is; a memfd (tmpfs) is measured
    /// always. Nothing is left behind there
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// How much each write to those files writes, separated by commas: the larger, the larger the
    /// folios, where the file system has large ones [default: 4k,64k]
    #[arg(long, value_name = "4k|64k|2m", value_delimiter = ',', value_parser = values::write_pages,
          requires = "dir")]
    pub write: Vec<u32>,

    /// Measure what a fault costs per page, on this kernel and on the model, and how far the model is
    /// from the kernel; writes a file for storm --calibrated
    #[arg(long, conflicts_with_all = ["storm", "threads", "storm_threads", "mm", "access", "width",
          "limit", "arrival", "event", "oversubscribe"])]
    pub calibrate: bool,

    // A doc comment would be the help of the first of them.
    #[allow(missing_docs)]
    #[command(flatten)]
    pub load: Load,
}
