//! `crowd-of-removers`: two processes that fault, read and zap against every kind of remover, on
//! folios of two pages. Too large to be explored: random schedules of it are tried.

use std::sync::Arc;

use super::{Sizes, Stage, remove, seen};
use crate::Orders;
use crate::Policy;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};
use crate::tag::{UNFROZEN, UNFROZEN_UNLOCKED};

scenario! {
    /// See the module.
    CrowdOfRemovers, stage, Scenario {
        name: "crowd-of-removers",
        summary: "two processes that fault, read and zap; every remover; two folios of two pages",
        cpus: &[
            "fault",
            "fault",
            "invalidate, swapout",
            "reclaim, migrate",
            "punch, truncate",
        ],
        seen: &[seen::FAULT_MAPPED, seen::SLOW_MAPPED, seen::FILLED, seen::REMOVED, seen::RECLAIMED, seen::MIGRATED, seen::SPLIT, seen::FOUND_BUSY],
        tags: &[UNFROZEN, UNFROZEN_UNLOCKED],
        explored: Explored::AtRandom { schedules: 2_000 },
    }
}

const PAGES: u64 = 4;
/// Each CPU does its part so many times.
const TURNS: u64 = 2;

fn stage<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let sizes = Sizes {
        window: 4,
        orders: Orders::All(1),
        ..Sizes::of(PAGES as u32, 4, 4)
    };
    let (mut stage, contents) = sizes.stage(policy);
    for _ in 0..2 {
        let vma = stage.map();
        let contents = Arc::clone(&contents);
        stage.cpu(move |system, _, task| {
            for turn in 0..TURNS {
                system.handle_mm_fault(&vma, turn * 2, task);
                contents.read_mapped(system, &vma);
                system.zap_range(&vma, 0..PAGES, task);
            }
        });
    }
    for removers in [["invalidate", "shmem-swapout"], ["reclaim", "migrate"]] {
        stage.cpu(move |system, file, task| {
            for turn in 0..TURNS {
                let range = turn..turn + 3;
                remove(system, file, removers[0], range.clone(), task);
                remove(system, file, removers[1], range, task);
            }
        });
    }
    stage.cpu(|system, file, task| {
        remove(system, file, "punch-hole", 1..3, task);
        remove(system, file, "truncate", 3..PAGES, task);
        file.extend(PAGES);
    });
    stage
}
