//! Draws runs: the figures that go into mails, papers and slides, as SVG and PNG.
//!
//! [`plot`] reads runs from their directories, [`chart`] is what a figure shows, and [`write_svg`]
//! and [`write_png`] draw one. No system package takes part: the font is embedded.
#![forbid(unsafe_code)]

pub mod chart;
mod figures;
mod render;
mod source;
pub mod style;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use machine_facts::files::read_input;
use reporting::record::ReadError;
use thiserror::Error;

pub use render::{PNG_SCALE, write_gnuplot, write_png, write_svg};

use figures::{Figures, breakdown};
use source::Source;

/// What a figure is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Vectors, with text that stays text.
    Svg,
    /// Pixels, [`PNG_SCALE`] of them to one of the SVG in each direction.
    Png,
    /// What `plots/gnuplot/figure.gp` draws, to be retouched.
    Gnuplot,
}

impl Format {
    /// The ending of its files.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Png => "png",
            Self::Gnuplot => "gp",
        }
    }

    fn draw(self, figure: &chart::Figure) -> Result<Vec<u8>, String> {
        match self {
            Self::Svg => Ok(write_svg(figure).into_bytes()),
            Self::Png => write_png(&write_svg(figure)),
            Self::Gnuplot => Ok(write_gnuplot(figure).into_bytes()),
        }
    }
}

/// What became of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plotted {
    /// The files, all of them whole, in the order of the figures.
    pub files: Vec<PathBuf>,
    /// Figures that could not be drawn of these runs, and why, a line each.
    pub left_out: Vec<String>,
}

/// Why nothing, or not everything, was drawn: one line that names the file.
#[derive(Debug, Error)]
pub enum PlotError {
    /// A run that can't be read.
    #[error(transparent)]
    Run(#[from] ReadError),
    /// A breakdown that can't be read.
    #[error("cannot read {path:?}: {reason}")]
    Breakdown {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A figure that can't be written.
    #[error("cannot write {path:?}: {reason}")]
    Write {
        /// The file, or its directory.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
}

impl PlotError {
    fn write(path: &Path, reason: impl ToString) -> Self {
        Self::Write {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// Draws the figures of `runs`, and of `breakdown` (what `breakdown --format tsv` printed),
/// into the directory `out`, which is made if it is missing.
///
/// Latency and threads are drawn of the first run; window sizes and storm rates go over all of
/// them. A file is replaced only by a whole one.
///
/// # Errors
/// Input that can't be read, before anything is written; a disk that doesn't take a file.
pub fn plot(
    runs: &[&Path],
    breakdown: Option<&Path>,
    out: &Path,
    formats: &[Format],
) -> Result<Plotted, PlotError> {
    let sources: Result<Vec<Source<'_>>, ReadError> =
        runs.iter().map(|run| Source::read(run)).collect();
    let mut figures = Figures::of(&sources?)?;
    match breakdown {
        Some(path) => {
            let fail = |reason: String| PlotError::Breakdown {
                path: path.to_owned(),
                reason,
            };
            let table = read_input(path).map_err(|error| fail(error.to_string()))?;
            let table = String::from_utf8(table).map_err(|_| fail("it is no text".to_owned()))?;
            figures
                .drawn
                .push(breakdown::figure(&table, path).map_err(fail)?);
        }
        None => figures.left_out.push(
            "breakdown: takes what faultaround breakdown --format tsv prints, as --breakdown FILE"
                .to_owned(),
        ),
    }
    fs::create_dir_all(out).map_err(|error| PlotError::write(out, made(&error)))?;
    let mut files = Vec::new();
    for named in &figures.drawn {
        for format in formats {
            let path = out.join(format!("{}.{}", named.name, format.ending()));
            let bytes = format.draw(&named.figure);
            let bytes = bytes.map_err(|reason| PlotError::write(&path, reason))?;
            replace(&path, &bytes)?;
            files.push(path);
        }
    }
    Ok(Plotted {
        files,
        left_out: figures.left_out,
    })
}

/// `File exists` alone doesn't tell that it isn't a directory.
fn made(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            "it is a file or below one; figures go into a directory".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Writes a file so that no reader sees half of it.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), PlotError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    let partial = PathBuf::from(name);
    let written = fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, path));
    written.map_err(|error| {
        // A disk that is full may have taken half of it.
        let _ = fs::remove_file(&partial);
        PlotError::write(path, error)
    })
}
