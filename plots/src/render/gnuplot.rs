//! A figure as what gnuplot reads: the values that are drawn, what is written beside them, and how
//! they look. `plots/gnuplot/figure.gp` draws it.

use std::fmt::Write;

use super::axis::Range;
use super::canvas::BLACK;
use crate::chart::{Axis, Content, Figure, Marks, Panel, Part, Row, Scale, Series};
use crate::style::{Mark, Style};

/// What a series is drawn as; each panel has a list of numbers for each.
const KINDS: [&str; 6] = ["bands", "bars", "hatched", "thin", "curves", "dots"];

/// Points of a curve to a mark that only tells it from others.
const SPREAD: u32 = 12;

/// The figure for gnuplot.
pub fn write_gnuplot(figure: &Figure) -> String {
    let mut written = Written::default();
    for panel in &figure.panels {
        written.panel(panel);
    }
    let mut out = String::from("# gnuplot -e \"figure='THIS'\" plots/gnuplot/figure.gp\n");
    let notes = figure.notes.iter().map(|note| format!("# {note}\n"));
    out.extend(notes);
    out += &format!("title = {}\n", quoted(&figure.title));
    for line in &figure.subtitle {
        written.push("subtitle", quoted(line));
    }
    out += &format!("panels = {}\n", figure.panels.len());
    for (name, values) in &written.arrays {
        out += &format!("array {name}[{}] = [ \\\n", values.len());
        out += &format!("    {}]\n", values.join(", \\\n    "));
    }
    out += &written.linetypes;
    out + "# x, y, low, high: a block for each series.\n$points << EOD\n"
        + &written.points
        + "EOD\n"
}

#[derive(Default)]
struct Written {
    /// A value for each panel or for each series.
    arrays: Vec<(&'static str, Vec<String>)>,
    linetypes: String,
    points: String,
    series: u32,
    /// Of the panel: its series of each kind.
    kinds: [String; KINDS.len()],
}

impl Written {
    fn push(&mut self, array: &'static str, value: String) {
        match self.arrays.iter_mut().find(|(name, _)| *name == array) {
            Some((_, values)) => values.push(value),
            None => self.arrays.push((array, vec![value])),
        }
    }

    fn axis(&mut self, names: [&'static str; 3], axis: &Axis, values: impl Iterator<Item = f64>) {
        let [label, scale, ticks] = names;
        self.push(label, quoted(&axis.label));
        let kind = match axis.scale {
            Scale::Linear => "linear",
            Scale::Chosen => "chosen",
            Scale::Log | Scale::Percentile => "log",
        };
        self.push(scale, quoted(kind));
        let range = Range::of(axis, values);
        let all = range.ticks.iter();
        let all = all.map(|it| (place(axis, it.value), it.label.as_deref().unwrap_or("")));
        self.ticks(ticks, all);
    }

    fn ticks<'t>(&mut self, array: &'static str, ticks: impl Iterator<Item = (f64, &'t str)>) {
        // A string within a string.
        let ticks = ticks.map(|(value, label)| {
            let label = label.replace(['"', '\\'], "?");
            format!("\"{label}\" {value}")
        });
        let ticks = ticks.collect::<Vec<_>>().join(", ");
        self.push(array, quoted(&format!("({ticks})")));
    }

    fn panel(&mut self, panel: &Panel) {
        self.push("panel_title", quoted(&panel.title));
        let (x_axis, y_axis) = (
            ["x_label", "x_scale", "x_ticks"],
            ["y_label", "y_scale", "y_ticks"],
        );
        match &panel.content {
            Content::Lines { x, y, series } => {
                let points = || series.iter().flat_map(|it| it.points.iter());
                self.axis(x_axis, x, points().map(|(x, _)| *x));
                self.axis(y_axis, y, points().map(|(_, y)| *y));
                self.push("rows", "0".to_owned());
                series.iter().for_each(|series| self.curve(x, series));
            }
            Content::Rows { x, rows } => {
                self.axis(x_axis, x, rows.iter().flat_map(super::rows::values));
                self.push("y_label", quoted(""));
                self.push("y_scale", quoted("linear"));
                let names: Vec<_> = rows.iter().map(row_name).collect();
                let names = names.iter().zip(1_u32..);
                self.ticks(
                    "y_ticks",
                    names.map(|(name, at)| (at.into(), name.as_str())),
                );
                self.push("rows", rows.len().to_string());
                self.rows(rows);
            }
        }
        for (kind, numbers) in KINDS.into_iter().zip(std::mem::take(&mut self.kinds)) {
            self.push(kind, quoted(&numbers));
        }
    }

    /// A series of points, each with its interval, drawn as these kinds; none without points.
    fn add(&mut self, name: &str, look: &str, every: u32, kinds: &[&str], points: &[[f64; 4]]) {
        if points.is_empty() {
            return;
        }
        self.series += 1;
        for (kind, numbers) in KINDS.iter().zip(&mut self.kinds) {
            if kinds.contains(kind) {
                *numbers += &format!("{} ", self.series);
            }
        }
        self.push("names", quoted(name));
        self.push("every", every.to_string());
        // Writing to a string can't fail.
        let _ = writeln!(self.linetypes, "set linetype {} {look}", self.series);
        for [x, y, low, high] in points {
            let _ = writeln!(self.points, "{x} {y} {low} {high}");
        }
        self.points += "\n\n";
    }

    fn curve(&mut self, axis: &Axis, series: &Series) {
        let (kind, every) = match series.marks {
            Marks::AtPoints => ("curves", 1),
            Marks::Spread => ("curves", SPREAD),
            Marks::None => ("thin", 1),
        };
        let bands = series.band.as_ref().map(|_| "bands");
        let kinds: Vec<_> = std::iter::once(kind).chain(bands).collect();
        let point = |(at, (x, y)): (usize, &(f64, f64))| {
            let band = series.band.as_ref().and_then(|band| band.get(at));
            let (low, high) = band.copied().unwrap_or((*y, *y));
            [place(axis, *x), *y, low, high]
        };
        let points: Vec<_> = series.points.iter().enumerate().map(point).collect();
        self.add(&series.name, &look(&series.style), every, &kinds, &points);
    }

    fn rows(&mut self, rows: &[Row]) {
        let mut parts: Vec<(&Part, Vec<[f64; 4]>)> = Vec::new();
        for (row, y) in rows.iter().zip(1_u32..) {
            let y = f64::from(y);
            let dot = |x, whisker: &Option<(f64, f64)>| {
                let (low, high) = whisker.unwrap_or((x, x));
                [[x, y, low, high]]
            };
            match row {
                Row::Heading(_) => {}
                Row::Dot {
                    style,
                    value,
                    whisker,
                    ..
                } => self.add("", &look(style), 1, &["dots"], &dot(*value, whisker)),
                Row::Bar {
                    parts: own,
                    whisker,
                    ..
                } => {
                    let mut from = 0.0;
                    for part in own {
                        let to = from + part.value;
                        let bar = [to, y, from, to];
                        match parts.iter_mut().find(|(it, _)| it.name == part.name) {
                            Some((_, bars)) => bars.push(bar),
                            None => parts.push((part, vec![bar])),
                        }
                        from = to;
                    }
                    let edge = format!("lc rgb '{BLACK}' lw 2 pt 0");
                    if whisker.is_some() {
                        self.add("", &edge, 1, &["dots"], &dot(from, whisker));
                    }
                }
            }
        }
        for (part, bars) in parts {
            let kind = if part.fill.hatched { "hatched" } else { "bars" };
            let look = format!("lc rgb '{}'", part.fill.color);
            let name = part.name.as_deref().unwrap_or("");
            self.add(name, &look, 1, &[kind], &bars);
        }
    }
}

/// Where a value stands on a linear or a logarithmic axis: each further nine of a percentile takes
/// as much place as the one before.
fn place(axis: &Axis, value: f64) -> f64 {
    match axis.scale {
        Scale::Percentile => 1.0 / (1.0 - value),
        _ => value,
    }
}

fn row_name(row: &Row) -> String {
    match row {
        Row::Heading(name) | Row::Dot { name, .. } => name.clone(),
        Row::Bar { name, label, .. } => format!("{name}: {label}"),
    }
}

fn look(style: &Style) -> String {
    let point = match style.mark {
        Mark::Plus => 1,
        Mark::Cross => 2,
        Mark::Star => 3,
        Mark::OpenSquare => 4,
        Mark::Square => 5,
        Mark::OpenCircle => 6,
        Mark::Circle => 7,
        Mark::TriangleUp => 9,
        Mark::TriangleDown => 11,
        Mark::OpenDiamond => 12,
        Mark::Diamond => 13,
    };
    let dashes: Vec<_> = style.dash.pattern().iter().map(f64::to_string).collect();
    let dash = match dashes.is_empty() {
        true => "solid".to_owned(),
        false => format!("({})", dashes.join(",")),
    };
    let Style { color, .. } = style;
    format!("lc rgb '{color}' lw 1.8 dt {dash} pt {point}")
}

/// A string that gnuplot takes as it is.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''").replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::render::tests::{curves, rows};

    #[test]
    fn values_and_names_stand_in_what_gnuplot_reads() {
        let text = write_gnuplot(&curves());
        for part in [
            "panels = 2\n",
            "\"50\" 2, \"90\" 10",
            "'1 2 3 4 5 6 7 8 9 10 11 12 '",
            "'lockless-rfc (broken)'",
            "set linetype 1 lc rgb '#000000' lw 1.8 dt solid pt 7\n",
            r#"'("1" 1, "2" 2, "4" 4, "8" 8)'"#,
            "\n4 80 72 88\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // As curves, and as bands.
        let second = text.matches("'13 14 15 16 17 18 19 20 21 22 23 24 '");
        assert_eq!(second.count(), 2, "{text}");
        assert_eq!(quoted("it's"), "'it''s'");
        let text = write_gnuplot(&rows());
        // The second part of the bar in the row of that number, and the dot of the first row.
        for part in ["\n20 3 10 20\n", "\n40 1 37 44.5\n", "'20 21 22 '"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn the_script_draws_them_without_a_word() {
        let place = tempfile::tempdir().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/gnuplot/figure.gp");
        let data = place.path().join("figure");
        for figure in [curves(), rows()] {
            std::fs::write(&data, write_gnuplot(&figure)).unwrap();
            for ending in ["svg", "png"] {
                let out = place.path().join(ending).with_extension(ending);
                let given = format!("figure='{}'; out='{}'", data.display(), out.display());
                let mut command = Command::new("gnuplot");
                let Ok(told) = command.args(["-e", &given, script]).output() else {
                    eprintln!("skipped: gnuplot isn't there");
                    return;
                };
                let said = String::from_utf8_lossy(&told.stderr);
                assert!(told.status.success() && said.is_empty(), "{said}");
                let drawn = std::fs::read(&out).unwrap();
                assert!(drawn.len() > 5000, "{} bytes", drawn.len());
                let drawn = String::from_utf8_lossy(&drawn);
                let names = ["page-locked", "lockless-rfc (broken)"];
                let all = names.iter().all(|name| drawn.contains(name));
                assert!(all || ending == "png", "{drawn}");
            }
        }
        let told = Command::new("gnuplot").arg(script).output().unwrap();
        assert!(!told.status.success());
        assert!(String::from_utf8_lossy(&told.stderr).contains("give figure="));
    }
}
