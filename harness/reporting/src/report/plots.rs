//! Which percentile plots a report has, and which letter stands for whom.

use measuring::rounds::Variant;
use measuring::summary::{GroupSummary, Row};

use super::labels::label;
use super::percentile_plot::{Curve, draw};
use super::{Extras, Plots};
use crate::document::{Block, Document};
use crate::record::{ReadError, Run, Side};

/// The groups that are plotted, by number.
pub(super) fn plotted(run: &Run, plots: Plots) -> Vec<usize> {
    let groups = run.summary.iter().enumerate();
    let is = |(_, group): &(usize, &GroupSummary)| match plots {
        Plots::All => true,
        Plots::None => false,
        Plots::Widest => {
            let same = run
                .summary
                .iter()
                .filter(|other| other.storm == group.storm);
            same.map(|other| other.threads).max() == Some(group.threads)
        }
    };
    groups.filter(is).map(|(number, _)| number).collect()
}

pub(super) fn add(
    out: &mut Document,
    run: &Run,
    group: &GroupSummary,
    extras: &Extras<'_>,
) -> Result<(), ReadError> {
    add_side(out, run, group, Side::Faults, extras)?;
    if extras.plots == Plots::All && group.storm_threads > 0 {
        add_side(out, run, group, Side::Remover, extras)?;
    }
    Ok(())
}

fn add_side(
    out: &mut Document,
    run: &Run,
    group: &GroupSummary,
    side: Side,
    extras: &Extras<'_>,
) -> Result<(), ReadError> {
    let Some(latencies) = extras.latencies else {
        return Ok(());
    };
    let shown = |row: &&Row| matches!(row.variant, Variant::Plain | Variant::Again);
    let mut letters = 'a'..='z';
    let (mut curves, mut legend) = (Vec::new(), Vec::new());
    for row in group.rows.iter().filter(shown) {
        // The baseline's second run has the baseline's letter: how far apart the two are is noise.
        let again = row.variant == Variant::Again;
        let letter = if again { Some('a') } else { letters.next() };
        let Some(letter) = letter else {
            break;
        };
        if let Some(histogram) = latencies.of(group, row, side)? {
            curves.push(Curve { letter, histogram });
        }
        if row.baseline {
            legend.push(format!("{letter} {} (twice: A/A)", label(run, row)));
        } else if !again {
            legend.push(format!("{letter} {}", label(run, row)));
        }
    }
    if let Some(drawing) = draw(&curves) {
        let what = match side {
            Side::Faults => "fault latency",
            Side::Remover => "remover latency",
        };
        let head = format!("{what} by percentile, log scale; + is several:\n");
        out.push(Block::Drawing(head + &drawing));
        out.note("", legend.join(", "));
    }
    Ok(())
}
