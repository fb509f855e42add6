//! From options to a plan: files of the running kernel, and what of the storms there is a call for.

use std::path::PathBuf;
use std::sync::Arc;

use harness::cell::CALLS;
use harness::host::{FileKind, fault_around_pages};
use harness::machine::Sizes;
use harness::rounds::{Group, Plan};
use harness::storms::{Storm, Storms};
use harness::subject::{KernelFile, Subject};
use harness::topology::Topology;
use kernel_model::Orders;
use kernel_model::platform::Native;

use super::options::Options;
use crate::command::measuring::{
    Load, Work, format_words, groups_of, pages_and_hole, refuse_for_no_storm, refuse_idle_threads,
    rerun, rounds, setup, storms_named,
};
use crate::command::values::Rate;
use crate::command::{Failure, Invocation, quoted_word, refuse_repeated};

const PAGES: u32 = 4096;
/// Windows that a hole takes away.
const HOLE_WINDOWS: u32 = 4;
/// A hole of the kernel takes some ten times as long as one of the model, and the pages must be
/// brought back before the next.
const RATE: Rate = Rate::PerSecond(1000.0);
/// Pages per write, by default.
const WRITES: [u32; 2] = [1, 16];

/// What the options ask for on these CPUs.
pub(super) fn work(
    options: &Options,
    invocation: &Invocation,
    topology: &Topology,
    seed: u64,
) -> Result<Work, Failure> {
    let load = &options.load;
    let storms = storms(load)?;
    let files = files(options)?;
    let window_pages = fault_around_pages().map_err(Failure::usage)?;
    let (pages, hole_pages) = pages_and_hole(load, window_pages, PAGES, HOLE_WINDOWS)?;
    let sizes = Sizes {
        pages,
        neighbour: false,
        refill: true,
        orders: Orders::All(0),
        window_pages,
        readahead_pages: window_pages,
        hole_pages,
        fill_ns_per_page: 0,
    };
    let (groups, mut left_out) = groups_of(load, topology, storms)?;
    left_out.extend(not_compared(&files, &groups));
    let worker = PathBuf::from("/proc/self/exe");
    let subject = |kind: &FileKind| {
        Subject::File(Arc::new(KernelFile {
            kind: kind.clone(),
            worker: worker.clone(),
        }))
    };
    let plan = Plan {
        subjects: files.iter().map(subject).collect(),
        groups,
        rounds: rounds(load)?,
        controls: Vec::new(),
        seed,
    };
    refuse_for_no_storm(load, &plan.groups, &[])?;
    let setup = setup(load, sizes, topology, RATE)?;
    refuse_idle_threads(load, &setup, &plan)?;
    let mut words = format!("host {}", rerun(load, &plan, &setup));
    if let Some(dir) = &options.dir {
        let writes: Vec<_> = files[1..].iter().map(FileKind::write_size).collect();
        let dir = quoted_word(dir);
        words.push_str(&format!(" --dir {dir} --write {}", writes.join(",")));
    }
    words.push_str(format_words(load.format));
    Ok(Work {
        plan,
        setup,
        left_out,
        rerun: invocation.with(&words),
        calibration: None,
    })
}

/// The files: a memfd first, which the others are compared with.
pub(super) fn files(options: &Options) -> Result<Vec<FileKind>, Failure> {
    let mut files = vec![FileKind::memfd()];
    let Some(dir) = &options.dir else {
        return Ok(files);
    };
    let writes = match &options.write[..] {
        [] => WRITES.to_vec(),
        given => given.to_vec(),
    };
    for write_pages in writes {
        files.push(FileKind::in_dir(dir, write_pages).map_err(Failure::usage)?);
    }
    let sizes: Vec<_> = files[1..].iter().map(FileKind::write_size).collect();
    refuse_repeated("--write", &sizes)?;
    Ok(files)
}

/// Whether a process can make a storm by system calls.
pub(in crate::command) fn can_be_called(storm: &&'static dyn Storm<Native>) -> bool {
    let mut removers = storm.removers().into_iter();
    removers.all(|remover| CALLS.contains(&remover.about().name))
}

/// The storms that a process can make by system calls: those that were named, or else all.
fn storms(load: &Load) -> Result<Vec<&'static dyn Storm<Native>>, Failure> {
    if load.storm.is_empty() {
        let all = Storms::ALL.iter().copied();
        return Ok(all.filter(can_be_called).collect());
    }
    let storms = storms_named(&load.storm)?;
    match storms.iter().find(|storm| !can_be_called(storm)) {
        Some(storm) => {
            let all = Storms::<Native>::ALL.iter().copied().filter(can_be_called);
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
