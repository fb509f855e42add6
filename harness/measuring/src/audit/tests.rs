use machine_facts::topology::allowed_cpus;

use super::*;
use crate::storms::Storms;
use kernel_model::fault_around::Schemes;
use kernel_model::invariants;

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
    // One that holds invalidate_lock, one that doesn't, one that freezes, and one that leaves
    // folios in the file. All together, by `faultaround audit`, take minutes.
    for storm in ["punch-hole", "invalidate", "migrate", "memory-failure"] {
        for scheme in sound() {
            let audit = audited(scheme, storm, &setup(0, &[]));
            assert_eq!(audit.verdict, Verdict::AsDeclared, "{audit:?}");
            // All pairs of places in all trials; how many there are is the scheme's own length.
            assert!(audit.work.schedules > 5_000, "{audit:?}");
            let trials = audit.trials;
            assert!(trials.done == trials.all && trials.all > 15, "{trials:?}");
            // In no time there is none for anything else.
            assert_eq!(audit.work.episodes, 0);
        }
    }
}

#[test]
fn threads_that_run_freely_find_nothing_in_a_sound_scheme() {
    for orders in [Orders::All(0), Orders::Mix] {
        let setup = AuditSetup {
            orders,
            ..setup(1, &[])
        };
        for scheme in sound() {
            let scheme = Schemes::<Audited>::named(scheme).unwrap();
            let storm = Storms::<Audited>::named("mixed").unwrap();
            let outcome = Episode::new(scheme, storm, &setup, 0)
                .run(EPISODE, &Cancel::default())
                .unwrap();
            assert!(outcome.violations.is_empty(), "{:?}", outcome.violations);
            // What says later that they had too little of the CPUs.
            assert!(outcome.work.cpu_time > Duration::ZERO);
        }
    }
}

#[test]
fn broken_schemes_are_caught_by_a_declared_name() {
    let caught = [
        ("sketch", "punch-hole"),
        ("sketch", "invalidate"),
        ("sketch", "truncate"),
        ("lockless-rfc", "punch-hole"),
        ("lockless-rfc", "shmem-swapout"),
        ("sketch", "memory-failure"),
        ("lockless-rfc", "memory-failure"),
        ("invalidate-only", "memory-failure"),
        ("invalidate-only", "invalidate"),
        ("invalidate-only", "mixed"),
    ];
    for (scheme, storm) in caught {
        let audit = audited(scheme, storm, &setup(0, &[]));
        assert!(audit.broken && audit.to_be_caught, "{audit:?}");
        assert!(
            audit.verdict == Verdict::AsDeclared && !audit.found.is_empty(),
            "{audit:?}"
        );
    }
    // A second unmap heals what is mapped of a range that was truncated, but not what lies before
    // it in a folio that goes whole.
    for scheme in ["sketch", "lockless-rfc"] {
        let audit = audited(scheme, "truncate", &setup(0, &[]));
        let schedule = audit.schedule.expect("it is caught");
        assert_eq!(schedule.trial.shape.name, "folios", "{scheme}");
    }
    let audit = audited("invalidate-only", "truncate", &setup(0, &[]));
    assert!(audit.broken && !audit.to_be_caught, "{audit:?}");
    assert!(audit.found.is_empty(), "{audit:?}");
    assert_eq!(audit.verdict, Verdict::AsDeclared);
}

/// Where a reference keeps the folio from being split, its bad page stays in the file: what a
/// scheme is caught by then is the PTE, and not that the folio has left.
#[test]
fn schemes_that_map_a_bad_page_are_caught_where_it_stays() {
    let found = |scheme: &str| {
        let found = (1..60).flat_map(|accesses| {
            let schedule = format!("pinned/fault/memory-failure/A{accesses},B999");
            let schedule = schedule.parse().unwrap();
            repeated(scheme, "memory-failure", &setup(0, &[]), &schedule).found
        });
        let mut found: Vec<_> = found.map(|it| it.invariant).collect();
        found.sort();
        found.dedup();
        found
    };
    for scheme in sound() {
        assert_eq!(found(scheme), [], "{scheme}");
    }
    for scheme in ["sketch", "lockless-rfc", "invalidate-only"] {
        assert_eq!(found(scheme), [invariants::NO_POISONED_PTE], "{scheme}");
    }
}

/// Storms of which one shows each scheme without a check, the likeliest first.
const CAUGHT: &[(&str, &[&str])] = &[
    ("page_locked_mapping", &["punch-hole", "invalidate"]),
    ("ref_get_unless_zero", &["punch-hole", "reclaim"]),
    ("recheck_locked", &["invalidate"]),
    ("recheck_mapping", &["invalidate"]),
    ("fused_get", &["reclaim", "invalidate"]),
    ("fused_locked", &["invalidate"]),
    ("gate_read", &["invalidate"]),
    ("gate_zap", &["shmem-swapout"]),
    ("gate_counts", &["invalidate"]),
    ("seq_recheck", &["invalidate"]),
    ("seq_generation", &["invalidate"]),
    ("seq_counts", &["invalidate"]),
    ("seq_ptes_last", &["invalidate"]),
    ("pte_none", &["punch-hole"]),
    ("slot_reload", &["punch-hole", "reclaim", "migrate"]),
    ("window_flags", &["reclaim"]),
    ("poison_check", &["memory-failure"]),
    ("recheck_poison", &["memory-failure"]),
    ("i_size_read", &["reclaim"]),
    ("end_before_lookup", &["truncate"]),
    ("folio_clip", &["reclaim", "migrate", "punch-hole"]),
];

/// Checks that directed trials don't show the lack of, and why not.
const NOT_SHOWN: &[(&str, &str)] = &[(
    "large_recheck",
    "no trial has a large folio whose memory is used again for another one",
)];

/// Each check of each sound scheme, left out, and found by directed trials alone: by a schedule
/// that shows the same whenever it is repeated.
#[test]
fn a_sound_scheme_without_one_of_its_checks_is_caught() {
    for scheme in sound() {
        let about = Schemes::<Audited>::named(scheme).unwrap().about();
        for check in about.checks() {
            let name = check.name;
            if NOT_SHOWN.iter().any(|(check, _)| *check == name) {
                continue;
            }
            let (_, storms) = (CAUGHT.iter().find(|(check, _)| *check == name))
                .unwrap_or_else(|| panic!("CAUGHT has no storm for {name}"));
            let setup = setup(0, &[name]);
            let mut audits = storms.iter().map(|storm| audited(scheme, storm, &setup));
            let audit = audits.find(|audit| audit.verdict == Verdict::Noticed);
            let audit = audit.unwrap_or_else(|| panic!("{scheme} without {name} is not noticed"));
            assert!(
                audit.trials.done < audit.trials.all,
                "the others aren't gone through"
            );
            let schedule = audit.schedule.as_ref().expect("it was a schedule");
            let again: Schedule = schedule.to_string().parse().unwrap();
            for _ in 0..2 {
                let repeated = repeated(scheme, audit.storm, &setup, &again);
                assert_eq!(repeated.found, audit.found, "{scheme} {again:?}");
                assert_eq!(repeated.turns, audit.turns, "{scheme} {again:?}");
            }
        }
    }
}

fn repeated(scheme: &str, storm: &str, setup: &AuditSetup, schedule: &Schedule) -> Audit {
    let scheme = Schemes::<Audited>::named(scheme).unwrap();
    let storm = Storms::<Audited>::named(storm).unwrap();
    repeat(scheme, storm, setup, schedule).unwrap()
}

/// Three turns: the hole has unmapped its range before the fault comes.
#[test]
fn a_hole_that_has_unmapped_its_range_is_met() {
    for (scheme, check) in [
        ("mapcount-recheck", "recheck_locked"),
        ("fused-count", "fused_locked"),
    ] {
        let audit = audited(scheme, "punch-hole", &setup(0, &[check]));
        assert_eq!(audit.verdict, Verdict::Noticed, "{scheme}");
    }
}

#[test]
fn a_schedule_is_what_it_says() {
    for text in [
        "page/fault/punch-hole/A7,B12",
        "windows/fault+fault-last/invalidate+refill+invalidate/B1,A2,B3",
    ] {
        assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
    }
    for (text, says) in [
        ("page/fault/A7", "is like"),
        (
            "pages/fault/migrate/A7",
            "no machine \"pages\": it is one of page, no-table",
        ),
        ("page/fault/leave/A7", "can't do \"leave\""),
        ("page/fault/migrate/A7,A2", "\"A7,A2\" are no turns"),
        ("page/fault/migrate/A0", "\"A0\" are no turns"),
        ("page/fault/migrate/", "\"\" are no turns"),
    ] {
        let error = text.parse::<Schedule>().unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

/// What was found is a verdict, whatever else was done; and what wasn't is none if little was done.
#[test]
fn a_verdict_takes_work_unless_something_was_found() {
    let found = [Violation {
        invariant: invariants::NO_STALE_PTE,
        place: None,
        detail: String::new(),
    }];
    let (idle, free) = (Work::default(), Free::default());
    let trials = Trials { done: 17, all: 17 };
    let verdict = |violates: &[_], found: &[_], changed, work, free| {
        super::verdict(violates, found, changed, (work, trials, free))
    };
    let worked = Work {
        pages_mapped: LEAST_WORK,
        folios_removed: LEAST_WORK,
        ..idle
    };
    let starved = Free {
        had_s: 0.9,
        possible_s: 10.0,
    };
    let declared = [invariants::NO_STALE_PTE];
    assert_eq!(
        verdict(&[], &found, false, &idle, starved),
        Verdict::NotAsDeclared
    );
    assert_eq!(
        verdict(&declared, &found, false, &idle, starved),
        Verdict::AsDeclared
    );
    assert_eq!(verdict(&[], &found, true, &idle, starved), Verdict::Noticed);
    assert_eq!(
        verdict(&[], &[], false, &idle, free),
        Verdict::TooLittleDone
    );
    for (violates, changed) in [(&[][..], true), (&[], false), (&declared, false)] {
        assert_eq!(
            verdict(violates, &[], changed, &worked, starved),
            Verdict::TooLittleTime
        );
    }
    let either = |work, free| verdict(&[], &[], true, work, free);
    let one_less = LEAST_WORK - 1;
    let (mut faults, mut removals) = (worked, worked);
    (faults.pages_mapped, removals.folios_removed) = (one_less, one_less);
    assert_eq!(either(&faults, free), Verdict::TooLittleDone);
    assert_eq!(either(&removals, free), Verdict::TooLittleDone);
    assert_eq!(verdict(&[], &[], true, &worked, free), Verdict::NotNoticed);
    assert_eq!(verdict(&[], &[], false, &worked, free), Verdict::AsDeclared);
    assert_eq!(
        verdict(&declared, &[], false, &worked, free),
        Verdict::NotAsDeclared
    );
    // All of the work, and all but one of the trials.
    let unfinished = Trials { done: 16, all: 17 };
    for (violates, changed) in [(&[][..], true), (&[], false), (&declared, false)] {
        let done = (&worked, unfinished, free);
        let without = super::verdict(violates, &[], changed, done);
        assert_eq!(without, Verdict::TooLittleDone);
    }
    assert_eq!(
        super::verdict(&declared, &found, false, (&idle, unfinished, free)),
        Verdict::AsDeclared
    );
    let good = [Verdict::AsDeclared, Verdict::Noticed];
    let not = [
        Verdict::NotAsDeclared,
        Verdict::NotNoticed,
        Verdict::TooLittleDone,
        Verdict::TooLittleTime,
    ];
    assert!(good.into_iter().all(Verdict::is_good) && !not.into_iter().any(Verdict::is_good));
}

/// Both threads of a trial: a thread inherits the CPU of the one that starts it.
#[test]
fn directed_trials_have_one_cpu_and_the_one_that_was_named() {
    let all = allowed_cpus().unwrap();
    let inherited = || thread::spawn(allowed_cpus).join().unwrap().unwrap();
    let [cpu] = on_one_cpu(None, move || Ok(inherited())).unwrap()[..] else {
        panic!("one CPU");
    };
    assert!(all.contains(&cpu));
    for cpu in &all {
        let named = [*cpu, all[0]];
        let had = on_one_cpu(Some(&named), move || Ok(inherited())).unwrap();
        assert_eq!(had, [*cpu]);
    }
    assert_eq!(
        allowed_cpus().unwrap(),
        all,
        "the caller's own is as it was"
    );
    let nowhere = on_one_cpu(Some(&[u32::MAX]), || Ok(()));
    assert!(matches!(nowhere, Err(AuditError::Pin(_))));
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

/// A file and the VMAs that map it hold each other, and an audit makes thousands of both.
#[test]
fn machines_are_freed() {
    let scheme = Schemes::<Audited>::named("page-locked").unwrap();
    for shape in Shape::ALL {
        let machine = trial::Machine::new(scheme, shape);
        let file = Arc::downgrade(&machine.file);
        drop(machine);
        assert_eq!(file.strong_count(), 0, "{}", shape.name);
    }
    let storm = Storms::<Audited>::named("punch-hole").unwrap();
    let shared = AuditSetup {
        mm: MmKind::Shared,
        ..setup(0, &[])
    };
    let episode = Episode::new(scheme, storm, &shared, 0);
    let file = Arc::downgrade(&episode.0.mapping);
    drop(episode);
    assert_eq!(file.strong_count(), 0);
}
