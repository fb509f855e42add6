//! What the binary was built from.

use serde::{Deserialize, Serialize};

/// What the binary was built from, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Build {
    /// The version of this crate.
    pub crate_version: String,
    /// The git commit, abbreviated.
    pub commit: Option<String>,
    /// Whether sources differed from that commit.
    pub dirty: Option<bool>,
    /// The compiler's version.
    pub rustc: Option<String>,
    /// The target triple.
    pub target: Option<String>,
    /// The optimization level, as Cargo calls it.
    pub opt_level: Option<String>,
    /// Whether debug assertions were compiled in.
    pub debug_assertions: bool,
}

impl Build {
    pub(super) fn of_this_binary() -> Self {
        Self {
            crate_version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: known(env!("HARNESS_COMMIT")),
            dirty: env!("HARNESS_DIRTY").parse().ok(),
            rustc: known(env!("HARNESS_RUSTC")),
            target: known(env!("HARNESS_TARGET")),
            opt_level: known(env!("HARNESS_OPT_LEVEL")),
            debug_assertions: cfg!(debug_assertions),
        }
    }
}

/// The build script has a word for what it could not find out.
fn known(value: &str) -> Option<String> {
    (value != "unknown").then(|| value.to_owned())
}
