use super::*;
use crate::storms::Storms;
use kernel_model::fault_around::Schemes;

fn setup(seconds: u64, left_out: &[&str]) -> AuditSetup {
    AuditSetup {
        pages: 32,
        window_pages: 16,
        readahead_pages: 16,
        orders: Orders::All(0),
        hole_pages: 16,
        fault_threads: 2,
        storm_threads: 2,
        mm: MmKind::Private,
        access: Access::Random,
        duration: Duration::from_secs(seconds),
        cpus: None,
        left_out: left_out.iter().map(|&name| name.to_owned()).collect(),
        seed: 1,
    }
}

fn audited(scheme: &str, storm: &str, setup: &AuditSetup) -> Audit {
    let scheme = Schemes::<Audited>::named(scheme).unwrap();
    let storm = Storms::<Audited>::named(storm).unwrap();
    audit(scheme, storm, setup, &Cancel::default()).unwrap()
}

fn sound() -> impl Iterator<Item = &'static str> {
    let all = Schemes::<Audited>::ALL.iter().map(|scheme| scheme.about());
    all.filter(|about| about.verdict.is_sound())
        .map(|about| about.name)
}

#[test]
fn sound_schemes_survive_and_do_work() {
    for orders in [Orders::All(0), Orders::Mix] {
        for storm in ["truncate", "punch-hole", "shmem-swapout", "mixed"] {
            for scheme in sound() {
                // Longer where the machine is so busy elsewhere that little is done.
                let mut audits = [500, 2_000, 8_000].into_iter().map(|ms| {
                    let setup = AuditSetup {
                        orders,
                        duration: Duration::from_millis(ms),
                        ..setup(1, &[])
                    };
                    audited(scheme, storm, &setup)
                });
                let audit = audits.find(|audit| audit.worked || !audit.found.is_empty());
                let audit = audit.expect("work enough in 8 s");
                assert!(audit.as_declared && audit.found.is_empty(), "{audit:?}");
                let work = &audit.work;
                assert!(work.episodes > 1 && work.faults > 200, "{audit:?}");
            }
        }
    }
}

#[test]
fn broken_schemes_are_caught_by_a_declared_name() {
    let caught = [
        ("sketch", "punch-hole"),
        ("sketch", "invalidate"),
        ("lockless-rfc", "punch-hole"),
        ("lockless-rfc", "shmem-swapout"),
        ("invalidate-only", "invalidate"),
        ("invalidate-only", "mixed"),
    ];
    for (scheme, storm) in caught {
        let audit = audited(scheme, storm, &setup(60, &[]));
        assert!(
            audit.broken && audit.to_be_caught && audit.as_declared,
            "{audit:?}"
        );
        let truncated = audited(scheme, "truncate", &setup(1, &[]));
        assert!(truncated.broken && !truncated.to_be_caught, "{truncated:?}");
        assert!(
            truncated.as_declared && truncated.found.is_empty(),
            "{truncated:?}"
        );
    }
}

/// Checks without which a sound scheme is caught on a machine within seconds, and under which storm.
/// The others take rarer races, and are the model checkers' business.
const CAUGHT: &[(&str, &str, &str)] = &[
    ("page-locked", "page_locked_mapping", "punch-hole"),
    ("folio-batched", "page_locked_mapping", "punch-hole"),
    ("mapcount-recheck", "recheck_locked", "punch-hole"),
    ("mapcount-recheck", "recheck_mapping", "punch-hole"),
    ("fused-count", "fused_locked", "punch-hole"),
    ("invalidate-gate", "gate_read", "invalidate"),
    ("invalidate-gate", "gate_zap", "invalidate"),
    ("invalidate-gate-fused", "gate_zap", "shmem-swapout"),
    ("invalidate-seq", "seq_recheck", "invalidate"),
    ("invalidate-seq", "seq_ptes_last", "invalidate"),
    ("invalidate-seq-fused", "seq_recheck", "shmem-swapout"),
];

#[test]
fn a_sound_scheme_without_one_of_its_checks_is_caught() {
    for &(scheme, check, storm) in CAUGHT {
        let audit = audited(scheme, storm, &setup(60, &[check]));
        assert!(!audit.as_declared, "{scheme} without {check}");
    }
}

#[test]
fn with_a_shared_mm_verdicts_are_the_same() {
    let shared = |seconds| AuditSetup {
        mm: MmKind::Shared,
        ..setup(seconds, &[])
    };
    assert!(audited("mapcount-recheck", "punch-hole", &shared(1)).as_declared);
    assert!(audited("sketch", "punch-hole", &shared(60)).as_declared);
}

#[test]
fn an_interrupted_audit_gives_no_verdict() {
    let cancel = Cancel::default();
    cancel.request();
    let scheme = Schemes::<Audited>::named("page-locked").unwrap();
    let storm = Storms::<Audited>::named("punch-hole").unwrap();
    let result = audit(scheme, storm, &setup(60, &[]), &cancel);
    assert!(matches!(result, Err(AuditError::Interrupted)));
}
