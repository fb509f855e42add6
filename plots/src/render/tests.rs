use resvg::tiny_skia::Rect;
use resvg::usvg::{Group, Node};

use super::*;
use crate::chart::{Axis, Content, Figure, Marks, Panel, Part, Row, Scale, Series, Ticks};
use crate::style::Style;

/// What is wrong with where text stands, as it is drawn in the embedded font: the first that is
/// outside of the picture, or two that cover each other.
pub(crate) fn misplaced_text(figure: &Figure) -> Option<String> {
    let svg = write_svg(figure);
    let tree = parsed(&svg).expect("a figure is an SVG");
    let mut texts = Vec::new();
    collect(tree.root(), &mut texts);
    assert_eq!(texts.len(), svg.matches("<text").count(), "all is drawn");
    texts.iter().enumerate().find_map(|(at, (bounds, text))| {
        let (width, height) = (tree.size().width(), tree.size().height());
        if bounds.left() < 0.0
            || bounds.top() < 0.0
            || bounds.right() > width
            || bounds.bottom() > height
        {
            return Some(format!("{text:?} is outside"));
        }
        let mut later = texts[at + 1..].iter();
        let (_, other) = later.find(|(it, _)| bounds.intersect(it).is_some())?;
        Some(format!("{text:?} and {other:?} cover each other"))
    })
}

fn collect(group: &Group, texts: &mut Vec<(Rect, String)>) {
    for node in group.children() {
        match node {
            Node::Group(group) => collect(group, texts),
            Node::Text(text) => {
                let chunks = text.chunks().iter().map(|it| it.text());
                texts.push((text.flattened().abs_bounding_box(), chunks.collect()));
            }
            Node::Path(_) | Node::Image(_) => {}
        }
    }
}

const NAMES: [&str; 12] = [
    "page-locked",
    "folio-batched",
    "mapcount-recheck",
    "fused-count",
    "invalidate-gate",
    "invalidate-gate-fused",
    "invalidate-seq",
    "invalidate-seq-fused",
    "page-locked-xfs",
    "invalidate-only (broken)",
    "sketch (broken)",
    "lockless-rfc (broken)",
];

fn styles() -> impl Iterator<Item = Style> {
    (0..9).map(Style::sound).chain((0..3).map(Style::broken))
}

fn axis(label: &str, scale: Scale, ticks: Ticks) -> Axis {
    Axis {
        label: label.to_owned(),
        scale,
        ticks,
    }
}

/// As many curves as there will ever be, on every kind of axis.
pub(crate) fn curves() -> Figure {
    let latency = |at: usize| {
        let points = (0..70).map(|it| 1.0 - 0.5_f64.powf(f64::from(it) / 5.0));
        points
            .map(|quantile| {
                (
                    quantile,
                    (200.0 + 60.0 * at as f64) / (1.0 - quantile).powf(0.6),
                )
            })
            .collect::<Vec<_>>()
    };
    let threads = |at: usize| {
        [1.0, 2.0, 4.0, 8.0]
            .map(|it| (it, it * (20.0 + at as f64)))
            .to_vec()
    };
    let series = |points: &dyn Fn(usize) -> Vec<(f64, f64)>, marks, band| {
        let series = NAMES.iter().zip(styles()).enumerate();
        let series = series.map(|(at, (name, style))| Series {
            name: (*name).to_owned(),
            style,
            points: points(at),
            band: match band {
                true => Some(points(at).iter().map(|(_, y)| (0.9 * y, 1.1 * y)).collect()),
                false => None,
            },
            marks,
        });
        series.collect()
    };
    let chosen = Ticks::At(vec![1.0, 2.0, 4.0, 8.0]);
    Figure {
        title: "Curves of a title that is long enough to be wrapped, since names of storms & of \
                machines <are> what they are, and some are longer"
            .to_owned(),
        subtitle: vec!["what was run, ".repeat(20)],
        panels: vec![
            Panel {
                title: "faults".to_owned(),
                content: Content::Lines {
                    x: axis("percentile", Scale::Percentile, Ticks::Numbers),
                    y: axis("latency", Scale::Log, Ticks::Nanoseconds),
                    series: series(&latency, Marks::Spread, false),
                },
            },
            Panel {
                title: "pages, and a title that is too long for this half of the figure".to_owned(),
                content: Content::Lines {
                    x: axis("fault threads", Scale::Chosen, chosen),
                    y: axis("Mpages/s", Scale::Linear, Ticks::Numbers),
                    series: series(&threads, Marks::AtPoints, true),
                },
            },
        ],
        notes: vec!["a note".to_owned()],
    }
}

/// Rows of all kinds.
pub(crate) fn rows() -> Figure {
    let dots = NAMES.iter().zip(styles()).map(|(name, style)| Row::Dot {
        name: (*name).to_owned(),
        style,
        value: 40.0,
        whisker: Some((37.0, 44.5)),
    });
    let bars = (0..11).map(|at| Row::Bar {
        name: NAMES[at].to_owned(),
        parts: (0..at)
            .map(|part| Part {
                name: Some(format!("part {part}")),
                value: 10.0,
                fill: Style::fill(part),
            })
            .collect(),
        whisker: None,
        label: format!("{at} ns"),
    });
    let panel = |rows: Vec<Row>| Panel {
        title: String::new(),
        content: Content::Rows {
            x: axis("ns per page", Scale::Linear, Ticks::Numbers),
            rows,
        },
    };
    let heading = Row::Heading("a heading".to_owned());
    Figure {
        title: "Rows".to_owned(),
        subtitle: Vec::new(),
        panels: vec![
            panel(dots.chain([heading]).collect()),
            panel(bars.collect()),
        ],
        notes: Vec::new(),
    }
}

/// Nothing at all, and numbers that are none.
fn poor() -> Figure {
    let mut figure = curves();
    for panel in &mut figure.panels {
        let Content::Lines { series, .. } = &mut panel.content else {
            continue;
        };
        series.truncate(2);
        series[0].points.clear();
        series[1].points = vec![
            (f64::NAN, 1.0),
            (0.0, f64::INFINITY),
            (2.0, -1.0),
            (1.0, 1e300),
        ];
        series[1].band = None;
    }
    figure
}

fn figures() -> [Figure; 3] {
    [curves(), rows(), poor()]
}

#[test]
fn no_text_is_cut_off_or_covered() {
    for figure in figures() {
        assert_eq!(misplaced_text(&figure), None, "{}", figure.title);
    }
}

#[test]
fn svg_has_all_names_units_and_titles_as_text() {
    let svg = write_svg(&curves());
    let texts = NAMES.iter().copied();
    for text in texts.chain([
        "percentile",
        "latency",
        "Mpages/s",
        "99.9",
        "10 µs",
        "faults",
    ]) {
        assert!(svg.contains(&format!(">{text}</text>")), "{text}");
    }
    assert!(svg.contains("names of storms &amp; of"), "{svg}");
    let rows = write_svg(&rows());
    for text in ["part 9", "a heading", "ns per page", "10 ns"] {
        assert!(rows.contains(&format!(">{text}</text>")), "{text}");
    }
}

#[test]
fn svg_has_no_numbers_that_are_none() {
    for figure in figures() {
        let svg = write_svg(&figure);
        assert!(
            !svg.contains("NaN") && !svg.contains("inf"),
            "{}",
            figure.title
        );
        assert!(parsed(&svg).is_ok(), "{}", figure.title);
    }
}

#[test]
fn broken_lines_are_broken_in_the_picture() {
    let svg = write_svg(&curves());
    // Five of the sound schemes and the three broken schemes, in two panels and the legend.
    assert_eq!(svg.matches("stroke-dasharray").count(), 8 * 3);
}

#[test]
fn png_has_its_size_and_is_not_blank() {
    for figure in [curves(), rows()] {
        let svg = write_svg(&figure);
        let png = write_png(&svg).expect("memory for a picture");
        let picture = Pixmap::decode_png(&png).expect("a PNG");
        let size = parsed(&svg).expect("an SVG").size();
        let (width, height) = (size.width() as u32, size.height() as u32);
        assert_eq!(
            (picture.width(), picture.height()),
            (PNG_SCALE * width, PNG_SCALE * height)
        );
        let white = picture.pixels().iter().filter(|it| it.red() == 255).count();
        let all = picture.pixels().len();
        assert!(white > all / 2, "the ground is white: {white} of {all}");
        assert!(
            all - white > all / 50,
            "something is drawn: {white} of {all} are white"
        );
        let corner = picture.pixel(0, 0).expect("a corner");
        assert_eq!(
            (corner.red(), corner.alpha()),
            (255, 255),
            "not transparent"
        );
    }
}

#[test]
fn what_cannot_be_drawn_is_left_out_without_a_panic() {
    assert!(write_png(&write_svg(&poor())).is_ok());
    let nothing = Figure {
        title: String::new(),
        subtitle: Vec::new(),
        panels: Vec::new(),
        notes: Vec::new(),
    };
    assert!(write_png(&write_svg(&nothing)).is_ok());
    assert!(write_svg(&nothing).ends_with("</svg>\n"));
}

/// `PLOTS_LOOK=DIR cargo test` leaves the pictures to be looked at.
#[test]
fn pictures_can_be_left_for_the_eye() {
    let Some(directory) = std::env::var_os("PLOTS_LOOK") else {
        return;
    };
    for (name, figure) in ["curves", "rows", "poor"].into_iter().zip(figures()) {
        let path = std::path::Path::new(&directory).join(name);
        let svg = write_svg(&figure);
        let png = write_png(&svg).expect("memory for a picture");
        std::fs::write(path.with_extension("png"), png).expect("a directory that exists");
        std::fs::write(path.with_extension("svg"), svg).expect("the same");
        std::fs::write(path.with_extension("gp"), write_gnuplot(&figure)).expect("the same");
    }
}
