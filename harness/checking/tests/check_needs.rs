//! What each sound scheme needs: each check that it makes and each ordering that it has, taken
//! away, and what the checker finds then.

use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release};

use checking::weaken::sites_of;
use checking::{Bound, Cell, Ended, Extent, explore};
use kernel_model::SLOW_CHECKS;
use kernel_model::fault_around::{About, FAMILY, Schemes};
use kernel_model::platform::Loom;
use kernel_model::platform::checked::Mutation;
use kernel_model::removal::Removers;
use kernel_model::scenario::Scenarios;
use machine_facts::cancel::Cancel;

/// Checks left out: the scheme, the check, a scenario that needs it, and what is violated there.
const WITHOUT: &str = "
    page-locked            page_locked_mapping  fault-vs-swapout            no-stale-pte
    page-locked            ref_get_unless_zero  fault-vs-two-invalidates    counts-balance
    page-locked            pte_none             fault-vs-thread             counts-balance
    page-locked            slot_reload          fault-vs-reclaim-and-reuse  right-offset
    page-locked            window_flags         fault-vs-read-error         only-uptodate
    page-locked            poison_check         fault-vs-unsplit-failure    no-poisoned-pte
    page-locked            i_size_read          window-past-eof             no-pte-past-eof
    page-locked            folio_clip           large-folio-past-eof        no-pte-past-eof
    folio-batched          page_locked_mapping  fault-vs-swapout            no-stale-pte
    folio-batched          ref_get_unless_zero  fault-vs-two-invalidates    counts-balance
    folio-batched          pte_none             fault-vs-thread             counts-balance
    folio-batched          slot_reload          fault-vs-reclaim-and-reuse  right-offset
    folio-batched          window_flags         fault-vs-read-error         only-uptodate
    folio-batched          poison_check         fault-vs-unsplit-failure    no-poisoned-pte
    folio-batched          i_size_read          window-past-eof             no-pte-past-eof
    folio-batched          folio_clip           large-folio-past-eof        no-pte-past-eof
    folio-batched          end_before_lookup    large-folio-vs-truncate     pte-holds-reference
    mapcount-recheck       pmd_recheck          fault-vs-collapse           no-freed-table-use
    mapcount-recheck       pmd_recheck          fault-vs-collapse-counted   no-freed-table-use
    mapcount-recheck       recheck_locked       fault-vs-swapout            no-stale-pte
    mapcount-recheck       recheck_mapping      fault-vs-swapout            no-stale-pte
    mapcount-recheck       recheck_poison       fault-vs-unsplit-failure    no-poisoned-pte
    mapcount-recheck       ref_get_unless_zero  fault-vs-two-invalidates    counts-balance
    mapcount-recheck       pte_none             fault-vs-thread             counts-balance
    mapcount-recheck       slot_reload          fault-vs-punch-and-refill   right-offset
    mapcount-recheck       window_flags         fault-vs-read-error         only-uptodate
    mapcount-recheck       poison_check         fault-vs-unsplit-failure    no-poisoned-pte
    mapcount-recheck       i_size_read          window-past-eof             no-pte-past-eof
    mapcount-recheck       folio_clip           large-folio-past-eof        no-pte-past-eof
    mapcount-recheck       large_recheck        fault-vs-smaller-refill     no-mapped-free
    fused-count            fused_get            threads-vs-invalidate       counts-balance
    fused-count            fused_locked         fault-vs-invalidate         no-stale-pte
    fused-count            recheck_mapping      fault-vs-punch              no-stale-pte
    fused-count            pte_none             fault-vs-thread             counts-balance
    fused-count            slot_reload          fault-vs-punch-and-refill   right-offset
    fused-count            window_flags         fault-vs-read-error         only-uptodate
    fused-count            poison_check         fault-vs-unsplit-failure    no-poisoned-pte
    fused-count            i_size_read          window-past-eof             no-pte-past-eof
    fused-count            folio_clip           large-folio-past-eof        no-pte-past-eof
    fused-count            large_recheck        fault-vs-smaller-refill     no-mapped-free
    invalidate-gate        gate_read            threads-vs-invalidate       no-stale-pte
    invalidate-gate        gate_zap             fault-vs-invalidate         no-mapped-removal
    invalidate-gate        gate_counts          fault-vs-two-invalidates    no-stale-pte
    invalidate-gate        collapse_owes        fault-vs-collapse           no-freed-table-use
    invalidate-gate        ref_get_unless_zero  fault-vs-two-invalidates    counts-balance
    invalidate-gate        pte_none             fault-vs-thread             counts-balance
    invalidate-gate        slot_reload          fault-vs-migrate            no-stale-pte
    invalidate-gate        window_flags         fault-vs-read-error         only-uptodate
    invalidate-gate        poison_check         fault-vs-unsplit-failure    no-poisoned-pte
    invalidate-gate        i_size_read          window-past-eof             no-pte-past-eof
    invalidate-gate        folio_clip           large-folio-past-eof        no-pte-past-eof
    invalidate-gate        large_recheck        fault-vs-smaller-refill     no-mapped-free
    invalidate-seq         seq_recheck          first-fault-vs-punch        no-stale-pte
    invalidate-seq         seq_generation       first-fault-vs-punch        no-stale-pte
    invalidate-seq         seq_counts           fault-vs-two-invalidates    no-stale-pte
    invalidate-seq         collapse_owes        fault-vs-collapse           no-freed-table-use
    invalidate-seq         seq_ptes_last        fault-vs-invalidate         no-mapped-removal
    invalidate-seq         ref_get_unless_zero  fault-vs-two-invalidates    counts-balance
    invalidate-seq         pte_none             fault-vs-thread             counts-balance
    invalidate-seq         slot_reload          fault-vs-migrate            no-stale-pte
    invalidate-seq         window_flags         fault-vs-read-error         only-uptodate
    invalidate-seq         poison_check         fault-vs-unsplit-failure    no-poisoned-pte
    invalidate-seq         i_size_read          window-past-eof             no-pte-past-eof
    invalidate-seq         folio_clip           large-folio-past-eof        no-pte-past-eof
    invalidate-seq         large_recheck        fault-vs-smaller-refill     no-mapped-free
    invalidate-gate-fused  gate_read            threads-vs-invalidate       no-stale-pte
    invalidate-gate-fused  gate_zap             fault-vs-invalidate         no-stale-pte
    invalidate-gate-fused  gate_counts          fault-vs-two-invalidates    no-stale-pte
    invalidate-gate-fused  fused_get            fault-vs-reclaim            no-stale-pte
    invalidate-gate-fused  pte_none             fault-vs-thread             counts-balance
    invalidate-gate-fused  slot_reload          fault-vs-reclaim-and-reuse  right-offset
    invalidate-gate-fused  window_flags         fault-vs-read-error         only-uptodate
    invalidate-gate-fused  poison_check         fault-vs-unsplit-failure    no-poisoned-pte
    invalidate-gate-fused  i_size_read          window-past-eof             no-pte-past-eof
    invalidate-gate-fused  folio_clip           large-folio-past-eof        no-pte-past-eof
    invalidate-gate-fused  large_recheck        fault-vs-smaller-refill     no-mapped-free
    invalidate-seq-fused   seq_recheck          first-fault-vs-punch        no-stale-pte
    invalidate-seq-fused   seq_generation       first-fault-vs-punch        no-stale-pte
    invalidate-seq-fused   seq_counts           fault-vs-two-invalidates    no-stale-pte
    invalidate-seq-fused   seq_ptes_last        fault-vs-invalidate         no-mapped-removal
    invalidate-seq-fused   fused_get            fault-vs-reclaim            no-stale-pte
    invalidate-seq-fused   pte_none             fault-vs-thread             counts-balance
    invalidate-seq-fused   slot_reload          fault-vs-reclaim-and-reuse  right-offset
    invalidate-seq-fused   window_flags         fault-vs-read-error         only-uptodate
    invalidate-seq-fused   poison_check         fault-vs-unsplit-failure    no-poisoned-pte
    invalidate-seq-fused   i_size_read          window-past-eof             no-pte-past-eof
    invalidate-seq-fused   folio_clip           large-folio-past-eof        no-pte-past-eof
    invalidate-seq-fused   large_recheck        fault-vs-smaller-refill     no-mapped-free
    page-locked-xfs        page_locked_mapping  fault-vs-swapout            no-stale-pte
    page-locked-xfs        ref_get_unless_zero  fault-vs-two-invalidates    counts-balance
    page-locked-xfs        pte_none             fault-vs-thread             counts-balance
    page-locked-xfs        slot_reload          fault-vs-reclaim-and-reuse  right-offset
    page-locked-xfs        window_flags         fault-vs-read-error         only-uptodate
    page-locked-xfs        poison_check         fault-vs-unsplit-failure    no-poisoned-pte
    page-locked-xfs        i_size_read          window-past-eof             no-pte-past-eof
    page-locked-xfs        folio_clip           large-folio-past-eof        no-pte-past-eof
";

/// Checks of removers and of the slow path left out: of which of them, the check, a scenario, and
/// what `page-locked` violates there; `-` where it is harmless.
const REMOVERS_WITHOUT: &str = "
    truncate          remover_mapcount  fault-vs-truncate               no-mapped-removal
    truncate          remover_mapping   truncate-vs-truncate            -
    truncate          ref_freeze        fault-vs-partial-truncate       counts-balance
    truncate          dirty_stays       slow-vs-partial-truncate        no-lost-data
    punch-hole        remover_mapping   punch-vs-reclaim                counts-balance
    punch-hole        remover_mapcount  fault-vs-punch                  no-mapped-removal
    punch-hole        remover_mapcount  punch-vs-migrate                no-mapped-removal
    punch-hole        ref_freeze        fault-vs-split                  counts-balance
    punch-hole        dirty_stays       fault-vs-split                  no-lost-data
    punch-hole        writeback_wait    punch-vs-writeback              no-bad-free
    punch-hole        writeback_wait    split-vs-writeback              no-bad-free
    invalidate        remover_mapping   fault-vs-two-invalidates        no-bad-free
    invalidate        remover_mapcount  fault-vs-invalidate             no-mapped-removal
    invalidate        remover_mapcount  invalidate-vs-migrate           no-mapped-removal
    invalidate        writeback_wait    invalidate-vs-writeback         no-bad-free
    reclaim           remover_mapping   punch-vs-reclaim                counts-balance
    reclaim           remover_mapcount  fault-vs-reclaim                -
    reclaim           ref_freeze        fault-vs-reclaim                counts-balance
    reclaim           writeback_wait    reclaim-vs-writeback            no-bad-free
    migrate           remover_mapping   punch-vs-migrate                counts-balance
    migrate           ref_freeze        fault-vs-migrate                counts-balance
    shmem-swapout     remover_mapcount  fault-vs-swapout                no-mapped-removal
    memory-failure    remover_mapping   punch-vs-memory-failure         no-bad-free
    memory-failure    remover_mapcount  fault-vs-memory-failure         no-mapped-removal
    memory-failure    ref_freeze        fault-vs-unsplit-failure        no-bad-free
    memory-failure    writeback_wait    failure-vs-writeback            no-bad-free
    collapse          remover_mapping   invalidate-vs-collapse          counts-balance
    collapse          ref_freeze        fault-vs-collapse               counts-balance
    collapse          rcu_walk          fault-vs-collapse               no-freed-table-use
    collapse          table_grace       fault-vs-collapse               no-freed-table-use
    collapse-counted  remover_mapping   invalidate-vs-collapse-counted  no-bad-free
    collapse-counted  remover_mapcount  fault-vs-collapse-counted       -
    collapse-counted  rcu_walk          fault-vs-collapse-counted       no-freed-table-use
    collapse-counted  table_grace       fault-vs-collapse-counted       no-freed-table-use
    slow-path         fault_lock        slow-vs-punch                   no-stale-pte
    slow-path         fault_mapping     slow-vs-punch                   no-stale-pte
    slow-path         fault_uptodate    fault-vs-read-error             only-uptodate
    slow-path         fault_i_size      slow-vs-partial-truncate        no-pte-past-eof
    slow-path         fault_pte_none    slow-vs-thread                  counts-balance
    slow-path         fault_poison      fault-vs-unsplit-failure        no-poisoned-pte
";

/// Checks of removers that no scenario of theirs shows the lack of, and why not.
const NOT_SHOWN: &[(&str, &str, &str)] = &[
    ("truncate", "remover_mapping", AS_PUNCH_HOLE),
    ("truncate", "writeback_wait", AS_PUNCH_HOLE),
    ("reclaim", "remover_mapcount", A_PTE_HOLDS_IT_OFF),
    ("migrate", "writeback_wait", AS_RECLAIM),
    ("shmem-swapout", "remover_mapping", AS_RECLAIM),
    ("shmem-swapout", "writeback_wait", AS_RECLAIM),
    ("collapse-counted", "remover_mapcount", A_PTE_HOLDS_IT_OFF),
];

const AS_PUNCH_HOLE: &str = "truncate_range.rs makes it, for both of them";
const AS_RECLAIM: &str = "for_each_trylocked() makes it, for each of them";
const A_PTE_HOLDS_IT_OFF: &str = "harmless: a PTE is a reference too many";

/// Orderings weakened: the scheme, the site, the strongest orderings that won't do (relaxed for a
/// barrier that is gone), a scenario that needs more, and what is violated there.
const WITH: &str = "
    folio-batched          page_alloc_ref       relaxed  fault-vs-punch-and-refill  right-offset
    folio-batched          folio_trylock        relaxed  fault-vs-punch             no-mapped-removal
    folio-batched          folio_unlock         relaxed  fault-vs-punch             no-mapped-removal
    folio-batched          ref_get_unless_zero  relaxed  fault-vs-punch-and-refill  right-offset
    folio-batched          ref_put              acquire  fault-vs-punch-and-refill  counts-balance
    folio-batched          ref_put              release  fault-vs-punch-and-refill  counts-balance
    folio-batched          ref_unfreeze         relaxed  fault-vs-split             right-offset
    fused-count            fused_get_mb         relaxed  fault-vs-punch             no-stale-pte
    fused-count            fused_get_mb         acqrel   fault-vs-punch             no-stale-pte
    fused-count            remover_lock_mb      relaxed  fault-vs-punch             no-stale-pte
    fused-count            remover_lock_mb      acqrel   fault-vs-punch             no-stale-pte
    fused-count            window_flags         relaxed  fault-vs-punch             no-stale-pte
    fused-count            page_alloc_ref       relaxed  fault-vs-punch-and-refill  right-offset
    fused-count            folio_trylock        relaxed  slow-vs-punch              no-stale-pte
    fused-count            folio_unlock         relaxed  fault-vs-punch             no-stale-pte
    fused-count            ref_get_unless_zero  relaxed  slow-vs-punch-and-refill   right-offset
    fused-count            ref_put              acquire  slow-vs-punch-and-refill   counts-balance
    fused-count            ref_put              release  slow-vs-punch-and-refill   counts-balance
    fused-count            ref_unfreeze         relaxed  fault-vs-migrate           no-stale-pte
    invalidate-gate        gate_ptl_mb          relaxed  first-fault-vs-punch       no-mapped-removal
    invalidate-gate        gate_ptl_mb          acqrel   first-fault-vs-punch       no-mapped-removal
    invalidate-gate        gate_enter_mb        relaxed  first-fault-vs-punch       no-mapped-removal
    invalidate-gate        gate_enter_mb        acqrel   first-fault-vs-punch       no-mapped-removal
    invalidate-gate        window_flags         relaxed  fault-vs-punch-and-refill  right-offset
    invalidate-gate        page_alloc_ref       relaxed  slow-vs-punch-and-refill   right-offset
    invalidate-gate        folio_trylock        relaxed  slow-vs-punch              no-stale-pte
    invalidate-gate        folio_unlock         relaxed  slow-vs-punch              no-stale-pte
    invalidate-gate        ref_get_unless_zero  relaxed  slow-vs-punch-and-refill   right-offset
    invalidate-gate        ref_put              acquire  slow-vs-punch-and-refill   counts-balance
    invalidate-gate        ref_put              release  slow-vs-punch-and-refill   counts-balance
    invalidate-gate        ref_unfreeze         relaxed  fault-vs-migrate           no-stale-pte
    invalidate-gate        set_uptodate         relaxed  fault-vs-punch-and-refill  right-offset
    invalidate-gate-fused  gate_ptl_mb          relaxed  first-fault-vs-punch       no-stale-pte
    invalidate-gate-fused  gate_ptl_mb          acqrel   first-fault-vs-punch       no-stale-pte
    invalidate-gate-fused  gate_enter_mb        relaxed  first-fault-vs-punch       no-stale-pte
    invalidate-gate-fused  gate_enter_mb        acqrel   first-fault-vs-punch       no-stale-pte
    invalidate-gate-fused  fused_get            relaxed  fault-vs-reclaim-and-refill  right-offset
    invalidate-gate-fused  window_flags         relaxed  fault-vs-punch-and-refill  right-offset
    invalidate-gate-fused  page_alloc_ref       relaxed  slow-vs-punch-and-refill   right-offset
    invalidate-gate-fused  folio_trylock        relaxed  slow-vs-punch              no-stale-pte
    invalidate-gate-fused  folio_unlock         relaxed  slow-vs-punch              no-stale-pte
    invalidate-gate-fused  ref_get_unless_zero  relaxed  slow-vs-punch-and-refill   right-offset
    invalidate-gate-fused  ref_put              acquire  slow-vs-punch-and-refill   counts-balance
    invalidate-gate-fused  ref_put              release  slow-vs-punch-and-refill   counts-balance
    invalidate-gate-fused  ref_unfreeze         relaxed  fault-vs-migrate           no-stale-pte
    invalidate-gate-fused  set_uptodate         relaxed  fault-vs-punch-and-refill  right-offset
    invalidate-seq         seq_mb               relaxed  first-fault-vs-punch       no-mapped-removal
    invalidate-seq         seq_mb               acqrel   first-fault-vs-punch       no-mapped-removal
    invalidate-seq         seq_enter_mb         relaxed  first-fault-vs-punch       no-mapped-removal
    invalidate-seq         seq_enter_mb         acqrel   first-fault-vs-punch       no-mapped-removal
    invalidate-seq         page_alloc_ref       relaxed  slow-vs-punch-and-refill   right-offset
    invalidate-seq         folio_trylock        relaxed  slow-vs-punch              no-stale-pte
    invalidate-seq         folio_unlock         relaxed  slow-vs-punch              no-stale-pte
    invalidate-seq         ref_get_unless_zero  relaxed  slow-vs-punch-and-refill   right-offset
    invalidate-seq         ref_put              acquire  slow-vs-punch-and-refill   counts-balance
    invalidate-seq         ref_put              release  slow-vs-punch-and-refill   counts-balance
    invalidate-seq         ref_unfreeze         relaxed  fault-vs-migrate           no-stale-pte
    invalidate-seq         set_uptodate         relaxed  fault-vs-punch-and-refill  right-offset
    invalidate-seq-fused   seq_enter_mb         relaxed  first-fault-vs-punch       no-stale-pte
    invalidate-seq-fused   fused_get            relaxed  first-fault-vs-punch       no-mapped-removal
    invalidate-seq-fused   fused_get            acquire  first-fault-vs-punch       no-mapped-removal
    invalidate-seq-fused   fused_get            release  first-fault-vs-punch       no-stale-pte
    invalidate-seq-fused   window_flags         relaxed  fault-vs-punch-and-refill  right-offset
    invalidate-seq-fused   page_alloc_ref       relaxed  slow-vs-punch-and-refill   right-offset
    invalidate-seq-fused   folio_trylock        relaxed  slow-vs-punch              no-stale-pte
    invalidate-seq-fused   folio_unlock         relaxed  slow-vs-punch              no-stale-pte
    invalidate-seq-fused   ref_get_unless_zero  relaxed  first-fault-vs-punch       no-mapped-removal
    invalidate-seq-fused   ref_put              acquire  slow-vs-punch-and-refill   counts-balance
    invalidate-seq-fused   ref_put              release  slow-vs-punch-and-refill   counts-balance
    invalidate-seq-fused   ref_unfreeze         relaxed  fault-vs-migrate           no-stale-pte
    invalidate-seq-fused   set_uptodate         relaxed  fault-vs-punch-and-refill  right-offset
    page-locked            page_alloc_ref       relaxed  fault-vs-punch-and-refill  right-offset
    page-locked            folio_trylock        relaxed  fault-vs-punch             no-mapped-removal
    page-locked            folio_unlock         relaxed  fault-vs-punch             no-mapped-removal
    page-locked            ref_get_unless_zero  relaxed  fault-vs-punch-and-refill  right-offset
    page-locked            ref_put              acquire  fault-vs-punch-and-refill  counts-balance
    page-locked            ref_put              release  fault-vs-punch-and-refill  counts-balance
    page-locked            ref_unfreeze         relaxed  fault-vs-split             right-offset
    mapcount-recheck       mapcount_inc_mb      relaxed  fault-vs-punch             no-stale-pte
    mapcount-recheck       mapcount_inc_mb      acqrel   fault-vs-punch             no-stale-pte
    mapcount-recheck       recheck_locked       relaxed  fault-vs-punch             no-stale-pte
    mapcount-recheck       remover_lock_mb      relaxed  fault-vs-punch             no-stale-pte
    mapcount-recheck       remover_lock_mb      acqrel   fault-vs-punch             no-stale-pte
    mapcount-recheck       page_alloc_ref       relaxed  fault-vs-punch-and-refill  right-offset
    mapcount-recheck       folio_trylock        relaxed  slow-vs-punch              no-stale-pte
    mapcount-recheck       folio_unlock         relaxed  fault-vs-punch             no-stale-pte
    mapcount-recheck       ref_get_unless_zero  relaxed  fault-vs-punch-and-refill  right-offset
    mapcount-recheck       ref_put              acquire  slow-vs-punch-and-refill   counts-balance
    mapcount-recheck       ref_put              release  slow-vs-punch-and-refill   counts-balance
    mapcount-recheck       ref_unfreeze         relaxed  fault-vs-migrate           no-stale-pte
    lockless-rfc           window_flags         relaxed  fault-vs-read-error        only-uptodate
    lockless-rfc           set_uptodate         relaxed  fault-vs-read-error        only-uptodate
    page-locked-xfs        page_alloc_ref       relaxed  fault-vs-reclaim-and-refill right-offset
    page-locked-xfs        folio_trylock        relaxed  fault-vs-invalidate        no-mapped-removal
    page-locked-xfs        folio_unlock         relaxed  fault-vs-invalidate        no-mapped-removal
    page-locked-xfs        ref_get_unless_zero  relaxed  fault-vs-reclaim-and-refill right-offset
";

/// Orderings that no scenario needs of these schemes, or of any; docs/checking.md says why.
const NOT_NEEDED: &[(&str, &[&str])] = &[
    ("fused_get", &["fused-count"]),
    ("gate_leave", &["invalidate-gate", "invalidate-gate-fused"]),
    ("gate_read", &["invalidate-gate", "invalidate-gate-fused"]),
    ("mapcount_dec", &[]),
    ("pmd_install", &[]),
    ("pmd_read", &[]),
    ("ref_freeze", &[]),
    // Holes, which are what needs these elsewhere, wait for its invalidate_lock.
    ("ref_put", &["page-locked-xfs"]),
    ("ref_unfreeze", &["page-locked-xfs"]),
    ("seq_begin", &["invalidate-seq", "invalidate-seq-fused"]),
    ("seq_leave", &["invalidate-seq", "invalidate-seq-fused"]),
    (
        "set_uptodate",
        &[
            "folio-batched",
            "fused-count",
            "page-locked",
            "page-locked-xfs",
            "mapcount-recheck",
        ],
    ),
    ("slot_load", &[]),
    ("slot_reload", &[]),
    ("slot_store", &[]),
    (
        "window_flags",
        &[
            "folio-batched",
            "invalidate-seq",
            "page-locked",
            "page-locked-xfs",
            "mapcount-recheck",
        ],
    ),
];

/// Preemptions within which all of that shows.
const BOUND: Extent = Extent {
    bound: Some(Bound::Preemptions(2)),
    schedules: None,
    limit: None,
    seed: 2,
};

fn rows<const COLUMNS: usize>(table: &'static str) -> Vec<[&'static str; COLUMNS]> {
    let rows = table.lines().filter(|line| !line.trim().is_empty());
    rows.map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        words
            .try_into()
            .unwrap_or_else(|_| panic!("columns: {line}"))
    })
    .collect()
}

fn order(name: &str) -> Ordering {
    match name {
        "relaxed" => Relaxed,
        "acquire" => Acquire,
        "release" => Release,
        "acqrel" => AcqRel,
        _ => panic!("no ordering: {name}"),
    }
}

fn sound() -> impl Iterator<Item = &'static About> {
    let all = Schemes::<Loom>::ALL.iter().map(|scheme| scheme.about());
    all.filter(|about| about.verdict.is_sound())
}

/// Goes through a cell of changed code.
fn ended(scheme: &str, scenario: &str, mutation: &Mutation) -> Ended {
    let mut all = Cell::all().into_iter();
    let cell = all.find(|it| it.scheme.name == scheme && it.scenario.name == scenario);
    let cell = cell.unwrap_or_else(|| panic!("no cell of {scheme} in {scenario}"));
    explore(cell, mutation, &BOUND, &Cancel::default()).ended
}

/// Goes through a cell of changed code, which must violate an invariant.
#[track_caller]
fn violates(scheme: &str, scenario: &str, mutation: &Mutation, invariant: &str) {
    let ended = ended(scheme, scenario, mutation);
    let Ended::Violated(found) = ended else {
        panic!("{scheme} with {mutation:?} in {scenario}: {ended:?}");
    };
    assert_eq!(
        found.invariant.name, invariant,
        "{scheme} with {mutation:?} in {scenario}: {found}"
    );
}

#[test]
fn each_check_left_out_is_found_by_name() {
    let rows = rows::<4>(WITHOUT);
    for &[scheme, check, scenario, invariant] in &rows {
        let mutation = Mutation {
            left_out: vec![check],
            ..Mutation::NONE
        };
        violates(scheme, scenario, &mutation, invariant);
    }
    for scheme in sound() {
        for check in scheme.checks() {
            assert!(
                rows.iter().any(|it| it[..2] == [scheme.name, check.name]),
                "{} makes the check {}, and nothing shows that it is needed",
                scheme.name,
                check.name
            );
        }
    }
}

/// Whether a scenario has a CPU that does that.
fn does(scenario: &str, what: &str) -> bool {
    let scenario = Scenarios::<Loom>::named(scenario).unwrap_or_else(|| panic!("{scenario}?"));
    let mut cpus = scenario.about().cpus.iter().flat_map(|it| it.split(", "));
    cpus.any(|it| it == what)
}

#[test]
fn each_check_that_all_schemes_share_left_out_is_found_or_harmless() {
    let rows = rows::<4>(REMOVERS_WITHOUT);
    for &[whose, check, scenario, invariant] in &rows {
        assert!(
            whose == "slow-path" || does(scenario, whose),
            "{scenario} has no {whose}"
        );
        let mutation = Mutation {
            left_out: vec![check],
            ..Mutation::NONE
        };
        match invariant {
            "-" => assert_eq!(ended("page-locked", scenario, &mutation), Ended::Exhausted),
            _ => violates("page-locked", scenario, &mutation, invariant),
        }
    }
    let removers = Removers::<Loom>::ALL.iter().map(|it| it.about());
    let of_removers = removers.flat_map(|it| it.checks.iter().map(move |check| (it.name, check)));
    let of_slow_path = SLOW_CHECKS.iter().map(|check| ("slow-path", check));
    let all: Vec<_> = (of_removers.chain(of_slow_path))
        .map(|(whose, check)| (whose, check.name))
        .collect();
    // Some matter to some schemes alone.
    let of_schemes = self::rows::<4>(WITHOUT);
    for &(whose, check) in &all {
        let noticed = (rows.iter()).any(|it| it[..2] == [whose, check] && it[3] != "-")
            || (of_schemes.iter()).any(|it| it[1] == check && does(it[2], whose));
        let excused = NOT_SHOWN.iter().any(|it| (it.0, it.1) == (whose, check));
        assert!(
            noticed != excused,
            "{whose} makes the check {check}: either a scenario shows that it is needed, or \
             NOT_SHOWN says why none does"
        );
    }
    for (whose, check, _) in NOT_SHOWN {
        assert!(all.contains(&(whose, check)), "{whose} has no {check}");
    }
}

#[test]
fn each_ordering_weakened_is_found_by_name() {
    let rows = rows::<5>(WITH);
    for &[scheme, site, weaker, scenario, invariant] in &rows {
        let mutation = Mutation {
            weakened: vec![(site, order(weaker))],
            ..Mutation::NONE
        };
        violates(scheme, scenario, &mutation, invariant);
    }
    for scheme in sound() {
        for site in sites_of(&FAMILY, scheme) {
            let name = scheme.name;
            let needed = rows.iter().any(|it| it[..2] == [name, site.name]);
            let not = NOT_NEEDED.iter().any(|(not, schemes)| {
                *not == site.name && (schemes.is_empty() || schemes.contains(&name))
            });
            assert!(
                needed != not,
                "of {name}: {} is needed, or it isn't",
                site.name
            );
        }
    }
}
