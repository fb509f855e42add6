use super::options::Options;
use crate::command::Failure;
use harness::cancel::Cancel;
use std::path::Path;
pub(super) fn run(_directory: &Path, _options: &Options, _cancel: &Cancel) -> Result<(), Failure> {
    Ok(())
}
