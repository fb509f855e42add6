//! What is peculiar to gates: a window that has two of them, and a generation that starts over. The
//! schemes without gates see two more races.

use super::{Sizes, Stage, seen};
use crate::Policy;
use crate::gates::Gates;
use crate::platform::Platform;
use crate::race::{Explored, Scenario};
use crate::tag::UNFROZEN_UNLOCKED;

scenario! {
    /// The remover is at the part of the file that has the second gate.
    WindowOverTwoGates, window_over_two_gates, Scenario {
        name: "window-over-two-gates",
        summary: "fault-around of two pages with a gate each against an invalidation of the second",
        cpus: &["fault", "invalidate"],
        seen: &[seen::FAULT_MAPPED, seen::REMOVED],
        tags: &[UNFROZEN_UNLOCKED],
        explored: Explored::Exhaustively { bound: Some(2) },
    }
}

scenario! {
    /// As many removers have been as the generation can count.
    GenerationWrap, generation_wrap, Scenario {
        name: "generation-wrap",
        summary: "a fault against two invalidations, the first of which makes the generation start over",
        cpus: &["fault", "invalidate twice"],
        seen: &[seen::FAULT_MAPPED, seen::REMOVED],
        tags: &[UNFROZEN_UNLOCKED],
        explored: Explored::Exhaustively { bound: Some(3) },
    }
}

fn window_over_two_gates<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let sizes = Sizes {
        gates: Gates::new(2, 1, 0),
        ..Sizes::of(2, 2, 0)
    };
    let (mut stage, _) = sizes.stage(policy);
    let vma = stage.map_with_table();
    stage.faults_around(vma);
    stage.cpu(|system, file, task| {
        super::remove(system, file, "invalidate", 1..2, task);
    });
    stage
}

fn generation_wrap<P: Platform>(policy: Policy<P>) -> Stage<P> {
    let sizes = Sizes {
        gates: Gates::new(1, 1, u64::MAX),
        ..Sizes::of(1, 1, 0)
    };
    let (mut stage, _) = sizes.stage(policy);
    let vma = stage.map_with_table();
    stage.faults_around(vma);
    stage.cpu(|system, file, task| {
        for _ in 0..2 {
            super::remove(system, file, "invalidate", 0..1, task);
        }
    });
    stage
}
