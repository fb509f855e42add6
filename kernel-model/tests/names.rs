//! What users ask for and read: names, verdicts, messages.

use kernel_model::fault_around::Schemes;
use kernel_model::invariants::{self, RIGHT_OFFSET};
use kernel_model::platform::Native;
use kernel_model::race::{self, Place, Verdict, Violation, Violations};
use kernel_model::removal::Removers;
use kernel_model::scenario::Scenarios;
use kernel_model::tag;

#[test]
fn schemes_and_removers_are_found_by_their_names() {
    let schemes = ["page-locked", "mapcount-recheck", "sketch", "lockless-rfc"];
    for name in schemes {
        let scheme = Schemes::<Native>::named(name).expect(name);
        let sound = ["page-locked", "mapcount-recheck"].contains(&name);
        assert_eq!(scheme.about().name, name);
        assert_eq!(scheme.about().verdict.is_sound(), sound, "{name}");
    }
    for name in ["truncate", "punch-hole"] {
        assert_eq!(Removers::<Native>::named(name).unwrap().about().name, name);
    }
    assert!(Schemes::<Native>::named("truncate").is_none());
    assert!(Removers::<Native>::named("sketch").is_none());
}

#[test]
fn each_kind_of_race_is_in_a_scenario_and_breaks_a_scheme() {
    for &tag in tag::ALL {
        let mut scenarios = Scenarios::<Native>::ALL.iter();
        let mut schemes = Schemes::<Native>::ALL.iter();
        let breaks = |verdict: Verdict| !verdict.violates(&[tag]).is_empty();
        assert!(
            scenarios.any(|it| it.about().tags.contains(&tag)),
            "{tag:?}"
        );
        assert!(schemes.any(|it| breaks(it.about().verdict)), "{tag:?}");
    }
    for about in Removers::<Native>::ALL.iter().map(|it| it.about()) {
        let unfrozen = [tag::UNFROZEN, tag::UNFROZEN_UNLOCKED];
        let unfrozen = about.tags.iter().any(|it| unfrozen.contains(it));
        assert!(!(unfrozen && about.freezes), "{}", about.name);
    }
}

#[test]
fn invariants_are_called_what_the_reports_call_them() {
    let names: Vec<_> = invariants::ALL.iter().map(|it| it.name).collect();
    let expected = "no-stale-pte no-mapped-removal no-mapped-free no-bad-free \
                    pte-holds-reference right-offset no-pte-past-eof only-uptodate \
                    no-poisoned-pte no-lost-data no-freed-table-use counts-balance lock-order progress";
    assert_eq!(names.join(" "), expected);
}

/// A name alone is enough for `--scheme`, `--scenario` and what a worker sends back.
#[test]
fn no_two_families_give_one_name_to_two_things() {
    let mut names = Vec::new();
    for family in race::families() {
        let schemes = (family.schemes)().into_iter().map(|it| it.name);
        let scenarios = (family.scenarios)().into_iter().map(|it| it.name);
        names.extend(schemes.chain(scenarios).chain([family.name]));
        assert!(
            family.invariants.contains(&race::PROGRESS)
                && family.invariants.contains(&race::LOCK_ORDER),
            "{}",
            family.name
        );
    }
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "{names:?}");
}

#[test]
fn violations_are_all_counted_and_the_first_ones_kept() {
    let violations = Violations::default();
    for index in 0..1_000 {
        violations.report(Violation {
            invariant: RIGHT_OFFSET,
            place: Some(Place {
                index,
                frame: 1,
                incarnation: 2,
            }),
            detail: "seen".to_owned(),
        });
    }
    let kept = violations.kept();
    assert_eq!(violations.count(), 1_000);
    assert!((1..1_000).contains(&kept.len()), "not all of them");
    let indices = kept.iter().map(|it| it.place.unwrap().index);
    assert!(indices.eq(0..kept.len() as u64));
    let said = "right-offset at offset 0, folio 1 (incarnation 2): seen";
    assert_eq!(kept[0].to_string(), said);
}
