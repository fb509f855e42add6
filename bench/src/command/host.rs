//! `faultaround host`: the kernel that is running, under the same storms.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use kernel_model::platform::Native;
use measuring::cell::Subject;
use measuring::storms::{Storm, Storms};
use running_kernel::cell::{CALLS, KernelFile};
use running_kernel::host::{FileKind, fault_around_pages};

use super::failure::Failure;
use super::invocation::Invocation;
use super::options::{Files, Load, or, value};
use super::rounds::{self, Asked};
use super::sizes::kernel_sizes;

/// The last part of a run directory's name.
const LABEL: &str = "host";

/// What `faultaround host` takes.
#[derive(Debug, Args)]
#[command(
    mut_arg("storm", or("none, truncate and punch-hole")),
    // A hole of the kernel takes some ten times as long as one of the model, and the pages must be
    // brought back before the next.
    mut_arg("rate", value("1000")),
    mut_arg("storm_threads", value("1")),
    mut_arg("access", value("sequential")),
)]
pub(super) struct Options {
    #[command(flatten)]
    files: Files,

    #[command(flatten)]
    load: Load,
}

/// Runs the command.
pub(super) fn run(options: &Options, invocation: Invocation) -> Result<(), Failure> {
    let load = &options.load;
    let storms = storms(load)?;
    let files = options.files.kinds()?;
    let window_pages = fault_around_pages().map_err(Failure::usage)?;
    let asked = Asked {
        subjects: files.iter().map(subject).collect(),
        storms,
        sizes: kernel_sizes(&load.extent, &load.hole, window_pages)?,
        controls: Vec::new(),
        calibration: None,
        not_removed_from: not_compared(&files),
    };
    rounds::run(load, asked, LABEL, invocation)
}

/// A file that processes of this program fault on.
pub(super) fn subject(kind: &FileKind) -> Subject {
    Subject::File(Arc::new(KernelFile {
        kind: kind.clone(),
        worker: PathBuf::from("/proc/self/exe"),
    }))
}

/// Whether a process can make a storm by system calls.
pub(super) fn can_be_called(storm: &dyn Storm<Native>) -> bool {
    let mut removers = storm.removers().into_iter();
    removers.all(|remover| CALLS.contains(&remover.about().name))
}

/// The storms that a process can make by system calls: those that were named, or else all.
fn storms(load: &Load) -> Result<Vec<&'static dyn Storm<Native>>, Failure> {
    let storms = load.storms.named(can_be_called)?;
    match storms.iter().find(|storm| !can_be_called(**storm)) {
        Some(storm) => {
            let all = Storms::<Native>::ALL
                .iter()
                .filter(|storm| can_be_called(**storm));
            let known: Vec<_> = all.map(|storm| storm.about().name).collect();
            Err(Failure::Usage(format!(
                "--storm {}: no system call does that to pages that others have mapped; host has {}",
                storm.about().name,
                known.join(", ")
            )))
        }
        None => Ok(storms),
    }
}

/// Files that would not stay what they are under a storm.
fn not_compared(files: &[FileKind]) -> Option<String> {
    let names = files.iter().filter(|kind| !kind.refills_alike());
    let names: Vec<_> = names.map(|kind| kind.name.as_str()).collect();
    (!names.is_empty()).then(|| {
        format!(
            "{} under storms that remove: a hole that is read back comes back in small folios, and \
             one that is written back is dirty, so that the next removal would wait for the disk",
            names.join(", ")
        )
    })
}
