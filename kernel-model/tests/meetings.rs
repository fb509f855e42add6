//! A fault and a removal that meet at chosen steps of both: each look that a scheme takes is there
//! for one of these meetings, and without it the audits report what comes of that.
//!
//! `steps.rs` has removals that are over within one step of a fault.

mod scene;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use kernel_model::Config;
use kernel_model::fault_around::Schemes;
use kernel_model::invariants::{NO_MAPPED_REMOVAL, NO_STALE_PTE, RIGHT_OFFSET};
use kernel_model::platform::{Jitter, Jittered};
use kernel_model::race::Invariant;

use scene::relay::{Place, Relay};
use scene::stepped::{Stepped, before};
use scene::{PAGES, SMALL, Scene, ends, mapped};

type P = Jittered<Stepped>;

/// How far a removal has come: its range is unmapped, and nothing is locked yet.
const UNMAPPED: Place = &["folio_trylock"];
/// The folio is locked and was found unmapped, but is still in the cache.
const DECIDED: Place = &["slot_store"];
/// The folio is out of the cache and unlocked.
const DONE: Place = &["folio_unlock", "ref_put"];
/// The removal has counted itself out.
const LEFT: Place = &["seq_leave", "pmd_read"];

/// How far a fault has come: before the page lock.
const TRYLOCK: Place = &["folio_trylock"];
/// Before the mapping is counted.
const COUNT: Place = &["mapcount_inc"];
/// The same where the counts are fused.
const FUSED: Place = &["fused_get"];
/// After the look at the slot.
const FLAGS: Place = &["window_flags"];
/// Before the second look at a sequence count.
const RECHECK: Place = &["seq_recheck"];

/// A meeting of a fault on page 9 with a removal of it.
#[derive(Debug, Clone, Copy)]
struct Meeting {
    scheme: &'static str,
    remover: &'static str,
    /// Whether the fault comes to its first stop before the removal begins.
    fault_first: bool,
    /// Where the fault stops for the removal.
    fault: &'static [Place],
    /// Where the removal stops for the fault.
    removal: &'static [Place],
    /// Whether another removal begins with it and ends after it.
    two_removals: bool,
}

impl Meeting {
    /// With a hole that has unmapped the page before the fault comes.
    const fn after_unmap(
        scheme: &'static str,
        fault: &'static [Place],
        removal: &'static [Place],
    ) -> Self {
        Self {
            scheme,
            remover: "punch-hole",
            fault_first: false,
            fault,
            removal,
            two_removals: false,
        }
    }

    /// With an invalidation that comes when the fault stands, and never asks for its PTE-table
    /// lock.
    const fn with_invalidation(
        scheme: &'static str,
        fault: &'static [Place],
        removal: &'static [Place],
    ) -> Self {
        Self {
            remover: "invalidate",
            fault_first: true,
            ..Self::after_unmap(scheme, fault, removal)
        }
    }

    const fn and_another(self) -> Self {
        Self {
            two_removals: true,
            ..self
        }
    }

    /// Lets it happen, without some of the looks; returns what is reported.
    fn takes_place(self, left_out: &[&str]) -> Vec<(Invariant, u64)> {
        let scheme = Schemes::<P>::named(self.scheme).expect("a scheme's name");
        let scene = Scene::sized(scheme, Config { folios: 1, ..SMALL }, PAGES);
        scene.populate(9..10);
        let vma = scene.map_whole();
        let left_out: Arc<[String]> = left_out.iter().map(|&name| name.to_owned()).collect();
        let leave_out = || {
            let left_out = Arc::clone(&left_out);
            Jitter {
                left_out,
                ..Jitter::default()
            }
            .enter();
        };
        let (fault, removal) = (0, 1);
        let relay = Relay::starting_with(if self.fault_first { fault } else { removal });
        thread::scope(|scope| {
            let (its, other) = (Arc::clone(&relay), Arc::clone(&relay));
            scope.spawn(|| {
                leave_out();
                its.run(fault, self.fault, || {
                    scene.around(&vma, 9);
                });
            });
            scope.spawn(|| {
                leave_out();
                other.run(removal, self.removal, || {
                    let range = 9..10;
                    if self.two_removals {
                        scheme.begin_removal(&scene.file, &range);
                    }
                    scene.remove(self.remover, range.clone());
                    if self.two_removals {
                        scheme.end_removal(&scene.file, &range);
                    }
                });
            });
        });
        scene.found()
    }
}

/// What comes of a PTE that was set before the folio left the cache.
const EARLY: &[(Invariant, u64)] = &[(NO_MAPPED_REMOVAL, 9), (NO_STALE_PTE, 9), (RIGHT_OFFSET, 9)];
/// Of one that was set after it.
const LATE: &[(Invariant, u64)] = &[(NO_STALE_PTE, 9), (RIGHT_OFFSET, 9)];
/// Of one that was there as the folio left, and was taken back.
const BRIEF: &[(Invariant, u64)] = &[(NO_MAPPED_REMOVAL, 9)];

/// A meeting, and what is reported of it without some of the looks.
type Case = (
    Meeting,
    &'static [(&'static [&'static str], &'static [(Invariant, u64)])],
);

fn all_as_expected(cases: &'static [Case]) {
    for (meeting, outcomes) in cases {
        for (left_out, expected) in *outcomes {
            ends(move || {
                let found = meeting.takes_place(left_out);
                assert_eq!(&found, expected, "{meeting:?} without {left_out:?}");
            });
        }
    }
}

#[test]
fn page_lock_keeps_removals_off_and_the_mapping_tells_of_them() {
    const CASES: [Case; 6] = {
        const fn decided(scheme: &'static str) -> Case {
            let meeting = Meeting::after_unmap(scheme, &[TRYLOCK], &[UNMAPPED, DECIDED]);
            (meeting, &[(&[], &[]), (&["page_locked_mapping"], &[])])
        }
        const fn done(scheme: &'static str) -> Case {
            let meeting = Meeting::after_unmap(scheme, &[TRYLOCK], &[UNMAPPED, DONE]);
            (meeting, &[(&[], &[]), (&["page_locked_mapping"], LATE)])
        }
        const fn invalidation(scheme: &'static str) -> Case {
            let meeting = Meeting::with_invalidation(scheme, &[TRYLOCK], &[DONE]);
            (meeting, &[(&[], &[]), (&["page_locked_mapping"], LATE)])
        }
        [
            decided("page-locked"),
            done("page-locked"),
            invalidation("page-locked"),
            decided("folio-batched"),
            done("folio-batched"),
            invalidation("folio-batched"),
        ]
    };
    all_as_expected(&CASES);
}

#[test]
fn recheck_sees_a_removal_by_its_lock_or_by_what_came_of_it() {
    const CASES: [Case; 6] = [
        (
            Meeting::after_unmap("mapcount-recheck", &[COUNT], &[UNMAPPED, DECIDED]),
            &[
                (&[], &[]),
                (&["recheck_locked"], EARLY),
                (&["recheck_mapping"], &[]),
            ],
        ),
        (
            Meeting::after_unmap("mapcount-recheck", &[COUNT], &[UNMAPPED, DONE]),
            &[
                (&[], &[]),
                (&["recheck_locked"], &[]),
                (&["recheck_mapping"], LATE),
            ],
        ),
        (
            Meeting::with_invalidation("mapcount-recheck", &[COUNT], &[DECIDED]),
            &[(&[], &[]), (&["recheck_locked"], EARLY)],
        ),
        (
            Meeting::after_unmap("fused-count", &[FUSED], &[UNMAPPED, DECIDED]),
            &[
                (&[], &[]),
                (&["fused_locked"], EARLY),
                (&["recheck_mapping"], &[]),
            ],
        ),
        // Its count comes before its look at the slot, which sees a removal that is done.
        (
            Meeting::after_unmap("fused-count", &[FUSED], &[UNMAPPED, DONE]),
            &[(&[], &[]), (&["recheck_mapping", "fused_locked"], &[])],
        ),
        (
            Meeting::after_unmap("fused-count", &[FUSED, FLAGS], &[UNMAPPED, DECIDED, DONE]),
            &[(&[], &[]), (&["recheck_mapping"], LATE)],
        ),
    ];
    all_as_expected(&CASES);
}

#[test]
fn gate_is_seen_closed_by_whoever_comes_after_the_zap() {
    const GATE: &str = "invalidate-gate";
    const GATE_FUSED: &str = "invalidate-gate-fused";
    const CASES: [Case; 7] = [
        (
            Meeting::after_unmap(GATE, &[COUNT], &[UNMAPPED, DECIDED]),
            &[(&[], &[]), (&["gate_read"], EARLY), (&["gate_counts"], &[])],
        ),
        (
            Meeting::after_unmap(GATE, &[COUNT], &[UNMAPPED, DONE]),
            &[(&[], &[]), (&["gate_read"], LATE)],
        ),
        (
            Meeting::after_unmap(GATE, &[COUNT], &[UNMAPPED, DECIDED]).and_another(),
            &[(&[], &[]), (&["gate_counts"], EARLY)],
        ),
        // Without the zap, the removal doesn't wait for a fault that has asked before.
        (
            Meeting::with_invalidation(GATE, &[COUNT], &[DECIDED]),
            &[(&["gate_zap"], EARLY)],
        ),
        (
            Meeting::after_unmap(GATE_FUSED, &[FUSED], &[UNMAPPED, DECIDED]),
            &[(&[], &[]), (&["gate_read"], EARLY)],
        ),
        (
            Meeting::after_unmap(GATE_FUSED, &[FUSED], &[UNMAPPED, DECIDED]).and_another(),
            &[(&[], &[]), (&["gate_counts"], EARLY)],
        ),
        (
            Meeting::with_invalidation(GATE_FUSED, &[FUSED], &[DECIDED]),
            &[(&["gate_zap"], EARLY)],
        ),
    ];
    all_as_expected(&CASES);
}

#[test]
fn removal_waits_for_a_fault_that_has_found_the_gate_open() {
    for (name, place) in [
        ("invalidate-gate", "mapcount_inc"),
        ("invalidate-gate-fused", "fused_get"),
    ] {
        ends(move || {
            let scheme = Schemes::<P>::named(name).expect("a scheme's name");
            let scene = Scene::sized(scheme, Config { folios: 1, ..SMALL }, PAGES);
            scene.populate(9..10);
            let vma = scene.map_whole();
            let removed = thread::scope(|scope| {
                let (stands, is_standing) = channel();
                let faulting = scope.spawn(|| {
                    before(place, move || {
                        stands.send(()).expect("somebody waits for it");
                        // Long enough for a removal that doesn't wait.
                        thread::sleep(Duration::from_millis(50));
                    });
                    scene.around(&vma, 9)
                });
                is_standing.recv().expect("it comes by");
                let removed = scene.remove("invalidate", 9..10).removals.removed;
                assert!(faulting.join().expect("the fault ends well"));
                removed
            });
            assert_eq!((removed, mapped(&vma)), (1, vec![]));
            scene.assert_sound();
        });
    }
}

#[test]
fn sequence_count_tells_of_removals_that_are_there_or_have_been() {
    const SEQ: &str = "invalidate-seq";
    const SEQ_FUSED: &str = "invalidate-seq-fused";
    const CASES: [Case; 9] = [
        (
            Meeting::with_invalidation(SEQ, &[COUNT], &[DECIDED]),
            &[
                (&[], &[]),
                (&["seq_recheck"], EARLY),
                (&["seq_generation"], &[]),
                (&["seq_counts"], &[]),
            ],
        ),
        (
            Meeting::with_invalidation(SEQ, &[COUNT], &[DONE]),
            &[(&[], &[]), (&["seq_recheck"], LATE)],
        ),
        (
            Meeting::with_invalidation(SEQ, &[COUNT], &[LEFT]),
            &[(&[], &[]), (&["seq_generation"], LATE)],
        ),
        (
            Meeting::with_invalidation(SEQ, &[COUNT], &[DECIDED]).and_another(),
            &[(&[], &[]), (&["seq_counts"], EARLY)],
        ),
        (
            Meeting::with_invalidation(SEQ, &[COUNT, RECHECK], &[DECIDED, DONE]),
            &[(&[], &[]), (&["seq_ptes_last"], BRIEF)],
        ),
        (
            Meeting::with_invalidation(SEQ_FUSED, &[FUSED], &[DECIDED]),
            &[(&[], &[]), (&["seq_recheck"], EARLY)],
        ),
        (
            Meeting::with_invalidation(SEQ_FUSED, &[FUSED], &[DECIDED]).and_another(),
            &[(&[], &[]), (&["seq_counts"], EARLY)],
        ),
        (
            Meeting::with_invalidation(SEQ_FUSED, &[FUSED, RECHECK], &[DECIDED, LEFT]),
            &[(&[], &[]), (&["seq_generation"], LATE)],
        ),
        (
            Meeting::with_invalidation(SEQ_FUSED, &[FUSED, RECHECK], &[DECIDED, DONE]),
            &[(&[], &[]), (&["seq_ptes_last"], BRIEF)],
        ),
    ];
    all_as_expected(&CASES);
}

#[test]
fn controls_are_caught_at_what_they_do_not_see() {
    const CASES: [Case; 7] = [
        (
            Meeting::after_unmap("sketch", &[COUNT], &[UNMAPPED, DECIDED]),
            &[(&[], &[]), (&["recheck_locked"], EARLY)],
        ),
        (
            Meeting::after_unmap("sketch", &[COUNT], &[UNMAPPED, DONE]),
            &[(&[], LATE)],
        ),
        (
            Meeting::after_unmap("lockless-rfc", &[COUNT], &[UNMAPPED, DECIDED]),
            &[(&[], EARLY)],
        ),
        (
            Meeting::after_unmap("lockless-rfc", &[COUNT], &[UNMAPPED, DONE]),
            &[(&[], LATE)],
        ),
        // The hole holds the lock, the invalidation doesn't.
        (
            Meeting::after_unmap("invalidate-only", &[COUNT], &[UNMAPPED, DECIDED]),
            &[(&[], &[])],
        ),
        (
            Meeting::with_invalidation("invalidate-only", &[COUNT], &[DECIDED]),
            &[(&[], EARLY)],
        ),
        (
            Meeting::with_invalidation("invalidate-only", &[COUNT], &[DONE]),
            &[(&[], LATE)],
        ),
    ];
    all_as_expected(&CASES);
}
