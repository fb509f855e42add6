//! What the baseline is run as beside itself, so that a run says what it can show.

use serde::{Deserialize, Serialize};

/// A cell of the baseline whose result is known beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// The baseline with each fault made longer by so many percent: what a slowdown of that size
    /// looks like in this run, or whether it shows at all.
    Planted(f64),
    /// The baseline with no latency recorded: what recording costs.
    Unrecorded,
}

impl Control {
    /// The name of the cell that it makes of the baseline.
    pub fn variant(self) -> Variant {
        match self {
            Self::Planted(_) => Variant::Planted,
            Self::Unrecorded => Variant::Unrecorded,
        }
    }
}

/// As what a scheme runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// As itself.
    #[default]
    Plain,
    /// The baseline's second run (A/A).
    Again,
    /// See [`Control::Planted`].
    Planted,
    /// See [`Control::Unrecorded`].
    Unrecorded,
}

impl Variant {
    /// What is added to the scheme's name in files and tables for programs; nothing for itself.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Again => "-again",
            Self::Planted => "-planted",
            Self::Unrecorded => "-unrecorded",
        }
    }
}
