//! What a report begins with.

use machine_facts::environment::counted;

use super::labels::storm_of;
use super::method::caveats;
use crate::document::{Block, Document};
use crate::record::Run;

pub(super) fn add(out: &mut Document, run: &Run) {
    if !run.complete {
        let text = format!(
            "INCOMPLETE: the run was stopped; what follows rests on {} rounds.",
            run.rounds_done()
        );
        out.push(Block::Paragraph(text));
        out.push(Block::Gap);
    }
    let configuration = &run.configuration;
    let what = match configuration.is_kernel() {
        true => the_kernel(run),
        false => {
            "Locking schemes for filemap_map_pages(), timed in a user-space model of page cache \
                  and page tables; no kernel was measured."
                .to_owned()
        }
    };
    let rows = configuration.schemes.len() as u64;
    let groups = run.summary.iter().filter(|group| !group.rows.is_empty());
    let text = format!(
        "{what} {} under {} (a storm of removals x a number of fault threads), {}, interleaved; {}.",
        counted(rows, configuration.noun()),
        counted(groups.count() as u64, "load"),
        counted(u64::from(run.rounds_done()), "round"),
        run.header.started.strftime("%Y-%m-%d %H:%M UTC")
    );
    out.push(Block::Paragraph(text));
    out.note("machine", run.header.environment.headline());
    let caveats = counted(caveats(run).len() as u64, "caveat");
    out.note("", format!("{caveats} at the end of this report"));
    if let Some(text) = loads(run) {
        out.note("loads", text);
    }
}

fn the_kernel(run: &Run) -> String {
    let release = run.header.environment.kernel.release.as_deref();
    format!(
        "The running kernel, {}, timed from user space through mmap() and page faults, with the \
         filemap_map_pages() that it has; none of this is a model.",
        release.unwrap_or("of a release that it doesn't tell")
    )
}

/// What loads of the model stand for: neither kind is all that there is to know.
fn loads(run: &Run) -> Option<String> {
    if run.configuration.is_kernel() {
        return None;
    }
    let is_calibrated = |storm: &str| storm_of(storm).1;
    let calibrated = run.summary.iter().any(|it| is_calibrated(&it.storm));
    let bare = run.summary.iter().any(|it| !is_calibrated(&it.storm));
    let text = match (bare, calibrated) {
        (_, false) => {
            "bare: the model's own work alone, the most that locking could matter; faultaround \
             calibrate and storm --calibrated FILE show what a user would see of it"
        }
        (true, true) => {
            "bare ones, the model's own work alone, are the most that locking could matter; \
             calibrated ones, with the kernel's remaining work, are what a user would see of it"
        }
        (false, true) => {
            "calibrated: with the kernel's remaining work, what a user would see; bare ones, without \
             storm --calibrated, are the most that locking could matter"
        }
    };
    Some(text.to_owned())
}
