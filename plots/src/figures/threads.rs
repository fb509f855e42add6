//! Throughput and cost against the number of fault threads.

use machine_facts::statistics::Interval;
use measuring::rounds::Variant;
use measuring::summary::{GroupSummary, Row};

use super::Figures;
use crate::chart::{self, Axis, Content, Figure, Marks, Panel, Scale, Series, Ticks};
use crate::source::{Source, Sweep, counted, drawn, label, load, style};

/// From this ratio of the most threads to the fewest on, numbers of threads are spread by their
/// logarithm: 1, 2 and 4 would stand in a heap beside 64.
const WIDE: f64 = 16.0;

/// From this ratio of the highest value to the lowest on, an axis of measured values is
/// logarithmic: one storm that starved a scheme would press all others onto 0.
const FAR_APART: f64 = 40.0;

/// A measure: its panel's title, its axis, its value and its interval.
pub(super) struct Measure {
    title: &'static str,
    axis: &'static str,
    value: fn(&Row) -> f64,
    interval: fn(&Row) -> Option<(f64, f64)>,
}

const THROUGHPUT: Measure = Measure {
    title: "throughput of all fault threads",
    axis: "pages mapped (Mpages/s)",
    value: |row| row.pages_per_s.median / 1e6,
    interval: |row| ends(row.pages_per_s_interval, 1e-6),
};

/// What a page costs.
pub(super) const COST: Measure = Measure {
    title: "cost",
    axis: "time in faults per page (ns)",
    value: |row| row.ns_per_page.median,
    interval: |row| ends(row.ns_per_page_interval, 1.0),
};

const MEASURES: [Measure; 2] = [THROUGHPUT, COST];

impl Measure {
    /// All that is drawn of a row.
    pub(super) fn values(&self, row: &Row) -> Vec<f64> {
        let (low, high) = (self.interval)(row).unwrap_or((f64::NAN, f64::NAN));
        vec![(self.value)(row), low, high]
    }
}

/// The axis of measured values: from 0, unless they are too far apart.
pub(super) fn measured(label: &str, values: &[f64]) -> Axis {
    let positive = values.iter().copied().filter(|it| *it > 0.0);
    let lowest = positive.fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(0.0, f64::max);
    let far_apart = highest > FAR_APART * lowest;
    Axis {
        label: match far_apart {
            true => format!("{label}, logarithmic"),
            false => label.to_owned(),
        },
        scale: if far_apart { Scale::Log } else { Scale::Linear },
        ticks: Ticks::Numbers,
    }
}

fn ends(interval: Option<Interval>, by: f64) -> Option<(f64, f64)> {
    interval.map(|it| (it.lo * by, it.hi * by))
}

/// The coverage of intervals, in words, where there is one.
pub(super) fn intervals<'r>(what: &str, rows: impl Iterator<Item = &'r Row>) -> String {
    let coverages = rows.filter_map(|row| Some(row.ns_per_page_interval?.coverage));
    let least = coverages.fold(f64::NAN, f64::min);
    if least.is_nan() {
        return "Medians over rounds.".to_owned();
    }
    format!(
        "Medians over rounds; {what} are intervals for the median, {:.0}%.",
        100.0 * least
    )
}

pub(super) fn add(figures: &mut Figures, source: &Source<'_>) {
    let mut storms: Vec<&str> = Vec::new();
    for group in &source.run.summary {
        if !storms.contains(&group.storm.as_str()) {
            storms.push(&group.storm);
        }
    }
    for storm in storms {
        let groups = source.run.summary.iter();
        let groups = groups.filter(|it| it.storm == storm && !it.rows.is_empty());
        let mut groups: Vec<_> = groups.collect();
        groups.sort_by_key(|it| it.threads);
        let name = format!("threads-{storm}");
        match groups.as_slice() {
            [] => figures.leave_out(&name, "no round of it was measured"),
            groups => figures.draw(name, figure(source, storm, groups)),
        }
    }
}

fn figure(source: &Source<'_>, storm: &str, groups: &[&GroupSummary]) -> Figure {
    let first = groups[0];
    let rows = || groups.iter().flat_map(|group| drawn(group));
    let (title, panels, what) = if groups.len() == 1 {
        let title = format!(
            "Throughput and cost {}, {}",
            load(storm),
            counted(first.threads, "fault thread")
        );
        let panels = MEASURES.iter().enumerate();
        let panels = panels.map(|(at, measure)| dots(source, measure, first, at == 0));
        (title, panels.collect(), "whiskers")
    } else {
        let title = format!("Throughput and cost against fault threads, {}", load(storm));
        let panels = MEASURES
            .iter()
            .map(|measure| curves(source, measure, groups));
        (title, panels.collect(), "bands")
    };
    let mut notes = vec![
        intervals(what, rows()),
        "A/A is the baseline's second run: what differs by less than the two is noise.".to_owned(),
    ];
    let oversubscribed: Vec<_> = groups.iter().filter(|it| it.oversubscribed).collect();
    notes.extend(source.warnings(!oversubscribed.is_empty()));
    Figure {
        title,
        subtitle: source.what_was_run(first.storm_threads, Sweep::None),
        panels,
        notes,
    }
}

fn dots(source: &Source<'_>, measure: &Measure, group: &GroupSummary, named: bool) -> Panel {
    let values: Vec<f64> = drawn(group).flat_map(|row| measure.values(row)).collect();
    let rows = drawn(group).map(|row| chart::Row::Dot {
        name: if named { label(row) } else { String::new() },
        style: style(source, row),
        value: (measure.value)(row),
        whisker: (measure.interval)(row),
    });
    Panel {
        title: measure.title.to_owned(),
        content: Content::Rows {
            x: measured(measure.axis, &values),
            rows: rows.collect(),
        },
    }
}

fn curves(source: &Source<'_>, measure: &Measure, groups: &[&GroupSummary]) -> Panel {
    let threads: Vec<f64> = groups.iter().map(|it| f64::from(it.threads)).collect();
    let rows = groups.iter().flat_map(|group| drawn(group));
    let values: Vec<f64> = rows.flat_map(|row| measure.values(row)).collect();
    let wide = threads[threads.len() - 1] / threads[0] >= WIDE;
    Panel {
        title: measure.title.to_owned(),
        content: Content::Lines {
            x: Axis {
                label: "fault threads".to_owned(),
                scale: if wide { Scale::Log } else { Scale::Chosen },
                ticks: Ticks::At(threads),
            },
            y: measured(measure.axis, &values),
            series: series(
                source,
                groups
                    .iter()
                    .map(|group| (f64::from(group.threads), *group)),
                measure,
            ),
        },
    }
}

/// A curve for each scheme over groups, by rising x; the A/A run's is thin and has no band. Files
/// look as in this run.
pub(super) fn series<'r>(
    source: &Source<'_>,
    groups: impl Iterator<Item = (f64, &'r GroupSummary)>,
    measure: &Measure,
) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for (x, group) in groups {
        for row in drawn(group) {
            let y = (measure.value)(row);
            if !y.is_finite() {
                continue;
            }
            let name = label(row);
            let known = all.iter().position(|it| it.name == name);
            let at = known.unwrap_or_else(|| {
                let again = row.variant == Variant::Again;
                all.push(Series {
                    name,
                    style: style(source, row),
                    points: Vec::new(),
                    band: (!again).then(Vec::new),
                    marks: if again { Marks::None } else { Marks::AtPoints },
                });
                all.len() - 1
            });
            all[at].points.push((x, y));
            if let Some(band) = &mut all[at].band {
                band.push((measure.interval)(row).unwrap_or((y, y)));
            }
        }
    }
    all
}
