//! JSON has no word for what isn't a number, and `null` stands for it: read back here.

use serde::{Deserialize, Deserializer};

/// A number; NaN where there is `null`.
pub fn read<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}
