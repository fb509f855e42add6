//! What the clock's step, and a line's way between CPUs, allow to tell.

use machine_facts::histogram::STRETCH;
use machine_facts::transfer::STEADY;

use crate::record::Run;

/// A step above this share of a median is a caveat.
pub(super) const COARSE: f64 = 0.02;

/// How medians are told within the clock's step.
pub(super) fn step(run: &Run) -> String {
    let open = run.configuration.setup.arrival.rate_per_s().is_some();
    let p50 = match open {
        false => format!(
            "speed by p50 is by the median time of stretches of up to {STRETCH} faults in a row, whose \
             sum a step shifts but once"
        ),
        true => "speed by p50 is by single faults".to_owned(),
    };
    match run.header.clock_step {
        Some(step) => format!(
            "advances by {:.1} ns at once, and single latencies are told to within that; {p50}; what \
             the step leaves open is in the intervals",
            step.ns
        ),
        None => String::new(),
    }
}

/// What is to be held against figures because of either.
pub(super) fn caveats(run: &Run) -> impl Iterator<Item = String> {
    coarse(run).into_iter().chain(wandering(run))
}

/// The step, where it is a large part of the shortest median.
fn coarse(run: &Run) -> Option<String> {
    let step_ns = run.header.clock_step?.ns;
    let rows = run.summary.iter().flat_map(|group| &group.rows);
    let latencies = rows.flat_map(|row| {
        let remover = row.remover.as_ref();
        [row.latency, remover.and_then(|remover| remover.latency)]
    });
    let p50_ns = latencies
        .flatten()
        .filter_map(|latency| latency.p50_ns)
        .min()?;
    let share = step_ns / p50_ns as f64;
    let setup = &run.configuration.setup;
    let mend = match (setup.arrival.rate_per_s(), setup.rate_per_s) {
        (Some(_), _) => "ns/page and pages/s don't feel it, nor does p50 in a closed loop",
        (None, Some(_)) => {
            "ns/page, pages/s and speed by p50, which is over stretches of faults, don't feel it; the \
             remover's operations are single ones: longer holes make them longer"
        }
        (None, None) => {
            "ns/page, pages/s and speed by p50, which is over stretches of faults, don't feel it; \
             larger windows make faults longer"
        }
    };
    (share > COARSE).then(|| {
        format!(
            "the clock advances by {step_ns:.1} ns at once, {:.0}% of the shortest median latency, \
             {p50_ns} ns: percentiles of single operations are multiples of it; {mend}",
            share * 100.0
        )
    })
}

/// What a line's way took beside the cells; why there is nothing to say where there isn't.
pub(super) fn transfer(run: &Run) -> String {
    let most = run
        .summary
        .iter()
        .map(|group| group.threads + group.storm_threads);
    let most = most.max().unwrap_or(0) as usize;
    match run.transfers() {
        Some(transfers) => format!(
            "of a cache line, beside each cell of two threads or more and outside of its time: {}",
            transfers.in_words()
        ),
        None if run.header.clock_step.is_none() => String::new(),
        None if run.configuration.setup.cpus.len() < 2 => "one CPU: no line moves".to_owned(),
        None if most < 2 => "one thread to a cell: no line moves".to_owned(),
        None => "not measured".to_owned(),
    }
}

fn wandering(run: &Run) -> Option<String> {
    let transfers = run.transfers().filter(|transfers| !transfers.is_steady())?;
    Some(format!(
        "a line's way between CPUs varied by more than {STEADY}x, {}: figures of two threads or more \
         are of several machines, as where a host moves a guest's CPUs between caches; A/A tells how \
         much; pinned vCPUs or bare metal mend it",
        transfers.in_words()
    ))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, unfolded};
    use machine_facts::clock::Step;

    #[test]
    fn a_coarse_clock_and_cpus_that_wander_are_caveats_and_are_told_where_they_are_not() {
        let said = |step_ns: Option<f64>, transfers: [f64; 2]| {
            let mut run = Fixture::default().make().run;
            run.header.clock_step = step_ns.map(|ns| Step { ticks: 1.0, ns });
            for (cell, ns) in run.rounds.iter_mut().zip(transfers) {
                cell.conditions.transfers_ns = vec![ns];
            }
            unfolded(&run)
        };
        // The shortest median is that of mapcount-recheck, 300 us.
        let coarse =
            "caveat the clock advances by 6200.0 ns at once, 2% of the shortest median latency";
        let wandering =
            "caveat a line's way between CPUs varied by more than 2x, 170 ns from CPU 0 to 1";
        let bad = said(Some(6_200.0), [32.0, 170.0]);
        assert!(bad.contains(coarse) && bad.contains(wandering), "{bad}");
        let good = said(Some(5_900.0), [32.0, 60.0]);
        assert!(
            !good.contains("caveat the clock") && !good.contains("caveat a line's"),
            "{good}"
        );
        assert!(
            good.contains("clock advances by 5900.0 ns at once"),
            "{good}"
        );
        assert!(
            good.contains("60 ns from CPU 0 to 1 (median of 2 looks; 32-60)"),
            "{good}"
        );
        assert!(!said(None, [32.0, 60.0]).contains("at once"));
    }
}
