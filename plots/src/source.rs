//! A run as figures need it: what it and its rows are called, and how they look.

use std::path::Path;

use kernel_model::fault_around::Schemes;
use kernel_model::platform::Native;
use measuring::arrival::Arrival;
use measuring::machine::{MmKind, Sizes, orders_in_words};
use measuring::order::Access;
use measuring::rounds::{CALIBRATED, Variant};
use measuring::summary::{GroupSummary, Row};
use reporting::record::{ReadError, Run};

use crate::style::Style;

/// A run and where it is.
pub(crate) struct Source<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) run: Run,
}

impl<'a> Source<'a> {
    pub(crate) fn read(directory: &'a Path) -> Result<Self, ReadError> {
        let run = Run::read(directory)?;
        Ok(Self { directory, run })
    }

    /// What was run, in lines under a title; without a storm it has no threads.
    /// What a sweep over several runs changes is left out of them.
    pub(crate) fn what_was_run(&self, storm_threads: u32, sweep: Sweep) -> Vec<String> {
        let (header, setup) = (&self.run.header, &self.run.configuration.setup);
        let sizes = &setup.sizes;
        let build = header.environment.build_line();
        let date = header.started.strftime("%Y-%m-%d %H:%M UTC");
        let kernel = self.run.configuration.is_kernel();
        let orders = match orders_in_words(sizes.orders).as_str() {
            "mix" => "folios of mixed orders".to_owned(),
            order => format!("folios of order {order}"),
        };
        let mut parts = vec![format!("file of {} pages", sizes.pages)];
        match kernel {
            true => parts.insert(0, self.kernel_in_words()),
            false => parts.push(orders),
        }
        if sweep != Sweep::Windows {
            parts.push(format!("window of {} pages", sizes.window_pages));
        }
        if storm_threads > 0 {
            parts.push(storm_in_words(self, storm_threads, sweep));
        }
        parts.push(match setup.mm {
            MmKind::Private => "an mm for each fault thread".to_owned(),
            MmKind::Shared => "one mm for all fault threads".to_owned(),
        });
        parts.push(match setup.access {
            Access::Sequential => "sequential access".to_owned(),
            Access::Random => "random access".to_owned(),
        });
        parts.push(match setup.arrival {
            Arrival::Closed => "closed loop".to_owned(),
            Arrival::Poisson(rate) => format!("faults arrive at random, {rate}/s"),
            Arrival::Fixed(rate) => format!("faults arrive evenly, {rate}/s"),
        });
        parts.push(self.length());
        vec![
            header.environment.headline(),
            build,
            format!("{date}: {}", parts.join(", ")),
        ]
    }

    fn kernel_in_words(&self) -> String {
        let release = self.run.header.environment.kernel.release.as_deref();
        format!("running kernel {}", release.unwrap_or("(release unknown)"))
    }

    /// How long it was measured.
    pub(crate) fn length(&self) -> String {
        let ms = self.run.configuration.setup.duration_ns as f64 / 1e6;
        format!("{} of {ms} ms", counted(self.run.rounds_done(), "round"))
    }

    /// What a reader must know before trusting the figures: stopped runs, shared CPUs, and what
    /// of the machine or the build spoils a measurement.
    pub(crate) fn warnings(&self, oversubscribed: bool) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.run.complete {
            warnings.push("INCOMPLETE: the run was stopped before its end.".to_owned());
        }
        if oversubscribed {
            warnings.push(
                "OVERSUBSCRIBED: threads share CPUs; these are not latencies of locking."
                    .to_owned(),
            );
        }
        let caveats = &self.run.header.caveats;
        if !caveats.is_empty() {
            warnings.push(format!("Caveats: {}.", caveats.join("; ")));
        }
        warnings
    }

    /// Its directory's name, as it is told from others in a sentence.
    pub(crate) fn name(&self) -> String {
        self.directory.display().to_string()
    }
}

/// What differs between the runs of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sweep {
    /// There is one.
    None,
    /// The size of the window, and with it that of holes and read-ahead.
    Windows,
    /// The storm's rate.
    Rates,
}

fn storm_in_words(source: &Source<'_>, threads: u32, sweep: Sweep) -> String {
    let setup = &source.run.configuration.setup;
    let Sizes {
        hole_pages,
        neighbour,
        ..
    } = setup.sizes;
    let mut words = format!("storm of {}", counted(threads, "thread"));
    match setup.rate_per_s {
        _ if sweep == Sweep::Rates => {}
        Some(rate) => words.push_str(&format!(" at {rate}/s")),
        None => words.push_str(" flat out"),
    }
    if sweep != Sweep::Windows {
        words.push_str(&format!(" with holes of {hole_pages} pages"));
    }
    if neighbour {
        words.push_str(" in a part of the file that no mm maps");
    }
    words
}

/// What a row is called.
pub(crate) fn label(row: &Row) -> String {
    let broken = if row.broken { " (broken)" } else { "" };
    let again = match row.variant {
        Variant::Again => " A/A",
        _ => "",
    };
    format!("{}{broken}{again}", row.scheme)
}

/// The rows that are drawn: schemes, and the baseline's second run. What a control gives was
/// planted, and is no scheme's.
pub(crate) fn drawn(group: &GroupSummary) -> impl DoubleEndedIterator<Item = &Row> {
    let drawn = |row: &&Row| matches!(row.variant, Variant::Plain | Variant::Again);
    group.rows.iter().filter(drawn)
}

/// How a row of a run looks. The kernel's files are not known beforehand, and look by their place
/// in the run.
pub(crate) fn style(source: &Source<'_>, row: &Row) -> Style {
    let mut files = source.run.configuration.schemes.iter();
    let file = files.position(|it| it.kernel && it.name == row.scheme);
    match (row.variant, file) {
        (Variant::Again, _) => Style::again(),
        (_, Some(place)) => Style::sound(place),
        (_, None) => style_of(&row.scheme, row.broken),
    }
}

/// How a scheme looks. By its place among all schemes and not in the run, so that it is the same
/// in every figure of a paper; one that this program doesn't know comes after all others.
pub(crate) fn style_of(scheme: &str, broken: bool) -> Style {
    let all = Schemes::<Native>::ALL.iter().map(|it| it.about());
    let alike = all.filter(|it| it.verdict.is_sound() != broken);
    let names: Vec<&str> = alike.map(|it| it.name).collect();
    let place = names.iter().position(|it| *it == scheme);
    let place = place.unwrap_or(names.len());
    if broken {
        Style::broken(place)
    } else {
        Style::sound(place)
    }
}

/// So many of something.
pub(crate) fn counted(count: u32, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// A count with its thousands apart.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `none`, which is no storm, reads badly after "under".
pub(crate) fn load(load: &str) -> String {
    let (storm, calibrated) = match load.strip_suffix(CALIBRATED) {
        Some(storm) => (storm, ", calibrated"),
        None => (load, ""),
    };
    match storm {
        "none" => format!("without a storm{calibrated}"),
        storm => format!("under {storm}{calibrated}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_looks_the_same_whatever_else_was_run_and_broken_ones_look_broken() {
        assert_eq!(style_of("page-locked", false), Style::sound(0));
        assert_eq!(style_of("sketch", true), Style::broken(1));
        assert_eq!(style_of("tomorrow's", false), Style::sound(9));
    }

    #[test]
    fn a_load_reads_well_calibrated_or_not() {
        for (name, words) in [
            ("none", "without a storm"),
            ("none-calibrated", "without a storm, calibrated"),
            ("punch-hole-calibrated", "under punch-hole, calibrated"),
        ] {
            assert_eq!(load(name), words);
        }
    }

    #[test]
    fn thousands_stand_apart() {
        let of = |count| grouped(count);
        assert_eq!(
            (of(7), of(1_000), of(123_456), of(9_999_999)),
            (
                "7".to_owned(),
                "1,000".to_owned(),
                "123,456".to_owned(),
                "9,999,999".to_owned()
            )
        );
    }
}
