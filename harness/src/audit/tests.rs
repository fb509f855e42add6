use super::*;
use crate::storms::Storms;
use kernel_model::fault_around::Schemes;

fn setup(seconds: u64, left_out: &[&str]) -> AuditSetup {
    AuditSetup {
        pages: 32,
        window_pages: 16,
        readahead_pages: 16,
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

#[test]
fn sound_schemes_survive_and_do_work() {
    for storm in ["truncate", "punch-hole"] {
        for scheme in ["page-locked", "mapcount-recheck"] {
            let audit = audited(scheme, storm, &setup(2, &[]));
            assert!(audit.as_declared && audit.found.is_empty(), "{audit:?}");
            let work = &audit.work;
            assert!(work.episodes > 1 && work.faults > 1_000, "{audit:?}");
            assert!(
                work.folios_removed > 100 && work.pages_mapped > 1_000,
                "{audit:?}"
            );
        }
    }
}

#[test]
fn broken_schemes_are_caught_by_a_declared_name() {
    for scheme in ["sketch", "lockless-rfc"] {
        let audit = audited(scheme, "punch-hole", &setup(60, &[]));
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

#[test]
fn a_sound_scheme_without_one_of_its_checks_is_caught() {
    for scheme in Schemes::<Audited>::ALL {
        let about = scheme.about();
        for check in about.own_checks.iter().filter(|_| about.verdict.is_sound()) {
            let audit = audited(about.name, "punch-hole", &setup(60, &[check.name]));
            assert!(!audit.as_declared, "{} without {}", about.name, check.name);
        }
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
