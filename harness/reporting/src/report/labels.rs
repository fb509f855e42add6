//! What rows and groups are called.

use machine_facts::environment::counted;
use measuring::rounds::{CALIBRATED, Control, Variant};
use measuring::summary::{GroupSummary, Row};

use crate::record::{Configuration, Run};

/// The label of a row: known-broken schemes carry that wherever they appear.
pub(crate) fn label(run: &Run, row: &Row) -> String {
    label_of(&run.configuration, &row.scheme, row.broken, row.variant)
}

/// The label of what ran under these names.
pub(crate) fn label_of(
    configuration: &Configuration,
    scheme: &str,
    broken: bool,
    variant: Variant,
) -> String {
    let broken = if broken { " (broken)" } else { "" };
    let variant = match variant {
        Variant::Plain => String::new(),
        Variant::Again => " A/A".to_owned(),
        Variant::Planted => match planted_percent(configuration) {
            Some(percent) => format!(" +{percent}%"),
            None => " planted".to_owned(),
        },
        Variant::Unrecorded => " unrec.".to_owned(),
    };
    format!("{scheme}{broken}{variant}")
}

/// By how many percent the faults of the planted control are made longer.
pub(crate) fn planted_percent(configuration: &Configuration) -> Option<f64> {
    let controls = configuration.controls.iter();
    let planted = controls.map(|control| match control {
        Control::Planted(percent) => Some(*percent),
        Control::Unrecorded => None,
    });
    planted.flatten().next()
}

/// A group in short: the storm and the number of fault threads.
pub(crate) fn place(group: &GroupSummary) -> String {
    format!("{} x{}", group.storm, group.threads)
}

/// A load's storm, and whether the model was calibrated under it.
pub(crate) fn storm_of(load: &str) -> (&str, bool) {
    match load.strip_suffix(CALIBRATED) {
        Some(storm) => (storm, true),
        None => (load, false),
    }
}

/// A group in full, as it heads its tables.
pub(crate) fn title(run: &Run, group: &GroupSummary) -> String {
    let (storm, calibrated) = storm_of(&group.storm);
    let calibrated = if calibrated { ", calibrated" } else { "" };
    let mut title = format!(
        "{storm}{calibrated}: {}",
        counted(u64::from(group.threads), "fault thread")
    );
    if group.storm_threads > 0 {
        let rate = run.configuration.setup.rate_per_s;
        let rate = rate.map_or("flat out".to_owned(), |rate| format!("{rate}/s"));
        let threads = counted(u64::from(group.storm_threads), "storm thread");
        title.push_str(&format!(", {threads}, {rate}"));
    }
    if let Some(rate) = run.configuration.setup.arrival.rate_per_s() {
        title.push_str(&format!(", faults arrive at {rate}/s"));
    }
    if group.oversubscribed {
        title
            .push_str(" -- OVERSUBSCRIBED: threads share CPUs, these are not latencies of locking");
    }
    title
}
