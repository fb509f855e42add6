//! The clock's step and a cache line's way between CPUs, judged.

use super::{BARE_METAL, Finding, Judged, Verdict, fit, note, unknown};
use crate::clock::Step;
use crate::histogram::STRETCH;
use crate::transfer::{STEADY, Transfers};

/// A quick fault, in nanoseconds.
const FAULT_NS: f64 = 100.0;
/// A step above this share of it is worth a note.
const NOTED: f64 = 0.02;

/// Judges a clock's step by a fault of 100 ns: above 2 % of it is noted, and one that is as long as
/// the fault spoils what is told of single ones.
pub fn judge_step(step: &Step) -> Finding {
    let share = step.ns / FAULT_NS;
    let verdict = match share {
        share if share >= 1.0 => Verdict::Spoils,
        share if share > NOTED => Verdict::Note,
        _ => Verdict::Fit,
    };
    let spoils = format!(
        "a single fault of {FAULT_NS} ns is told to within {:.0}%, and percentiles are multiples of \
         the step",
        share * 100.0
    );
    let mend = format!(
        "compare by pages/s, or by p50, which is over stretches of {STRETCH} faults; larger windows \
         make longer faults"
    );
    let judged = note(format!("{:.1} ns", step.ns), spoils, mend);
    Judged { verdict, ..judged }.finding("clock step")
}

/// Judges several looks at a line's way from the first of these CPUs to the others.
pub fn judge_transfers(cpus: &[u32], looks: &[Vec<f64>]) -> Finding {
    const FACT: &str = "line transfer";
    if cpus.len() < 2 {
        return fit("one CPU, between which no line moves").finding(FACT);
    }
    let looks = looks.iter().map(|transfers| (cpus, &transfers[..]));
    let Some(transfers) = Transfers::widest(looks) else {
        return unknown(
            "figures of two threads hang on it",
            "watch the CPUs: --watch 500ms, with nothing beside it",
        )
        .finding(FACT);
    };
    let verdict = match transfers.is_steady() {
        true => Verdict::Fit,
        false => Verdict::Spoils,
    };
    let spoils = format!(
        "it varies by more than {STEADY}x, as where a host moves a guest's CPUs between caches: \
         figures of two threads are of several machines"
    );
    let mend = format!("pin the guest's CPUs on the host; else {BARE_METAL}");
    let judged = note(transfers.in_words(), spoils, mend);
    Judged { verdict, ..judged }.finding(FACT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_judged_by_a_quick_fault() {
        let verdict = |ns| judge_step(&Step { ticks: 1.0, ns }).verdict;
        assert_eq!(verdict(2.0), Verdict::Fit);
        assert_eq!([2.1, 40.0].map(verdict), [Verdict::Note; 2]);
        assert_eq!(verdict(100.0), Verdict::Spoils);
    }

    #[test]
    fn cpus_that_wander_spoil_a_measurement_and_a_single_one_cannot() {
        let of = |looks: &[f64]| {
            let looks: Vec<_> = looks.iter().map(|ns| vec![*ns]).collect();
            judge_transfers(&[0, 1], &looks).verdict
        };
        assert_eq!(of(&[50.0, 99.0]), Verdict::Fit);
        assert_eq!(of(&[32.0, 170.0, 33.0]), Verdict::Spoils);
        assert_eq!(of(&[]), Verdict::Note);
        assert_eq!(judge_transfers(&[0], &[]).verdict, Verdict::Fit);
    }
}
