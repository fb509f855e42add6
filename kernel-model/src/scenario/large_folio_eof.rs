//! Large folios and the end of the file: one that ends beyond it, and one that was looked up before
//! the file was cut off.

use super::{Sizes, Stage, seen};
use crate::Orders;
use crate::Policy;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};

scenario! {
    /// A file of one page in a folio of two, as xfstests' generic/749 has it.
    LargeFolioPastEof, large_folio_past_eof, Scenario {
        name: "large-folio-past-eof",
        summary: "fault-around of a folio in whose middle the file ends, against its being reclaimed",
        cpus: &["fault", "reclaim"],
        seen: &[seen::FAULT_MAPPED, seen::RECLAIMED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(1) },
    }
}

scenario! {
    /// The window is larger than the folio.
    LargeFolioVsTruncate, large_folio_vs_truncate, Scenario {
        name: "large-folio-vs-truncate",
        summary: "fault-around of a folio of two pages against a truncation of the file to nothing",
        cpus: &["fault", "truncate"],
        seen: &[seen::FAULT_MAPPED, seen::REMOVED],
        tags: &[],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

fn large_folio_past_eof<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let mut stage = stage(policy, Sizes::of(2, 2, 0));
    stage.file.set_i_size_pages(1);
    stage.removes("reclaim", 2);
    stage
}

fn large_folio_vs_truncate<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let mut stage = stage(policy, Sizes::of(4, 2, 2));
    stage.removes("truncate", 4);
    stage
}

fn stage<P: Platform>(policy: Policy<P>, sizes: Sizes<P>) -> Stage<P> {
    let sizes = Sizes {
        orders: Orders::All(1),
        ..sizes
    };
    let (mut stage, _) = sizes.stage(policy);
    let vma = stage.map_with_table();
    stage.faults_around(vma);
    stage
}
