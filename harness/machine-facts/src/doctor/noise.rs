//! The noise floor, judged.

use super::{Finding, Judged, Verdict, note, unknown};
use crate::noise::{Floor, lines, percent, worst};

/// The length of the operation that is asked about, in nanoseconds: a slow fault.
const OPERATION_NS: u64 = 1_000;

/// Where so large a share of operations of a microsecond is hit by a gap, the p99.9 that reports
/// print is the machine's and not a scheme's.
pub const SPOILT_HIT_SHARE: f64 = 1e-3;

/// Where a CPU loses so large a share of its time, rates are off by as much, and by another share
/// in the next round: more than what ratios are asked to tell apart.
pub const SPOILT_LOST_SHARE: f64 = 1e-2;

/// A tenth of either is worth a note.
const NOTED: f64 = 0.1;

/// Judges the worst of the CPUs watched: by [`SPOILT_HIT_SHARE`] and [`SPOILT_LOST_SHARE`], and
/// notes what comes within a tenth of them. A CPU with a tick of 250 Hz that takes 2 us is noted.
pub fn judge_noise(floors: &[Floor]) -> Finding {
    const FACT: &str = "noise floor";
    let hit = |floor: &Floor| floor.hit_share(OPERATION_NS);
    let most_hit = floors.iter().max_by(|a, b| hit(a).total_cmp(&hit(b)));
    let (Some(worst), Some(most_hit)) = (worst(floors), most_hit) else {
        return unknown(
            "how much of the tail is the machine's isn't known",
            "watch the CPUs: --watch 500ms",
        )
        .finding(FACT);
    };
    let (lost, hit) = (worst.lost_share, hit(most_hit));
    // The one that its verdict is by.
    let told = if lost / SPOILT_LOST_SHARE > hit / SPOILT_HIT_SHARE {
        worst
    } else {
        most_hit
    };
    let found = lines(std::slice::from_ref(told)).concat();
    let beyond = |share: f64| hit > share * SPOILT_HIT_SHARE || lost > share * SPOILT_LOST_SHARE;
    let verdict = match (beyond(1.0), beyond(NOTED)) {
        (true, _) => Verdict::Spoils,
        (_, true) => Verdict::Note,
        _ => Verdict::Fit,
    };
    let spoils = format!(
        "{} of operations of 1 us are hit: beyond p{} the tail is the machine's",
        percent(hit),
        digits(most_hit.blameless_percentile(OPERATION_NS)),
    );
    let judged = note(
        found,
        spoils,
        "what the findings above say; then watch again",
    );
    Judged { verdict, ..judged }.finding(FACT)
}

/// A percentile, cut so that it claims no more than it may.
fn digits(percentile: f64) -> String {
    let cut = (percentile * 1e4).floor() / 1e4;
    format!("{cut}")
}
