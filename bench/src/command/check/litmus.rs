//! `faultaround check --litmus`: the kernel's own memory model, where somebody has it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::cancel::Cancel;
use harness::progress::Progress;
use kernel_model::litmus::{ALL, Litmus, Observed};

use super::options::Options;
use crate::command::output::Format;
use crate::command::{Failure, output};

/// The configuration that selects the kernel's model, in its directory.
const CONFIGURATION: &str = "linux-kernel.cfg";

/// Runs every litmus test of the schemes that were named, in `directory`.
pub(super) fn run(directory: &Path, options: &Options, cancel: &Cancel) -> Result<(), Failure> {
    if !directory.join(CONFIGURATION).is_file() {
        return Err(Failure::Usage(format!(
            "--litmus {}: there is no {CONFIGURATION} in it; tools/memory-model of a Linux source \
             tree is wanted",
            directory.display()
        )));
    }
    let herd7 = options
        .herd7
        .clone()
        .unwrap_or_else(|| PathBuf::from("herd7"));
    let files = tempfile::tempdir().map_err(|error| {
        Failure::Broke(format!("cannot make a directory for litmus tests: {error}"))
    })?;
    let wanted = |litmus: &&Litmus| {
        options.scheme.is_empty()
            || options
                .scheme
                .iter()
                .any(|name| litmus.schemes.contains(&name.as_str()))
    };
    let tests: Vec<&Litmus> = ALL.iter().filter(wanted).collect();
    let mut progress = Progress::new(tests.len() as u64);
    let mut results = Vec::new();
    for litmus in &tests {
        if cancel.is_requested() {
            break;
        }
        progress.step_begins(litmus.name);
        results.push(observe(litmus, &herd7, directory, files.path())?);
        progress.step_ended();
    }
    progress.finish();
    output::print(&print(&tests, &results, options.format))?;
    if results.len() < tests.len() {
        return Err(Failure::Interrupted);
    }
    let as_expected = tests
        .iter()
        .zip(&results)
        .all(|(litmus, &observed)| litmus.expected() == Some(observed));
    match as_expected {
        true => Ok(()),
        false => Err(Failure::NotAsDeclared),
    }
}

/// What herd7 says of a test.
fn observe(
    litmus: &Litmus,
    herd7: &Path,
    directory: &Path,
    files: &Path,
) -> Result<Observed, Failure> {
    let file = files.join(format!("{}.litmus", litmus.name));
    fs::write(&file, litmus.text)
        .map_err(|error| Failure::Broke(format!("cannot write {}: {error}", file.display())))?;
    let output = Command::new(herd7)
        .arg("-conf")
        .arg(CONFIGURATION)
        .arg(&file)
        .current_dir(directory)
        .output()
        .map_err(|error| {
            Failure::Usage(format!(
                "cannot run {}: {error}; herd7 of the herdtools is wanted on PATH or by --herd7",
                herd7.display()
            ))
        })?;
    let said = String::from_utf8_lossy(&output.stdout);
    let observation = said
        .lines()
        .find_map(|line| line.strip_prefix("Observation "))
        .and_then(|line| line.split_whitespace().nth(1))
        .and_then(Observed::of);
    observation.ok_or_else(|| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let complaint = complaint.lines().next().unwrap_or("nothing").to_owned();
        Failure::Broke(format!(
            "herd7 has no result for {}: it said {complaint}",
            litmus.name
        ))
    })
}

fn print(tests: &[&Litmus], results: &[Observed], format: Format) -> String {
    let rows = || tests.iter().zip(results);
    let expected = |litmus: &Litmus| litmus.expected().map_or("nan", Observed::word);
    let mut out = String::new();
    match format {
        Format::Text => {
            for (litmus, observed) in rows() {
                let judged = if litmus.expected() == Some(*observed) {
                    "as expected"
                } else {
                    "NOT AS EXPECTED"
                };
                let _ = writeln!(out, "{:<40} {:<9} {judged}", litmus.name, observed.word());
            }
            out.push_str(
                "\nResult: can a PTE outlive the removal? By herd7 and the kernel's model.\n",
            );
        }
        Format::Tsv => {
            out.push_str("scheme\ttest\texpected\tobserved\n");
            for (litmus, observed) in rows() {
                let (scheme, name) = (litmus.schemes.join(","), litmus.name);
                let _ = writeln!(
                    out,
                    "{scheme}\t{name}\t{}\t{}",
                    expected(litmus),
                    observed.word()
                );
            }
        }
        Format::Json => {
            let rows: Vec<_> = rows()
                .map(|(litmus, observed)| {
                    serde_json::json!({
                        "schemes": litmus.schemes,
                        "test": litmus.name,
                        "expected": expected(litmus),
                        "observed": observed.word(),
                    })
                })
                .collect();
            let _ = writeln!(out, "{:#}", serde_json::json!({ "litmus": rows }));
        }
    }
    out
}
