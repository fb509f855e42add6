//! What a figure shows, as plain data that knows nothing of runs.

use crate::style::{Fill, Style};

/// A figure: a title, what was run, panels side by side, one legend for all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What is drawn.
    pub title: String,
    /// What was run, in lines that are wrapped to the figure's width.
    pub subtitle: Vec<String>,
    /// From left to right.
    pub panels: Vec<Panel>,
    /// What a reader has to know of the method, in small print under the legend.
    pub notes: Vec<String>,
}

/// One set of axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What this panel has that its neighbour has not; may be empty.
    pub title: String,
    /// What is drawn in it.
    pub content: Content,
}

/// What is drawn in a panel.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Curves over two axes.
    Lines {
        /// From left to right.
        x: Axis,
        /// From bottom to top.
        y: Axis,
        /// Drawn in this order, the first one last and so on top.
        series: Vec<Series>,
    },
    /// Rows with names, a value in each, from top to bottom.
    Rows {
        /// The axis of the values, from left to right.
        x: Axis,
        /// From top to bottom.
        rows: Vec<Row>,
    },
}

/// An axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What is along it, with its unit unless the ticks carry theirs.
    pub label: String,
    /// How values become places.
    pub scale: Scale,
    /// What stands at the ticks.
    pub ticks: Ticks,
}

/// How values become places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Proportional, with 0 in sight.
    Linear,
    /// Proportional, from the first value to the last: for what was chosen and not measured.
    Chosen,
    /// By the logarithm. What is not above 0 is not drawn.
    Log,
    /// For quantiles from 0 to below 1: each further nine takes as much place as the one before,
    /// as in HdrHistogram's plots.
    Percentile,
}

/// What stands at the ticks.
#[derive(Debug, Clone, PartialEq)]
pub enum Ticks {
    /// Numbers; the axis's label has the unit.
    Numbers,
    /// Nanoseconds, written with the unit that suits them.
    Nanoseconds,
    /// Numbers, at these values and nowhere else.
    At(Vec<f64>),
}

/// A curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name in the legend. Series of the same name share an entry.
    pub name: String,
    /// How it is told from the others.
    pub style: Style,
    /// x and y, by rising x.
    pub points: Vec<(f64, f64)>,
    /// Lowest and highest y at each point, where there is an interval.
    pub band: Option<Vec<(f64, f64)>>,
    /// Where its marks stand.
    pub marks: Marks,
}

/// Where a curve's marks stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// At the points, which are what was measured.
    AtPoints,
    /// Here and there along the curve, only to tell it from the others.
    Spread,
    /// Nowhere: a thin line behind the others.
    None,
}

/// A row of [`Content::Rows`].
#[derive(Debug, Clone, PartialEq)]
pub enum Row {
    /// Words over the rows that follow.
    Heading(String),
    /// A name and a point.
    Dot {
        /// Left of the axis; may be empty, if a panel to the left has it.
        name: String,
        /// How it is told from the others.
        style: Style,
        /// What was measured.
        value: f64,
        /// Its interval.
        whisker: Option<(f64, f64)>,
    },
    /// A name and parts put end to end, from 0.
    Bar {
        /// Left of the axis.
        name: String,
        /// From 0 on. None is below 0.
        parts: Vec<Part>,
        /// The interval of the whole.
        whisker: Option<(f64, f64)>,
        /// Written behind the bar.
        label: String,
    },
}

/// A part of a bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its name in the legend, where there is one; parts of the same name share an entry.
    pub name: Option<String>,
    /// How long it is; below 0 only where it is alone.
    pub value: f64,
    /// What it is filled with.
    pub fill: Fill,
}
