//! What a run leaves behind, and how it gets onto the disk.
//!
//! A run directory is named `<UTC time>-<label>` and holds one finished run:
//!
//! - the files that describe and summarise the run, which the caller writes by
//!   name with [`RunDirectory::write`];
//! - `*.hgrm`, one latency distribution each, as the percentile table that
//!   HdrHistogram's plotters draw ([`write_hgrm`]);
//! - `*.hlog`, the same histograms in full, tagged and placed in time, which
//!   any HdrHistogram library can read, merge and subtract ([`write_hlog`]).
//!
//! While the run goes on, and for ever if it never ends, the directory is named
//! `<UTC time>-<label>.partial`. Everything without that suffix is a whole run.

mod batch;
mod disk;
mod hgrm;
mod hlog;
mod hlog_reader;
mod run_directory;

pub use batch::Batch;
pub use disk::RunDirectoryError;
pub use hgrm::write_hgrm;
pub use hlog::{HlogError, Interval, write_hlog};
pub use hlog_reader::read_hlog;
pub use run_directory::RunDirectory;
