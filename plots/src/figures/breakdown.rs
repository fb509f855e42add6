//! Where the nanoseconds of a fault go, from the table of `faultaround breakdown --format tsv`.

use std::path::Path;

use measuring::breakdown::PROBE_SHARE;

use super::Named;
use crate::chart::{Axis, Content, Figure, Panel, Part, Row, Scale, Ticks};
use crate::style::Style;

/// Steps with a smaller share of the fault than this, of 1, go into one part.
const SHARE: f64 = 0.02;
/// Kinds of parts that fills tell apart, less those two that every bar may have.
const KINDS: usize = 12;

const OTHER: &str = "other steps";
const REST: &str = "rest: walk, PTEs, calls, overlap";

/// A scheme's lines.
struct Scheme {
    name: String,
    broken: bool,
    turns: String,
    /// Names and ns per fault of the steps that were told apart from nothing.
    steps: Vec<(String, f64)>,
    total: f64,
    whisker: Option<(f64, f64)>,
    coverage: f64,
    native: f64,
    /// When it was measured, on what, and with which build; empty in tables of older versions.
    source: [String; 3],
}

/// The figure of a table.
///
/// # Errors
/// What is wrong with the table, in words.
pub(crate) fn figure(table: &str, file: &Path) -> Result<Named, String> {
    let schemes = read(table)?;
    let order = kinds(&schemes);
    let rows = schemes.iter().map(|scheme| bar(scheme, &order));
    let label = |scheme: &Scheme| format!("{:.0} ({:.0})", scheme.total, scheme.native);
    let rows = rows.zip(&schemes).map(|(parts, scheme)| Row::Bar {
        name: match scheme.broken {
            true => format!("{} (broken)", scheme.name),
            false => scheme.name.clone(),
        },
        parts,
        whisker: scheme.whisker,
        label: label(scheme),
    });
    let first = &schemes[0];
    let file = file.file_name().unwrap_or(file.as_os_str());
    let [machine, build, started] = first.source.clone();
    let layout = schemes
        .iter()
        .filter(|it| it.total - it.native > PROBE_SHARE * it.native);
    let layout: Vec<_> = layout.map(|it| it.name.as_str()).collect();
    let mut notes = Vec::new();
    if !layout.is_empty() {
        notes.push(format!(
            "The probe costs more than {:.0}% of the native fault of {}: the layout of its code, which \
             may be in its steps, too.",
            100.0 * PROBE_SHARE,
            layout.join(", ")
        ));
    }
    Ok(Named {
        name: "breakdown".to_owned(),
        figure: Figure {
            title: "What a fault's steps cost, by scheme".to_owned(),
            subtitle: vec![
                machine,
                build,
                format!(
                    "{started}: faultaround breakdown: one thread, everything cached, no storm; {} \
                     turns; from {}",
                    first.turns,
                    file.display()
                ),
            ],
            panels: vec![Panel {
                title: String::new(),
                content: Content::Rows {
                    x: Axis {
                        label: "time per fault (ns)".to_owned(),
                        scale: Scale::Linear,
                        ticks: Ticks::Numbers,
                    },
                    rows: rows.collect(),
                },
            }],
            notes: [
                "A step's part is what a fault saves when that step alone is made cheap. Steps \
                 overlap, so parts need not add up: the rest is what they leave of the total, and \
                 a bar that ends beyond its whisker has none."
                    .to_owned(),
                format!(
                    "\"{OTHER}\": below {:.0}% of the total each; what is not told apart from 0 is in \
                     the rest. Whiskers: the total's interval, {:.1}%. Right: the total in ns, in brackets \
                     without the probe.",
                    100.0 * SHARE,
                    100.0 * first.coverage
                ),
            ]
            .into_iter()
            .chain(notes)
            .collect(),
        },
    })
}

fn read(table: &str) -> Result<Vec<Scheme>, String> {
    let mut lines = table.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let column = |name: &str| {
        header.iter().position(|it| *it == name).ok_or_else(|| {
            format!(
                "it has no column {name}: it takes what faultaround breakdown --format tsv prints"
            )
        })
    };
    let (scheme, broken, step) = (column("scheme")?, column("broken")?, column("step")?);
    let (kind, ns, turns) = (column("kind")?, column("ns_per_fault")?, column("turns")?);
    let (lo, hi) = (column("ns_lo")?, column("ns_hi")?);
    let (coverage, told_apart) = (column("coverage")?, column("told_apart")?);

    let source = ["machine", "build", "started"].map(|it| (it, column(it).ok()));

    let mut schemes: Vec<Scheme> = Vec::new();
    for (at, line) in lines.enumerate() {
        let fields: Vec<&str> = line.split('\t').collect();
        if fields.len() != header.len() {
            return Err(format!(
                "line {} has {} of {} fields",
                at + 2,
                fields.len(),
                header.len()
            ));
        }
        let figure = |column: usize| {
            let field = fields[column];
            let parsed = field.parse::<f64>();
            parsed.map_err(|_| format!("line {}: {field:?} is no number", at + 2))
        };
        if schemes.last().is_none_or(|it| it.name != fields[scheme]) {
            schemes.push(Scheme {
                name: fields[scheme].to_owned(),
                broken: fields[broken] == "true",
                turns: fields[turns].to_owned(),
                steps: Vec::new(),
                total: f64::NAN,
                whisker: None,
                coverage: f64::NAN,
                native: f64::NAN,
                source: source.map(|(name, at)| match at {
                    Some(at) => fields[at].to_owned(),
                    None => format!("{name} unknown: a table of an older version"),
                }),
            });
        }
        let known = schemes.last_mut().expect("one has been pushed");
        let value = figure(ns)?;
        match (fields[kind], fields[step]) {
            ("whole", "total") => {
                known.total = value;
                known.whisker = Some((figure(lo)?, figure(hi)?));
                known.coverage = figure(coverage)?;
            }
            ("whole", "native") => known.native = value,
            ("whole", _) => {}
            (_, name) if fields[told_apart] == "true" && value > 0.0 => {
                known.steps.push((name.to_owned(), value));
            }
            // What could not be measured, or not be told apart from nothing, is in the rest.
            (_, _) => {}
        }
    }
    if schemes.is_empty() {
        return Err("it has no line with a scheme".to_owned());
    }
    match schemes.iter().find(|it| !it.total.is_finite()) {
        Some(scheme) => Err(format!("{} has no total in it", scheme.name)),
        None => Ok(schemes),
    }
}

/// The steps that have a part of their own, the one that costs most in all schemes first.
fn kinds(schemes: &[Scheme]) -> Vec<String> {
    let mut kinds: Vec<(String, f64)> = Vec::new();
    for scheme in schemes {
        let large = scheme.steps.iter();
        for (name, ns) in large.filter(|(_, ns)| *ns >= SHARE * scheme.total) {
            match kinds.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum += ns,
                None => kinds.push((name.clone(), *ns)),
            }
        }
    }
    kinds.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    kinds.truncate(KINDS);
    kinds.into_iter().map(|(name, _)| name).collect()
}

/// A scheme's parts, in the same order and with the same fills in all bars.
fn bar(scheme: &Scheme, kinds: &[String]) -> Vec<Part> {
    let of = |name: &String| {
        let large = scheme.steps.iter();
        let mut large = large.filter(|(_, ns)| *ns >= SHARE * scheme.total);
        large.find(|(known, _)| known == name).map(|(_, ns)| *ns)
    };
    let part = |name: &str, value, place| Part {
        name: Some(name.to_owned()),
        value,
        fill: Style::fill(place),
    };
    // All of them in each bar, if only with 0, so that the legend has them in this order.
    let own = kinds.iter().enumerate();
    let mut parts: Vec<Part> = own
        .map(|(place, name)| part(name, of(name).unwrap_or(0.0), place))
        .collect();
    let shown: f64 = parts.iter().map(|it| it.value).sum();
    let all: f64 = scheme.steps.iter().map(|(_, ns)| ns).sum();
    for (name, value, place) in [
        (OTHER, all - shown, KINDS),
        (REST, scheme.total - all, KINDS + 1),
    ] {
        parts.push(part(name, value.max(0.0), place));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "scheme\tbroken\tstep\tkind\tstands_for\ttimes_per_fault\tns_per_fault\t\
                          ns_lo\tns_hi\tcoverage\tturns\tshare\ttold_apart\n";

    fn line(step: &str, kind: &str, ns: &str, told_apart: &str) -> String {
        format!("sketch\ttrue\t{step}\t{kind}\tx\t1\t{ns}\t95\t105\t0.96\t9\t0.1\t{told_apart}\n")
    }

    fn rows(lines: &[String]) -> Vec<Row> {
        let table = HEADER.to_owned() + &lines.concat();
        let named = figure(&table, Path::new("dir/b.tsv")).unwrap();
        let Content::Rows { rows, .. } = &named.figure.panels[0].content else {
            panic!("bars are rows");
        };
        rows.clone()
    }

    #[test]
    fn parts_add_up_to_the_total_with_small_ones_merged() {
        let rows = rows(&[
            line("inc", "rmw", "30", "true"),
            line("tiny", "check", "1.5", "true"),
            line("doubtful", "check", "9", "false"),
            line("load", "needed", "nan", "nan"),
            line("total", "whole", "100", "nan"),
            line("native", "whole", "90", "nan"),
        ]);
        let [
            Row::Bar {
                name,
                parts,
                whisker,
                label,
            },
        ] = rows.as_slice()
        else {
            panic!("{rows:?}");
        };
        assert_eq!(
            (name.as_str(), label.as_str()),
            ("sketch (broken)", "100 (90)")
        );
        assert_eq!(*whisker, Some((95.0, 105.0)));
        let parts: Vec<_> = parts
            .iter()
            .map(|it| (it.name.as_deref().unwrap(), it.value))
            .collect();
        assert_eq!(parts, [("inc", 30.0), (OTHER, 1.5), (REST, 68.5)]);
    }

    #[test]
    fn steps_that_hide_behind_each_other_leave_no_rest() {
        let rows = rows(&[
            line("inc", "rmw", "70", "true"),
            line("dec", "rmw", "60", "true"),
            line("total", "whole", "100", "nan"),
        ]);
        let [Row::Bar { parts, .. }] = rows.as_slice() else {
            panic!("{rows:?}");
        };
        let rest = parts.iter().find(|it| it.name.as_deref() == Some(REST));
        assert_eq!(rest.map(|it| it.value), Some(0.0));
    }

    #[test]
    fn machine_and_date_stand_under_the_title_and_a_costly_probe_below() {
        let header = HEADER.trim_end().to_owned() + "\tmachine\tbuild\tstarted\n";
        let table = |native: &str| {
            let lines = [
                line("total", "whole", "168", "nan"),
                line("native", "whole", native, "nan"),
            ];
            let end = "\tSome CPU\tcommit 0123\t2026-11-27 21:00 UTC\n";
            header.clone() + &lines.concat().replace('\n', end)
        };
        let drawn = |table: &str| figure(table, Path::new("b.tsv")).unwrap().figure;
        let drawing = drawn(&table("101"));
        assert_eq!(drawing.subtitle[..2], ["Some CPU", "commit 0123"]);
        assert!(drawing.subtitle[2].starts_with("2026-11-27 21:00 UTC: "));
        assert_eq!(drawing.notes.len(), 3);
        assert!(drawing.notes[2].contains("native fault of sketch"));
        assert_eq!(drawn(&table("150")).notes.len(), 2);
        let older = HEADER.to_owned() + &line("total", "whole", "100", "nan");
        assert!(drawn(&older).subtitle[0].contains("machine unknown"));
    }

    #[test]
    fn what_is_no_such_table_is_refused_in_words() {
        let total = line("total", "whole", "100", "nan");
        for (table, part) in [
            (String::new(), "no column scheme"),
            ("scheme\tstorm\n".to_owned(), "no column broken"),
            (HEADER.to_owned(), "no line"),
            (HEADER.to_owned() + "sketch\ttrue\n", "line 2 has 2 of 13"),
            (
                HEADER.to_owned() + &total.replace("100", "much"),
                "no number",
            ),
            (
                HEADER.to_owned() + &line("inc", "rmw", "1", "true"),
                "no total",
            ),
        ] {
            let error = figure(&table, Path::new("b.tsv")).err().unwrap();
            assert!(error.contains(part), "{error}");
        }
    }
}
