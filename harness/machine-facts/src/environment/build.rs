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
    /// What cargo gave rustc from `RUSTFLAGS` or configuration, separated by blanks; what the
    /// profile says of link-time optimization and codegen units is told to no build script.
    #[serde(default)]
    pub rustflags: Option<String>,
    /// Whether debug assertions were compiled in.
    pub debug_assertions: bool,
}

/// The version, and the commit that it was built from.
pub const BUILD: &str = env!("HARNESS_BUILD");

/// What `.cargo/config.toml` asks of rustc: all functions begin at multiples of 2 to the power of
/// [`ALIGNMENT`].
const ALIGN: &str = "-align-all-functions=";
const ALIGNMENT: u32 = 6;

impl Build {
    pub(super) fn of_this_binary() -> Self {
        Self {
            crate_version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: known(env!("HARNESS_COMMIT")),
            dirty: env!("HARNESS_DIRTY").parse().ok(),
            rustc: known(env!("HARNESS_RUSTC")),
            target: known(env!("HARNESS_TARGET")),
            opt_level: known(env!("HARNESS_OPT_LEVEL")),
            rustflags: Some(env!("HARNESS_RUSTFLAGS").to_owned()),
            debug_assertions: cfg!(debug_assertions),
        }
    }

    /// Whether each function has a cache line to begin with; `None` where the flags aren't known.
    pub fn aligns_functions(&self) -> Option<bool> {
        let mut values = self.rustflags.as_deref()?.split(ALIGN).skip(1);
        let value = |rest: &str| {
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse().ok()
        };
        Some(values.any(|rest| value(rest).is_some_and(|power: u32| power >= ALIGNMENT)))
    }
}

/// The build script has a word for what it could not find out.
fn known(value: &str) -> Option<String> {
    (value != "unknown").then(|| value.to_owned())
}
