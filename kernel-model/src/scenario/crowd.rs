//! `crowd`: three processes that fault, read and zap, a hole puncher and a truncater, all on four
//! pages. Too large to be explored: random schedules of it are tried.

use std::sync::Arc;

use super::{SetStage, Sizes, Stage, remove, seen};
use crate::Policy;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};
use crate::tag::UNFROZEN;

/// See the module.
#[derive(Debug)]
pub struct Crowd;

static ABOUT: Scenario = Scenario {
    name: "crowd",
    summary: "three processes that fault, read and zap; holes; truncations; four pages",
    cpus: &["fault", "fault", "fault", "punch-hole", "truncate"],
    seen: &[
        seen::FAULT_MAPPED,
        seen::SLOW_MAPPED,
        seen::REMOVED,
        seen::FILLED,
    ],
    tags: &[UNFROZEN],
    explored: Explored::AtRandom { schedules: 4_000 },
};

const PAGES: u64 = 4;
/// Each CPU does its part so many times.
const TURNS: u32 = 2;

impl<P: Platform> SetStage<P> for Crowd {
    fn about(&self) -> &'static Scenario {
        &ABOUT
    }

    fn stage(&self, policy: Policy<P>) -> Stage<P> {
        // Two frames more than the file has pages: what is freed comes back soon.
        let sizes = Sizes {
            window: 2,
            ..Sizes::of(PAGES as u32, 4, 2)
        };
        let (mut stage, contents) = sizes.stage(policy);
        for _ in 0..3 {
            let vma = stage.map();
            let contents = Arc::clone(&contents);
            stage.cpu(move |system, _, task| {
                for _ in 0..TURNS {
                    for pgoff in [0, 2] {
                        system.handle_mm_fault(&vma, pgoff, task);
                    }
                    contents.read_mapped(system, &vma);
                    system.zap_range(&vma, 0..PAGES, task);
                }
            });
        }
        stage.cpu(|system, file, task| {
            for turn in 0..TURNS {
                let start = u64::from(turn);
                remove(system, file, "punch-hole", start..start + 2, task);
            }
        });
        stage.cpu(|system, file, task| {
            for turn in 0..TURNS {
                remove(system, file, "truncate", u64::from(turn) + 1..PAGES, task);
                file.extend(PAGES);
            }
        });
        stage
    }
}
