//! What a report begins with.

use super::document::{Block, Document};
use super::labels::counted;
use super::method::caveats;
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
    let schemes = run.configuration.schemes.len() as u64;
    let groups = run.summary.iter().filter(|group| !group.rows.is_empty());
    let text = format!(
        "Locking schemes for filemap_map_pages(), timed in a user-space model of page cache and \
         page tables; no kernel was measured. {} under {} (a storm of removals x a number of \
         fault threads), {}, interleaved; {}.",
        counted(schemes, "scheme"),
        counted(groups.count() as u64, "load"),
        counted(u64::from(run.rounds_done()), "round"),
        run.header.started.strftime("%Y-%m-%d %H:%M UTC")
    );
    out.push(Block::Paragraph(text));
    out.note("machine", run.header.environment.headline());
    let caveats = counted(caveats(run).len() as u64, "caveat");
    out.note("", format!("{caveats} at the end of this report"));
}
