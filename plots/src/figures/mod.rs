//! Which figures runs have, and what is in each.

pub(crate) mod breakdown;
mod latency;
mod rates;
mod sweep;
#[cfg(test)]
mod tests;
mod threads;
mod windows;

use reporting::record::ReadError;

use crate::chart::Figure;
use crate::source::Source;

/// A figure and the name, without its ending, of its files.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) figure: Figure,
}

/// What runs have to show, and what they haven't and why.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) drawn: Vec<Named>,
    pub(crate) left_out: Vec<String>,
}

impl Figures {
    /// The figures of runs, of which there is at least one.
    pub(crate) fn of(sources: &[Source<'_>]) -> Result<Self, ReadError> {
        let mut figures = Self::default();
        let Some((first, others)) = sources.split_first() else {
            return Ok(figures);
        };
        latency::add(&mut figures, first)?;
        threads::add(&mut figures, first);
        if !others.is_empty() {
            figures.left_out.push(format!(
                "latency, threads: drawn of the first run, {}, alone",
                first.name()
            ));
        }
        windows::add(&mut figures, sources);
        rates::add(&mut figures, sources);
        Ok(figures)
    }

    fn draw(&mut self, name: String, figure: Figure) {
        self.drawn.push(Named { name, figure });
    }

    fn leave_out(&mut self, name: &str, reason: &str) {
        self.left_out.push(format!("{name}: {reason}"));
    }
}
