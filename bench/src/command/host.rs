//! `faultaround host`: the kernel that is running, under the same storms.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use kernel_model::platform::Native;
use measuring::cell::Subject;
use measuring::rounds::{Group, Plan};
use measuring::storms::{Storm, Storms};
use running_kernel::cell::CALLS;
use running_kernel::cell::KernelFile;
use running_kernel::host::{FileKind, fault_around_pages};

use super::failure::{Failure, cancel_on_signals};
use super::invocation::Invocation;
use super::options::{Files, Load, or, value};
use super::rounds::{
    self, Work, groups, refuse_for_no_storm, refuse_idle_threads, rounds, seeded, setup, topology,
};
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
    machine_facts::files::size_limit_is_an_error();
    let cancel = cancel_on_signals()?;
    let load = &options.load;
    let topology = topology(load.extent.cpus.as_deref())?;
    let (seed, invocation) = seeded(load.extent.seed, invocation);
    let storms = storms(load)?;
    let files = options.files.kinds()?;
    let window_pages = fault_around_pages().map_err(Failure::usage)?;
    let sizes = kernel_sizes(&load.extent, &load.hole, window_pages)?;
    let (groups, mut left_out) = groups(load, &topology, storms)?;
    left_out.extend(not_compared(&files, &groups));
    refuse_for_no_storm(&invocation, load, &groups)?;
    let setup = setup(load, sizes, &topology)?;
    let plan = Plan {
        subjects: files.iter().map(subject).collect(),
        groups,
        rounds: rounds(load)?,
        controls: Vec::new(),
        seed,
    };
    refuse_idle_threads(load, &setup, &plan)?;
    let work = Work {
        plan,
        setup,
        left_out,
        calibration: None,
    };
    rounds::run(load, work, &topology, LABEL, &invocation, &cancel)
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
fn not_compared(files: &[FileKind], groups: &[Group]) -> Option<String> {
    let names = files.iter().filter(|kind| !kind.refills_alike());
    let names: Vec<_> = names.map(|kind| kind.name.as_str()).collect();
    let removing = groups
        .iter()
        .any(|group| !group.storm.removers().is_empty());
    (!names.is_empty() && removing).then(|| {
        format!(
            "{} under storms that remove: a hole that is read back comes back in small folios, and one \
             that is written back is dirty, so that the next removal would wait for the disk",
            names.join(", ")
        )
    })
}
